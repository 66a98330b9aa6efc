//! A response as a guest gets it, and as the tape keeps it.

use std::sync::Arc;

use milepost_core::limits;
use serde::{Deserialize, Serialize};

use super::client::Response;
use super::room::{Held, Room};
use super::{HEADER_BYTES, errors};
use crate::capability::body::Body;
use crate::host_error::HostError;
use crate::limits::Refusal;
use crate::state::HostState;

/// A response in which every secret is masked.
pub(in crate::capability) struct Answered {
    pub(in crate::capability) status: u16,
    pub(in crate::capability) headers: Vec<(String, Vec<u8>)>,
    /// `None`: it is too large to be held.
    pub(in crate::capability) body: Option<Arc<[u8]>>,
    _held: Held,
}

/// The same on the tape.
#[derive(Serialize, Deserialize)]
pub(in crate::capability) struct Taped {
    status: u16,
    headers: Vec<(String, Body)>,
    body: Option<Body>,
}

/// What a response takes. What was read of a body that is too large counts alike in replay, where nothing was read.
fn bytes_of(headers: &[(String, Vec<u8>)], body: Option<&Arc<[u8]>>) -> usize {
    let of_headers = headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + HEADER_BYTES);
    let of_body = body.map_or(limits::HTTP_BODY_BYTES, |body| body.len());
    of_headers.sum::<usize>() + of_body
}

impl HostState {
    fn http_room(&self) -> &Room {
        &self.states.http.room
    }

    /// What came back from the world. Of a body that is too large, what was read of it stays in `response`.
    ///
    /// # Errors
    /// `too-large` when the attempt holds too much already.
    pub(in crate::capability) fn answered(
        &mut self,
        response: &mut Response,
    ) -> Result<Answered, HostError> {
        let secrets = &self.call.secrets;
        let masked = |bytes: Vec<u8>| secrets.masked_bytes(&bytes).unwrap_or(bytes);
        let headers: Vec<_> = std::mem::take(&mut response.headers)
            .into_iter()
            .map(|(name, value)| (name, masked(value)))
            .collect();
        let body = match &response.rest {
            None => Some(Arc::from(masked(std::mem::take(&mut response.body)))),
            Some(_) => None,
        };
        let held = self.http_room().take(bytes_of(&headers, body.as_ref()));
        let held = held.ok_or_else(|| errors::too_much("this response"))?;
        Ok(Answered {
            status: response.status,
            headers,
            body,
            _held: held,
        })
    }

    /// A response as it goes on the tape.
    pub(in crate::capability) fn taped_response(&mut self, answered: &Answered) -> Taped {
        let headers = answered.headers.iter();
        Taped {
            status: answered.status,
            headers: headers
                .map(|(name, value)| (name.clone(), self.body(&value.as_slice().into())))
                .collect(),
            body: answered.body.as_ref().map(|body| self.body(body)),
        }
    }

    /// A response from the tape.
    ///
    /// # Errors
    /// [`Refusal`] when a body is not kept any more.
    pub(in crate::capability) async fn untaped_response(
        &mut self,
        taped: Taped,
    ) -> Result<Answered, Refusal> {
        let mut headers = Vec::with_capacity(taped.headers.len());
        for (name, value) in taped.headers {
            headers.push((name, self.bytes(&value).await?));
        }
        let body = match &taped.body {
            Some(body) => Some(self.bytes(body).await?.into()),
            None => None,
        };
        // Live, there was room for it.
        let held = self.http_room().hold(bytes_of(&headers, body.as_ref()));
        Ok(Answered {
            status: taped.status,
            headers,
            body,
            _held: held,
        })
    }
}
