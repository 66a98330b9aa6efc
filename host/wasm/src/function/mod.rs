//! Exported functions as steps: which ones a component has, and calls of them.
//!
//! | file | idea |
//! |---|---|
//! | `types` | from the types in a component to those that have a JSON form |
//! | `values` | between values of the component model and JSON |
//! | `returned` | what a function returned, as an outcome |

mod returned;
#[cfg(test)]
mod tests;
mod types;
mod values;

use milepost_core::function::{Function, Mismatch};
use milepost_core::outcome::{ErrorClass, Outcome, StepError, codes};
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{InstancePre, Val};

use crate::state::HostState;

pub(super) use returned::returned;
pub(super) use types::of;

/// The arguments of a call.
///
/// # Errors
/// The outcome of a call with others: the function is not called.
pub(super) fn arguments(function: &Function, input: &Value) -> Result<Vec<Val>, Box<Outcome>> {
    let unfit = |mismatch: Mismatch| {
        let message = format!(
            "the input does not fit `{}`: {mismatch}",
            function.call_name()
        );
        StepError::new(ErrorClass::Failed, codes::INVALID_INPUT, message)
    };
    let arguments = function.arguments::<values::Vals>(input);
    arguments.map_err(|mismatch| Box::new(Outcome::Failed(unfit(mismatch))))
}

/// Calls the function in a new instance.
pub(super) async fn call(
    pre: &InstancePre<HostState>,
    store: &mut Store<HostState>,
    function: &Function,
    arguments: &[Val],
) -> wasmtime::Result<Option<Val>> {
    let component = pre.component();
    let interface = function.interface.as_deref();
    let interface = interface.map(|name| component.get_export_index(None, name));
    let index = match interface {
        Some(None) => None,
        Some(Some(interface)) => component.get_export_index(Some(&interface), &*function.name),
        None => component.get_export_index(None, &*function.name),
    };
    let instance = pre.instantiate_async(&mut *store).await?;
    let found = index.and_then(|index| instance.get_func(&mut *store, index));
    let Some(found) = found else {
        let missing = function.full_name();
        return Err(wasmtime::format_err!("the component has no `{missing}`"));
    };
    let mut results = vec![Val::Bool(false); usize::from(function.result.is_some())];
    found.call_async(store, arguments, &mut results).await?;
    Ok(results.pop())
}
