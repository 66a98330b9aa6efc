//! JSON values of users and plugins as the record holds them: parsed once, written once, kept aside when large.

use std::fmt;
use std::sync::Arc;

use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::ids::Digest;
use crate::limits::INLINE_VALUE_BYTES;

/// A JSON value with its one compact text (object keys sorted). Cheap to clone.
///
/// In the record it reads `{"inline": value}`, or `{"blob": digest, "bytes": n}` when the text is longer than
/// [`INLINE_VALUE_BYTES`] and stands as a blob beside the record.
#[derive(Clone)]
pub struct Payload {
    value: Arc<Value>,
    text: Arc<RawValue>,
}

impl Payload {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: Value) -> Self {
        let text = serde_json::value::to_raw_value(&value)
            .expect("a JSON value with string keys always has a text");
        Self {
            value: Arc::new(value),
            text: text.into(),
        }
    }

    /// The parsed value.
    #[must_use]
    pub fn value(&self) -> &Arc<Value> {
        &self.value
    }

    /// The compact text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get()
    }

    /// Digest and bytes of the blob that this value needs beside its record, when it is large.
    #[must_use]
    pub fn blob(&self) -> Option<(Digest, &[u8])> {
        let bytes = self.text().as_bytes();
        (bytes.len() > INLINE_VALUE_BYTES).then(|| (Digest::of(bytes), bytes))
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self::new(value)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) || self.text() == other.text()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some((digest, bytes)) = self.blob() {
            let mut out = serializer.serialize_struct("Payload", 2)?;
            out.serialize_field("blob", &digest)?;
            out.serialize_field("bytes", &bytes.len())?;
            out.end()
        } else {
            let mut out = serializer.serialize_struct("Payload", 1)?;
            out.serialize_field("inline", &self.text)?;
            out.end()
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Inline {
            inline: Value,
        }
        Inline::deserialize(deserializer).map(|stored| Self::new(stored.inline))
    }
}

/// Finds the text of a blob.
pub type FindBlob<'a> = dyn Fn(&Digest) -> Option<Vec<u8>> + 'a;

/// Puts blobs back in place before a record is decoded: at each of `pointers` (JSON pointers), `{"blob": …}` becomes
/// `{"inline": …}`. Places that do not exist or stand inline already are left alone.
///
/// # Errors
/// [`MissingBlob`] when a blob does not exist or is not JSON.
pub fn hydrate(
    body: &mut Value,
    pointers: &[&str],
    find: &FindBlob<'_>,
) -> Result<(), MissingBlob> {
    for pointer in pointers {
        let Some(place) = body.pointer_mut(pointer) else {
            continue;
        };
        let Some(digest) = place.get("blob").and_then(Value::as_str) else {
            continue;
        };
        let missing = || MissingBlob(digest.to_owned());
        let digest: Digest = digest.parse().map_err(|_| missing())?;
        let bytes = find(&digest).ok_or_else(missing)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| missing())?;
        *place = serde_json::json!({ "inline": value });
    }
    Ok(())
}

/// A record names a blob that the store does not hold, or not as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the blob {0} is missing or damaged")]
pub struct MissingBlob(pub String);

/// Whether the value has at most `left` levels of arrays and objects.
#[must_use]
pub fn within_depth(value: &Value, left: usize) -> bool {
    let inner = |value| within_depth(value, left - 1);
    match value {
        Value::Array(items) => left > 0 && items.iter().all(inner),
        Value::Object(entries) => left > 0 && entries.values().all(inner),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use serde_json::json;

    #[test]
    fn small_values_stand_inline() {
        let payload = Payload::new(json!({"b": 1, "a": [true, null]}));
        let text = serde_json::to_string(&payload).unwrap();
        assert_eq!(text, r#"{"inline":{"a":[true,null],"b":1}}"#);
        assert_eq!(serde_json::from_str::<Payload>(&text).unwrap(), payload);
    }

    #[test]
    fn large_values_stand_beside_the_record() {
        let payload = Payload::new(json!("x".repeat(INLINE_VALUE_BYTES)));
        let (digest, bytes) = payload.blob().unwrap();
        let mut body = json!({"output": payload, "other": {"blob": "of a user"}});
        assert_eq!(body["output"]["blob"], json!(digest));
        let find = |wanted: &Digest| (*wanted == digest).then(|| bytes.to_vec());
        hydrate(&mut body, &["/output", "/absent"], &find).unwrap();
        assert_eq!(body["other"], json!({"blob": "of a user"}));
        let back: Payload = serde_json::from_value(body["output"].take()).unwrap();
        assert_eq!(back, payload);

        let mut body = json!({"output": payload});
        assert!(hydrate(&mut body, &["/output"], &|_| None).is_err());
    }
}
