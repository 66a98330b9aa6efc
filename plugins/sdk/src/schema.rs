//! JSON Schemas of inputs and outputs. Derive [`Schema`]; the rest of this module is what the derived code calls.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Whether a schema is of what a step takes or of what it gives. They differ in which properties must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A property with a default, or of an optional type, may be left out.
    Input,
    /// All properties are there but those with `skip_serializing_if`; no others are.
    Output,
}

/// A type that has a JSON Schema (draft 2020-12). Derive it next to serde's traits:
///
/// ```
/// use milepost_sdk::{Role, Schema, schema};
///
/// /// Where to look.
/// #[derive(serde::Deserialize, Schema)]
/// #[serde(deny_unknown_fields)]
/// struct Query {
///     /// An address.
///     url: String,
///     #[serde(default)]
///     depth: u8,
///     proxy: Option<String>,
/// }
///
/// assert_eq!(
///     schema::text::<Query>(Role::Input),
///     concat!(
///         r#"{"type":"object","properties":{"#,
///         r#""url":{"type":"string","description":"An address."},"#,
///         r#""depth":{"type":"integer","minimum":0},"#,
///         r#""proxy":{"anyOf":[{"type":"string"},{"type":"null"}]}},"#,
///         r#""required":["url"],"additionalProperties":false,"#,
///         r#""description":"Where to look."}"#,
///     ),
/// );
/// ```
///
/// A type that contains itself has no end here: write such an implementation by hand, with less detail.
pub trait Schema {
    /// A description as a JSON text with its quotes; empty for none.
    const DESCRIPTION: &'static str = "";

    /// Whether a field of this type may be left out of an input.
    const OPTIONAL: bool = false;

    /// Appends the members of the schema object, separated by commas, without the braces.
    fn write(out: &mut String, role: Role);
}

/// The whole schema of a type.
#[must_use]
pub fn text<T: Schema>(role: Role) -> String {
    let mut out = String::new();
    property::<T>(&mut out, role, "");
    out
}

/// Appends the schema of a type with a description of its own, which may be empty.
#[doc(hidden)]
pub fn property<T: Schema>(out: &mut String, role: Role, description: &str) {
    described(out, role, T::write, [description, T::DESCRIPTION]);
}

/// Once for all types: only the small functions above are made per type.
fn described(out: &mut String, role: Role, write: fn(&mut String, Role), texts: [&str; 2]) {
    out.push('{');
    let start = out.len();
    write(out, role);
    if let Some(text) = texts.iter().find(|text| !text.is_empty()) {
        if out.len() > start {
            out.push(',');
        }
        out.push_str("\"description\":");
        out.push_str(text);
    }
    out.push('}');
}

/// Name and description as JSON texts, and what appends the schema.
#[doc(hidden)]
pub type Property = (&'static str, &'static str, fn(&mut String, Role, &str));

/// Appends what [`Schema::write`] says of an object with these properties.
#[doc(hidden)]
pub fn object(
    out: &mut String,
    role: Role,
    properties: &[Property],
    required: &[bool],
    closed: bool,
) {
    out.push_str("\"type\":\"object\",\"properties\":{");
    let mut separator = "";
    for (name, description, write) in properties {
        out.push_str(separator);
        out.push_str(name);
        out.push(':');
        write(out, role, description);
        separator = ",";
    }
    out.push('}');
    if required.contains(&true) {
        let mut separator = ",\"required\":[";
        for ((name, ..), _) in properties.iter().zip(required).filter(|(_, is)| **is) {
            out.push_str(separator);
            out.push_str(name);
            separator = ",";
        }
        out.push(']');
    }
    if closed || role == Role::Output {
        out.push_str(",\"additionalProperties\":false");
    }
}

macro_rules! plain {
    ($($schema:literal: $($type:ty),+;)+) => {$($(
        impl Schema for $type {
            fn write(out: &mut String, _: Role) {
                out.push_str($schema);
            }
        }
    )+)+};
}

plain! {
    r#""type":"string""#: String, &str, char;
    r#""type":"boolean""#: bool;
    r#""type":"number""#: f32, f64;
    r#""type":"integer""#: i8, i16, i32, i64, isize;
    r#""type":"integer","minimum":0"#: u8, u16, u32, u64, usize;
    r#""type":"object""#: Map<String, Value>;
    "": Value;
}

impl<T: Schema> Schema for Box<T> {
    const DESCRIPTION: &'static str = T::DESCRIPTION;
    const OPTIONAL: bool = T::OPTIONAL;

    fn write(out: &mut String, role: Role) {
        T::write(out, role);
    }
}

impl<T: Schema> Schema for Option<T> {
    const OPTIONAL: bool = true;

    fn write(out: &mut String, role: Role) {
        out.push_str("\"anyOf\":[");
        property::<T>(out, role, "");
        out.push_str(",{\"type\":\"null\"}]");
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn write(out: &mut String, role: Role) {
        out.push_str("\"type\":\"array\",\"items\":");
        property::<T>(out, role, "");
    }
}

impl<K, T: Schema> Schema for BTreeMap<K, T> {
    fn write(out: &mut String, role: Role) {
        out.push_str("\"type\":\"object\",\"additionalProperties\":");
        property::<T>(out, role, "");
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    #![expect(dead_code, reason = "only the schemas of these types matter")]

    use milepost_sdk_derive::Schema;
    use serde_json::json;

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
        map: BTreeMap<String, Kind>,
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
    enum Kind {
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
                "type": {"type": "integer", "minimum": 0},
            },
            "required": ["firstName", "list", "map", "any", "type"],
        });
        assert_eq!(schema::<Everything>(Role::Input), expected);
    }

    #[test]
    fn outputs_are_closed_and_complete() {
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
            r#"{"type":"object","properties":{}}"#
        );
    }
}
