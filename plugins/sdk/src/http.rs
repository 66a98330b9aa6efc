//! HTTP requests. The workflow names the hosts that a plugin may ask, and may narrow ports, methods and paths
//! (`http = [{ host = "api.example.com", methods = ["GET"], paths = ["/v1/**"] }]`).
//!
//! ```
//! use milepost_sdk::{Context, Result};
//! use milepost_sdk::http::Request;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Page {
//!     items: Vec<String>,
//! }
//!
//! fn items(ctx: &Context) -> Result<Vec<String>> {
//!     let page: Page = Request::get("https://api.example.com/v1/items?page=1")
//!         .header("authorization", "Bearer placeholder")
//!         .context(ctx)
//!         .send()?
//!         .checked()?
//!         .json()?;
//!     Ok(page.items)
//! }
//!
//! # #[cfg(not(target_family = "wasm"))]
//! # {
//! // What a unit test does: it answers in place of the hosts.
//! use milepost_sdk::http::{self, Response};
//! http::answer(|request| {
//!     assert_eq!(request.url(), "https://api.example.com/v1/items?page=1");
//!     Ok(Response::new(200).with_body(r#"{"items":["one","two"]}"#))
//! });
//! assert_eq!(items(&Context::fake()), Ok(vec!["one".to_owned(), "two".to_owned()]));
//! # }
//! ```

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artifacts::Artifact;
use crate::{Context, Error, HostError, Result, clock};

/// Longest time that a server's `retry-after` is followed: whoever asks for more asks for a person.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// Most of the body of a request, bytes. The host says so, too; but what is far larger it does not even take.
const BODY: usize = 8 * 1024 * 1024;
/// Most of a body that an error message repeats, bytes.
const REPEATED: usize = 500;

/// A request that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nothing is sent until `send` is called"]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
    timeout: Option<Duration>,
    problem: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    Bytes(Vec<u8>),
    Artifact(String),
}

impl Request {
    /// A request with that method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Body::Bytes(Vec::new()),
            timeout: None,
            problem: None,
        }
    }

    /// `GET`
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// `POST`
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// `PUT`
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// `DELETE`
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds a header. The stand-in of a [secret](crate::secrets) in it is replaced when the request is sent.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Says which trace the request belongs to, and names it, so that a server can tell that it is sent again: `traceparent`, and
    /// `idempotency-key` on requests that change something. Several such requests of a step need a header of their own instead, with
    /// [`Context::idempotency_key`] and what tells them apart.
    pub fn context(self, ctx: &Context) -> Self {
        let changes = !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        let request = self.header("traceparent", ctx.trace_parent());
        if changes {
            request.header("idempotency-key", ctx.idempotency_key())
        } else {
            request
        }
    }

    /// Its body: at most 8 MiB. The stand-in of a secret in it is replaced when the request is sent.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Bytes(bytes.into());
        self
    }

    /// A value as JSON for its body, with the header that says so.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.header("content-type", "application/json").body(bytes),
            Err(error) => {
                self.problem = Some(error.to_string());
                self
            }
        }
    }

    /// An artifact for its body.
    pub fn artifact(mut self, digest: impl Into<String>) -> Self {
        self.body = Body::Artifact(digest.into());
        self
    }

    /// How long it may take, in whole milliseconds: half a minute without this, and no longer than the attempt in any case.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Its method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// Its body, unless that is an artifact.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            Body::Artifact(_) => None,
        }
    }

    /// Sends it and waits for the response, following redirects. Whatever status it has, a response is a response:
    /// [`Response::checked`] tells.
    ///
    /// # Errors
    /// `denied` when the workflow does not allow it, `private-address`, `unknown-host`, `connect`, `tls`, `timeout`,
    /// `connection-lost`, `too-large`, `too-many-redirects`, `insecure-redirect`, `invalid-response` or `invalid-request`. Those that
    /// may be over later are transient; of these, `timeout` and `connection-lost` do not tell whether the request arrived.
    pub fn send(self) -> Result<Response, HostError> {
        let refused = |code: &str, message: String| {
            Err(HostError {
                code: code.to_owned(),
                message,
                transient: false,
            })
        };
        match (&self.problem, &self.body) {
            (Some(problem), _) => refused("invalid-request", format!("the body: {problem}")),
            (None, Body::Bytes(bytes)) if bytes.len() > BODY => refused(
                "too-large",
                format!("the body of the request is larger than {BODY} bytes"),
            ),
            (None, _) => source::send(self),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    received: source::Received,
}

impl Response {
    /// Its status: 200, 404, ..
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the request was successful: 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Its headers; names are in lower case.
    #[must_use]
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The first header of that name, in lower case, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| core::str::from_utf8(value).ok())
    }

    /// Its body.
    ///
    /// # Errors
    /// `too-large` when it has more than 8 MiB: [`save`](Self::save) it.
    pub fn body(&self) -> Result<Vec<u8>, HostError> {
        self.received.body()
    }

    /// Its body as text.
    ///
    /// # Errors
    /// The same, or a failure: `encoded-response` when it is compressed, which some servers do unasked, `invalid-response` when it is not UTF-8.
    pub fn text(&self) -> Result<String> {
        String::from_utf8(self.unencoded()?.body()?)
            .map_err(|_| unreadable("the body is not UTF-8"))
    }

    /// The value that its body is as JSON.
    ///
    /// # Errors
    /// The same, or a failure with the code `invalid-response` when it is not such a value.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.unencoded()?.body()?).map_err(|e| unreadable(&e.to_string()))
    }

    /// The same, if its body is what its media type says, and not compressed, which some servers do unasked.
    ///
    /// # Errors
    /// A failure with the code `encoded-response`.
    pub fn unencoded(&self) -> Result<&Self> {
        let encoding = self.header("content-encoding").unwrap_or_default().trim();
        if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
            return Ok(self);
        }
        let message = format!(
            "the body is encoded (`content-encoding: {encoding}`); ask for it with `accept-encoding: identity`, or decode its bytes"
        );
        Err(Error::failed("encoded-response", message).into())
    }

    /// Keeps its body, of up to 1 GiB, as an artifact. The workflow has to allow that (`artifacts = true`).
    ///
    /// # Errors
    /// `denied`, `too-large`, `timeout`, `connection-lost`, or what the store says.
    pub fn save(&self) -> Result<Artifact, HostError> {
        self.received.save()
    }

    /// The same response, if it [tells of success](Self::is_success).
    ///
    /// # Errors
    /// With the code `http-STATUS` and the beginning of the body: retryable after 408, 425, 429 and all from 500 on, at the time that
    /// the server asks for, else a failure.
    pub fn checked(self) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        let code = format!("http-{}", self.status);
        let message = match self.body() {
            Ok(body) if !body.is_empty() => {
                let text = String::from_utf8_lossy(&body);
                let end = text.floor_char_boundary(REPEATED);
                format!("the server answered {}: {}", self.status, &text[..end])
            }
            _ => format!("the server answered {}", self.status),
        };
        if !matches!(self.status, 408 | 425 | 429 | 500..) {
            return Err(Error::failed(&code, message).into());
        }
        let error = Error::retryable(&code, message);
        Err(match self.retry_after() {
            Some(wait) => error.after(wait).into(),
            None => error.into(),
        })
    }

    /// How long the server asks to wait (`retry-after`), at most a day.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        let wait = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let until = date(text)?;
                let now = clock::now().duration_since(std::time::UNIX_EPOCH).ok()?;
                Duration::from_secs(until).saturating_sub(now)
            }
        };
        Some(wait.min(LONGEST_WAIT))
    }

    /// Where the next page is, by the header `link` with `rel="next"`.
    #[must_use]
    pub fn next_page(&self) -> Option<&str> {
        self.headers
            .iter()
            .filter(|(name, _)| name == "link")
            .filter_map(|(_, value)| core::str::from_utf8(value).ok())
            .find_map(next_link)
    }
}

fn unreadable(message: &str) -> Error {
    Error::failed("invalid-response", message.to_owned()).into()
}

/// The target of the first link that leads to the next page: `<https://..>; rel="next", <..>; rel="last"`.
fn next_link(mut header: &str) -> Option<&str> {
    loop {
        let link = header.trim_start_matches([' ', ',']).strip_prefix('<')?;
        let (target, rest) = link.split_once('>')?;
        let (mut parameters, others) = split_unquoted(rest, ',');
        header = others;
        while !parameters.is_empty() {
            let (parameter, rest) = split_unquoted(parameters, ';');
            parameters = rest;
            let Some((name, value)) = parameter.split_once('=') else {
                continue;
            };
            let mut relations = value.trim().trim_matches('"').split(' ');
            let is_relation = name.trim().eq_ignore_ascii_case("rel");
            if is_relation && relations.any(|relation| relation.eq_ignore_ascii_case("next")) {
                return Some(target);
            }
        }
    }
}

/// Up to the first separator that stands in no quotes, and what follows it.
fn split_unquoted(text: &str, separator: char) -> (&str, &str) {
    let mut quoted = false;
    let at = text.find(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    });
    match at {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

/// Seconds from the epoch to a date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut time = parts
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if parts.next() != Some("GMT") || !(1970..10_000).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March here: the day that comes and goes is their last one.
    let (year, month) = if month < 2 {
        (year - 1, month + 10)
    } else {
        (year, month - 2)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(not(target_family = "wasm"))]
pub use source::answer;

/// Only where there is no host.
#[cfg(not(target_family = "wasm"))]
impl Response {
    /// One without headers and body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            received: source::Received::default(),
        }
    }

    /// One with that header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// One with that body.
    #[must_use]
    pub fn with_body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.received.bytes = bytes.into();
        self
    }
}

#[cfg(target_family = "wasm")]
mod source {
    use super::{Artifact, Body, HostError, Request, Response};
    use crate::bindings::milepost::step::http;

    #[derive(Debug)]
    pub(super) struct Received(http::Response);

    impl Received {
        pub(super) fn body(&self) -> Result<Vec<u8>, HostError> {
            Ok(self.0.body()?)
        }

        pub(super) fn save(&self) -> Result<Artifact, HostError> {
            let kept = self.0.save()?;
            Ok(Artifact {
                digest: kept.digest,
                size: kept.size,
                media_type: kept.media_type,
            })
        }
    }

    pub(super) fn send(request: Request) -> Result<Response, HostError> {
        let given = http::Request::new(&request.method, &request.url);
        for (name, value) in &request.headers {
            given.header(name, value);
        }
        match &request.body {
            Body::Bytes(bytes) if bytes.is_empty() => {}
            Body::Bytes(bytes) => given.body(bytes),
            Body::Artifact(digest) => given.body_artifact(digest),
        }
        if let Some(timeout) = request.timeout {
            given.timeout(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        }
        let response = http::Request::send(given)?;
        Ok(Response {
            status: response.status(),
            headers: response.headers(),
            received: Received(response),
        })
    }
}

#[cfg(not(target_family = "wasm"))]
mod source {
    use std::cell::RefCell;
    use std::io::Write as _;

    use super::{Artifact, HostError, Request, Response};
    use crate::artifacts::Writer;

    #[derive(Debug, Default)]
    pub(super) struct Received {
        pub(super) bytes: Vec<u8>,
    }

    impl Received {
        pub(super) fn body(&self) -> Result<Vec<u8>, HostError> {
            Ok(self.bytes.clone())
        }

        pub(super) fn save(&self) -> Result<Artifact, HostError> {
            let mut writer = Writer::create("response", "application/octet-stream")?;
            let written = writer.write_all(&self.bytes);
            written.map_err(|error| HostError::new("unavailable", error.to_string()))?;
            writer.finish()
        }
    }

    type Answer = Box<dyn FnMut(&Request) -> Result<Response, HostError>>;

    thread_local! {
        static ANSWER: RefCell<Option<Answer>> = const { RefCell::new(None) };
    }

    /// Answers in place of all hosts that this thread asks from now on. Without it there are none.
    pub fn answer(answer: impl FnMut(&Request) -> Result<Response, HostError> + 'static) {
        ANSWER.set(Some(Box::new(answer)));
    }

    pub(super) fn send(request: Request) -> Result<Response, HostError> {
        ANSWER.with_borrow_mut(|answer| match answer {
            Some(answer) => answer(&request),
            None => {
                let message = format!("nobody answers {}", request.url);
                Err(HostError::new("unknown-host", message))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn a_status_decides_whether_the_same_request_may_succeed_later() {
        let checked = |response: Response| response.checked().unwrap_err();
        for (status, expected) in [
            (301, "failed (http-301): the server answered 301: why"),
            (404, "failed (http-404): the server answered 404: why"),
            (408, "retryable (http-408): the server answered 408: why"),
            (425, "retryable (http-425): the server answered 425: why"),
            (429, "retryable (http-429): the server answered 429: why"),
            (500, "retryable (http-500): the server answered 500: why"),
            (503, "retryable (http-503): the server answered 503: why"),
        ] {
            let error = checked(Response::new(status).with_body("why"));
            assert_eq!(error.to_string(), expected);
        }
        assert!(Response::new(204).checked().is_ok());
        let Error::Retryable(error) = checked(Response::new(429).with_header("Retry-After", "7"))
        else {
            panic!("retryable");
        };
        assert_eq!(error.after, Some(Duration::from_secs(7)));
        let long = checked(Response::new(500).with_body("é".repeat(10_000)));
        assert!(long.to_string().len() < 600);
    }

    #[test]
    fn a_body_that_is_encoded_is_not_taken_for_text() {
        let encoded = |encoding| {
            Response::new(200)
                .with_header("Content-Encoding", encoding)
                .with_body("{}")
        };
        for encoding in ["gzip", "br, gzip"] {
            let response = encoded(encoding);
            let error = response.text().unwrap_err().to_string();
            assert!(error.starts_with("failed (encoded-response)"), "{error}");
            assert!(error.contains(encoding), "{error}");
            assert!(response.json::<serde_json::Value>().is_err());
            assert_eq!(response.body().unwrap(), b"{}");
        }
        for plain in ["", "identity", "Identity"] {
            assert_eq!(encoded(plain).text().unwrap(), "{}");
        }
    }

    #[test]
    fn a_body_that_is_too_large_is_an_error_before_the_host_is_asked() {
        answer(|_| Ok(Response::new(200)));
        let post = |bytes| {
            Request::post("https://api.test/")
                .body(vec![b'x'; bytes])
                .send()
        };
        assert_eq!(post(BODY).unwrap().status(), 200);
        let refused = post(BODY + 1).unwrap_err();
        assert_eq!((&*refused.code, refused.transient), ("too-large", false));
    }

    #[test]
    fn a_server_may_ask_for_a_time_in_seconds_or_as_a_date() {
        let wait = |text: &str| {
            Response::new(429)
                .with_header("retry-after", text)
                .retry_after()
        };
        assert_eq!(wait("0"), Some(Duration::ZERO));
        assert_eq!(wait(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(wait("99999999999"), Some(LONGEST_WAIT));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Fri, 31 Dec 9999 23:59:59 GMT"), Some(LONGEST_WAIT));
        for text in [
            "",
            "soon",
            "-1",
            "1.5",
            "99999999999999999999999",
            "Sun, 06 Nov 1994 08:49:37 CET",
        ] {
            assert_eq!(wait(text), None, "{text}");
        }
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Thu, 31 Dec 2099 23:59:59 GMT", 4_102_444_799),
        ] {
            assert_eq!(date(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn the_next_page_is_found_among_links() {
        let next = |text: &str| {
            let response = Response::new(200).with_header("link", text);
            response.next_page().map(str::to_owned)
        };
        let found = Some("https://api.test/items?page=2,3".to_owned());
        assert_eq!(
            next(r#"<https://api.test/items?page=2,3>; rel="next""#),
            found
        );
        assert_eq!(
            next(
                r#"<https://api.test/>; title="a, b; rel=next"; rel="first", <https://api.test/items?page=2,3>;REL=next"#
            ),
            found
        );
        assert_eq!(
            next(r#"<https://api.test/items?page=2,3>; rel="last next""#),
            found
        );
        for text in [
            "",
            "garbage",
            "<unclosed",
            r#"<https://api.test/>; rel="prev""#,
        ] {
            assert_eq!(next(text), None, "{text}");
        }
    }

    #[test]
    fn a_request_says_what_it_is_and_whose() {
        answer(|request| {
            let names: Vec<_> = request
                .headers()
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            Ok(Response::new(200).with_body(format!("{} {names:?}", request.method())))
        });
        let said = |request: Request| {
            request
                .context(&Context::fake())
                .send()
                .unwrap()
                .text()
                .unwrap()
        };
        assert_eq!(
            said(Request::get("https://api.test/")),
            r#"GET ["traceparent"]"#
        );
        assert_eq!(
            said(Request::post("https://api.test/").json(&1)),
            r#"POST ["content-type", "traceparent", "idempotency-key"]"#
        );
    }

    #[test]
    fn without_an_answer_there_are_no_hosts() {
        let error = std::thread::spawn(|| Request::get("https://api.test/").send().map(drop))
            .join()
            .unwrap();
        assert!(error.unwrap_err().is("unknown-host"));
    }
}
