//! What the derived schemas say.

#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(dead_code, reason = "only the schemas of these types matter")]

use std::collections::{BTreeMap, HashMap};

use milepost_sdk_derive::Schema;
use serde_json::{Value, json};

use super::*;

/// Says "what"
/// it is.
///
/// And more.
#[derive(Schema)]
#[serde(rename_all = "camelCase")]
struct Everything {
    first_name: String,
    #[serde(default = "zero", rename = "no")]
    number: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    maybe: Option<Box<Inner>>,
    /// Its own description wins.
    list: Vec<Inner>,
    map: BTreeMap<String, Form>,
    any: Value,
    #[serde(skip)]
    hidden: u8,
    r#type: Wrapped,
}

/// Inside.
#[derive(Schema)]
#[serde(deny_unknown_fields)]
struct Inner {
    ok: bool,
}

#[derive(Schema)]
struct Wrapped(u32);

#[derive(Schema)]
#[serde(rename_all = "kebab-case")]
enum Form {
    PlainText,
    #[serde(rename = "x\"y")]
    Other,
}

#[derive(Schema)]
struct Empty {}

fn schema<T: Schema>(role: Role) -> Value {
    serde_json::from_str(&text::<T>(role)).unwrap()
}

#[test]
fn every_shape_as_input() {
    let inner = json!({
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": false,
        "description": "Inside.",
    });
    let expected = json!({
        "type": "object",
        "description": "Says \"what\" it is.\nAnd more.",
        "properties": {
            "firstName": {"type": "string"},
            "no": {"type": "integer"},
            "maybe": {"anyOf": [inner, {"type": "null"}]},
            "list": {"type": "array", "items": inner, "description": "Its own description wins."},
            "map": {
                "type": "object",
                "additionalProperties": {"type": "string", "enum": ["plain-text", "x\"y"]},
            },
            "any": {},
            "type": {"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32},
        },
        "required": ["firstName", "list", "map", "any", "type"],
        "additionalProperties": false,
    });
    assert_eq!(schema::<Everything>(Role::Input), expected);
}

#[test]
fn outputs_are_complete() {
    let schema = schema::<Everything>(Role::Output);
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(
        schema["required"],
        json!(["firstName", "no", "list", "map", "any", "type"])
    );
}

#[test]
fn an_object_without_properties() {
    assert_eq!(
        text::<Empty>(Role::Input),
        r#"{"type":"object","properties":{},"additionalProperties":false}"#
    );
}

fn check<T: Schema>(role: Role, expected: &Value) {
    assert_eq!(schema::<T>(role), *expected, "{}", text::<T>(role));
}

#[derive(Schema)]
#[schema(additionalProperties = true, description = "What \"it\" says.")]
struct Bounds {
    #[schema(minimum = 1, maximum = 1_000, default = 3)]
    small: u8,
    #[schema(exclusiveMinimum = -2, multipleOf = 0.5)]
    /// A half.
    half: f64,
    #[schema(minLength = 1, pattern = "^\\w+$", enum = ["a", "b"])]
    maybe: Option<String>,
    #[schema(minItems = 1, uniqueItems = true, title = "Some", examples = [[1], [2]])]
    list: Vec<u8>,
    #[schema(with = "String", format = "date-time", description = "When.")]
    at: std::time::SystemTime,
    #[schema(minProperties = 1)]
    map: HashMap<Form, ()>,
    percent: Percent,
}

/// Of a hundred.
#[derive(Schema)]
struct Percent(#[schema(maximum = 100)] u8);

#[test]
fn keywords_narrow_what_the_type_says() {
    let map = json!({
        "type": "object", "additionalProperties": {"type": "null"}, "minProperties": 1,
        "propertyNames": {"type": "string", "enum": ["plain-text", "x\"y"]},
    });
    check::<Bounds>(
        Role::Output,
        &json!({
            "type": "object",
            "description": "What \"it\" says.",
            "properties": {
                "small": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 3},
                "half": {"type": "number", "exclusiveMinimum": -2, "multipleOf": 0.5, "description": "A half."},
                "maybe": {"anyOf": [
                    {"type": "string", "minLength": 1, "pattern": "^\\w+$", "enum": ["a", "b"]},
                    {"type": "null"},
                ]},
                "list": {
                    "type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255},
                    "minItems": 1, "uniqueItems": true, "title": "Some", "examples": [[1], [2]],
                },
                "at": {"type": "string", "format": "date-time", "description": "When."},
                "map": map,
                "percent": {"type": "integer", "minimum": 0, "maximum": 100, "description": "Of a hundred."},
            },
            "required": ["small", "half", "maybe", "list", "at", "map", "percent"],
        }),
    );
}

/// One of many.
#[derive(Schema)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase")]
enum External {
    Nothing,
    #[serde(alias = "none")]
    NoneAtAll,
    /// By a number.
    ByNumber(#[schema(minimum = 1)] u64),
    Pair(bool, String),
    Named {
        first_name: String,
    },
}

fn closed(properties: &Value) -> Value {
    let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

#[test]
fn variants_under_their_names() {
    let mut by_number = closed(&json!({"by_number": {"type": "integer", "minimum": 1}}));
    by_number["description"] = json!("By a number.");
    let pair = json!({
        "type": "array", "prefixItems": [{"type": "boolean"}, {"type": "string"}],
        "items": false, "minItems": 2, "maxItems": 2,
    });
    check::<External>(
        Role::Input,
        &json!({
            "description": "One of many.",
            "anyOf": [
                {"type": "string", "enum": ["nothing", "none_at_all", "none"]},
                by_number,
                closed(&json!({"pair": pair})),
                closed(&json!({"named": closed(&json!({"firstName": {"type": "string"}}))})),
            ],
        }),
    );
    let words = &schema::<External>(Role::Output)["anyOf"][0]["enum"];
    assert_eq!(*words, json!(["nothing", "none_at_all"]));
}

#[derive(Schema)]
#[serde(tag = "kind")]
enum Tagged {
    Unit,
    Named {
        n: bool,
    },
    Inside(Inner),
    #[serde(other)]
    Other,
}

#[derive(Schema)]
#[serde(tag = "kind", content = "of")]
enum Adjacent {
    Unit,
    Text(String),
}

#[derive(Schema)]
#[serde(untagged)]
enum Untagged {
    Unit,
    Text(String),
    /// An object.
    Named {
        n: bool,
    },
}

#[test]
fn variants_with_tags_or_without() {
    let boolean = json!({"type": "boolean"});
    let name = |name: &str| json!({"type": "string", "const": name});
    let tagged = |other: Value| {
        json!({"anyOf": [
            closed(&json!({"kind": name("Unit")})),
            closed(&json!({"kind": name("Named"), "n": boolean})),
            closed(&json!({"kind": name("Inside"), "ok": boolean})),
            other,
        ]})
    };
    let any =
        json!({"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]});
    check::<Tagged>(Role::Input, &tagged(any));
    check::<Tagged>(
        Role::Output,
        &tagged(closed(&json!({"kind": name("Other")}))),
    );
    check::<Adjacent>(
        Role::Input,
        &json!({"anyOf": [
            closed(&json!({"kind": name("Unit")})),
            closed(&json!({"kind": name("Text"), "of": {"type": "string"}})),
        ]}),
    );
    let mut named = closed(&json!({"n": boolean}));
    named["description"] = json!("An object.");
    check::<Untagged>(
        Role::Input,
        &json!({"anyOf": [{"type": "null"}, {"type": "string"}, named]}),
    );
}

#[derive(Schema)]
struct Flat {
    a: bool,
    #[serde(flatten)]
    inner: Option<Inner>,
    #[serde(flatten)]
    choice: Tagged,
    #[serde(flatten)]
    rest: BTreeMap<String, u64>,
}

#[test]
fn flattened_properties_stand_beside_the_others() {
    let flat = schema::<Flat>(Role::Output);
    let alternatives = flat["anyOf"].as_array().unwrap();
    assert_eq!(alternatives.len(), 8);
    let expected = json!({
        "type": "object",
        "properties": {
            "a": {"type": "boolean"}, "ok": {"type": "boolean"},
            "kind": {"type": "string", "const": "Unit"},
        },
        "required": ["a", "ok", "kind"],
        "additionalProperties": {"type": "integer", "minimum": 0},
    });
    assert_eq!(alternatives[0], expected);
}

#[derive(Schema)]
#[serde(rename_all(serialize = "camelCase"))]
struct Sides<T> {
    #[serde(alias = "nm")]
    the_name: T,
    #[serde(skip_serializing)]
    taken: (u8, T),
    #[serde(skip_deserializing)]
    given: Vec<[T; 2]>,
}

#[derive(Schema)]
#[serde(from = "String", into = "Vec<u64>")]
struct Through;

#[test]
fn what_is_taken_and_what_is_given_can_differ() {
    let names = |role| {
        let schema = schema::<Sides<Through>>(role);
        let names: Vec<String> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        (names.join(" "), schema["required"].clone())
    };
    assert_eq!(
        names(Role::Input),
        ("nm taken the_name".to_owned(), json!(["taken"]))
    );
    assert_eq!(
        names(Role::Output),
        ("given theName".to_owned(), json!(["theName", "given"]))
    );
    check::<Through>(Role::Input, &json!({"type": "string"}));
    check::<Through>(
        Role::Output,
        &json!({"type": "array", "items": {"type": "integer", "minimum": 0}}),
    );
}
