//! What a function returned, as an outcome.

use milepost_core::function::{Function, Ty};
use milepost_core::limits::{self, NAME_BYTES};
use milepost_core::outcome::{ErrorClass, Outcome, StepError, codes};
use milepost_core::shown;
use serde_json::Value;
use wasmtime::component::Val;

use super::values::{self, Unwritable};
use crate::guest_json::{self, UnusableJson};

/// Code of a failure that names no case of its own.
const FAILED: &str = "failed";

/// The outcome of a call that returned: of a `result`, the one side is the output and the other a failure that no other attempt
/// changes. `max_bytes` bounds either.
pub(crate) fn returned(function: &Function, value: Option<&Val>, max_bytes: usize) -> Outcome {
    match (&function.result, value) {
        (Some(Ty::Result { err, .. }), Some(Val::Result(Err(error)))) => {
            failure(err.as_deref(), error.as_deref(), max_bytes)
        }
        (Some(Ty::Result { ok, .. }), Some(Val::Result(Ok(value)))) => {
            output(ok.as_deref(), value.as_deref(), max_bytes)
        }
        (ty, value) => output(ty.as_ref(), value, max_bytes),
    }
}

fn output(ty: Option<&Ty>, value: Option<&Val>, max_bytes: usize) -> Outcome {
    match json(ty, value, max_bytes) {
        Ok(value) => Outcome::Completed(value),
        Err(error) => Outcome::Failed(*error),
    }
}

fn failure(ty: Option<&Ty>, value: Option<&Val>, max_bytes: usize) -> Outcome {
    let detail = match json(ty, value, max_bytes) {
        Ok(detail) => detail,
        Err(error) => return Outcome::Failed(*error),
    };
    let code = match value {
        Some(Val::Enum(case) | Val::Variant(case, _)) => shown::excerpt(case, NAME_BYTES),
        _ => FAILED.to_owned(),
    };
    let message = match (value, &detail) {
        (Some(Val::Variant(_, Some(payload))), _) if said(payload).is_some() => {
            said(payload).unwrap_or_default().to_owned()
        }
        (Some(value), _) if said(value).is_some() => said(value).unwrap_or_default().to_owned(),
        (_, Value::Null) => "the function returned an error".to_owned(),
        (_, detail) => format!("the function returned the error {detail}"),
    };
    let detail = (!detail.is_null()).then_some(detail);
    Outcome::Failed(StepError {
        detail,
        ..StepError::new(ErrorClass::Failed, &code, shown::message(message))
    })
}

/// What an error says to people: a text, or the field `message` of a record.
fn said(value: &Val) -> Option<&str> {
    match value {
        Val::String(text) => Some(text),
        Val::Record(fields) => fields.iter().find_map(|(name, value)| match value {
            Val::String(text) if name == "message" => Some(text.as_str()),
            _ => None,
        }),
        _ => None,
    }
}

/// As any JSON of a guest: within its bounds, and as it will be read back.
fn json(ty: Option<&Ty>, value: Option<&Val>, max_bytes: usize) -> Result<Value, Box<StepError>> {
    let text = values::to_json(ty, value, max_bytes).map_err(|unwritable| match unwritable {
        Unwritable::TooLarge => {
            let message = format!("what the function returned has, as JSON, more than the {max_bytes} bytes that a step output may have");
            Box::new(StepError::new(ErrorClass::Trap, codes::OUTPUT_TOO_LARGE, message))
        }
        Unwritable::OtherType => {
            let message = "what the function returned is not of its type";
            Box::new(StepError::new(ErrorClass::Host, codes::HOST_ERROR, message))
        }
    })?;
    guest_json::parse(&text, max_bytes, limits::JSON_DEPTH).map_err(|unusable| {
        let code = match &unusable {
            UnusableJson::TooLarge { .. } => codes::OUTPUT_TOO_LARGE,
            UnusableJson::Content(content) if content.is_too_large() => codes::OUTPUT_TOO_LARGE,
            UnusableJson::TooDeep { .. } | UnusableJson::Content(_) => codes::INVALID_OUTPUT,
        };
        let message = format!("what the function returned cannot be used: {unusable}");
        Box::new(StepError::new(ErrorClass::Trap, code, message))
    })
}
