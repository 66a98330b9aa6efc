//! The JSON Schema of files of tests, for editors. It follows the lists of keys that the reader knows.

use serde_json::{Map, Value, json};

use super::{ARTIFACT, CALL, CALLS, ERROR, EXPECT, TEST, TOP, workflow};
use milepost_core::state::Status;

/// A JSON Schema (draft 2020-12) of `*.test.toml`, for editors (`#:schema` in the first line of a file).
///
/// It accepts every file that [`super::TestFile::parse`] accepts. It cannot see what spans several places: steps, names of tests,
/// expressions.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = record(TOP, &["schema", "test"]);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Milepost tests");
    schema["properties"]["test"] = json!({
        "type": "array",
        "description": "tests: of a step where they name one, else of a workflow as a whole",
        "items": {
            "if": { "required": ["step"] },
            "then": step_test(),
            "else": workflow_test(),
        },
    });
    schema
}

fn step_test() -> Value {
    let mut test = record(TEST, &["name", "step"]);
    test["properties"]["call"] = list(mock(CALL));
    test["properties"]["artifact"] = list(record(ARTIFACT, &["name"]));
    test["properties"]["expect"] = expected(EXPECT);
    test
}

fn workflow_test() -> Value {
    let mut test = record(workflow::TEST, &["name"]);
    let mut stub = record(workflow::STUB, &[]);
    for key in workflow::STUB
        .iter()
        .filter(|key| !matches!(**key, "output" | "takes"))
    {
        stub["properties"][*key] = code();
    }
    test["properties"]["steps"] = json!({
        "type": "object",
        "description": "what stands in the place of steps, by id (`fetch`, in a child run `call/fetch`) or path (`fix#2/test`)",
        "additionalProperties": { "anyOf": [stub, { "type": "array", "items": stub }] },
    });
    let mut decision = record(workflow::DECISION, &["decision"]);
    decision["properties"]["decision"] = choice(workflow::VERDICTS.iter().map(|(name, _)| *name));
    let mut request = record(workflow::REQUEST, &["do"]);
    request["properties"]["do"] = choice(
        super::super::workflow::Ask::ALL
            .iter()
            .map(|(name, _)| *name),
    );
    test["properties"]["signal"] = list(record(workflow::SIGNAL, &["name"]));
    test["properties"]["decision"] = list(decision);
    test["properties"]["request"] = list(request);
    test["properties"]["call"] = list(mock(&[CALL, &["step"]].concat()));
    test["properties"]["expect"] = expected(workflow::EXPECT);
    test
}

fn mock(keys: &[&str]) -> Value {
    let mut mock = record(keys, &["call"]);
    mock["properties"]["call"] = choice(CALLS.iter().copied());
    mock["properties"]["error"] = record(ERROR, &["code"]);
    mock["oneOf"] = json!([{ "required": ["answer"] }, { "required": ["error"] }]);
    mock
}

fn expected(keys: &[&str]) -> Value {
    let mut expected = record(keys, &[]);
    for key in [
        "failed",
        "retryable",
        "paused",
        "trap",
        "timeout",
        "host",
        "cancelled",
    ] {
        if keys.contains(&key) {
            expected["properties"][key] = code();
        }
    }
    expected
}

/// A table with these keys and no others.
fn record(keys: &[&str], required: &[&str]) -> Value {
    let properties = keys.iter().map(|key| ((*key).to_owned(), of_key(key)));
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties.collect::<Map<_, _>>(),
        "required": required,
    })
}

/// What stands under a key, wherever it stands.
fn of_key(key: &str) -> Value {
    let duration = r"^[0-9]+(ms|s|m|h|d)$";
    let (schema, doc) = match key {
        "schema" => (json!({ "const": 1 }), "version of this format"),
        "component" => (text(), "file of a component, relative to this file"),
        "workflow" => (text(), "file of a workflow, relative to this file"),
        "name" | "step" | "by" | "comment" | "message" | "code" | "media_type" | "text"
        | "file" | "run" => (text(), ""),
        "where" => (text(), "an expression of the workflow language that holds"),
        "now" => (text(), "when it starts, such as 2026-01-31T12:00:00Z"),
        "at" => (
            json!({ "type": "string", "pattern": duration }),
            "how long after the start; where it is absent, as soon as the run waits for it",
        ),
        "timeout" | "until" | "takes" => (json!({ "type": "string", "pattern": duration }), ""),
        "seed" => (
            json!({ "type": ["integer", "string"] }),
            "the source of random numbers",
        ),
        "attempt" | "times" => (json!({ "type": "integer", "minimum": 1 }), ""),
        "any_order" | "cancel_requested" | "transient" | "idempotent" => {
            (json!({ "type": "boolean" }), "")
        }
        "inputs" | "config" | "outputs" | "memo" | "kv" | "attempts" => {
            (json!({ "type": "object" }), "")
        }
        "secrets" => (
            json!({ "type": "object", "additionalProperties": text() }),
            "values by name; never put real ones here",
        ),
        "logs" | "logs_have" | "path" | "path_has" => (json!({ "type": "array" }), ""),
        "status" => (
            choice(Status::ALL.map(|status| status.as_str())),
            "where the run stands at the end",
        ),
        _ => (json!({}), ""),
    };
    let mut schema = schema;
    if !doc.is_empty() {
        schema["description"] = json!(doc);
    }
    schema
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn code() -> Value {
    json!({ "type": ["string", "object"], "description": "a code, or a table" })
}

fn choice<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    json!({ "enum": names.into_iter().collect::<Vec<_>>() })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}
