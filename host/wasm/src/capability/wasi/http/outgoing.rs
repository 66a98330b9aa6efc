//! A request, while the guest puts it together, and its body.

use std::sync::{Arc, Mutex};

use hyper::Method;
use hyper::header::HeaderMap;
use hyper::http::uri::{Authority, PathAndQuery};
use milepost_core::limits;
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_io::bytes::Bytes;

use super::bindings::wasi::http::types::{self, ErrorCode, HostOutgoingBody, HostOutgoingRequest};
use super::codes::BodyError;
use super::fields::Fields;
use crate::capability::http::HEADER_BYTES;
use crate::capability::http::room::Held;
use crate::capability::wasi::lock;
use crate::state::HostState;

/// Bytes that may be written to a body at once.
const WRITE_BYTES: usize = 64 * 1024;

/// A request that was not sent.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Draft {
    pub(super) method: String,
    pub(super) scheme: Option<types::Scheme>,
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    pub(super) headers: Arc<HeaderMap>,
    /// Where the guest asked for it.
    pub(super) body: Option<Arc<Mutex<Body>>>,
    /// What method, authority and path take.
    held: Held,
    _headers_held: Fields,
}

/// The body of a request, as the guest holds it.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Outgoing {
    body: Arc<Mutex<Body>>,
    /// Whether its stream was given.
    given: bool,
}

/// The bytes of a body.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) held: Held,
    pub(super) end: Option<End>,
    /// The number of the request that was sent with it.
    pub(super) sent: Option<u32>,
    /// As the headers say.
    announced: Option<u64>,
    /// More was written than there may be.
    too_large: bool,
}

/// How the guest let go of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is whole.
    Finished,
    /// It was dropped before it was.
    Dropped,
}

fn too_large() -> ErrorCode {
    ErrorCode::HttpRequestBodySize(Some(limits::HTTP_BODY_BYTES as u64 + 1))
}

fn method_text(method: &types::Method) -> &str {
    match method {
        types::Method::Get => "GET",
        types::Method::Head => "HEAD",
        types::Method::Post => "POST",
        types::Method::Put => "PUT",
        types::Method::Delete => "DELETE",
        types::Method::Connect => "CONNECT",
        types::Method::Options => "OPTIONS",
        types::Method::Trace => "TRACE",
        types::Method::Patch => "PATCH",
        types::Method::Other(text) => text,
    }
}

fn method_of(text: &str) -> types::Method {
    match text {
        "GET" => types::Method::Get,
        "HEAD" => types::Method::Head,
        "POST" => types::Method::Post,
        "PUT" => types::Method::Put,
        "DELETE" => types::Method::Delete,
        "CONNECT" => types::Method::Connect,
        "OPTIONS" => types::Method::Options,
        "TRACE" => types::Method::Trace,
        "PATCH" => types::Method::Patch,
        other => types::Method::Other(other.to_owned()),
    }
}

impl Draft {
    /// Takes the place for a text and gives that of the one before it back. Returns false where there is none.
    fn takes(&mut self, text: Option<&str>, before: usize) -> bool {
        let fits = self.held.grow(text.map_or(0, str::len));
        if fits {
            self.held.shrink(before);
        }
        fits
    }
}

type Set = wasmtime::Result<Result<(), ()>>;

impl HostState {
    fn draft(&mut self, request: &Resource<Draft>) -> wasmtime::Result<&mut Draft> {
        self.charge()?;
        Ok(self.resources.get_mut(request)?)
    }
}

impl HostOutgoingRequest for HostState {
    fn new(&mut self, headers: Resource<Fields>) -> wasmtime::Result<Resource<Draft>> {
        self.charge()?;
        let headers = self.resources.delete(headers)?;
        let method = "GET".to_owned();
        let held = self.hold(HEADER_BYTES + method.len())?;
        Ok(self.resources.push(Draft {
            method,
            scheme: None,
            authority: None,
            path: None,
            headers: Arc::clone(&headers.map),
            body: None,
            held,
            _headers_held: headers,
        })?)
    }

    fn body(
        &mut self,
        request: Resource<Draft>,
    ) -> wasmtime::Result<Result<Resource<Outgoing>, ()>> {
        let held = self.hold(0)?;
        let draft = self.draft(&request)?;
        if draft.body.is_some() {
            return Ok(Err(()));
        }
        let announced = draft.headers.get(hyper::header::CONTENT_LENGTH);
        let body = Arc::new(Mutex::new(Body {
            bytes: Vec::new(),
            held,
            end: None,
            sent: None,
            announced: announced.and_then(|value| value.to_str().ok()?.parse().ok()),
            too_large: false,
        }));
        draft.body = Some(Arc::clone(&body));
        let given = false;
        Ok(Ok(self.resources.push(Outgoing { body, given })?))
    }

    fn method(&mut self, request: Resource<Draft>) -> wasmtime::Result<types::Method> {
        Ok(method_of(&self.draft(&request)?.method))
    }

    fn set_method(&mut self, request: Resource<Draft>, method: types::Method) -> Set {
        let draft = self.draft(&request)?;
        let text = method_text(&method);
        let before = draft.method.len();
        let fits = Method::from_bytes(text.as_bytes()).is_ok() && draft.takes(Some(text), before);
        if fits {
            draft.method = text.to_owned();
        }
        Ok(if fits { Ok(()) } else { Err(()) })
    }

    fn path_with_query(&mut self, request: Resource<Draft>) -> wasmtime::Result<Option<String>> {
        Ok(self.draft(&request)?.path.clone())
    }

    fn set_path_with_query(&mut self, request: Resource<Draft>, path: Option<String>) -> Set {
        let draft = self.draft(&request)?;
        let before = draft.path.as_ref().map_or(0, String::len);
        let valid = |path: &String| path.is_empty() || path.parse::<PathAndQuery>().is_ok();
        if !path.as_ref().is_none_or(valid) || !draft.takes(path.as_deref(), before) {
            return Ok(Err(()));
        }
        draft.path = path;
        Ok(Ok(()))
    }

    fn scheme(&mut self, request: Resource<Draft>) -> wasmtime::Result<Option<types::Scheme>> {
        Ok(self.draft(&request)?.scheme.clone())
    }

    fn set_scheme(&mut self, request: Resource<Draft>, scheme: Option<types::Scheme>) -> Set {
        let draft = self.draft(&request)?;
        if let Some(types::Scheme::Other(_)) = scheme {
            return Ok(Err(()));
        }
        draft.scheme = scheme;
        Ok(Ok(()))
    }

    fn authority(&mut self, request: Resource<Draft>) -> wasmtime::Result<Option<String>> {
        Ok(self.draft(&request)?.authority.clone())
    }

    fn set_authority(&mut self, request: Resource<Draft>, authority: Option<String>) -> Set {
        let draft = self.draft(&request)?;
        let before = draft.authority.as_ref().map_or(0, String::len);
        let valid = |authority: &String| authority.parse::<Authority>().is_ok();
        if !authority.as_ref().is_none_or(valid) || !draft.takes(authority.as_deref(), before) {
            return Ok(Err(()));
        }
        draft.authority = authority;
        Ok(Ok(()))
    }

    fn headers(&mut self, request: Resource<Draft>) -> wasmtime::Result<Resource<Fields>> {
        let headers = Arc::clone(&self.draft(&request)?.headers);
        self.read_only_fields(&headers)
    }

    fn drop(&mut self, request: Resource<Draft>) -> wasmtime::Result<()> {
        self.charge()?;
        self.resources.delete(request)?;
        Ok(())
    }
}

impl HostOutgoingBody for HostState {
    fn write(
        &mut self,
        body: Resource<Outgoing>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        self.charge()?;
        let outgoing = self.resources.get_mut(&body)?;
        if std::mem::replace(&mut outgoing.given, true) {
            return Ok(Err(()));
        }
        let stream: DynOutputStream = Box::new(Writer(Arc::clone(&outgoing.body)));
        Ok(Ok(self.resources.push_child(stream, &body)?))
    }

    fn finish(
        &mut self,
        body: Resource<Outgoing>,
        trailers: Option<Resource<Fields>>,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.charge()?;
        let body = self.resources.delete(body)?.body;
        let trailers = match trailers {
            Some(trailers) => !self.resources.delete(trailers)?.map.is_empty(),
            None => false,
        };
        let (error, sent) = {
            let mut body = lock(&body);
            let length = body.bytes.len() as u64;
            let error = if trailers {
                Some(ErrorCode::HttpRequestTrailerSectionSize(Some(0)))
            } else if body.too_large {
                Some(too_large())
            } else if body.announced.is_some_and(|announced| announced != length) {
                Some(ErrorCode::HttpRequestBodySize(Some(length)))
            } else {
                None
            };
            let dropped = error.is_some();
            body.end = Some(if dropped { End::Dropped } else { End::Finished });
            (error, body.sent)
        };
        if let Some(sent) = sent {
            self.set_out(sent);
        }
        Ok(error.map_or(Ok(()), Err))
    }

    fn drop(&mut self, body: Resource<Outgoing>) -> wasmtime::Result<()> {
        self.charge()?;
        let body = self.resources.delete(body)?.body;
        let sent = {
            let mut body = lock(&body);
            body.end = Some(End::Dropped);
            body.sent
        };
        if let Some(sent) = sent {
            self.set_out(sent);
        }
        Ok(())
    }
}

/// Writes to a body.
struct Writer(Arc<Mutex<Body>>);

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES {
            return Err(StreamError::trap(
                "more was written than `check-write` allows",
            ));
        }
        let mut body = lock(&self.0);
        let fits = body.bytes.len() + bytes.len() <= limits::HTTP_BODY_BYTES;
        if !fits || !body.held.grow(bytes.len()) {
            body.too_large = true;
            return Err(StreamError::LastOperationFailed(
                BodyError(too_large()).into(),
            ));
        }
        body.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check_write().map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match lock(&self.0).too_large {
            true => Err(StreamError::Closed),
            false => Ok(WRITE_BYTES),
        }
    }
}
