//! `wasi:http` for clients: `fetch` of JavaScript, `net/http` of Go and the like end here, at the client, the grants and the tape
//! of the capability `http`.
//!
//! | file | idea |
//! |---|---|
//! | `fields` | headers |
//! | `outgoing` | a request, while the guest puts it together |
//! | `exchange` | a request on its way, until the guest sees its response |
//! | `incoming` | a response |
//! | `codes` | what a guest is told of what went wrong |
//!
//! Bodies are held whole, on both ways: a request leaves when its body is finished, and a response is there when all of it is. So
//! the guest can tell *when* at one place only, and that is on the tape (see `poll`). Redirects are the guest's business; each is a
//! request of its own.

mod codes;
mod exchange;
mod fields;
mod incoming;
mod outgoing;

use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, Resource};

use self::bindings::wasi::http::outgoing_handler;
use self::bindings::wasi::http::types::{
    self, HostIncomingRequest, HostOutgoingResponse, HostRequestOptions, HostResponseOutparam,
};
use self::outgoing::Outgoing;
use crate::capability::http::request::Times;
use crate::state::HostState;

pub(in crate::capability) use self::exchange::State;

/// Rust types of the WIT.
mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "milepost:wasi-http/client",
        imports: {
            "wasi:http/types.[method]future-incoming-response.get": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http/types.fields": super::fields::Fields,
            "wasi:http/types.incoming-request": super::Never,
            "wasi:http/types.outgoing-response": super::Never,
            "wasi:http/types.response-outparam": super::Never,
            "wasi:http/types.outgoing-request": super::outgoing::Draft,
            "wasi:http/types.outgoing-body": super::outgoing::Outgoing,
            "wasi:http/types.request-options": super::Options,
            "wasi:http/types.future-incoming-response": super::exchange::Future,
            "wasi:http/types.incoming-response": super::incoming::Response,
            "wasi:http/types.incoming-body": super::incoming::Incoming,
            "wasi:http/types.future-trailers": super::incoming::Trailers,
        },
        require_store_data_send: true,
    });
}

/// Links the interfaces of a client.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    outgoing_handler::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

/// How long parts of an exchange may take.
#[derive(Default)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Options(Times);

impl HostRequestOptions for HostState {
    fn new(&mut self) -> wasmtime::Result<Resource<Options>> {
        self.charge()?;
        Ok(self.resources.push(Options::default())?)
    }

    fn connect_timeout(&mut self, options: Resource<Options>) -> wasmtime::Result<Option<u64>> {
        self.time(&options, |times| &mut times.connect)
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<Options>,
        time: Option<u64>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.set_time(&options, time, |times| &mut times.connect)
    }

    fn first_byte_timeout(&mut self, options: Resource<Options>) -> wasmtime::Result<Option<u64>> {
        self.time(&options, |times| &mut times.first_byte)
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<Options>,
        time: Option<u64>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.set_time(&options, time, |times| &mut times.first_byte)
    }

    fn between_bytes_timeout(
        &mut self,
        options: Resource<Options>,
    ) -> wasmtime::Result<Option<u64>> {
        self.time(&options, |times| &mut times.between_bytes)
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<Options>,
        time: Option<u64>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.set_time(&options, time, |times| &mut times.between_bytes)
    }

    fn drop(&mut self, options: Resource<Options>) -> wasmtime::Result<()> {
        self.resources.delete(options)?;
        Ok(())
    }
}

impl HostState {
    fn time(
        &mut self,
        options: &Resource<Options>,
        of: fn(&mut Times) -> &mut Option<Duration>,
    ) -> wasmtime::Result<Option<u64>> {
        self.charge()?;
        let time = *of(&mut self.resources.get_mut(options)?.0);
        // It came as such a number.
        Ok(time.map(|time| time.as_nanos() as u64))
    }

    fn set_time(
        &mut self,
        options: &Resource<Options>,
        time: Option<u64>,
        of: fn(&mut Times) -> &mut Option<Duration>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.charge()?;
        *of(&mut self.resources.get_mut(options)?.0) = time.map(Duration::from_nanos);
        Ok(Ok(()))
    }
}

/// What only a server has: there is none of it, and no way to get one.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum Never {}

/// A call of a function for servers.
fn no_server() -> wasmtime::Error {
    wasmtime::Error::msg("a step serves no requests: there is nothing to answer with a response")
}

impl HostIncomingRequest for HostState {
    fn method(&mut self, _: Resource<Never>) -> wasmtime::Result<types::Method> {
        Err(no_server())
    }

    fn path_with_query(&mut self, _: Resource<Never>) -> wasmtime::Result<Option<String>> {
        Err(no_server())
    }

    fn scheme(&mut self, _: Resource<Never>) -> wasmtime::Result<Option<types::Scheme>> {
        Err(no_server())
    }

    fn authority(&mut self, _: Resource<Never>) -> wasmtime::Result<Option<String>> {
        Err(no_server())
    }

    fn headers(&mut self, _: Resource<Never>) -> wasmtime::Result<Resource<fields::Fields>> {
        Err(no_server())
    }

    fn consume(
        &mut self,
        _: Resource<Never>,
    ) -> wasmtime::Result<Result<Resource<incoming::Incoming>, ()>> {
        Err(no_server())
    }

    fn drop(&mut self, _: Resource<Never>) -> wasmtime::Result<()> {
        Err(no_server())
    }
}

impl HostOutgoingResponse for HostState {
    fn new(&mut self, _: Resource<fields::Fields>) -> wasmtime::Result<Resource<Never>> {
        Err(no_server())
    }

    fn status_code(&mut self, _: Resource<Never>) -> wasmtime::Result<u16> {
        Err(no_server())
    }

    fn set_status_code(&mut self, _: Resource<Never>, _: u16) -> wasmtime::Result<Result<(), ()>> {
        Err(no_server())
    }

    fn headers(&mut self, _: Resource<Never>) -> wasmtime::Result<Resource<fields::Fields>> {
        Err(no_server())
    }

    fn body(&mut self, _: Resource<Never>) -> wasmtime::Result<Result<Resource<Outgoing>, ()>> {
        Err(no_server())
    }

    fn drop(&mut self, _: Resource<Never>) -> wasmtime::Result<()> {
        Err(no_server())
    }
}

impl HostResponseOutparam for HostState {
    fn set(
        &mut self,
        _: Resource<Never>,
        _: Result<Resource<Never>, types::ErrorCode>,
    ) -> wasmtime::Result<()> {
        Err(no_server())
    }

    fn drop(&mut self, _: Resource<Never>) -> wasmtime::Result<()> {
        Err(no_server())
    }
}
