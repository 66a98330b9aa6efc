//! One host call that a test answers: which it is, what it has to ask, and what it is answered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::compare::contains;

/// A host call that a test answers in the place of the world.
#[derive(Debug, Clone, PartialEq)]
pub struct Mock {
    /// `interface.function`, such as `http.send`.
    pub call: String,
    /// What the request has to contain; everything, where this is null.
    pub request: Value,
    /// The answer as it stands on a tape.
    pub(crate) answer: Value,
    /// How often it answers.
    pub times: u32,
    /// The path or id of the step that it answers; every step, where this is absent.
    pub step: Option<String>,
    /// Whether the call may be made twice without harm. Absent: as its kind says.
    pub idempotent: Option<bool>,
}

impl Mock {
    /// Answers a call, `interface.function`, once, with nothing.
    #[must_use]
    pub fn new(call: impl Into<String>) -> Self {
        Self {
            call: call.into(),
            request: Value::Null,
            answer: json!({ "ok": null }),
            times: 1,
            step: None,
            idempotent: None,
        }
    }

    /// Only a request that contains this: members that it does not name may be anything.
    #[must_use]
    pub fn request(mut self, request: Value) -> Self {
        self.request = request;
        self
    }

    /// The answer, in the short form of its call: see `host/TESTING.md`.
    ///
    /// # Panics
    /// When it is none for this call.
    #[must_use]
    pub fn answers(mut self, answer: Value) -> Self {
        match taped(&self.call, answer) {
            Ok(answer) => self.answer = json!({ "ok": answer }),
            Err(problem) => panic!("the answer of `{}`: {problem}", self.call),
        }
        self
    }

    /// An error for the guest.
    #[must_use]
    pub fn fails(mut self, code: &str, message: &str, transient: bool) -> Self {
        self.answer =
            json!({ "error": { "code": code, "message": message, "transient": transient } });
        self
    }

    /// Answers so often.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    pub(super) fn fits(&self, call: &str, request: &Value) -> bool {
        self.call == call && (self.request.is_null() || contains(request, &self.request))
    }

    pub(super) fn is_for(&self, path: &str, step: &str) -> bool {
        self.step
            .as_deref()
            .is_none_or(|only| only == path || only == step)
    }
}

/// The calls that a test can answer.
pub(crate) const CALLS: [&str; 15] = [
    "artifacts.create",
    "artifacts.finish",
    "artifacts.open",
    "exec.run",
    "http.save",
    "http.send",
    "kv.delete",
    "kv.get",
    "kv.keys",
    "kv.open",
    "kv.put",
    "kv.replace",
    "memo.begin",
    "memo.settle",
    "wasi:http.send",
];

/// An answer in short form as it stands on a tape.
pub(crate) fn taped(call: &str, answer: Value) -> Result<Value, String> {
    match call {
        "http.send" | "wasi:http.send" => response(answer),
        "exec.run" => outcome(answer),
        "memo.begin" => match answer {
            Value::String(text) if text == "fresh" => Ok(json!("fresh")),
            Value::Object(members) if members.len() == 1 && members.contains_key("recorded") => {
                Ok(json!({ "recorded": members["recorded"].to_string() }))
            }
            _ => Err("write `\"fresh\"` or `{ recorded = .. }`".to_owned()),
        },
        "kv.get" => match answer {
            Value::Object(mut members) if members.contains_key("value") => {
                let value = body(members.remove("value").unwrap_or_default())?;
                let revision = members.remove("revision").unwrap_or(json!(1));
                only(&members, &["value", "revision"])?;
                Ok(json!({ "value": value, "revision": revision }))
            }
            Value::Null => Ok(Value::Null),
            _ => Err("write `{ value = \"..\", revision = 1 }`".to_owned()),
        },
        _ => Ok(answer),
    }
}

/// The same the other way, for whoever reads it.
pub(crate) fn short(call: &str, answer: &Value) -> Value {
    match call {
        "http.send" | "wasi:http.send" => {
            let mut shown = Map::new();
            shown.insert("status".into(), answer["status"].clone());
            let headers = answer["headers"].as_array().into_iter().flatten();
            let headers: Map<_, _> = headers
                .filter_map(|pair| Some((pair[0].as_str()?.to_owned(), bare(&pair[1]))))
                .collect();
            if !headers.is_empty() {
                shown.insert("headers".into(), headers.into());
            }
            match bare(&answer["body"]) {
                Value::String(text) => match serde_json::from_str::<Value>(&text) {
                    Ok(value) if serde_json::to_string(&value).is_ok_and(|again| again == text) => {
                        shown.insert("json".into(), value);
                    }
                    _ => {
                        shown.insert("body".into(), text.into());
                    }
                },
                other => {
                    shown.insert("body".into(), other);
                }
            }
            shown.into()
        }
        "exec.run" => {
            let mut shown = answer.as_object().cloned().unwrap_or_default();
            shown.retain(|name, value| {
                let usual = value.is_null() || *value == json!(0) || *value == json!(false);
                name == "exit_code" || (!usual && name != "program" && name != "digest")
            });
            for stream in ["stdout", "stderr"] {
                let text = bare(&answer[stream]);
                match text == json!("") {
                    true => drop(shown.remove(stream)),
                    false => drop(shown.insert(stream.into(), text)),
                }
            }
            shown.into()
        }
        "memo.begin" => match answer["recorded"].as_str() {
            Some(text) => {
                let value: Value = serde_json::from_str(text).unwrap_or_else(|_| text.into());
                json!({ "recorded": value })
            }
            None => answer.clone(),
        },
        "kv.get" if answer.is_object() => {
            json!({ "value": bare(&answer["value"]), "revision": answer["revision"] })
        }
        _ => answer.clone(),
    }
}

/// Bytes on a tape as the short form has them.
fn bare(body: &Value) -> Value {
    match (&body["text"], &body["base64"]) {
        (Value::String(text), _) => text.as_str().into(),
        (_, Value::String(_)) => body.clone(),
        _ if body.is_null() => "".into(),
        _ => body.clone(),
    }
}

fn response(answer: Value) -> Result<Value, String> {
    let mut members = table(answer)?;
    let status = members.remove("status").unwrap_or(json!(200));
    if status.as_u64().is_none_or(|status| status >= 1_000) {
        return Err(format!("`status` is no HTTP status: {status}"));
    }
    let mut headers = Vec::new();
    if let Some(given) = members.remove("headers") {
        for (name, value) in table(given).map_err(|_| "`headers` is a table".to_owned())? {
            headers.push(json!([name.to_lowercase(), body(value)?]));
        }
    }
    let body = match (members.remove("json"), members.remove("body")) {
        (Some(_), Some(_)) => return Err("`json` and `body` are the same body".to_owned()),
        (Some(value), None) => {
            if !headers.iter().any(|pair| pair[0] == "content-type") {
                headers.push(json!(["content-type", { "text": "application/json" }]));
            }
            json!({ "text": value.to_string() })
        }
        (None, given) => body(given.unwrap_or(json!("")))?,
    };
    only(&members, &["status", "headers", "body", "json"])?;
    Ok(json!({ "status": status, "headers": headers, "body": body }))
}

fn outcome(answer: Value) -> Result<Value, String> {
    let mut members = table(answer)?;
    let stdout = body(members.remove("stdout").unwrap_or(json!("")))?;
    let stderr = body(members.remove("stderr").unwrap_or(json!("")))?;
    let signal = members.remove("signal").unwrap_or_default();
    let timed_out = members.remove("timed_out").unwrap_or(json!(false));
    let ended = signal.is_null() && timed_out == json!(false);
    let usual = if ended { json!(0) } else { Value::Null };
    let exit_code = members.remove("exit_code").unwrap_or(usual);
    let program = members.remove("program").unwrap_or(json!("mocked"));
    let dropped = |members: &mut Map<String, Value>, name| members.remove(name).unwrap_or(json!(0));
    let stdout_dropped = dropped(&mut members, "stdout_dropped");
    let stderr_dropped = dropped(&mut members, "stderr_dropped");
    only(
        &members,
        &["exit_code", "stdout", "stderr", "signal", "timed_out"],
    )?;
    Ok(json!({
        "program": program, "digest": null, "exit_code": exit_code, "signal": signal, "timed_out": timed_out,
        "stdout": stdout, "stderr": stderr, "stdout_dropped": stdout_dropped, "stderr_dropped": stderr_dropped,
    }))
}

/// Bytes as they stand on a tape.
fn body(given: Value) -> Result<Value, String> {
    match given {
        Value::String(text) => Ok(json!({ "text": text })),
        Value::Object(members) if members.len() == 1 => match members.get("base64") {
            Some(Value::String(text)) if STANDARD.decode(text).is_ok() => {
                Ok(json!({ "base64": text }))
            }
            Some(_) => Err("`base64` holds no Base64".to_owned()),
            None => Err("bytes are a text or `{ base64 = \"..\" }`".to_owned()),
        },
        _ => Err("bytes are a text or `{ base64 = \"..\" }`".to_owned()),
    }
}

fn table(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err("it is no table".to_owned()),
    }
}

fn only(left: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match left.keys().next() {
        None => Ok(()),
        Some(name) => Err(format!(
            "it has no `{name}`; it has `{}`",
            known.join("`, `")
        )),
    }
}
