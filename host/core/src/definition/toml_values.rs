//! TOML values as JSON values.

use serde_json::{Map, Number, Value};
use toml::de::DeValue;

/// The 64-bit integer, when it is one.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The integer of 64 bits, with or without a sign, when it is one.
pub(super) fn whole(value: &DeValue<'_>) -> Option<Number> {
    if let Some(signed) = integer(value) {
        return Some(signed.into());
    }
    let integer = value.as_integer()?;
    let unsigned = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
    unsigned.map(Number::from)
}

/// The finite number, when it is one.
pub(super) fn number(value: &DeValue<'_>) -> Option<f64> {
    if let Some(integer) = integer(value) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a number is a double in this place"
        )]
        return Some(integer as f64);
    }
    let float: f64 = value.as_float()?.as_str().parse().ok()?;
    float.is_finite().then_some(float)
}

/// The JSON value of a checked TOML value. What JSON cannot hold reads as null; the shape check has refused it.
pub(super) fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(_) => whole(value).map_or(Value::Null, Value::Number),
        DeValue::Float(_) => number(value)
            .and_then(Number::from_f64)
            .map_or(Value::Null, Value::Number),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(_) => Value::Null,
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(name, value)| (name.get_ref().to_string(), to_json(value.get_ref())));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}
