//! What a guest is told of what went wrong. `wasi:http` has codes of its own, most of them without words; the words are in the log of
//! the attempt and on its tape.

use milepost_core::limits;
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::Error as IoError;

use super::bindings::wasi::http::types::{DnsErrorPayload, ErrorCode, Host};
use crate::host_error::HostError;
use crate::state::HostState;

/// The code for an answer of the client.
pub(super) fn of(error: &HostError) -> ErrorCode {
    match error.code.as_ref() {
        "denied" => ErrorCode::HttpRequestDenied,
        "private-address" => ErrorCode::DestinationIpProhibited,
        "unknown-host" => ErrorCode::DnsError(DnsErrorPayload {
            rcode: None,
            info_code: None,
        }),
        "connect" => ErrorCode::DestinationUnavailable,
        "tls" => ErrorCode::TlsProtocolError,
        "timeout" => ErrorCode::HttpResponseTimeout,
        "connection-lost" => ErrorCode::ConnectionTerminated,
        "invalid-response" => ErrorCode::HttpProtocolError,
        code => ErrorCode::InternalError(Some(format!("{code}: {}", error.message))),
    }
}

/// A response whose body is too large to be held.
pub(super) fn response_too_large() -> ErrorCode {
    ErrorCode::HttpResponseBodySize(Some(limits::HTTP_BODY_BYTES as u64 + 1))
}

/// A failed operation on the stream of a body.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct BodyError(pub(super) ErrorCode);

impl Host for HostState {
    fn http_error_code(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        self.charge()?;
        let error = self.resources.get(&error)?;
        Ok(error
            .downcast_ref::<BodyError>()
            .map(|error| error.0.clone()))
    }
}
