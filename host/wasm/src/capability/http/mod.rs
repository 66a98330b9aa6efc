//! Capability `http`: one request, one buffered response.
//!
//! | file | idea |
//! |---|---|
//! | `request` | what a guest states, checked, and what becomes of it at a redirect |
//! | `client` | the one client of the process: hops, bounds, times |
//! | `lookup`, `connect`, `pool` | from a name to a connection with an address that may be reached |
//! | `answered`, `room` | a response as a guest gets it and as the tape keeps it; what all of them take |
//! | `artifact` | bodies that are artifacts |
//! | `own` | what the program itself asks |
//! | `errors`, `tls_words` | the codes that guests see, and why a connection is not secure |
//!
//! On the tape: the request, by its digest, with the stand-ins of secrets as the guest wrote them; the response, in which every
//! secret is masked. Its values exist between [`Policy::filled`] and the connection only.
//!
//! `wasi:http` (`capability/wasi/http`) is another face of the same client.

mod answered;
mod artifact;
pub(super) mod client;
mod connect;
mod errors;
mod lookup;
mod own;
mod pool;
pub(super) mod request;
pub(super) mod room;
#[cfg(test)]
mod tests;
mod tls_words;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use milepost_core::effect::Artifact as Kept;
use milepost_core::grants::Grants;
use milepost_core::ids::Digest;
use milepost_core::limits;
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;
use wasmtime::component::{HasSelf, Resource};

use super::Capability;
use super::artifacts::info;
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
pub use own::{WebRequest, WebResponse, WebRules};

use answered::Taped;
pub(super) use answered::{Answered, Taped as TapedResponse};
use client::{Policy, Reach, Rest};
use request::Request;
use room::{Held, Room};

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
pub(super) const HEADER_BYTES: usize = 64;

/// What all requests and responses of an attempt take.
#[derive(Default)]
pub(super) struct State {
    /// Those that the guest holds.
    pub(super) room: Room,
    /// Bodies that came and that the guest has not asked for yet: when they come is not on the tape, so that they must not count
    /// where the guest could tell.
    pub(super) arriving: Room,
}

/// A request that a guest is about to send.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Draft {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    /// Of the body as the guest gave it.
    body_digest: Digest,
    /// Why its body was not taken: told when it is sent, because giving it has no answer.
    refused: Option<HostError>,
    artifact: Option<String>,
    timeout: Option<Duration>,
    held: Held,
}

/// A response that a guest holds.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Received {
    answered: Answered,
    /// A body that is too large, with what was read of it. None in replay.
    rest: Option<(Vec<u8>, Rest)>,
    /// What an artifact of the body is called.
    name: String,
    /// Which response it is: what its request was.
    request: Digest,
    /// For people.
    about: String,
    saved: Option<Kept>,
}

/// The grants of an attempt, and its secrets.
struct Granted {
    grants: Arc<Grants>,
    secrets: Secrets,
    run: Arc<str>,
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

    fn allows_address(&self, host: &str, address: IpAddr) -> Result<(), HostError> {
        Ok(self.grants.http_found(host, address)?)
    }

    fn not_public(&self, method: &Method, url: &Url, error: HostError) -> HostError {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let denied =
            self.grants
                .http_private(url.scheme(), method.as_str(), host, port, url.path());
        match denied {
            Some(denied) => errors::private_address_of(error, &denied),
            None => error,
        }
    }

    fn filled(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.secrets.filled(text)
    }

    fn asker(&self) -> &Arc<str> {
        &self.run
    }

    fn allows_bare_secrets(&self, method: &Method, url: &Url) -> Result<(), HostError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let granted =
            self.grants
                .http_secrets(url.scheme(), method.as_str(), host, port, url.path());
        granted.map_err(errors::insecure_secret)
    }
}

type Answer<T> = wasmtime::Result<Result<T, types::HostError>>;

impl Host for HostState {}

impl HostRequest for HostState {
    fn new(&mut self, method: String, url: String) -> wasmtime::Result<Resource<Draft>> {
        self.charge()?;
        let held = self.hold(method.len() + url.len() + HEADER_BYTES)?;
        let draft = Draft {
            method,
            url,
            headers: Vec::new(),
            body: Vec::new(),
            body_digest: Digest::of(b""),
            refused: None,
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
        let draft = self.resources.get_mut(&request)?;
        let before = std::mem::take(&mut draft.body).len();
        draft.artifact = None;
        draft.held.shrink(before);
        draft.body_digest = Digest::of(&bytes);
        draft.refused = if bytes.len() > limits::HTTP_BODY_BYTES {
            let most = limits::HTTP_BODY_BYTES;
            Some(errors::too_large("the body of the request", most))
        } else if !draft.held.grow(bytes.len()) {
            Some(errors::too_much("this body"))
        } else {
            draft.body = bytes;
            None
        };
        Ok(())
    }

    fn body_artifact(&mut self, request: Resource<Draft>, digest: String) -> wasmtime::Result<()> {
        self.charge()?;
        self.hold_for(&request, digest.len())?;
        let draft = self.resources.get_mut(&request)?;
        draft.artifact = Some(digest);
        draft.refused = None;
        Ok(())
    }

    fn timeout(&mut self, request: Resource<Draft>, duration: u64) -> wasmtime::Result<()> {
        self.charge()?;
        self.resources.get_mut(&request)?.timeout = Some(Duration::from_millis(duration));
        Ok(())
    }

    async fn send(&mut self, request: Resource<Draft>) -> Answer<Resource<Received>> {
        self.charge()?;
        let mut draft = self.resources.delete(request)?;
        // It leaves the guest's hands; the response needs the room.
        draft.held = self.states.http.room.hold(0);
        let call = Asked::new(INTERFACE, "send", &draft.request(), &draft.about())
            .with_parts(draft.parts())
            .told(self.details(|| draft.details()));
        let mut live = None;
        let answer = self
            .taped(call, async |state| {
                let received = state.send_live(&draft).await?;
                let taped = state.taped_response(&received.answered);
                live = Some(received);
                Ok(taped)
            })
            .await?;
        let received = match (answer, live) {
            (Err(error), _) => return Ok(Err(error.into())),
            (Ok(_), Some(received)) => received,
            (Ok(taped), None) => self.received(&draft, taped).await?,
        };
        Ok(Ok(self.resources.push(received)?))
    }

    fn drop(&mut self, request: Resource<Draft>) -> wasmtime::Result<()> {
        self.resources.delete(request)?;
        Ok(())
    }
}

impl HostResponse for HostState {
    fn status(&mut self, response: Resource<Received>) -> wasmtime::Result<u16> {
        self.charge()?;
        Ok(self.resources.get(&response)?.answered.status)
    }

    fn headers(
        &mut self,
        response: Resource<Received>,
    ) -> wasmtime::Result<Vec<(String, Vec<u8>)>> {
        self.charge()?;
        Ok(self.resources.get(&response)?.answered.headers.clone())
    }

    fn body(&mut self, response: Resource<Received>) -> Answer<Vec<u8>> {
        self.charge()?;
        Ok(match &self.resources.get(&response)?.answered.body {
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
        let call = Asked::new(INTERFACE, "save", &received.request, &received.about)
            .told(self.details(|| json!({ "request": received.about })));
        let saved = match self.recorded_answer(&call).await? {
            Some(answer) => answer,
            None => {
                let begun = self.begins(&call);
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
        self.resources.delete(response)?;
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
            self.body_digest,
            &self.artifact,
            self.timeout.map(|timeout| timeout.as_millis()),
        )
    }

    /// What people do not see of it.
    fn parts(&self) -> [(&'static str, Digest); 4] {
        let body = match &self.artifact {
            Some(artifact) => Digest::of(artifact.as_bytes()),
            None => self.body_digest,
        };
        let timeout = self.timeout.map(|timeout| timeout.as_millis());
        request::parts(&self.url, &self.headers, body, &timeout)
    }

    fn digest(&self) -> Digest {
        // Texts and numbers always become JSON.
        Digest::of(&serde_json::to_vec(&self.request()).unwrap_or_default())
    }

    /// What a test sees of it.
    fn details(&self) -> Value {
        let mut details = request::details(&self.method, &self.url, &self.headers, &self.body);
        if let (Some(artifact), Some(members)) = (&self.artifact, details.as_object_mut()) {
            members.insert("artifact".to_owned(), artifact.as_str().into());
        }
        details
    }

    /// What people see of it.
    fn about(&self) -> String {
        request::about(&self.method, &self.url)
    }
}

impl HostState {
    /// Takes memory for a request.
    pub(super) fn hold(&self, bytes: usize) -> Result<Held, Refusal> {
        self.states.http.room.take(bytes).ok_or(Refusal::HttpHeld)
    }

    fn hold_for(&mut self, request: &Resource<Draft>, bytes: usize) -> wasmtime::Result<()> {
        match self.resources.get_mut(request)?.held.grow(bytes) {
            true => Ok(()),
            false => Err(Refusal::HttpHeld.into()),
        }
    }

    /// Who sends requests, and what they are held to.
    ///
    /// # Errors
    /// `unavailable` where none can be sent.
    pub(super) fn http_client(&self) -> Result<(HttpClient, Arc<dyn Policy>), HostError> {
        let client = self
            .http
            .clone()
            .ok_or_else(|| HostError::new("unavailable", "no requests can be sent from here"))?;
        let policy = Arc::new(Granted {
            grants: Arc::clone(&self.call.grants),
            secrets: self.call.secrets.clone(),
            run: self.call.run.as_str().into(),
        });
        Ok((client, policy))
    }

    async fn send_live(&mut self, draft: &Draft) -> Result<Received, HostError> {
        if let Some(refused) = &draft.refused {
            return Err(refused.clone());
        }
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
        let (client, policy) = self.http_client()?;
        let mut response = client
            .send(request, policy)
            .await
            .map_err(|error| error.masked(&self.call.secrets))?;
        let answered = self.answered(&mut response)?;
        let rest = response.rest.map(|rest| (response.body, rest));
        Ok(Received::new(draft, answered, rest))
    }

    /// A response from the tape.
    async fn received(&mut self, draft: &Draft, taped: Taped) -> Result<Received, Refusal> {
        let answered = self.untaped_response(taped).await?;
        Ok(Received::new(draft, answered, None))
    }
}

impl Received {
    fn new(draft: &Draft, answered: Answered, rest: Option<(Vec<u8>, Rest)>) -> Self {
        Self {
            answered,
            rest,
            name: artifact::name_of(&draft.url),
            request: draft.digest(),
            about: draft.about(),
            saved: None,
        }
    }
}
