//! A value that fits a JSON Schema, as plain as it can be.

use serde_json::{Map, Value, json};

/// Levels that a value has at most: schemas may hold themselves.
const DEPTH: usize = 16;

/// A value that fits the schema, as far as that says what fits in the usual words.
#[must_use]
pub fn sample(schema: &Value) -> Value {
    Sampler { root: schema }.value(schema, DEPTH)
}

struct Sampler<'a> {
    root: &'a Value,
}

impl Sampler<'_> {
    fn value(&self, schema: &Value, left: usize) -> Value {
        let Some(words) = schema.as_object() else {
            return Value::Null;
        };
        for word in ["const", "default"] {
            if let Some(value) = words.get(word) {
                return value.clone();
            }
        }
        for word in ["enum", "examples"] {
            if let Some(first) = words.get(word).and_then(|list| list.get(0)) {
                return first.clone();
            }
        }
        if left == 0 {
            return Value::Null;
        }
        if let Some(target) = words.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#');
            let target = target.and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Value::Null, |schema| self.value(schema, left - 1));
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = words.get(word).and_then(|list| list.get(0)) {
                return self.value(first, left - 1);
            }
        }
        let of = |key: &str| words.get(key);
        let name = match of("type") {
            Some(Value::String(name)) => name.as_str(),
            Some(Value::Array(names)) => names.first().and_then(Value::as_str).unwrap_or("null"),
            _ if words.contains_key("properties") => "object",
            _ if words.contains_key("items") => "array",
            _ => "null",
        };
        match name {
            "object" => self.object(words, left),
            "array" => {
                let least = of("minItems").and_then(Value::as_u64).unwrap_or(0);
                let item = of("items").map_or(Value::Null, |items| self.value(items, left - 1));
                let count = usize::try_from(least.min(16)).unwrap_or(0);
                Value::Array(vec![item; count])
            }
            "string" => {
                let least = of("minLength").and_then(Value::as_u64).unwrap_or(0);
                Value::String("x".repeat(usize::try_from(least.min(1024)).unwrap_or(0)))
            }
            "integer" => number(words, true),
            "number" => number(words, false),
            "boolean" => Value::Bool(false),
            _ => Value::Null,
        }
    }

    fn object(&self, words: &Map<String, Value>, left: usize) -> Value {
        let properties = words.get("properties").and_then(Value::as_object);
        let mut object: Map<String, Value> = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.clone(), self.value(schema, left - 1)))
            .collect();
        let required = words.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            object.entry(name).or_insert(Value::Null);
        }
        Value::Object(object)
    }
}

/// The least number that fits, from zero on.
fn number(words: &Map<String, Value>, whole: bool) -> Value {
    let bound = |key: &str| words.get(key).and_then(Value::as_f64);
    let above = bound("exclusiveMinimum").map(|bound| bound.floor() + 1.0);
    let least = match (bound("minimum"), above) {
        (Some(a), Some(b)) => a.max(b),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => 0.0,
    };
    let below = bound("exclusiveMaximum").map(|bound| bound.ceil() - 1.0);
    let most = match (bound("maximum"), below) {
        (Some(a), Some(b)) => a.min(b),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => f64::MAX,
    };
    let number = least.max(0.0).min(most);
    match whole {
        #[expect(clippy::cast_possible_truncation, reason = "a sample")]
        true => json!(number.ceil() as i64),
        false => json!(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b382_samples_fit() {
        for (schema, expected) in [
            (json!(true), json!(null)),
            (json!({}), json!(null)),
            (json!({"type": "string"}), json!("")),
            (json!({"type": "string", "minLength": 2}), json!("xx")),
            (json!({"type": "string", "enum": ["a", "b"]}), json!("a")),
            (json!({"type": "integer", "minimum": 3}), json!(3)),
            (json!({"type": "integer", "exclusiveMinimum": 3}), json!(4)),
            (json!({"type": "integer", "maximum": -2}), json!(-2)),
            (json!({"type": "number"}), json!(0.0)),
            (json!({"type": ["boolean", "null"]}), json!(false)),
            (
                json!({"type": "array", "items": {"type": "integer"}}),
                json!([]),
            ),
            (
                json!({"items": {"type": "integer"}, "minItems": 2}),
                json!([0, 0]),
            ),
            (
                json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
                json!(null),
            ),
            (
                json!({"type": "object", "required": ["a", "b"], "properties": {"a": {"const": 7}}}),
                json!({"a": 7, "b": null}),
            ),
            (
                json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer", "minimum": 1}}}),
                json!(1),
            ),
        ] {
            assert_eq!(sample(&schema), expected, "{schema}");
        }
        let endless = json!({"$ref": "#"});
        assert_eq!(sample(&endless), Value::Null);
    }
}
