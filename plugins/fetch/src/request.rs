//! One request, as an input states it.

use std::collections::BTreeMap;
use std::time::Duration;

use milepost_sdk::http::{Request, Response};
use milepost_sdk::{Context, Error, Result, Schema, secrets};
use serde::Deserialize;
use serde_json::Value;

use crate::{Answer, encoding};

/// Headers, credentials and time of a request.
#[derive(Deserialize, Schema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Access {
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Name of a secret that is sent as `authorization: Bearer ..`.
    bearer: Option<String>,
    /// Headers whose values are secrets: the names of these.
    #[serde(default)]
    secret_headers: BTreeMap<String, String>,
    /// Milliseconds that an answer may take: 30,000 when left out.
    timeout_ms: Option<u64>,
}

impl Access {
    /// Sends it. An answer that is no success is an error.
    pub(crate) fn send(
        &self,
        method: &str,
        url: &str,
        body: Option<(&str, Vec<u8>)>,
        ctx: &Context,
    ) -> Result<Response> {
        let mut request = Request::new(method, url).context(ctx);
        for (name, value) in &self.headers {
            request = request.header(name, value.as_str());
        }
        if let Some(name) = &self.bearer {
            let stand_in = secrets::placeholder(name)?;
            request = request.header("authorization", format!("Bearer {stand_in}"));
        }
        for (name, secret) in &self.secret_headers {
            request = request.header(name, secrets::placeholder(secret)?);
        }
        if let Some((kind, bytes)) = body {
            let named = self
                .headers
                .keys()
                .any(|name| name.eq_ignore_ascii_case("content-type"));
            if !named {
                request = request.header("content-type", kind);
            }
            request = request.body(bytes);
        }
        if let Some(millis) = self.timeout_ms {
            request = request.timeout(Duration::from_millis(millis));
        }
        let response = request.send()?;
        let is_limit = response.status() == 429;
        response.checked().map_err(|error| match error {
            // Runs that wait for the same provider are shown together.
            Error::Retryable(error) if is_limit => error.provider(host(url)).into(),
            other => other,
        })
    }
}

/// The host of a URL that was sent, and so is one.
fn host(url: &str) -> &str {
    let rest = url.split_once("//").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// A response as an output.
pub(crate) fn answer(response: &Response) -> Result<Answer> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value);
        let joined = headers.entry(name.clone()).or_default();
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(&value);
    }
    let body = encoding::text(response)?;
    // None follows a HEAD, a 204 or a 304, whatever its type would be.
    let (json, text) = if is_json(response) && !body.is_empty() {
        (Some(parsed(&body)?), None)
    } else {
        (None, Some(body))
    };
    Ok(Answer {
        status: response.status(),
        headers,
        json,
        text,
    })
}

/// Whether it says so: `application/json`, `application/problem+json; charset=utf-8`.
fn is_json(response: &Response) -> bool {
    let kind = response.header("content-type").unwrap_or_default();
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

/// A body that has to be JSON.
pub(crate) fn parsed(body: &str) -> Result<Value> {
    serde_json::from_str(body).map_err(|error| {
        Error::failed("invalid-response", format!("the body is no JSON: {error}")).into()
    })
}
