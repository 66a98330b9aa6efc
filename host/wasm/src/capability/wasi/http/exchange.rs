//! A request on its way, from the moment when it is whole until the guest sees its response.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hyper::body::Bytes;
use hyper::header::HeaderMap;
use milepost_core::ids::Digest;
use milepost_core::limits;
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::bindings::wasi::http::outgoing_handler::Host;
use super::bindings::wasi::http::types::{ErrorCode, HostFutureIncomingResponse, Scheme};
use super::incoming::Response;
use super::outgoing::{Body, Draft, End};
use super::{Options, codes};
use crate::attempt::LogLevel;
use crate::capability::http::client::{self, Sending};
use crate::capability::http::request::{Request, Times, about, details, parts};
use crate::capability::http::{Answered, TapedResponse};
use crate::capability::wasi::lock;
use crate::capability::wasi::poll::Look;
use crate::host_error::HostError;
use crate::limits::Refusal;
use crate::state::HostState;
use crate::taped::Asked;

/// Its name on the tape.
const INTERFACE: &str = "wasi:http";

/// Requests of an attempt whose responses the guest has not seen, by their numbers.
#[derive(Default)]
pub(in crate::capability) struct State {
    exchanges: BTreeMap<u32, Arc<Mutex<Exchange>>>,
    sent: u32,
}

/// The response to a request, as long as the guest waits for it.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Future {
    number: u32,
    exchange: Arc<Mutex<Exchange>>,
    look: Arc<Mutex<Look>>,
}

struct Exchange {
    begun: Instant,
    stage: Stage,
}

enum Stage {
    /// Its body is not finished.
    Open(Outline),
    /// Live, it is on its way.
    Sending(Asked, Sending),
    /// Live, its end is there.
    Arrived(Asked, Result<client::Response, HostError>),
    /// In replay, its end is on the tape.
    Recorded(Asked),
    /// A test has its end, which is there at once.
    Mocked(Asked),
    /// The guest may have its response, once.
    Seen(Option<Result<Answered, ErrorCode>>),
}

/// A request but for its body.
struct Outline {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    times: Times,
    body: Option<Arc<Mutex<Body>>>,
}

impl Outline {
    fn of(draft: &Draft, times: Times) -> Result<Self, ErrorCode> {
        let scheme = match &draft.scheme {
            Some(Scheme::Http) => "http",
            Some(Scheme::Https) | None => "https",
            Some(Scheme::Other(_)) => return Err(ErrorCode::HttpRequestUriInvalid),
        };
        let authority = draft.authority.as_ref();
        let authority = authority.ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let path = draft.path.as_deref().unwrap_or_default();
        Ok(Self {
            method: draft.method.clone(),
            url: format!("{scheme}://{authority}{path}"),
            headers: listed(&draft.headers),
            times,
            body: draft.body.clone(),
        })
    }
}

fn listed(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

impl Exchange {
    /// Whether its end is there. Who does not send yet cannot come to one while the guest waits.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Stage::Sending(_, sending) = &mut self.stage {
            let Poll::Ready(result) = std::pin::Pin::new(sending).poll(cx) else {
                return Poll::Pending;
            };
            let nothing = Stage::Seen(None);
            if let Stage::Sending(asked, _) = std::mem::replace(&mut self.stage, nothing) {
                self.stage = Stage::Arrived(asked, result);
            }
        }
        match self.stage {
            Stage::Arrived(..) | Stage::Mocked(_) | Stage::Seen(_) => Poll::Ready(()),
            Stage::Open(_) | Stage::Sending(..) | Stage::Recorded(_) => Poll::Pending,
        }
    }
}

impl HostState {
    /// A body came to its end, so that the request that waits for it can leave.
    pub(super) fn set_out(&mut self, number: u32) {
        let Some(exchange) = self.states.wasi.http.exchanges.get(&number).cloned() else {
            return;
        };
        let mut exchange = lock(&exchange);
        let nothing = Stage::Seen(None);
        let outline = match std::mem::replace(&mut exchange.stage, nothing) {
            Stage::Open(outline) => outline,
            other => {
                exchange.stage = other;
                return;
            }
        };
        let (bytes, whole) = match &outline.body {
            None => (Vec::new(), true),
            Some(body) => {
                let mut body = lock(body);
                let length = body.bytes.len();
                body.held.shrink(length);
                let bytes = std::mem::take(&mut body.bytes);
                (bytes, body.end == Some(End::Finished))
            }
        };
        if !whole {
            let words = "the body of the request was dropped before it was finished";
            let code = ErrorCode::InternalError(Some(words.to_owned()));
            exchange.stage = Stage::Seen(Some(Err(code)));
            self.states.wasi.http.exchanges.remove(&number);
            return;
        }
        let body = Digest::of(&bytes);
        let asked = Asked::new(
            INTERFACE,
            "send",
            &(
                number,
                &outline.method,
                &outline.url,
                &outline.headers,
                body,
                outline.times,
            ),
            &about(&outline.method, &outline.url),
        )
        .with_parts(parts(&outline.url, &outline.headers, body, &outline.times))
        .told(self.details(|| details(&outline.method, &outline.url, &outline.headers, &bytes)));
        exchange.begun = Instant::now();
        exchange.stage = if self.recorder.is_replay() {
            Stage::Recorded(asked)
        } else if self.is_mocked() {
            Stage::Mocked(asked)
        } else {
            match self.send_out(&outline, bytes) {
                Ok(sending) => Stage::Sending(asked, sending),
                Err(error) => Stage::Arrived(asked, Err(error)),
            }
        };
    }

    fn send_out(&self, outline: &Outline, body: Vec<u8>) -> Result<Sending, HostError> {
        let mut request = Request::new(
            &outline.method,
            &outline.url,
            &outline.headers,
            Bytes::from(body),
            None,
        )?;
        request.times = outline.times;
        request.follow = false;
        request.arriving = Some(self.states.http.arriving.clone());
        let (client, policy) = self.http_client()?;
        client.start(request, policy)
    }

    /// Those of these whose end is there.
    pub(in crate::capability::wasi) fn arrived(&self, waiting: &[u32]) -> Vec<u32> {
        let exchanges = &self.states.wasi.http.exchanges;
        let mut cx = Context::from_waker(Waker::noop());
        let mut is_there = |number: &&u32| {
            exchanges
                .get(number)
                .is_some_and(|exchange| lock(exchange).poll_arrival(&mut cx).is_ready())
        };
        let there = waiting.iter().filter(|number| is_there(number));
        there.copied().collect()
    }

    /// Shows the guest the end of a request, which is there.
    pub(in crate::capability::wasi) async fn see(&mut self, number: u32) -> Result<(), Refusal> {
        let Some(exchange) = self.states.wasi.http.exchanges.remove(&number) else {
            return Err(self.recorder.diverge("no such request"));
        };
        let (begun, stage) = {
            let mut exchange = lock(&exchange);
            let stage = std::mem::replace(&mut exchange.stage, Stage::Seen(None));
            (exchange.begun, stage)
        };
        let (about, answer) = match stage {
            Stage::Arrived(asked, result) => {
                let answer = result
                    .map_err(|error| error.masked(&self.call.secrets))
                    .and_then(|mut response| self.answered(&mut response));
                let taped = match &answer {
                    Ok(answered) => Ok(self.taped_response(answered)),
                    Err(error) => Err(error.clone()),
                };
                self.note(&asked, &taped, begun);
                self.save_when_full().await;
                (asked.about().to_owned(), answer)
            }
            Stage::Recorded(asked) | Stage::Mocked(asked) => {
                let answer = match self.recorded_answer::<TapedResponse>(&asked).await? {
                    Some(Ok(taped)) => Ok(self.untaped_response(taped).await?),
                    Some(Err(error)) => Err(error),
                    None => return Err(self.recorder.diverge("no answer")),
                };
                (asked.about().to_owned(), answer)
            }
            // Only an edited tape lets one arrive that was never sent.
            Stage::Open(_) | Stage::Sending(..) | Stage::Seen(_) => {
                return Err(self.recorder.diverge("a request that is not sent"));
            }
        };
        let seen = match answer {
            Ok(answered) if answered.body.is_none() => {
                let most = limits::HTTP_BODY_BYTES;
                let words =
                    format!("{about}: the body of the response is larger than {most} bytes");
                self.tell(words).await;
                Err(codes::response_too_large())
            }
            Ok(answered) => Ok(answered),
            Err(error) => {
                // Most codes of `wasi:http` have no words.
                let words = format!("{about}: {}: {}", error.code, error.message);
                self.tell(words).await;
                Err(codes::of(&error))
            }
        };
        lock(&exchange).stage = Stage::Seen(Some(seen));
        Ok(())
    }

    async fn tell(&mut self, words: String) {
        let log = self.states.log.clone();
        // A line of the log is one.
        log.emit(LogLevel::Warn, words.replace('\n', " "), Vec::new())
            .await;
    }
}

impl Host for HostState {
    fn handle(
        &mut self,
        request: Resource<Draft>,
        options: Option<Resource<Options>>,
    ) -> wasmtime::Result<Result<Resource<Future>, ErrorCode>> {
        self.charge()?;
        let draft = self.resources.delete(request)?;
        let times = match options {
            Some(options) => self.resources.delete(options)?.0,
            None => Times::default(),
        };
        let outline = match Outline::of(&draft, times) {
            Ok(outline) => outline,
            Err(code) => return Ok(Err(code)),
        };
        let state = &mut self.states.wasi.http;
        if state.exchanges.len() >= limits::HTTP_REQUESTS {
            return Ok(Err(ErrorCode::ConnectionLimitReached));
        }
        let number = state.sent;
        state.sent += 1;
        let whole = match &outline.body {
            None => true,
            Some(body) => {
                let mut body = lock(body);
                body.sent = Some(number);
                body.end.is_some()
            }
        };
        let exchange = Arc::new(Mutex::new(Exchange {
            begun: Instant::now(),
            stage: Stage::Open(outline),
        }));
        state.exchanges.insert(number, Arc::clone(&exchange));
        if whole {
            self.set_out(number);
        }
        let look = Arc::clone(&self.wasi().look);
        Ok(Ok(self.resources.push(Future {
            number,
            exchange,
            look,
        })?))
    }
}

impl HostFutureIncomingResponse for HostState {
    fn subscribe(&mut self, future: Resource<Future>) -> wasmtime::Result<Resource<DynPollable>> {
        self.charge()?;
        subscribe(&mut self.resources, future)
    }

    async fn get(
        &mut self,
        future: Resource<Future>,
    ) -> wasmtime::Result<Option<Result<Result<Resource<Response>, ErrorCode>, ()>>> {
        self.charge()?;
        let Future {
            number, exchange, ..
        } = self.resources.get(&future)?;
        let (number, exchange) = (*number, Arc::clone(exchange));
        let is_seen = || matches!(lock(&exchange).stage, Stage::Seen(_));
        if !is_seen() {
            self.see_responses(vec![number]).await?;
        }
        let seen = match &mut lock(&exchange).stage {
            Stage::Seen(seen) => seen.take(),
            _ => return Ok(None),
        };
        Ok(Some(match seen {
            None => Err(()),
            Some(Err(code)) => Ok(Err(code)),
            Some(Ok(answered)) => Ok(Ok(self.resources.push(Response::new(answered))?)),
        }))
    }

    fn drop(&mut self, future: Resource<Future>) -> wasmtime::Result<()> {
        self.charge()?;
        let future = self.resources.delete(future)?;
        // What is on its way ends.
        self.states.wasi.http.exchanges.remove(&future.number);
        Ok(())
    }
}

#[async_trait]
impl Pollable for Future {
    async fn ready(&mut self) {
        if matches!(lock(&self.exchange).stage, Stage::Seen(_)) {
            return;
        }
        let waits = lock(&self.look).asks_for(self.number);
        if !waits {
            std::future::pending::<()>().await;
        }
        poll_fn(|cx| lock(&self.exchange).poll_arrival(cx)).await;
    }
}
