//! JSON Schema of a type: what values are given, and what values are returned.

use serde_json::{Map, Value, json};

use super::ty::{Field, Ty};

/// Which way a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// To the function: what may be left out is not required.
    Input,
    /// From the function: everything is there.
    Output,
}

/// The schema of a value.
pub(super) fn of(ty: &Ty, given: Given) -> Value {
    let inner = |ty: &Ty| of(ty, given);
    match ty {
        Ty::Bool => json!({"type": "boolean"}),
        Ty::Int(int) => {
            let (least, most) = int.range();
            let number = |n: i128| u64::try_from(n).map_or_else(|_| json!(n as i64), |n| json!(n));
            json!({"type": "integer", "minimum": number(least), "maximum": number(most)})
        }
        Ty::Float(_) => {
            json!({"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]})
        }
        Ty::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        Ty::String => json!({"type": "string"}),
        _ if ty.is_bytes() => {
            let base64 = single(
                "base64",
                json!({"type": "string", "contentEncoding": "base64"}),
            );
            match given {
                Given::Input => {
                    json!({"oneOf": [base64, single("text", json!({"type": "string"}))]})
                }
                Given::Output => base64,
            }
        }
        Ty::List(element) => json!({"type": "array", "items": inner(element)}),
        Ty::Record(fields) => record(fields, given),
        Ty::Tuple(types) => {
            let items: Vec<Value> = types.iter().map(inner).collect();
            let length = items.len();
            json!({"type": "array", "prefixItems": items, "items": false, "minItems": length, "maxItems": length})
        }
        Ty::Variant(cases) => {
            let cases = cases.iter().map(|case| match &case.ty {
                Some(ty) => single(&case.name, inner(ty)),
                None => json!({"const": case.name}),
            });
            json!({"oneOf": cases.collect::<Vec<_>>()})
        }
        Ty::Enum(names) => json!({"type": "string", "enum": names}),
        Ty::Flags(names) => {
            json!({"type": "array", "items": {"enum": names}, "uniqueItems": true})
        }
        Ty::Option(some) if some.is_option() => {
            json!({"anyOf": [{"type": "null"}, single("some", inner(some))]})
        }
        Ty::Option(some) => json!({"anyOf": [{"type": "null"}, inner(some)]}),
        Ty::Result { ok, err } => {
            let side = |ty: &Option<std::sync::Arc<Ty>>| {
                ty.as_deref().map_or_else(|| json!({"type": "null"}), inner)
            };
            json!({"oneOf": [single("ok", side(ok)), single("err", side(err))]})
        }
    }
}

/// The schema of a record, or of the parameters of a function.
pub(super) fn record(fields: &[Field], given: Given) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.to_string(), of(&field.ty, given)))
        .collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| given == Given::Output || !field.ty.is_option())
        .map(|field| &*field.name)
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// An object of exactly one key.
fn single(name: &str, schema: Value) -> Value {
    json!({"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false})
}
