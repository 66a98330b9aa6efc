//! The documents of `--json` against their published schema: every command that a test runs is checked.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// What `milepost schema --documents` prints.
const SCHEMA: &str = include_str!("../../host/cli/documents.schema.json");

struct Documents {
    /// For each verb its document.
    verbs: BTreeMap<String, Validator>,
    /// A verb that did nothing.
    failed: Validator,
}

impl Documents {
    fn read() -> Self {
        let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        let validator = |document: &Value| {
            let mut one = document.clone();
            one["$defs"] = schema["$defs"].clone();
            jsonschema::draft202012::new(&one).expect("the schema is one")
        };
        let verbs = schema["verbs"].as_object().expect("verbs have documents");
        Self {
            verbs: verbs
                .iter()
                .map(|(verb, document)| (verb.clone(), validator(document)))
                .collect(),
            failed: validator(&json!({ "$ref": "#/$defs/Failed" })),
        }
    }
}

fn documents() -> &'static Documents {
    static DOCUMENTS: OnceLock<Documents> = OnceLock::new();
    DOCUMENTS.get_or_init(Documents::read)
}

/// The verbs that have a document.
#[must_use]
pub fn verbs() -> Vec<&'static str> {
    documents().verbs.keys().map(String::as_str).collect()
}

/// The verb of a command line that asks for a document.
#[must_use]
pub fn asked(line: &str) -> Option<&'static str> {
    let words: Vec<&str> = line
        .split_whitespace()
        .take_while(|word| *word != "--")
        .collect();
    if !words.contains(&"--json")
        || words
            .iter()
            .any(|word| word.starts_with("--watch") || *word == "--follow")
    {
        return None;
    }
    let known = documents().verbs.keys();
    let verb = words
        .iter()
        .find_map(|word| known.clone().find(|verb| verb == word));
    verb.map(String::as_str)
}

/// Checks what a command line has printed. What prints nothing, or is ended before it has printed, is not at fault.
#[track_caller]
pub fn check(line: &str, stdout: &str) {
    let Some(verb) = asked(line) else {
        return;
    };
    let Ok(document) = serde_json::from_str::<Value>(stdout) else {
        return;
    };
    let all = documents();
    if all.failed.is_valid(&document) {
        return;
    }
    let faults: Vec<String> = all.verbs[verb]
        .iter_errors(&document)
        .map(|fault| format!("{} at {:?}", fault, fault.instance_path().to_string()))
        .collect();
    assert!(
        faults.is_empty(),
        "`milepost {line}` prints another document than its schema says: {faults:#?}\n{document:#}"
    );
}
