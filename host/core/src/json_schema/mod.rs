//! JSON Schemas as what values are held against at run time: compiled once, and bounded whatever the schema says.
//!
//! The schemas come with components, which nobody has to trust. Alternatives inside of alternatives multiply and references go in
//! circles, so a check counts its work and ends as [`Unfit::TooMuch`] where it would not come to an end in time.
//!
//! Keywords of JSON Schema 2020-12 are known but for these, which say nothing here: `pattern` and `patternProperties` (then other
//! properties are not judged either), `format`, `unevaluatedProperties`, `unevaluatedItems`, dynamic references, and references that
//! lead out of the schema.

mod check;
mod compile;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use crate::definition::Manifest;

pub use check::{Problem, Unfit};

/// A schema that values are checked against.
#[derive(Debug)]
pub struct JsonSchema {
    nodes: Vec<Node>,
    root: usize,
}

/// One schema, also one inside another. Others are named by their position.
#[derive(Debug)]
enum Node {
    Anything,
    Nothing,
    Keywords(Box<Keywords>),
}

#[derive(Debug, Default)]
struct Keywords {
    types: Option<Vec<Kind>>,
    /// `enum` or `const`.
    values: Option<Vec<Value>>,
    numbers: Numbers,
    length: Bounds,
    objects: Objects,
    lists: Lists,
    /// `$ref`, `allOf`.
    all: Vec<usize>,
    any_of: Vec<usize>,
    one_of: Vec<usize>,
    not: Option<usize>,
    /// `if`, `then`, `else`.
    condition: Option<(usize, Option<usize>, Option<usize>)>,
}

#[derive(Debug, Default)]
struct Numbers {
    minimum: Option<Number>,
    maximum: Option<Number>,
    more_than: Option<Number>,
    less_than: Option<Number>,
    multiple_of: Option<Number>,
}

#[derive(Debug, Default)]
struct Bounds {
    least: Option<u64>,
    most: Option<u64>,
}

#[derive(Debug, Default)]
struct Objects {
    required: Vec<String>,
    properties: BTreeMap<String, usize>,
    /// Of properties that are not listed.
    others: Option<usize>,
    names: Option<usize>,
    size: Bounds,
    /// With this property, these are required.
    with_required: BTreeMap<String, Vec<String>>,
    /// With this property, the object fits this, too.
    with_schema: BTreeMap<String, usize>,
}

#[derive(Debug, Default)]
struct Lists {
    first: Vec<usize>,
    items: Option<usize>,
    contains: Option<usize>,
    contained: Bounds,
    size: Bounds,
    unique: bool,
}

/// The types of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::String,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }

    fn has(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null)
            | (Self::Boolean, Value::Bool(_))
            | (Self::Number, Value::Number(_))
            | (Self::String, Value::String(_))
            | (Self::Array, Value::Array(_))
            | (Self::Object, Value::Object(_)) => true,
            // JSON Schema counts 2.0 as an integer.
            (Self::Integer, Value::Number(number)) => {
                !number.is_f64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
            }
            _ => false,
        }
    }
}

/// What a step takes and gives.
#[derive(Debug)]
pub struct StepContract {
    /// What its input has to fit.
    pub input: JsonSchema,
    /// What its output has to fit.
    pub output: JsonSchema,
}

/// The contracts of a component's steps, by their names.
#[derive(Debug, Default)]
pub struct Contracts(BTreeMap<String, StepContract>);

impl Contracts {
    /// Those that a manifest declares.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        let steps = manifest.steps.iter();
        let compiled = steps.map(|(name, step)| {
            let contract = StepContract {
                input: JsonSchema::compile(&step.input),
                output: JsonSchema::compile(&step.output),
            };
            (name.clone(), contract)
        });
        Self(compiled.collect())
    }

    /// That of a step.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&StepContract> {
        self.0.get(name)
    }

    /// Whether nothing is declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
