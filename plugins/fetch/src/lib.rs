//! Asks HTTP APIs. An answer that may be another one later (408, 425, 429, 5xx, no answer at all) is a retryable error, at the time
//! that the server asks for; other answers than success are failures with the code `http-STATUS`.

mod encoding;
mod pages;
mod request;

use std::collections::BTreeMap;

use milepost_sdk::artifacts::Artifact;
use milepost_sdk::{Context, Result, Schema, Step, export};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use request::Access;

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct GetInput {
    url: String,
    /// How to ask.
    #[serde(default)]
    access: Access,
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct SendInput {
    /// `POST` when left out.
    #[serde(default = "post")]
    method: String,
    url: String,
    /// Sent as JSON.
    json: Option<Value>,
    /// Sent as it is, where there is no `json`.
    text: Option<String>,
    /// How to ask.
    #[serde(default)]
    access: Access,
}

fn post() -> String {
    "POST".to_owned()
}

#[derive(Serialize, Schema)]
struct Answer {
    status: u16,
    /// Names in lower case; values of one name are joined by commas.
    headers: BTreeMap<String, String>,
    /// The body, if it is JSON.
    json: Option<Value>,
    /// The body, if it is other text.
    text: Option<String>,
}

struct Get;

impl Step for Get {
    const NAME: &'static str = "get";
    const DESCRIPTION: &'static str = "Gets a document: JSON or text.";
    type Input = GetInput;
    type Output = Answer;

    fn run(input: GetInput, ctx: &Context) -> Result<Answer> {
        request::answer(&input.access.send("GET", &input.url, None, ctx)?)
    }
}

struct Send;

impl Step for Send {
    const NAME: &'static str = "send";
    const DESCRIPTION: &'static str =
        "Sends a document, with an idempotency key that is the same for every attempt.";
    type Input = SendInput;
    type Output = Answer;

    fn run(input: SendInput, ctx: &Context) -> Result<Answer> {
        let body = match (&input.json, &input.text) {
            (Some(json), _) => Some(("application/json", serde_json::to_vec(json)?)),
            (None, Some(text)) => Some(("text/plain; charset=utf-8", text.clone().into_bytes())),
            (None, None) => None,
        };
        request::answer(&input.access.send(&input.method, &input.url, body, ctx)?)
    }
}

#[derive(Serialize, Schema)]
struct Downloaded {
    /// The body.
    artifact: Artifact,
    status: u16,
}

struct Download;

impl Step for Download {
    const NAME: &'static str = "download";
    const DESCRIPTION: &'static str =
        "Keeps a document of any kind and up to 1 GiB as an artifact.";
    type Input = GetInput;
    type Output = Downloaded;

    fn run(input: GetInput, ctx: &Context) -> Result<Downloaded> {
        let response = input.access.send("GET", &input.url, None, ctx)?;
        Ok(Downloaded {
            artifact: encoding::save(&response, &input.url)?,
            status: response.status(),
        })
    }
}

export! {
    name: "fetch",
    version: env!("CARGO_PKG_VERSION"),
    description: "Asks HTTP APIs, page by page, and keeps large answers as artifacts.",
    steps: [Get, Send, pages::Pages, Download],
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use milepost_sdk::HostError;
    use milepost_sdk::http::{self, Response};

    use super::*;

    fn run(step: &str, input: &str) -> std::result::Result<Value, String> {
        let output = PLUGIN.run(step, input, &Context::fake());
        let output = output.map_err(|error| error.to_string())?;
        Ok(serde_json::from_str(&output).unwrap())
    }

    #[test]
    fn an_answer_is_json_or_text_with_its_headers() {
        http::answer(|request| {
            assert_eq!(request.method(), "GET");
            Ok(match request.url() {
                "https://api.test/json" => Response::new(200)
                    .with_header("content-type", "application/vnd.api+json; charset=utf-8")
                    .with_header("x", "1")
                    .with_header("x", "2")
                    .with_body(r#"{"a":1}"#),
                _ => Response::new(200).with_body("plain"),
            })
        });
        let json = run("get", r#"{"url":"https://api.test/json"}"#).unwrap();
        assert_eq!(json["json"]["a"], 1);
        assert_eq!(json["headers"]["x"], "1, 2");
        let text = run("get", r#"{"url":"https://api.test/text"}"#).unwrap();
        assert_eq!(
            (&text["text"], &text["json"]),
            (&"plain".into(), &Value::Null)
        );
    }

    #[test]
    fn an_answer_may_have_a_type_and_no_body_and_must_be_in_an_encoding_that_is_known() {
        http::answer(|request| {
            let answer = Response::new(200).with_header("content-type", "application/json");
            Ok(match request.url() {
                "https://api.test/zip" => answer
                    .with_header("content-encoding", "br")
                    .with_body([0x0b, 0x02]),
                _ => answer,
            })
        });
        let head = r#"{"method":"HEAD","url":"https://api.test/"}"#;
        let said = run("send", head).unwrap();
        assert_eq!((&said["json"], &said["text"]), (&Value::Null, &"".into()));
        for step in ["get", "download"] {
            let error = run(step, r#"{"url":"https://api.test/zip"}"#).unwrap_err();
            assert!(error.contains("failed (encoded-response)"), "{error}");
        }
    }

    #[test]
    fn what_is_sent_has_its_type_its_key_and_its_credentials() {
        http::answer(|request| {
            let headers: Vec<String> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
                .collect();
            let body = String::from_utf8_lossy(request.bytes().unwrap()).into_owned();
            Ok(Response::new(201).with_body(format!(
                "{}\n{body}\n{}",
                request.method(),
                headers.join("\n")
            )))
        });
        let input = r#"{"method":"PUT","url":"https://api.test/","json":{"a":1},"access":{
            "headers":{"accept":"text/plain"},"bearer":"token","secret_headers":{"x-key":"key"}}}"#;
        let said = run("send", input).unwrap();
        let said = said["text"].as_str().unwrap();
        for line in [
            "PUT",
            r#"{"a":1}"#,
            "content-type: application/json",
            "accept: text/plain",
        ] {
            assert!(said.lines().any(|said| said == line), "{line} in\n{said}");
        }
        for name in [
            "idempotency-key: ",
            "traceparent: ",
            "authorization: Bearer ",
            "x-key: ",
        ] {
            assert!(
                said.lines().any(|said| said.starts_with(name)),
                "{name} in\n{said}"
            );
        }
        assert!(
            run("send", r#"{"url":"https://api.test/"}"#).unwrap()["text"]
                .as_str()
                .unwrap()
                .starts_with("POST\n\n")
        );
    }

    #[test]
    fn what_may_be_over_later_is_retryable() {
        http::answer(|request| match request.url() {
            "https://api.test/busy" => Ok(Response::new(429)
                .with_header("retry-after", "9")
                .with_body("slow down")),
            "https://api.test/gone" => Ok(Response::new(404)),
            _ => Err(HostError {
                code: "connect".to_owned(),
                message: "nobody there".to_owned(),
                transient: true,
            }),
        });
        let error = |path: &str| {
            run("get", &format!(r#"{{"url":"https://api.test/{path}"}}"#)).unwrap_err()
        };
        assert!(
            error("busy").contains("retryable (http-429)"),
            "{}",
            error("busy")
        );
        assert!(
            error("gone").contains("failed (http-404)"),
            "{}",
            error("gone")
        );
        assert!(
            error("down").contains("retryable (connect)"),
            "{}",
            error("down")
        );
    }

    #[test]
    fn a_download_is_an_artifact() {
        http::answer(|_| Ok(Response::new(200).with_body("a,b\n")));
        let output = run("download", r#"{"url":"https://api.test/table.csv"}"#).unwrap();
        assert_eq!(output["artifact"]["size"], 4);
    }
}
