//! Bytes in an answer as they stand on the tape: text where they are text, and a blob beside it where they are many.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use milepost_core::ids::Digest;
use milepost_core::limits;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::limits::Refusal;
use crate::state::HostState;

/// Bytes that were answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    /// They are text.
    Text(String),
    /// They are few.
    Base64(String),
    /// They are kept beside the tape.
    Blob(Digest),
}

/// Bytes as a test sees them: text where they are text.
pub(crate) fn shown_bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// Text that may be JSON as a test sees it.
pub(crate) fn shown_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

impl HostState {
    /// Puts bytes of an answer that is about to be noted on the tape.
    pub(crate) fn body(&mut self, bytes: &Arc<[u8]>) -> Body {
        if bytes.len() > limits::TAPE_INLINE_BYTES {
            let digest = Digest::of(bytes);
            self.recorder.keep(digest, Arc::clone(bytes));
            return Body::Blob(digest);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Body::Text(text.to_owned()),
            Err(_) => Body::Base64(STANDARD.encode(bytes)),
        }
    }

    /// The bytes of an answer that the tape gave.
    ///
    /// # Errors
    /// [`Refusal`] when they are not kept any more, or damaged.
    pub(crate) async fn bytes(&mut self, body: &Body) -> Result<Vec<u8>, Refusal> {
        let found = match body {
            Body::Text(text) => Some(text.clone().into_bytes()),
            Body::Base64(text) => STANDARD.decode(text).ok(),
            Body::Blob(digest) => {
                let kept = self.call.host.blob(digest).await;
                kept.filter(|bytes| Digest::of(bytes) == *digest)
            }
        };
        found.ok_or_else(|| self.recorder.diverge("a body that is not kept any more"))
    }
}
