//! Hosts of requests, and the patterns that grants have for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most that the name of a host may have, bytes.
const LONGEST: usize = 253;
/// Most that a part of it may have, bytes.
const LONGEST_LABEL: usize = 63;

/// Why a text is no host of a grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// A scheme, a path, or both.
    #[error("it is a URL")]
    Url {
        /// The host in it.
        host: String,
        /// The port in it.
        port: Option<u16>,
        /// The path in it.
        path: Option<String>,
    },
    /// A port.
    #[error("it has a port")]
    Port {
        /// The host without it.
        host: String,
        /// What stands after the colon.
        port: String,
    },
    /// A name before `@`.
    #[error("it has a user")]
    User,
    /// Every host.
    #[error("`*` would be every host")]
    All,
    /// `*` elsewhere than at the beginning.
    #[error("`*` can only be the first part of a name, as in `*.example.com`")]
    Star,
    /// Characters beyond ASCII.
    #[error("it has characters beyond ASCII")]
    NotAscii,
    /// Digits that are no address as anybody writes it.
    #[error("it ends in a number and is no IPv4 address")]
    Number,
    /// Something else that is no name.
    #[error("it is no name of a host")]
    Name,
}

/// The host of a grant in the form that it is compared in.
///
/// # Errors
/// [`InvalidHost`].
pub fn check_host(text: &str) -> Result<String, InvalidHost> {
    if text.contains("://") || (text.contains('/') && !text.starts_with('/')) {
        return Err(url(text));
    }
    if text.contains('@') {
        return Err(InvalidHost::User);
    }
    let host = canonical(text);
    if host.parse::<IpAddr>().is_ok() {
        return Ok(host);
    }
    if let Some((name, port)) = host.rsplit_once(':') {
        return Err(InvalidHost::Port {
            host: name.to_owned(),
            port: port.to_owned(),
        });
    }
    if !host.is_ascii() {
        return Err(InvalidHost::NotAscii);
    }
    if host == "*" {
        return Err(InvalidHost::All);
    }
    let name = host.strip_prefix("*.").unwrap_or(&host);
    if name.contains('*') {
        return Err(InvalidHost::Star);
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label =
        |label: &str| (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(known);
    if name.len() > LONGEST || !name.split('.').all(label) {
        return Err(InvalidHost::Name);
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    // What resolvers take for an address: `127.1`, `0x7f000001`.
    let number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if number {
        return Err(InvalidHost::Number);
    }
    Ok(host)
}

fn url(text: &str) -> InvalidHost {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (authority, None),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    InvalidHost::Url {
        host: host.to_owned(),
        port,
        path: (!matches!(path, "" | "/")).then(|| path.to_owned()),
    }
}

/// The form in which hosts are compared: lower case, no dot at the end, addresses as they are written most often.
pub(crate) fn canonical(host: &str) -> String {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return address.to_string();
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    match name.parse::<Ipv4Addr>() {
        Ok(address) => address.to_string(),
        Err(_) => name,
    }
}

/// A canonical host as a URL has it.
pub(super) fn in_url(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

/// Whether a canonical host fits that of a grant.
pub(crate) fn fits(pattern: &str, host: &str) -> bool {
    let pattern = canonical(pattern);
    match pattern.strip_prefix('*') {
        // The dot stays, so that the part before it is a name of its own.
        Some(suffix) => host.strip_suffix(suffix).is_some_and(|below| {
            suffix.starts_with('.') && !below.is_empty() && !below.ends_with('.')
        }),
        None => pattern == host,
    }
}
