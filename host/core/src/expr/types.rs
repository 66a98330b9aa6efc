//! What is known about a value before anything runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// The static type of an expression or of a value it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Nothing is known; every operation is left to run time.
    Dyn,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits with a sign.
    Int,
    /// A number with a fraction or an exponent.
    Double,
    /// An int or a double: what JSON Schema calls a number.
    Number,
    /// A string.
    String,
    /// One of these values, all of one plain type.
    OneOf {
        /// That type.
        base: Box<Type>,
        /// The values; at least one.
        values: Arc<[Value]>,
    },
    /// A list and the type of its elements.
    List(Box<Type>),
    /// An object: the fields known by name, and whether there may be others.
    Object {
        /// Types of the known fields.
        fields: BTreeMap<String, Type>,
        /// Whether a field that is not in `fields` is allowed; if so its type is [`Type::Dyn`].
        open: bool,
    },
    /// A value that may be missing: a chain with `.?` before its `.orValue(..)`. No whole expression has this type.
    Optional(Box<Type>),
}

impl Type {
    /// An object of which nothing is known.
    #[must_use]
    pub fn any_object() -> Self {
        Self::Object {
            fields: BTreeMap::new(),
            open: true,
        }
    }

    /// One of these words.
    #[must_use]
    pub fn one_of(words: &[&str]) -> Self {
        Self::OneOf {
            base: Box::new(Self::String),
            values: words.iter().map(|word| Value::from(*word)).collect(),
        }
    }

    /// The same, where only these values are allowed: known only if all of them are plain values of this type.
    #[must_use]
    pub fn among(self, values: &[Value]) -> Self {
        let plain = matches!(
            self,
            Self::Bool | Self::Int | Self::Double | Self::Number | Self::String
        );
        if !plain || values.is_empty() || !values.iter().all(|value| Self::of(value).fits(&self)) {
            return self;
        }
        Self::OneOf {
            base: Box::new(self),
            values: values.into(),
        }
    }

    /// The type without what is known of the values.
    #[must_use]
    pub fn base(&self) -> &Self {
        match self {
            Self::OneOf { base, .. } => base,
            ty => ty,
        }
    }

    /// The type that a JSON Schema describes.
    ///
    /// Reads `type`, `enum`, `const`, `properties`, `additionalProperties` and `items`. Everything else only narrows the values
    /// that are allowed, and is ignored; several types, a reference or no `type` at all give [`Type::Dyn`].
    #[must_use]
    pub fn from_json_schema(schema: &Value) -> Self {
        let ty = Self::declared(schema);
        match (schema.get("enum"), schema.get("const")) {
            (Some(Value::Array(values)), _) => ty.among(values),
            (_, Some(value)) => ty.among(std::slice::from_ref(value)),
            _ => ty,
        }
    }

    fn declared(schema: &Value) -> Self {
        match schema.get("type").and_then(Value::as_str) {
            Some("null") => Self::Null,
            Some("boolean") => Self::Bool,
            Some("integer") => Self::Int,
            Some("number") => Self::Number,
            Some("string") => Self::String,
            Some("array") => Self::List(Box::new(
                schema
                    .get("items")
                    .map_or(Self::Dyn, Self::from_json_schema),
            )),
            Some("object") => Self::Object {
                fields: schema
                    .get("properties")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(name, schema)| (name.clone(), Self::from_json_schema(schema)))
                    .collect(),
                // An absent `additionalProperties` allows any.
                open: schema.get("additionalProperties") != Some(&Value::Bool(false)),
            },
            Some(_) | None => Self::Dyn,
        }
    }

    /// The type of a value that is already known.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) if !number.is_f64() => Self::Int,
            Value::Number(_) => Self::Double,
            Value::String(_) => Self::String,
            Value::Array(items) => Self::list_of(items.iter().map(Self::of)),
            Value::Object(fields) => Self::Object {
                fields: fields
                    .iter()
                    .map(|(k, v)| (k.clone(), Self::of(v)))
                    .collect(),
                open: false,
            },
        }
    }

    /// A list whose elements have these types.
    pub(super) fn list_of(types: impl IntoIterator<Item = Self>) -> Self {
        let element = types.into_iter().reduce(|a, b| a.join(&b));
        Self::List(Box::new(element.unwrap_or(Self::Dyn)))
    }

    /// The narrowest type that covers both.
    pub(super) fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a.clone(),
            (Self::OneOf { base, .. }, other) | (other, Self::OneOf { base, .. }) => {
                base.join(other.base())
            }
            (a, b) if a.is_number() && b.is_number() => Self::Number,
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.join(b))),
            (Self::Object { .. }, Self::Object { .. }) => Self::any_object(),
            _ => Self::Dyn,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.base(), Self::Int | Self::Double | Self::Number)
    }

    /// Whether `==` between these can be true.
    pub(super) fn may_equal(&self, other: &Self) -> bool {
        match (self.base(), other.base()) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b)) => a.may_equal(b),
            (Self::Object { .. }, Self::Object { .. } | Self::Null)
            | (Self::Null, Self::Object { .. }) => true,
            (a, b) => a == b || (a.is_number() && b.is_number()),
        }
    }

    /// Whether `<` between these is defined.
    pub(super) fn may_order(&self, other: &Self) -> bool {
        let orderable =
            |t: &Self| t.is_number() || matches!(t.base(), Self::Dyn | Self::String | Self::Bool);
        orderable(self) && orderable(other) && self.may_equal(other)
    }

    /// Whether a value of this type can be used where `expected` is.
    pub(super) fn fits(&self, expected: &Self) -> bool {
        let (this, expected) = (self.base(), expected.base());
        *this == Self::Dyn
            || this == expected
            || (*this == Self::Number && expected.is_number())
            || (*expected == Self::Number && this.is_number())
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("any value"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::OneOf { base, .. } => base.fmt(f),
            Self::List(element) if **element == Self::Dyn => f.write_str("list"),
            Self::List(element) => write!(f, "list of {element}"),
            Self::Object { .. } => f.write_str("object"),
            Self::Optional(inner) => write!(f, "optional {inner}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_become_types() {
        let text = |schema: &Value| Type::from_json_schema(schema).to_string();
        for (schema, expected) in [
            (json!({"type": "integer", "enum": [1, 2]}), "int"),
            (json!({"type": "string", "enum": []}), "string"),
            (json!({"type": "string", "const": "a"}), "string"),
            (json!({"type": "number"}), "number"),
            (json!({"type": "string", "minLength": 1}), "string"),
            (json!({"type": "boolean"}), "bool"),
            (json!({"type": "null"}), "null"),
            (json!({"type": "array"}), "list"),
            (
                json!({"type": "array", "items": {"type": "string"}}),
                "list of string",
            ),
            (json!({"type": ["string", "null"]}), "any value"),
            (json!({"$ref": "#/x"}), "any value"),
            (json!({"properties": {"a": {}}}), "any value"),
            (json!(true), "any value"),
            (json!("nonsense"), "any value"),
            (json!({"type": "object"}), "object"),
        ] {
            assert_eq!(text(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn known_values_are_kept_where_they_are_of_the_type() {
        for (schema, known) in [
            (json!({"type": "string", "enum": ["a", "b"]}), true),
            (json!({"type": "string", "const": "a"}), true),
            (json!({"type": "number", "enum": [1, 2.5]}), true),
            (json!({"type": "string", "enum": ["a", null]}), false),
            (json!({"type": "string", "enum": []}), false),
            (json!({"type": "array", "enum": [[1]]}), false),
            (json!({"enum": ["a"]}), false),
        ] {
            let ty = Type::from_json_schema(&schema);
            assert_eq!(matches!(ty, Type::OneOf { .. }), known, "{schema}");
        }
        let words = Type::one_of(&["a", "b"]);
        assert_eq!(words.join(&words), words);
        assert_eq!(words.join(&Type::one_of(&["c"])), Type::String);
        assert_eq!(words.join(&Type::String), Type::String);
        assert!(words.fits(&Type::String) && Type::String.fits(&words));
        assert!(words.may_order(&Type::String) && !words.may_equal(&Type::Int));
    }

    #[test]
    fn objects_are_open_unless_closed() {
        let schema = |extra: Value| {
            let mut schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
            schema["additionalProperties"] = extra;
            Type::from_json_schema(&schema)
        };
        let object = |open| Type::Object {
            fields: BTreeMap::from([("n".to_owned(), Type::Int)]),
            open,
        };
        assert_eq!(schema(json!(false)), object(false));
        assert_eq!(schema(json!(true)), object(true));
        assert_eq!(schema(json!({"type": "string"})), object(true));
    }

    #[test]
    fn joining_keeps_what_is_common() {
        let list = |t| Type::List(Box::new(t));
        assert_eq!(Type::Int.join(&Type::Double), Type::Number);
        assert_eq!(Type::Int.join(&Type::String), Type::Dyn);
        assert_eq!(
            list(Type::Int).join(&list(Type::Double)),
            list(Type::Number)
        );
        assert_eq!(Type::of(&json!([1, 2.5])), list(Type::Number));
        assert_eq!(Type::of(&json!([])), list(Type::Dyn));
    }
}
