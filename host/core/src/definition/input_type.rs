//! Types of declared inputs: their names, and which values fit.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::model::{InputSpec, InputType};
use crate::effect::Artifact;
use crate::expr::Type;

impl InputSpec {
    /// What expressions see.
    pub(super) fn expr_type(&self) -> Type {
        let ty = self.ty.expr_type();
        match &self.allowed {
            Some(values) => ty.among(values),
            None => ty,
        }
    }
}

impl InputType {
    /// The type of that name in a definition.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "string" => Self::String,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "json" => Self::Json,
            "file" => Self::File,
            _ => return None,
        })
    }

    /// Its name in a definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Json => "json",
            Self::File => "file",
        }
    }

    /// What expressions see.
    pub(crate) fn expr_type(self) -> Type {
        match self {
            Self::String => Type::String,
            Self::Int => Type::Int,
            Self::Float => Type::Double,
            Self::Bool => Type::Bool,
            Self::Json => Type::Dyn,
            Self::File => Type::Object {
                fields: BTreeMap::from(
                    [
                        ("digest", Type::String),
                        ("size", Type::Int),
                        ("media_type", Type::String),
                        ("name", Type::String),
                    ]
                    .map(|(name, ty)| (name.to_owned(), ty)),
                ),
                open: false,
            },
        }
    }

    /// The value in this type: as it is, or a whole number where a float is wanted and a double holds it; `None` when it does
    /// not fit.
    pub(super) fn accept(self, value: Value) -> Option<Value> {
        match self {
            Self::String => value.is_string().then_some(value),
            Self::Int => value.is_i64().then_some(value),
            Self::Float => {
                let double = value.as_f64()?;
                let whole = value.as_i64().map(i128::from);
                let whole = whole.or_else(|| value.as_u64().map(i128::from));
                let exact = whole.is_none_or(|whole| double as i128 == whole);
                Number::from_f64(double)
                    .filter(|_| exact)
                    .map(Value::Number)
            }
            Self::Bool => value.is_boolean().then_some(value),
            Self::Json => Some(value),
            Self::File => Artifact::from_value(&value).map(|artifact| artifact.to_value()),
        }
    }
}
