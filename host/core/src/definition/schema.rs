//! The editor schema, made from the tables that the reader follows.

use serde_json::{Map, Value, json};

use super::grammar::{Names, Record, SCHEMA_VERSIONS, Shape, WORKFLOW};
use super::names::LONGEST_SIGNAL;

/// A JSON Schema (draft 2020-12) of the definition language, for editors (`#:schema` in the first line of a file).
///
/// It accepts every definition that [`super::Definition::parse`] accepts. It cannot see what spans several places: step
/// ids, expressions, plugins.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = record(&WORKFLOW);
    schema.insert(
        "$schema".into(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    schema.insert("title".into(), json!("Milepost workflow"));
    Value::Object(schema)
}

fn record(record: &Record) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in record.keys {
        let mut schema = shape(&key.shape);
        schema.insert("description".into(), json!(key.doc));
        for name in [Some(key.name), key.alias].into_iter().flatten() {
            properties.insert(name.to_owned(), Value::Object(schema.clone()));
        }
    }
    let required: Vec<_> = record
        .keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut schema = object(json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    }));
    if !record.one_of.is_empty() {
        let has = |key: &&str| json!({ "required": [key] });
        let kinds: Vec<_> = record.one_of.iter().map(has).collect();
        let instead = record
            .or_else
            .map(|key| json!({ "required": [key], "not": { "anyOf": kinds } }));
        let all: Vec<_> = kinds.iter().cloned().chain(instead).collect();
        schema.insert("oneOf".into(), json!(all));
    }
    schema
}

fn shape(shape: &Shape) -> Map<String, Value> {
    match shape {
        Shape::SchemaVersion => object(json!({ "enum": SCHEMA_VERSIONS })),
        Shape::Text | Shape::Name | Shape::Condition | Shape::Instant | Shape::Items => {
            object(json!({ "type": "string", "pattern": r"\S" }))
        }
        Shape::Signal => object(json!({
            "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_.-]*$", "maxLength": LONGEST_SIGNAL,
        })),
        Shape::Secret => object(json!({
            "type": "string", "pattern": "^[a-z][a-z0-9_]*$", "maxLength": 64,
        })),
        Shape::Port => object(json!({ "type": "integer", "minimum": 1, "maximum": 65_535 })),
        Shape::FreeText => object(json!({ "type": "string" })),
        Shape::StepId | Shape::Bucket => {
            object(json!({ "type": "string", "pattern": pattern(Names::Id), "maxLength": 64 }))
        }
        Shape::Integer { min, max } => {
            object(json!({ "type": "integer", "minimum": min, "maximum": max }))
        }
        Shape::Number { min, max } => {
            object(json!({ "type": "number", "minimum": min, "maximum": max }))
        }
        Shape::Bool => object(json!({ "type": "boolean" })),
        Shape::Duration { zero: true } => {
            object(json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }))
        }
        Shape::Duration { zero: false } => {
            object(json!({ "type": "string", "pattern": "^0*[1-9][0-9]*(ms|s|m|h|d)$" }))
        }
        Shape::Size { .. } => {
            object(json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$" }))
        }
        Shape::Choice { words, planned: _ } => object(json!({ "enum": words })),
        Shape::Digest => object(json!({ "type": "string", "pattern": "^sha256:[0-9a-fA-F]{64}$" })),
        Shape::Json | Shape::Template => Map::new(),
        Shape::JsonTable | Shape::TemplateTable => object(json!({ "type": "object" })),
        Shape::List(item) => object(json!({ "type": "array", "items": self::shape(item) })),
        Shape::Record(inner) => record(inner),
        Shape::Map { names, values } => object(json!({
            "type": "object",
            "propertyNames": { "pattern": pattern(*names), "maxLength": 64 },
            "additionalProperties": record(values),
        })),
        Shape::Tables(inner) => {
            object(json!({ "type": "array", "minItems": 1, "items": record(inner) }))
        }
    }
}

fn pattern(names: Names) -> &'static str {
    match names {
        Names::Identifier => "^[A-Za-z_][A-Za-z0-9_]*$",
        Names::Id => "^[A-Za-z0-9_][A-Za-z0-9_-]*$",
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    /// Every record that can be reached, with its schema.
    fn pairs<'a>(
        record: &'static Record,
        schema: &'a Value,
        found: &mut Vec<(&'static Record, &'a Value)>,
    ) {
        found.push((record, schema));
        for key in record.keys {
            let property = &schema["properties"][key.name];
            match &key.shape {
                Shape::Record(inner) => pairs(inner, property, found),
                Shape::Map { values, .. } => {
                    pairs(values, &property["additionalProperties"], found)
                }
                Shape::Tables(inner) | Shape::List(Shape::Record(inner)) => {
                    pairs(inner, &property["items"], found);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn the_schema_has_exactly_the_keys_that_the_reader_accepts() {
        let schema = json_schema();
        let mut found = Vec::new();
        pairs(&WORKFLOW, &schema, &mut found);
        let titles: Vec<_> = found.iter().map(|(record, _)| record.title).collect();
        assert_eq!(
            titles,
            [
                "a workflow",
                "an input",
                "a plugin",
                "`allow`",
                "a grant of HTTP requests",
                "a grant of a program",
                "defaults",
                "a retry policy",
                "limits",
                "a step",
                "a loop",
                "a wait",
                "an approval",
                "a rework",
                "a fan-out",
                "an end",
                "a retry policy",
                "a compensation"
            ],
        );
        for (record, schema) in found {
            let properties = schema["properties"].as_object().unwrap();
            for key in properties.keys() {
                assert!(record.key(key).is_some(), "{}: {key}", record.title);
                assert!(!properties[key]["description"].as_str().unwrap().is_empty());
            }
            for key in record.keys {
                assert!(
                    properties.contains_key(key.name),
                    "{}: {}",
                    record.title,
                    key.name
                );
                let required = schema["required"]
                    .as_array()
                    .unwrap()
                    .contains(&json!(key.name));
                assert_eq!(required, key.required, "{}: {}", record.title, key.name);
            }
            for (reserved, _) in record.planned {
                assert!(
                    !properties.contains_key(*reserved),
                    "{}: {reserved}",
                    record.title
                );
            }
            assert_eq!(schema["additionalProperties"], false);
        }
    }
}
