//! A response, all of which is there.

use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{
    DynInputStream, DynPollable, InputStream, Pollable, StreamError, StreamResult, subscribe,
};
use wasmtime_wasi_io::bytes::Bytes;

use super::bindings::wasi::http::types::{
    ErrorCode, HostFutureTrailers, HostIncomingBody, HostIncomingResponse,
};
use super::fields::Fields;
use crate::capability::http::Answered;
use crate::state::HostState;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 * 1024;

/// A response.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Response {
    answered: Arc<Answered>,
    headers: Arc<HeaderMap>,
    /// Whether its body was given.
    given: bool,
}

/// The body of a response.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Incoming {
    answered: Arc<Answered>,
    /// Whether its stream was given.
    given: bool,
}

/// What comes after a body: nothing.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Trailers {
    given: bool,
}

impl Response {
    pub(super) fn new(answered: Answered) -> Self {
        let headers = answered.headers.iter().filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value).ok()?))
        });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        Self {
            headers: Arc::new(map),
            answered: Arc::new(answered),
            given: false,
        }
    }
}

impl HostIncomingResponse for HostState {
    fn status(&mut self, response: Resource<Response>) -> wasmtime::Result<u16> {
        self.charge()?;
        Ok(self.resources.get(&response)?.answered.status)
    }

    fn headers(&mut self, response: Resource<Response>) -> wasmtime::Result<Resource<Fields>> {
        self.charge()?;
        let headers = Arc::clone(&self.resources.get(&response)?.headers);
        self.read_only_fields(&headers)
    }

    fn consume(
        &mut self,
        response: Resource<Response>,
    ) -> wasmtime::Result<Result<Resource<Incoming>, ()>> {
        self.charge()?;
        let response = self.resources.get_mut(&response)?;
        if std::mem::replace(&mut response.given, true) {
            return Ok(Err(()));
        }
        let body = Incoming {
            answered: Arc::clone(&response.answered),
            given: false,
        };
        Ok(Ok(self.resources.push(body)?))
    }

    fn drop(&mut self, response: Resource<Response>) -> wasmtime::Result<()> {
        self.charge()?;
        self.resources.delete(response)?;
        Ok(())
    }
}

impl HostIncomingBody for HostState {
    fn stream(
        &mut self,
        body: Resource<Incoming>,
    ) -> wasmtime::Result<Result<Resource<DynInputStream>, ()>> {
        self.charge()?;
        let incoming = self.resources.get_mut(&body)?;
        if std::mem::replace(&mut incoming.given, true) {
            return Ok(Err(()));
        }
        let stream: DynInputStream = Box::new(Reader {
            answered: Arc::clone(&incoming.answered),
            read: 0,
        });
        Ok(Ok(self.resources.push_child(stream, &body)?))
    }

    fn finish(&mut self, body: Resource<Incoming>) -> wasmtime::Result<Resource<Trailers>> {
        self.charge()?;
        self.resources.delete(body)?;
        Ok(self.resources.push(Trailers { given: false })?)
    }

    fn drop(&mut self, body: Resource<Incoming>) -> wasmtime::Result<()> {
        self.charge()?;
        self.resources.delete(body)?;
        Ok(())
    }
}

type Trailing = Option<Result<Result<Option<Resource<Fields>>, ErrorCode>, ()>>;

impl HostFutureTrailers for HostState {
    fn subscribe(
        &mut self,
        trailers: Resource<Trailers>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.charge()?;
        subscribe(&mut self.resources, trailers)
    }

    fn get(&mut self, trailers: Resource<Trailers>) -> wasmtime::Result<Trailing> {
        self.charge()?;
        let trailers = self.resources.get_mut(&trailers)?;
        let given = std::mem::replace(&mut trailers.given, true);
        Ok(Some(if given { Err(()) } else { Ok(Ok(None)) }))
    }

    fn drop(&mut self, trailers: Resource<Trailers>) -> wasmtime::Result<()> {
        self.charge()?;
        self.resources.delete(trailers)?;
        Ok(())
    }
}

#[async_trait]
impl Pollable for Trailers {
    async fn ready(&mut self) {}
}

/// Reads a body.
struct Reader {
    answered: Arc<Answered>,
    read: usize,
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

#[async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let body = self.answered.body.as_deref().unwrap_or_default();
        let rest = &body[self.read..];
        if rest.is_empty() {
            return Err(StreamError::Closed);
        }
        let piece = &rest[..size.min(rest.len()).min(READ_BYTES)];
        self.read += piece.len();
        Ok(Bytes::copy_from_slice(piece))
    }
}
