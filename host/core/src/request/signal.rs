//! Signal: somebody sends a name and a value, for a wait or for a paused component.

use serde_json::Value;

use super::posted::{self, Posted};
use crate::decide::{fits, overdue};
use crate::definition::{Definition, UnknownSignal};
use crate::event::{Event, StepEvent, WaitEvent};
use crate::ids::Path;
use crate::limits;
use crate::payload::{Payload, within_depth};
use crate::state::{RunState, Status, StepPhase};
use crate::time::Timestamp;
use crate::wait::{Wait, is_child_signal, signal_output};

/// Why a signal cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalRefused {
    /// Its name is empty, or too long, or holds what is no text everywhere.
    #[error("a signal's name has 1 to {} bytes and no NUL", limits::NOTE_BYTES)]
    Name,
    /// The engine itself tells runs something under its name.
    #[error("signals of that name are the engine's own")]
    Reserved,
    /// Its token is empty, or too long, or holds what is no text everywhere.
    #[error("a signal's token has 1 to {} bytes and no NUL", limits::TOKEN_BYTES)]
    Token,
    /// Its token stands for another signal.
    #[error(
        "another signal was already sent with that token; a token belongs to one name and its data"
    )]
    TokenTaken,
    /// Its value cannot be read back.
    #[error("its data is nested deeper than {} levels", limits::JSON_DEPTH)]
    TooDeep,
    /// Its value is larger than what is kept.
    #[error("its data takes {0} bytes, more than the maximum of {max}", max = limits::SIGNAL_BYTES)]
    TooLarge(usize),
    /// The run is over.
    #[error("the run is {0}")]
    Over(Status),
    /// The run is about to end.
    #[error("the run is being cancelled")]
    Ends,
    /// What comes with it has no room where the run waits for it.
    #[error("{0}")]
    NoRoom(String),
    /// Nothing in the workflow can wait for it.
    #[error("nothing in the workflow waits for it")]
    Unknown(UnknownSignal),
}

/// What sending a signal comes to.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
pub enum Sending {
    /// It is kept for the run, which takes it now or when it waits for it.
    Keep,
    /// It is too late for the wait that it would have ended: record this, and tell its sender what holds.
    TooLate {
        /// The wait.
        path: Path,
        /// What its time makes of it.
        event: Event,
    },
}

/// The text of what is sent, where it can be kept at all.
///
/// # Errors
/// [`SignalRefused`].
pub fn text(name: &str, data: &Value) -> Result<String, SignalRefused> {
    if !is_word(name, limits::NOTE_BYTES) {
        return Err(SignalRefused::Name);
    }
    if is_reserved(name) {
        return Err(SignalRefused::Reserved);
    }
    if !within_depth(data, limits::JSON_DEPTH) {
        return Err(SignalRefused::TooDeep);
    }
    let text = data.to_string();
    match text.len() {
        bytes if bytes > limits::SIGNAL_BYTES => Err(SignalRefused::TooLarge(bytes)),
        _ => Ok(text),
    }
}

/// Whether the engine itself tells runs something under such a name.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    is_child_signal(name) || name == posted::NAME
}

/// Whether a sender can name a signal so.
///
/// # Errors
/// [`SignalRefused::Token`].
pub fn token(token: &str) -> Result<(), SignalRefused> {
    match is_word(token, limits::TOKEN_BYTES) {
        true => Ok(()),
        false => Err(SignalRefused::Token),
    }
}

/// Whether every store can keep it as a text of its own: some databases have none with a NUL.
fn is_word(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.contains('\0')
}

/// Whether the run can be sent anything; `ends` says that it was asked to end.
///
/// # Errors
/// [`SignalRefused`].
pub fn reachable(state: &RunState, ends: bool) -> Result<(), SignalRefused> {
    match state.phase().status() {
        status if status.is_terminal() => Err(SignalRefused::Over(status)),
        _ if ends => Err(SignalRefused::Ends),
        _ => Ok(()),
    }
}

/// Somebody sends a signal now. A definition that cannot be read any more (`None`) tells nothing against it.
///
/// # Errors
/// [`SignalRefused`].
pub fn send(
    definition: Option<&Definition>,
    state: &RunState,
    name: &str,
    data: &Value,
    now: Timestamp,
) -> Result<Sending, SignalRefused> {
    if let Some(definition) = definition {
        definition
            .can_wait_for(name)
            .map_err(SignalRefused::Unknown)?;
        if let Some(path) = state.awaits(name)
            && let Some(event) = overdue(definition, state, path, now.max(state.updated_at()))
        {
            let path = path.clone();
            return Ok(Sending::TooLate { path, event });
        }
    }
    match received(state, name, Payload::new(data.clone()), now) {
        Some(Event::Step {
            event: StepEvent::Failed { error, .. },
            ..
        }) => Err(SignalRefused::NoRoom(error.message)),
        _ => Ok(Sending::Keep),
    }
}

/// A signal that is kept for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept<'a> {
    /// Its number among those of the run.
    pub number: u64,
    /// Its name.
    pub name: &'a str,
    /// The text of its value.
    pub data: &'a str,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// Taking a signal, or a request, out of what is kept for the run, with what it does there.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Delivery {
    /// Its number.
    pub number: u64,
    /// What is recorded: nothing of a request that does not hold any more.
    pub events: Vec<Event>,
}

/// The value of a kept signal cannot be read: it was checked when it was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the data of signal {number}: {cause}")]
pub struct DamagedSignal {
    /// The number of the signal.
    pub number: u64,
    /// What is wrong with it.
    pub cause: String,
}

/// The first of what is kept that moves the run where it stands: a signal that ends a wait, or a request, which is taken whatever
/// it comes to. Without a definition that can be read, requests stay where they are.
///
/// # Errors
/// [`DamagedSignal`].
pub fn deliver<'a>(
    definition: Option<&Definition>,
    state: &RunState,
    kept: impl IntoIterator<Item = Kept<'a>>,
) -> Result<Option<Delivery>, DamagedSignal> {
    for signal in kept {
        let number = signal.number;
        let damaged = |error: serde_json::Error| DamagedSignal {
            number,
            cause: error.to_string(),
        };
        if signal.name == posted::NAME {
            let Some(definition) = definition else {
                continue;
            };
            // A newer program may know requests that this one does not.
            let posted = serde_json::from_str::<Posted>(signal.data).ok();
            let events = posted.map(|posted| posted.events(definition, state, signal.sent_at));
            let events = events.unwrap_or_default();
            return Ok(Some(Delivery { number, events }));
        }
        if is_reserved(signal.name) || state.awaits(signal.name).is_none() {
            continue;
        }
        let data: Value = serde_json::from_str(signal.data).map_err(damaged)?;
        if let Some(event) = received(state, signal.name, Payload::new(data), signal.sent_at) {
            let events = vec![event];
            return Ok(Some(Delivery { number, events }));
        }
    }
    Ok(None)
}

/// What a signal that was sent at `sent_at` does where the run stands; `None` when nothing waits for it there, or it came when
/// the time of the wait was over.
fn received(state: &RunState, name: &str, data: Payload, sent_at: Timestamp) -> Option<Event> {
    let path = state.awaits(name)?.clone();
    let taken = |data| {
        StepEvent::Wait(WaitEvent::SignalReceived {
            signal: name.to_owned(),
            data,
            sent_at,
        })
    };
    let StepPhase::Awaiting {
        wait: Wait::Signal { until, .. },
    } = &state.executions().latest(&path)?.phase
    else {
        return Some(taken(data).at(path));
    };
    if until.is_some_and(|until| until <= sent_at) {
        return None;
    }
    let output = signal_output(name, Some(&data.value()));
    let what = "what came with the signal";
    let event = match fits(state, &path, what, output.text().len()) {
        Ok(()) => taken(data),
        Err(error) => StepEvent::failed(*error),
    };
    Some(event.at(path))
}
