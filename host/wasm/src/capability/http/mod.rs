//! Capability `http`: one request, one buffered response.
//!
//! | file | idea |
//! |---|---|
//! | `request` | what a guest states, checked, and what becomes of it at a redirect |
//! | `client` | the one client of the process: hops, bounds, times |
//! | `connect`, `address`, `pool` | from a name to a connection with an address that may be reached |
//! | `artifact` | bodies that are artifacts |
//! | `errors` | the codes that guests see |
//!
//! On the tape: the request, by its digest, with the stand-ins of secrets as the guest wrote them; the response, in which every
//! secret is masked. Its values exist between [`Policy::filled`] and the connection only.

mod address;
mod artifact;
mod client;
mod connect;
mod errors;
mod pool;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::body::Bytes;
use milepost_core::effect::Artifact as Kept;
use milepost_core::grants::Grants;
use milepost_core::ids::Digest;
use milepost_core::limits;
use serde::{Deserialize, Serialize};
use url::Url;
use wasmtime::component::{HasSelf, Resource};

use super::Capability;
use super::artifacts::info;
use super::body::Body;
use crate::contract::v0_1::milepost::step::artifacts::Artifact;
use crate::contract::v0_1::milepost::step::http::{self, Host, HostRequest, HostResponse};
use crate::contract::v0_1::milepost::step::types;
use crate::host_error::HostError;
use crate::limits::Refusal;
use crate::secrets::Secrets;
use crate::state::HostState;
use crate::taped::Asked;

pub use client::{HttpClient, HttpSettings};
pub use connect::Resolve;

use client::{Policy, Reach, Rest};
use request::Request;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: INTERFACE,
    functions: FUNCTIONS,
    link: |linker| http::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const INTERFACE: &str = "http";

const FUNCTIONS: &[(&str, &str)] = &[
    (
        "[constructor]request",
        "func(method: string, url: string) -> own",
    ),
    (
        "[method]request.header",
        "func(self: borrow, name: string, value: list<u8>)",
    ),
    (
        "[method]request.body",
        "func(self: borrow, bytes: list<u8>)",
    ),
    (
        "[method]request.body-artifact",
        "func(self: borrow, digest: string)",
    ),
    (
        "[method]request.timeout",
        "func(self: borrow, duration: u64)",
    ),
    (
        "[static]request.send",
        "func(this: own) -> result<own, record { code: string, message: string, transient: bool }>",
    ),
    ("[method]response.status", "func(self: borrow) -> u16"),
    (
        "[method]response.headers",
        "func(self: borrow) -> list<tuple<string, list<u8>>>",
    ),
    (
        "[method]response.body",
        "func(self: borrow) -> result<list<u8>, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[method]response.save",
        "func(self: borrow) -> result<record { digest: string, size: u64, media-type: string }, record { code: string, message: string, transient: bool }>",
    ),
];

/// What a header counts beside its text.
const HEADER_BYTES: usize = 64;

/// What all requests and responses of an attempt take.
#[derive(Default)]
pub(super) struct State {
    held: usize,
}

/// A request that a guest is about to send.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Draft {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    artifact: Option<String>,
    timeout: Option<Duration>,
    /// Its part of [`State::held`].
    held: usize,
}

/// A response that a guest holds.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Received {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    /// `None`: it is too large to be held.
    body: Option<Arc<[u8]>>,
    /// A body that is too large, with what was read of it. None in replay.
    rest: Option<(Vec<u8>, Rest)>,
    /// What an artifact of the body is called.
    name: String,
    /// Which response it is: what its request was.
    request: Digest,
    /// For people.
    about: String,
    saved: Option<Kept>,
    held: usize,
}

/// A response on the tape.
#[derive(Serialize, Deserialize)]
struct Taped {
    status: u16,
    headers: Vec<(String, Body)>,
    /// `None`: it is too large to be held.
    body: Option<Body>,
}

/// The grants of an attempt, and its secrets.
struct Granted {
    grants: Arc<Grants>,
    secrets: Secrets,
}

impl Policy for Granted {
    fn allows(&self, method: &Method, url: &Url) -> Result<Reach, HostError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let grant = self
            .grants
            .http(url.scheme(), method.as_str(), host, port, url.path())?;
        Ok(if grant.private {
            Reach::Anywhere
        } else {
            Reach::Public
        })
    }

    fn filled(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.secrets.filled(text)
    }
}

type Answer<T> = wasmtime::Result<Result<T, types::HostError>>;

impl Host for HostState {}

impl HostRequest for HostState {
    fn new(&mut self, method: String, url: String) -> wasmtime::Result<Resource<Draft>> {
        self.charge()?;
        let held = method.len() + url.len() + HEADER_BYTES;
        self.hold(held)?;
        let draft = Draft {
            method,
            url,
            headers: Vec::new(),
            body: Vec::new(),
            artifact: None,
            timeout: None,
            held,
        };
        Ok(self.resources.push(draft)?)
    }

    fn header(
        &mut self,
        request: Resource<Draft>,
        name: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<()> {
        self.charge()?;
        self.hold_for(&request, name.len() + value.len() + HEADER_BYTES)?;
        self.resources
            .get_mut(&request)?
            .headers
            .push((name, value));
        Ok(())
    }

    fn body(&mut self, request: Resource<Draft>, bytes: Vec<u8>) -> wasmtime::Result<()> {
        self.charge()?;
        self.hold_for(&request, bytes.len())?;
        let draft = self.resources.get_mut(&request)?;
        let before = std::mem::replace(&mut draft.body, bytes).len();
        draft.artifact = None;
        draft.held -= before;
        self.states.http.held -= before;
        Ok(())
    }

    fn body_artifact(&mut self, request: Resource<Draft>, digest: String) -> wasmtime::Result<()> {
        self.charge()?;
        self.hold_for(&request, digest.len())?;
        self.resources.get_mut(&request)?.artifact = Some(digest);
        Ok(())
    }

    fn timeout(&mut self, request: Resource<Draft>, duration: u64) -> wasmtime::Result<()> {
        self.charge()?;
        self.resources.get_mut(&request)?.timeout = Some(Duration::from_millis(duration));
        Ok(())
    }

    async fn send(&mut self, request: Resource<Draft>) -> Answer<Resource<Received>> {
        self.charge()?;
        let draft = self.resources.delete(request)?;
        self.states.http.held -= draft.held;
        let call = Asked::new(INTERFACE, "send", &draft.request(), &draft.about());
        let mut live = None;
        let answer = self
            .taped(call, async |state| {
                let received = state.send_live(&draft).await?;
                let taped = state.response(&received);
                live = Some(received);
                Ok(taped)
            })
            .await?;
        let received = match (answer, live) {
            (Err(error), _) => return Ok(Err(error.into())),
            (Ok(_), Some(received)) => received,
            (Ok(taped), None) => self.received(&draft, taped).await?,
        };
        // Live, it was asked before the answer came to stand on the tape.
        self.states.http.held += received.held;
        Ok(Ok(self.resources.push(received)?))
    }

    fn drop(&mut self, request: Resource<Draft>) -> wasmtime::Result<()> {
        self.states.http.held -= self.resources.delete(request)?.held;
        Ok(())
    }
}

impl HostResponse for HostState {
    fn status(&mut self, response: Resource<Received>) -> wasmtime::Result<u16> {
        self.charge()?;
        Ok(self.resources.get(&response)?.status)
    }

    fn headers(
        &mut self,
        response: Resource<Received>,
    ) -> wasmtime::Result<Vec<(String, Vec<u8>)>> {
        self.charge()?;
        Ok(self.resources.get(&response)?.headers.clone())
    }

    fn body(&mut self, response: Resource<Received>) -> Answer<Vec<u8>> {
        self.charge()?;
        Ok(match &self.resources.get(&response)?.body {
            Some(body) => Ok(body.to_vec()),
            None => {
                Err(errors::too_large("the body of the response", limits::HTTP_BODY_BYTES).into())
            }
        })
    }

    async fn save(&mut self, response: Resource<Received>) -> Answer<Artifact> {
        self.charge()?;
        let received = self.resources.get(&response)?;
        if let Some(artifact) = &received.saved {
            return Ok(Ok(info(artifact)));
        }
        let call = Asked::new(INTERFACE, "save", &received.request, &received.about);
        let saved = match self.recorded_answer(&call)? {
            Some(answer) => answer,
            None => {
                let begun = Instant::now();
                let saved = match self.resources.get_mut(&response)?.unsaved() {
                    Ok(body) => self.save_body(&call, begun, body).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = &saved {
                    self.note::<Kept>(&call, &Err(error.clone()), begun);
                }
                saved
            }
        };
        Ok(match saved {
            Ok(artifact) => {
                let answer = info(&artifact);
                self.resources.get_mut(&response)?.saved = Some(artifact);
                Ok(answer)
            }
            Err(error) => Err(error.into()),
        })
    }

    fn drop(&mut self, response: Resource<Received>) -> wasmtime::Result<()> {
        self.states.http.held -= self.resources.delete(response)?.held;
        Ok(())
    }
}

impl Draft {
    /// Everything that the answer depends on.
    fn request(&self) -> impl Serialize {
        (
            &self.method,
            &self.url,
            &self.headers,
            Digest::of(&self.body),
            &self.artifact,
            self.timeout.map(|timeout| timeout.as_millis()),
        )
    }

    fn digest(&self) -> Digest {
        // Texts and numbers always become JSON.
        Digest::of(&serde_json::to_vec(&self.request()).unwrap_or_default())
    }

    /// What people see of it. A query may hold what is not for them.
    fn about(&self) -> String {
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        format!("{} {url}", self.method)
    }
}

impl HostState {
    /// Takes more memory for requests and responses.
    fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let held = &mut self.states.http.held;
        if held.saturating_add(bytes) > limits::HTTP_HELD_BYTES {
            return Err(Refusal::HttpHeld);
        }
        *held += bytes;
        Ok(())
    }

    fn hold_for(&mut self, request: &Resource<Draft>, bytes: usize) -> wasmtime::Result<()> {
        self.hold(bytes)?;
        self.resources.get_mut(request)?.held += bytes;
        Ok(())
    }

    async fn send_live(&mut self, draft: &Draft) -> Result<Received, HostError> {
        let body = match &draft.artifact {
            Some(digest) => self.body_of_artifact(digest).await?,
            None => draft.body.clone(),
        };
        let request = Request::new(
            &draft.method,
            &draft.url,
            &draft.headers,
            Bytes::from(body),
            draft.timeout,
        )?;
        let client = self
            .http
            .clone()
            .ok_or_else(|| HostError::new("unavailable", "no requests can be sent from here"))?;
        let policy = Arc::new(Granted {
            grants: Arc::clone(&self.call.grants),
            secrets: self.call.secrets.clone(),
        });
        let secrets = &self.call.secrets;
        let response = client
            .send(request, policy)
            .await
            .map_err(|error| error.masked(secrets))?;
        let masked = |bytes: Vec<u8>| secrets.masked_bytes(&bytes).unwrap_or(bytes);
        let (body, rest) = match response.rest {
            None => (Some(Arc::from(masked(response.body))), None),
            Some(rest) => (None, Some((response.body, rest))),
        };
        let headers = response.headers.into_iter();
        let headers = headers.map(|(name, value)| (name, masked(value))).collect();
        let received = Received::new(draft, response.status, headers, body, rest);
        if self.states.http.held + received.held > limits::HTTP_HELD_BYTES {
            return Err(HostError::new(
                "too-large",
                format!(
                    "with this response, the step would hold more than {} bytes of requests and responses; drop what is not needed any more",
                    limits::HTTP_HELD_BYTES
                ),
            ));
        }
        Ok(received)
    }

    /// A response as it goes on the tape.
    fn response(&mut self, received: &Received) -> Taped {
        let headers = received.headers.iter();
        Taped {
            status: received.status,
            headers: headers
                .map(|(name, value)| (name.clone(), self.body(&value.as_slice().into())))
                .collect(),
            body: received.body.as_ref().map(|body| self.body(body)),
        }
    }

    /// A response from the tape.
    async fn received(&mut self, draft: &Draft, taped: Taped) -> Result<Received, Refusal> {
        let mut headers = Vec::with_capacity(taped.headers.len());
        for (name, value) in taped.headers {
            headers.push((name, self.bytes(&value).await?));
        }
        let body = match &taped.body {
            Some(body) => Some(self.bytes(body).await?.into()),
            None => None,
        };
        Ok(Received::new(draft, taped.status, headers, body, None))
    }
}

impl Received {
    fn new(
        draft: &Draft,
        status: u16,
        headers: Vec<(String, Vec<u8>)>,
        body: Option<Arc<[u8]>>,
        rest: Option<(Vec<u8>, Rest)>,
    ) -> Self {
        let of_headers = headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + HEADER_BYTES);
        // What was read of a body that is too large counts alike in replay, where nothing was read.
        let of_body = body
            .as_ref()
            .map_or(limits::HTTP_BODY_BYTES, |body| body.len());
        Self {
            held: of_headers.sum::<usize>() + of_body,
            status,
            headers,
            body,
            rest,
            name: artifact::name_of(&draft.url),
            request: draft.digest(),
            about: draft.about(),
            saved: None,
        }
    }
}
