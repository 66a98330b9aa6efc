//! A request as a guest states it, checked before anything else happens: what leaves here can be sent as it is.

use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use milepost_core::ids::Digest;
use milepost_core::{limits, shown};
use serde::Serialize;
use serde_json::{Map, Value, json};
use url::{Host, Url};

use super::errors;
use super::room::Room;
use crate::capability::body::shown_bytes;
use crate::host_error::HostError;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Until the response is there, with as much of its body as is kept in memory.
    pub(super) timeout: Duration,
    /// The time for parts of that.
    pub(in crate::capability) times: Times,
    /// Whether redirects are followed.
    pub(in crate::capability) follow: bool,
    /// Where the body of the response is held until somebody asks for it.
    pub(in crate::capability) arriving: Option<Room>,
}

/// How long parts of an exchange may take, where that is bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(in crate::capability) struct Times {
    /// Making a connection.
    pub(in crate::capability) connect: Option<Duration>,
    /// From there to the head of the response.
    pub(in crate::capability) first_byte: Option<Duration>,
    /// Between two pieces of the body.
    pub(in crate::capability) between_bytes: Option<Duration>,
}

/// Where a request goes: what decides whether credentials may go along, and which connections it can share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) secure: bool,
    pub(super) host: Host,
    pub(super) port: u16,
}

/// Headers that say how a message travels, which is the host's matter, or whom it is for, which the URL says: another name there
/// would be a way around the grant.
const OWN: [HeaderName; 12] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Whether the host sets a header.
pub(in crate::capability) fn is_own(name: &HeaderName) -> bool {
    OWN.contains(name)
}
/// Headers by which some servers take a request for one of another method: a way around the methods of a grant.
const OTHER_METHOD: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
];

/// Headers that prove who is asking.
const CREDENTIALS: [HeaderName; 3] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::WWW_AUTHENTICATE,
];

/// Headers that describe a body.
const OF_BODY: [HeaderName; 5] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("digest"),
];

impl Request {
    /// Checks all that a guest says.
    ///
    /// # Errors
    /// `invalid-request`, or `too-large`.
    pub(crate) fn new(
        method: &str,
        url: &str,
        headers: &[(String, Vec<u8>)],
        body: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Self, HostError> {
        Ok(Self {
            method: parse_method(method)?,
            url: parse_url(url)?,
            headers: parse_headers(headers, body.len())?,
            body,
            timeout: timeout.unwrap_or(limits::HTTP_TIMEOUT),
            times: Times::default(),
            follow: true,
            arriving: None,
        })
    }

    /// The origin of its URL.
    pub(super) fn origin(&self) -> Result<Origin, HostError> {
        let (Some(host), Some(port)) = (self.url.host(), self.url.port_or_known_default()) else {
            return Err(errors::invalid("the URL names no host"));
        };
        Ok(Origin {
            secure: self.url.scheme() == "https",
            host: host.to_owned(),
            port,
        })
    }

    /// What to ask after such a response, if it sends elsewhere. Nothing secret goes to another origin: `secret` tells what is.
    ///
    /// # Errors
    /// A redirect that is not followed.
    pub(super) fn redirected(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        secret: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Self>, HostError> {
        let moved = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = headers
            .get(header::LOCATION)
            .filter(|_| moved && self.follow)
        else {
            return Ok(None);
        };
        let location = std::str::from_utf8(location.as_bytes())
            .map_err(|_| errors::invalid("a redirect to what is not text"))?;
        check_characters(location)?;
        let url = self.url.join(location).map_err(|error| {
            let location = shown::excerpt(location, limits::EXCERPT_BYTES);
            errors::invalid(format!("a redirect to `{location}`: {error}"))
        })?;
        check_url(&url)?;
        if self.url.scheme() == "https" && url.scheme() == "http" {
            return Err(errors::insecure_redirect(&url));
        }
        let mut next = self.clone();
        // 303 says to look elsewhere for the answer. So do 301 and 302 to a POST: every client reads them so.
        let get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if get {
            next.method = Method::GET;
            next.body = Bytes::new();
        }
        next.url = url;
        let elsewhere = next.origin()? != self.origin()?;
        let kept = self.headers.iter().filter(|(name, value)| {
            let described = get && OF_BODY.contains(name);
            let proves = elsewhere && (CREDENTIALS.contains(name) || secret(value.as_bytes()));
            !described && !proves
        });
        next.headers = kept
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if elsewhere && secret(&next.body) {
            return Err(HostError::new(
                "denied",
                "a redirect would take a secret in the body to another host",
            ));
        }
        Ok(Some(next))
    }
}

/// What a test sees of a request. A body that is JSON is there as `json`, too.
pub(in crate::capability) fn details(
    method: &str,
    url: &str,
    headers: &[(String, Vec<u8>)],
    body: &[u8],
) -> Value {
    let headers: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), shown_bytes(value)))
        .collect();
    let mut details = json!({
        "method": method.to_uppercase(),
        "url": url,
        "headers": headers,
        "body": shown_bytes(body),
    });
    if let Ok(value) = serde_json::from_slice::<Value>(body)
        && let Some(members) = details.as_object_mut()
    {
        members.insert("json".to_owned(), value);
    }
    details
}

/// What people see of a request. A query may hold what is not for them, and so may what stands before the host.
pub(in crate::capability) fn about(method: &str, url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (authority, path) = rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{method} {scheme}{host}{path}")
}

/// What [`about`] does not show of a request, or not whole.
pub(in crate::capability) fn parts(
    url: &str,
    headers: &[(String, Vec<u8>)],
    body: Digest,
    times: &impl Serialize,
) -> [(&'static str, Digest); 4] {
    // Texts and numbers always become JSON.
    let of = |part: serde_json::Result<Vec<u8>>| Digest::of(&part.unwrap_or_default());
    [
        ("URL", Digest::of(url.as_bytes())),
        ("headers", of(serde_json::to_vec(headers))),
        ("body", body),
        ("timeouts", of(serde_json::to_vec(times))),
    ]
}

fn parse_method(method: &str) -> Result<Method, HostError> {
    let method = method.to_ascii_uppercase();
    match Method::from_bytes(method.as_bytes()) {
        // The one asks for a tunnel; the other for an echo of all headers, filled-in secrets included.
        Ok(Method::CONNECT | Method::TRACE) | Err(_) => {
            let method = shown::excerpt(&method, limits::EXCERPT_BYTES);
            Err(errors::invalid(format!(
                "`{method}` is no method that can be sent"
            )))
        }
        Ok(method) => Ok(method),
    }
}

fn parse_url(text: &str) -> Result<Url, HostError> {
    if text.len() > limits::HTTP_URL_BYTES {
        return Err(errors::too_large("the URL", limits::HTTP_URL_BYTES));
    }
    check_characters(text)?;
    let mut url = Url::parse(text).map_err(|error| {
        let text = shown::excerpt(text, limits::EXCERPT_BYTES);
        errors::invalid(format!("`{text}` is not a URL: {error}"))
    })?;
    check_url(&url)?;
    url.set_fragment(None);
    Ok(url)
}

/// The parser drops line breaks and tabs without a word; who writes them means something else.
fn check_characters(url: &str) -> Result<(), HostError> {
    if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(errors::invalid(
            "a URL with spaces or control characters in it",
        ));
    }
    Ok(())
}

/// A URL that was parsed, and thereby brought into its one form: numeric hosts in decimal, names in ASCII, `..` resolved.
fn check_url(url: &Url) -> Result<(), HostError> {
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = shown::excerpt(url.scheme(), limits::EXCERPT_BYTES);
        return Err(errors::invalid(format!("`{scheme}` is not http or https")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(errors::invalid(
            "a URL with a user in it; credentials go into a header",
        ));
    }
    match url.host() {
        Some(Host::Domain(name)) if name.ends_with('.') => {
            return Err(errors::invalid(format!(
                "the host name `{name}` ends with a dot"
            )));
        }
        None => return Err(errors::invalid("the URL names no host")),
        Some(_) => {}
    }
    if url.port() == Some(0) {
        return Err(errors::invalid("port 0"));
    }
    if climbs(url.path()) {
        return Err(errors::invalid(
            "a path with `..` that is hidden behind encoded or other separators",
        ));
    }
    Ok(())
}

/// Whether a server that decodes more than it should would leave the folder that the path names, and so what is granted.
fn climbs(path: &str) -> bool {
    let plain = path
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/");
    plain
        .split(['/', '\\'])
        .any(|part| part.split(';').next() == Some(".."))
}

fn parse_headers(given: &[(String, Vec<u8>)], body: usize) -> Result<HeaderMap, HostError> {
    let bytes: usize = given
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if given.len() > limits::HTTP_HEADERS || bytes > limits::HTTP_HEADER_BYTES {
        return Err(HostError::new(
            "too-large",
            format!(
                "the request has more than {} headers, or they are larger than {} bytes",
                limits::HTTP_HEADERS,
                limits::HTTP_HEADER_BYTES
            ),
        ));
    }
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let quoted = || shown::Shown(shown::excerpt(name, limits::EXCERPT_BYTES)).to_string();
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| errors::invalid(format!("`{}` is no name of a header", quoted())))?;
        // Libraries state it on their own: true is harmless.
        if parsed == header::CONTENT_LENGTH && *value == body.to_string().into_bytes() {
            continue;
        }
        if is_own(&parsed) {
            return Err(errors::invalid(format!(
                "the header `{parsed}` is set by the host"
            )));
        }
        if OTHER_METHOD.contains(&parsed) {
            return Err(errors::invalid(format!(
                "the header `{parsed}` asks for another method than the one that is granted; send the request with that method"
            )));
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| {
            errors::invalid(format!(
                "the value of the header `{parsed}` has control characters in it"
            ))
        })?;
        headers.append(parsed, value);
    }
    Ok(headers)
}
