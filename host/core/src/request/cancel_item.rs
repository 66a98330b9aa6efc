//! Cancel an item: a person does not want one item of a fan-out to be worked at, now or later.

use crate::decide::interrupt_inside;
use crate::event::{Event, ForEachEvent};
use crate::ids::Path;
use crate::state::{RunState, Status, StepRecord};

/// Why an item cannot be cancelled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCancellable {
    /// The run is over.
    #[error("the run is {0}")]
    Over(Status),
    /// Nothing of that name is an item of a fan-out that has begun.
    #[error("`{0}` is no item of a fan-out that has begun")]
    NoItem(String),
    /// It has ended with an output.
    #[error("`{0}` has completed")]
    Completed(Path),
    /// Its fan-out has ended with an output.
    #[error("the fan-out of `{0}` has ended")]
    Ended(Path),
}

/// Whether a person has cancelled the item at a path.
#[must_use]
pub fn is_cancelled(state: &RunState, item: &Path) -> bool {
    let record = state.executions().at(item);
    record.is_some_and(StepRecord::is_cancelled_item)
}

/// What is recorded when a person cancels the item at a path; nothing when that was done before.
///
/// # Errors
/// [`NotCancellable`].
pub fn cancel_item(state: &RunState, named: &str, by: &str) -> Result<Vec<Event>, NotCancellable> {
    if state.phase().status().is_terminal() {
        return Err(NotCancellable::Over(state.phase().status()));
    }
    let no_item = || NotCancellable::NoItem(named.to_owned());
    let path: Path = named.parse().map_err(|_| no_item())?;
    let (fan_out, index) = path.fan_out().ok_or_else(no_item)?;
    let around = state.executions().at(&fan_out).ok_or_else(no_item)?;
    let items = around.items().ok_or_else(no_item)?;
    if index >= items.len() {
        return Err(no_item());
    }
    let settled = state.executions().at(&path).and_then(|item| item.settled());
    match settled {
        Some(settled) if !settled.has_failed() => return Err(NotCancellable::Completed(path)),
        Some(_) if is_cancelled(state, &path) => return Ok(Vec::new()),
        Some(_) | None => {}
    }
    if around
        .settled()
        .is_some_and(|settled| !settled.has_failed())
    {
        return Err(NotCancellable::Ended(path));
    }
    let by = by.to_owned();
    let cancelled = ForEachEvent::ItemCancelled { by }.at(path.clone());
    Ok(interrupt_inside(state, &path, cancelled))
}
