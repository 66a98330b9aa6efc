//! Signals and decisions: how they reach a run that waits for them.

use milepost_core::definition::{OnReject, StepKind};
use milepost_core::event::{Event, Stop, StopCode};
use milepost_core::ids::{Path, RunId};
use milepost_core::limits;
use milepost_core::payload::{Payload, within_depth};
use milepost_core::resume::rework;
use milepost_core::state::{Phase, RunState, Status};
use milepost_core::wait::Verdict;
use serde::Serialize;
use serde_json::Value;

use super::Engine;
use super::error::EngineError;
use crate::fault;
use crate::record::{self, Batch};
use crate::store::{NewSignal, Sent, StoreError, StoredSignal};

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalAnswer {
    /// The run was waiting for it and can go on.
    Delivered,
    /// It is kept until the run waits for it.
    Kept,
}

/// A person's decision at an approval.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The approval; may be left out when only one waits.
    pub path: Option<String>,
    /// What is decided.
    pub verdict: Verdict,
    /// Why.
    pub comment: Option<String>,
    /// Who decides.
    pub by: Option<String>,
}

/// What a decision did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// The approval.
    pub path: Path,
    /// What was decided.
    pub decision: Verdict,
    /// Status of the run now: paused and ready to go on, or cancelled.
    pub status: Status,
    /// Whether a person has to resume it, because somebody paused it or holds it.
    pub held: bool,
    /// How many rejections with rework the approval has left; absent when it has no rework.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rework_left: Option<u32>,
}

/// The first signal of the inbox that the state waits for, as an event, with its number.
///
/// # Errors
/// [`StoreError::Corrupt`] when its data is damaged: it was checked when it was sent.
pub(super) fn received(
    state: &RunState,
    inbox: &[StoredSignal],
    taken: &[u64],
) -> Result<Option<(u64, Event)>, StoreError> {
    let found = inbox
        .iter()
        .filter(|stored| !taken.contains(&stored.number))
        .find_map(|stored| Some((stored, state.awaits(&stored.signal.name)?)));
    let Some((StoredSignal { number, signal }, path)) = found else {
        return Ok(None);
    };
    let data: Value = serde_json::from_str(&signal.data).map_err(|error| {
        let run = &state.created.run;
        StoreError::Corrupt(format!("run `{run}`: the data of signal {number}: {error}"))
    })?;
    let event = Event::SignalReceived {
        path: path.clone(),
        signal: signal.name.clone(),
        data: Payload::new(data),
        sent_at: signal.at,
    };
    Ok(Some((*number, event)))
}

impl Engine {
    /// Sends a signal to a run. It is durable when this returns, and reaches the run now or when it waits for it.
    ///
    /// # Errors
    /// [`EngineError::Signal`] when the name or the data cannot be taken, or the run is over; [`EngineError::Store`].
    pub async fn signal(
        &self,
        run: &RunId,
        name: &str,
        data: &Value,
    ) -> Result<SignalAnswer, EngineError> {
        let refuse = |reason: String| EngineError::Signal {
            run: run.clone(),
            reason,
        };
        if name.is_empty() || name.len() > limits::NOTE_BYTES {
            return Err(refuse(format!(
                "a signal's name has 1 to {} bytes",
                limits::NOTE_BYTES
            )));
        }
        if !within_depth(data, limits::JSON_DEPTH) {
            return Err(refuse(format!(
                "its data is nested deeper than {} levels",
                limits::JSON_DEPTH
            )));
        }
        let text = data.to_string();
        if text.len() > limits::SIGNAL_BYTES {
            return Err(refuse(format!(
                "its data takes {} bytes, at most {} are kept",
                text.len(),
                limits::SIGNAL_BYTES
            )));
        }
        let signal = NewSignal {
            name: name.to_owned(),
            data: text,
            at: self.shared.clock.now(),
        };
        fault::point("before_signal_insert");
        match self.shared.store.send_signal(run, signal).await? {
            Sent::Kept(_) => {}
            Sent::Over(status) => return Err(refuse(format!("the run is {status}"))),
            Sent::Full => {
                return Err(refuse(format!(
                    "{} signals wait for the run already",
                    limits::SIGNALS
                )));
            }
        }
        fault::point("after_signal_insert");
        Ok(match self.deliver(run).await? {
            true => SignalAnswer::Delivered,
            false => SignalAnswer::Kept,
        })
    }

    /// Whether a person has to resume the run, whatever comes: somebody paused it, or holds it.
    ///
    /// # Errors
    /// [`EngineError`] when it does not exist or cannot be read.
    pub fn is_held(&self, run: &RunId) -> Result<bool, EngineError> {
        let recorded = record::load(self.shared.store.as_ref(), run)?;
        Ok(recorded.state.is_held())
    }

    /// Gives a paused run the signals that it waits for. Returns whether there was one.
    pub(super) async fn deliver(&self, run: &RunId) -> Result<bool, EngineError> {
        let store = self.shared.store.as_ref();
        loop {
            let mut state = record::load(store, run)?.state;
            if state.phase.status() != Status::Paused {
                return Ok(false);
            }
            let inbox = store.inbox(run, limits::SIGNALS)?;
            let Some((number, event)) = received(&state, &inbox, &[])? else {
                return Ok(false);
            };
            let mut batch = Batch::after(state.seq, state.epoch);
            self.correct_clock(&mut batch, &mut state)?;
            batch.record(&mut state, event, self.shared.clock.now())?;
            batch.consume(number);
            fault::point("before_signal_consume");
            // Somebody may have taken the signal, too.
            if self.shared.write(&batch, &state).await? {
                return Ok(true);
            }
        }
    }

    /// Decides at an approval. The first decision holds.
    ///
    /// # Errors
    /// [`EngineError::NotWaiting`] when no such approval waits, and [`EngineError::AlreadyDecided`] when somebody was quicker;
    /// the run stands as before.
    pub async fn decide(&self, run: &RunId, decision: &Decision) -> Result<Decided, EngineError> {
        loop {
            let mut state = record::load(self.shared.store.as_ref(), run)?.state;
            let path = open_approval(&state, decision.path.as_deref())?;
            let definition = self.frozen(&state)?;
            let approval = match definition.step(path.step()).map(|step| &step.kind) {
                Some(StepKind::Approval(approval)) => approval,
                Some(StepKind::Component(_) | StepKind::Loop(_) | StepKind::Wait(_)) | None => {
                    return Err(not_waiting(&state, format!("`{path}` is no approval")));
                }
            };
            let asked = state
                .steps
                .get(path.step())
                .map_or(1, |record| record.attempts);
            let rework_left = approval
                .rework
                .as_ref()
                .map(|rework| rework.max_attempts.saturating_sub(asked));
            let again = match (decision.verdict, &approval.rework, rework_left) {
                (Verdict::Rejected, Some(plan), Some(1..)) => {
                    rework(&definition, path.step(), &plan.from)
                }
                _ => Vec::new(),
            };
            let ends = decision.verdict == Verdict::Rejected
                && again.is_empty()
                && approval.on_reject == OnReject::Cancel;
            let mut batch = Batch::after(state.seq, state.epoch);
            self.correct_clock(&mut batch, &mut state)?;
            let now = self.shared.clock.now();
            let event = Event::ApprovalDecided {
                path: path.clone(),
                decision: decision.verdict,
                comment: decision.comment.clone(),
                by: decision.by.clone(),
                rework: again,
            };
            batch.record(&mut state, event, now)?;
            if ends {
                let stop = rejected(&path, decision);
                batch.stop(&mut state, Event::RunCancelled { stop }, now)?;
            }
            fault::point("before_decision");
            if self.shared.write(&batch, &state).await? {
                return Ok(Decided {
                    path,
                    decision: decision.verdict,
                    status: state.phase.status(),
                    held: state.is_held(),
                    rework_left,
                });
            }
        }
    }
}

fn rejected(path: &Path, decision: &Decision) -> Stop {
    let by = decision
        .by
        .as_deref()
        .map_or_else(String::new, |by| format!(" by {by}"));
    let why = decision
        .comment
        .as_deref()
        .map_or_else(String::new, |why| format!(": {why}"));
    let message = format!("`{path}` was rejected{by}{why}");
    Stop::over(StopCode::Rejected, message).at(path.clone())
}

/// The approval that waits: the named one, or the only one.
fn open_approval(state: &RunState, named: Option<&str>) -> Result<Path, EngineError> {
    let open: Vec<&Path> = state.approvals().map(|(path, _)| path).collect();
    let paused = state.phase.status() == Status::Paused;
    let found = match named {
        Some(named) => open.iter().find(|path| path.to_string() == named),
        None => open.first().filter(|_| open.len() == 1),
    };
    match found {
        Some(path) if paused => return Ok((*path).clone()),
        Some(_) => {
            return Err(not_waiting(
                state,
                "the run has to stand still first".to_owned(),
            ));
        }
        None => {}
    }
    if let Some((path, decision)) = decided_before(state, named) {
        return Err(EngineError::AlreadyDecided {
            run: state.created.run.clone(),
            path,
            decision,
        });
    }
    Err(not_waiting(
        state,
        match (open.len(), named) {
            (0, _) => "no approval waits in it".to_owned(),
            (_, Some(named)) => format!("no approval waits at `{named}`"),
            (_, None) => {
                let all: Vec<String> = open.iter().map(|path| format!("`{path}`")).collect();
                format!(
                    "several approvals wait, choose one with `--step`: {}",
                    all.join(", ")
                )
            }
        },
    ))
}

/// The decision that the run stands behind, for whoever comes second.
fn decided_before(state: &RunState, named: Option<&str>) -> Option<(Path, String)> {
    let stop = match &state.phase {
        Phase::Paused { stop, .. } if stop.code == StopCode::Ready => stop,
        Phase::Cancelled { stop, .. }
            if matches!(stop.code, StopCode::Rejected | StopCode::ApprovalTimedOut) =>
        {
            stop
        }
        _ => return None,
    };
    let path = stop.path.clone()?;
    if named.is_some_and(|named| path.to_string() != named) {
        return None;
    }
    let word = match stop.code {
        StopCode::Ready => {
            let record = state.steps.get(path.step())?;
            let settled = record.visible().filter(|_| record.waited)?;
            match &settled.result {
                milepost_core::state::StepResult::Completed { output } => {
                    output.value().get("decision")?.as_str()?.to_owned()
                }
                _ => return None,
            }
        }
        _ => "rejected".to_owned(),
    };
    Some((path, word))
}

fn not_waiting(state: &RunState, reason: String) -> EngineError {
    EngineError::NotWaiting {
        run: state.created.run.clone(),
        status: state.phase.status(),
        reason,
    }
}
