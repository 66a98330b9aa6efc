//! Why a request came to nothing: the codes that guests see.
//!
//! | code | transient | what happened |
//! |---|---|---|
//! | `invalid-request` | no | the URL, the method or a header cannot be sent as it is |
//! | `denied` | no | no grant of the plugin allows the request, or a redirect of it |
//! | `private-address` | no | the host is at no public address, and its grant does not say `private = true` |
//! | `unknown-host` | yes | the name of the host was not found |
//! | `connect` | yes | no connection to any address of the host |
//! | `tls` | no | the host did not prove who it is, or speaks no TLS that is secure |
//! | `timeout` | yes | the time of the request was over; it may have reached the host |
//! | `connection-lost` | yes | the connection ended in the middle; the request may have reached the host |
//! | `invalid-response` | no | what came back is not HTTP, or its head is beyond the limits |
//! | `too-large` | no | the request, or a part of the response, is beyond its limit |
//! | `damaged` | no | the bytes of the artifact that was to be sent are not those of its digest |
//! | `too-many-redirects` | no | |
//! | `insecure-redirect` | no | a redirect from `https` to `http` |
//! | `insecure-secret` | no | a secret would go over plain `http`, and no grant says `secrets-over-http = true` |

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use milepost_core::grants::Denied;
use milepost_core::limits;
use milepost_core::shown;

use crate::host_error::HostError;

pub(super) fn invalid(message: impl Into<String>) -> HostError {
    HostError::new("invalid-request", message)
}

pub(super) fn private_address(host: &str, address: IpAddr, kind: &str) -> HostError {
    HostError::new(
        PRIVATE_ADDRESS,
        format!(
            "`{host}` is at {address}, a {kind} address; if that is meant, its grant has to say `private = true`"
        ),
    )
}

pub(super) const PRIVATE_ADDRESS: &str = "private-address";

/// The same with the grant that would allow it.
pub(super) fn private_address_of(error: HostError, denied: &Denied) -> HostError {
    match denied.toml() {
        Some(grant) => HostError {
            message: format!(
                "{}; in the list `http` of `[plugins.{}.allow]`:\n{grant}",
                error.message,
                denied.plugin()
            ),
            ..error
        },
        None => error,
    }
}

pub(super) fn unknown_host(host: &str, error: Option<&io::Error>) -> HostError {
    let message = match error {
        Some(error) => format!("`{host}` was not found: {error}"),
        None => format!("`{host}` has no address"),
    };
    HostError::transient("unknown-host", message)
}

pub(super) fn connect(host: &str, port: u16, reason: &impl std::fmt::Display) -> HostError {
    HostError::transient(
        "connect",
        format!("no connection to `{host}:{port}`: {reason}"),
    )
}

pub(super) fn tls(host: &str, reason: &impl std::fmt::Display) -> HostError {
    HostError::new("tls", format!("no secure connection to `{host}`: {reason}"))
}

pub(super) fn timeout(after: Duration) -> HostError {
    let message = format!("no whole response within {} ms", after.as_millis());
    HostError::transient("timeout", message)
}

pub(super) fn too_large(what: &str, most: usize) -> HostError {
    HostError::new("too-large", format!("{what} is larger than {most} bytes"))
}

/// There is no room for more beside what the attempt holds.
pub(super) fn too_much(what: &str) -> HostError {
    HostError::new(
        "too-large",
        format!(
            "with {what}, the step would hold more than {} bytes of requests and responses; drop what is not needed any more",
            limits::HTTP_HELD_BYTES
        ),
    )
}

pub(super) fn too_many_redirects() -> HostError {
    HostError::new(
        "too-many-redirects",
        format!("more than {} redirects", limits::HTTP_REDIRECTS),
    )
}

pub(super) fn insecure_redirect(to: &url::Url) -> HostError {
    let to = shown::excerpt(to.as_str(), limits::EXCERPT_BYTES);
    HostError::new(
        "insecure-redirect",
        format!("a redirect from https to `{to}`"),
    )
}

pub(super) fn insecure_secret(denied: Denied) -> HostError {
    HostError::new(
        "insecure-secret",
        format!("secrets are sent by https; {denied}"),
    )
}

/// What hyper says of a connection.
pub(super) fn exchange(host: &str, error: &hyper::Error) -> HostError {
    if error.is_user() {
        return invalid(error.to_string());
    }
    if error.is_parse() {
        return HostError::new(
            "invalid-response",
            format!("what `{host}` sent cannot be read: {error}"),
        );
    }
    HostError::transient(
        "connection-lost",
        format!("the connection to `{host}` ended: {error}"),
    )
}
