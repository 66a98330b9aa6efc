//! A step that sends requests through `wasi:http`, several at once, and says in which order it saw their ends: for tests of that way to
//! the web, which libraries take that know nothing of Milepost. Of no use to a workflow.

use milepost_sdk::{Context, Error, Result, Schema, Step, export};
use serde::Deserialize;
use serde_json::{Value, json};
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler::{self, FutureIncomingResponse};
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions,
    Scheme,
};
use wasip2::io::poll;
use wasip2::io::streams::StreamError;

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Asks {
    /// Objects with `url` and, if wanted, `method`, `headers`, `body`, `body_bytes`, `unfinished`, `first_byte_ms`.
    requests: Vec<Value>,
    /// For how many milliseconds it waits for their ends; without it as long as it may.
    patience_ms: Option<u64>,
    /// Asks without waiting until one is there, so often at most.
    spins: Option<u32>,
    /// Sends each request when the one before it has ended.
    #[serde(default)]
    in_turn: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<String>,
    /// A body of so many bytes.
    body_bytes: Option<usize>,
    /// Lets go of the body before it is finished.
    #[serde(default)]
    unfinished: bool,
    first_byte_ms: Option<u64>,
}

/// Sends all and waits for their ends.
struct Ask;

impl Step for Ask {
    const NAME: &'static str = "ask";
    const DESCRIPTION: &'static str =
        "Sends requests through wasi:http and tells what they came to.";
    type Input = Asks;
    type Output = Value;

    fn run(asks: Asks, _: &Context) -> Result<Value> {
        let mut ends = vec![Value::Null; asks.requests.len()];
        let mut open = Vec::new();
        for (index, request) in asks.requests.into_iter().enumerate() {
            let request: Request = serde_json::from_value(request)
                .map_err(|error| Error::failed("invalid_request", error.to_string()))?;
            match send(&request) {
                Ok(future) if asks.in_turn => {
                    future.subscribe().block();
                    ends[index] = end(&future);
                }
                Ok(future) => open.push((index, future)),
                Err(words) => ends[index] = json!({ "refused": words }),
            }
        }
        let mut order = Vec::new();
        let mut spins = asks.spins;
        let deadline = asks
            .patience_ms
            .map(|patience| monotonic_clock::subscribe_duration(patience * 1_000_000));
        while !open.is_empty() {
            if let Some(left) = &mut spins {
                let there = open
                    .iter()
                    .position(|(_, future)| future.subscribe().ready());
                match there {
                    Some(at) => {
                        let (index, future) = open.remove(at);
                        order.push(json!(index));
                        ends[index] = end(&future);
                    }
                    None if *left == 0 => spins = None,
                    None => *left -= 1,
                }
                continue;
            }
            let waits: Vec<_> = open.iter().map(|(_, future)| future.subscribe()).collect();
            let mut all: Vec<_> = waits.iter().collect();
            all.extend(&deadline);
            let mut ready = poll::poll(&all);
            ready.sort_unstable();
            let over = ready.iter().any(|at| *at as usize == waits.len());
            drop(waits);
            for at in ready.into_iter().rev() {
                if let Some((index, future)) =
                    ((at as usize) < open.len()).then(|| open.remove(at as usize))
                {
                    order.push(json!(index));
                    ends[index] = end(&future);
                }
            }
            if over {
                order.push(json!("over"));
                break;
            }
        }
        Ok(json!({ "ends": ends, "order": order }))
    }
}

fn send(request: &Request) -> std::result::Result<FutureIncomingResponse, String> {
    let said = |what: &str| format!("{what} is refused");
    let headers = Fields::new();
    for (name, value) in &request.headers {
        headers
            .append(name, value.as_bytes())
            .map_err(|error| format!("header {name}: {error}"))?;
    }
    let outgoing = OutgoingRequest::new(headers);
    let (scheme, rest) = match request.url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some((other, rest)) => (Scheme::Other(other.to_owned()), rest),
        None => return Err(said("the URL")),
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let method = match request.method.as_deref() {
        None | Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some(other) => Method::Other(other.to_owned()),
    };
    outgoing
        .set_method(&method)
        .map_err(|()| said("the method"))?;
    outgoing
        .set_scheme(Some(&scheme))
        .map_err(|()| said("the scheme"))?;
    outgoing
        .set_authority(Some(authority))
        .map_err(|()| said("the authority"))?;
    outgoing
        .set_path_with_query(Some(path))
        .map_err(|()| said("the path"))?;
    let body = outgoing.body().map_err(|()| said("the body"))?;
    let options = RequestOptions::new();
    let first_byte = request.first_byte_ms.map(|millis| millis * 1_000_000);
    options
        .set_first_byte_timeout(first_byte)
        .map_err(|()| said("the timeout"))?;
    // Libraries send the head first, and then the body.
    let future = outgoing_handler::handle(outgoing, Some(options)).map_err(code)?;
    let bytes = match (&request.body, request.body_bytes) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, bytes) => vec![b'x'; bytes.unwrap_or_default()],
    };
    if !bytes.is_empty() {
        let stream = body.write().map_err(|()| said("the stream"))?;
        for piece in bytes.chunks(4096) {
            stream
                .blocking_write_and_flush(piece)
                .map_err(|error| match error {
                    StreamError::Closed => "the stream is closed".to_owned(),
                    StreamError::LastOperationFailed(error) => {
                        match wasip2::http::types::http_error_code(&error) {
                            Some(found) => code(found),
                            None => error.to_debug_string(),
                        }
                    }
                })?;
        }
    }
    if !request.unfinished {
        OutgoingBody::finish(body, None).map_err(code)?;
    }
    Ok(future)
}

/// What a request came to.
fn end(future: &FutureIncomingResponse) -> Value {
    match future.get() {
        None => json!("not there"),
        Some(Err(())) => json!("taken"),
        Some(Ok(Err(error))) => json!({ "error": code(error) }),
        Some(Ok(Ok(response))) => match read(&response) {
            Ok(body) => {
                let mut headers = response.headers().entries();
                headers.retain(|(name, _)| name.starts_with("x-"));
                let headers: Vec<_> = headers
                    .into_iter()
                    .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
                    .collect();
                json!({
                    "status": response.status(),
                    "headers": headers,
                    "length": body.len(),
                    "body": String::from_utf8_lossy(&body[..body.len().min(200)]),
                })
            }
            Err(words) => json!({ "error": words }),
        },
    }
}

fn read(response: &IncomingResponse) -> std::result::Result<Vec<u8>, String> {
    let body = response.consume().map_err(|()| "consumed".to_owned())?;
    let stream = body.stream().map_err(|()| "streamed".to_owned())?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

fn code(error: ErrorCode) -> String {
    format!("{error:?}")
}

export! {
    name: "web",
    version: env!("CARGO_PKG_VERSION"),
    description: "Sends requests through wasi:http, for tests.",
    steps: [Ask],
}
