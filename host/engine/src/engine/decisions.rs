//! A person's decisions at approvals.

use std::fmt;

use milepost_core::decide::{answer, fits_answer, overdue};
use milepost_core::definition::StepKind;
use milepost_core::ids::{Path, RunId};
use milepost_core::limits;
use milepost_core::shown::Shown;
use milepost_core::state::{Phase, RunState, Status, StepPhase, StepRecord, StepResult};
use milepost_core::stop::StopCode;
use milepost_core::time::Timestamp;
use milepost_core::wait::{Verdict, Wait};
use serde::Serialize;

use super::Engine;
use super::deadline::moves;
use super::error::EngineError;
use super::shared::Looks;
use crate::fault;
use crate::record::{self, Batch, Recorded};

/// A person's decision at an approval.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The approval; may be left out, since a run asks at one approval at a time.
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
    /// Status of the run now: paused, or cancelled.
    pub status: Status,
    /// Whether a person has to resume it, because somebody paused it or holds it.
    pub held: bool,
    /// Whether the run goes on by itself now: one that a person holds does not.
    pub goes_on: bool,
    /// How many rejections with rework the approval has left; absent when it has no rework.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rework_left: Option<u32>,
}

/// A decision that was made before: the first one holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierDecision {
    /// The run.
    pub run: RunId,
    /// Its status now.
    pub status: Status,
    /// The approval.
    pub path: Path,
    /// What was decided.
    pub decision: Verdict,
    /// By whom; nobody when time decided.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Whether nobody decided in time.
    pub timed_out: bool,
}

impl fmt::Display for EarlierDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            run,
            path,
            decision,
            at,
            status,
            ..
        } = self;
        if self.timed_out {
            write!(
                f,
                "nobody decided at `{path}` of run `{run}` in time: since {at} it counts as {decision}"
            )?;
        } else {
            write!(f, "`{path}` of run `{run}` was {decision}")?;
            if let Some(by) = &self.by {
                let short = &by[..by.floor_char_boundary(BY_SHOWN)];
                let cut = if short.len() < by.len() { "…" } else { "" };
                write!(f, " by {}{cut}", Shown(short))?;
            }
            write!(f, " at {at}; the first decision holds")?;
        }
        write!(f, ", and the run is {status}")
    }
}

/// How much of a name a message shows.
const BY_SHOWN: usize = 80;

/// One asking of one approval: rework and retries ask again.
#[derive(Clone, PartialEq, Eq)]
struct Asking {
    path: Path,
    attempt: u32,
}

impl Engine {
    /// Decides at the approval at which a paused run stands. The first decision holds.
    ///
    /// # Errors
    /// [`EngineError::NotWaiting`] when no such approval waits, [`EngineError::AlreadyDecided`] when somebody was quicker, and
    /// [`EngineError::NoteTooLong`]: the run stands as before. [`EngineError::TimedOut`] when the time of the approval is over,
    /// which is recorded then.
    pub async fn decide(&self, run: &RunId, decision: &Decision) -> Result<Decided, EngineError> {
        let (comment, by) = (decision.comment.as_deref(), decision.by.as_deref());
        note("the comment", comment)?;
        note("the name of who decides", by)?;
        let mut meant: Option<Asking> = None;
        let mut looks = Looks::default();
        loop {
            let Recorded { row, mut state } = looks.load(self.shared.store.as_ref(), run)?;
            let ends = row.request.is_some_and(|request| request.kind.ends());
            if ends && !state.phase.status().is_terminal() {
                return Err(not_waiting(&state, "it is being cancelled"));
            }
            let asking = open_approval(&state, decision.path.as_deref())?;
            // Whoever was quicker may have brought the run to its next question, which nobody has answered here.
            let meant = meant.get_or_insert_with(|| asking.clone());
            if *meant != asking {
                let before = decided_before(&state, Some(&meant.path.to_string()));
                return Err(before.unwrap_or_else(|| not_waiting(&state, "somebody moved it on")));
            }
            let path = asking.path;
            let definition = self.frozen(&state)?;
            let mut batch = Batch::after(state.seq, state.epoch);
            self.correct_clock(&mut batch, &mut state)?;
            let now = self.shared.clock.now();
            if let Some(event) = overdue(&definition, &state, now.max(state.updated_at)) {
                match self.record_time_out(batch, state, event, now).await? {
                    Some(over) => return Err(over.into()),
                    None => continue,
                }
            }
            let Some(StepKind::Approval(approval)) =
                definition.step(path.step()).map(|step| &step.kind)
            else {
                return Err(not_waiting(&state, format!("`{path}` is no approval")));
            };
            if !fits_answer(&state, &path, comment, by) {
                let reason = "there is no room for these words in its recorded state; decide with a shorter comment or without one";
                return Err(not_waiting(&state, reason));
            }
            if approval.rework.is_some() {
                record::count_rejections(self.shared.store.as_ref(), &mut state, &path)?;
            }
            let answer = answer(
                &definition,
                &state,
                (&path, approval),
                decision.verdict,
                comment,
                by,
            );
            for event in answer.events {
                batch.record(&mut state, event, now)?;
            }
            fault::point("before_decision");
            if self.shared.write(&batch, &state).await? {
                return Ok(Decided {
                    path,
                    decision: decision.verdict,
                    status: state.phase.status(),
                    held: state.is_held(),
                    goes_on: moves(&state),
                    rework_left: answer.rework_left,
                });
            }
        }
    }
}

/// Refuses a text that is too long to be kept beside a decision or a request.
pub(super) fn note(what: &'static str, text: Option<&str>) -> Result<(), EngineError> {
    match text.map_or(0, str::len) {
        bytes if bytes > limits::NOTE_BYTES => Err(EngineError::NoteTooLong { what, bytes }),
        _ => Ok(()),
    }
}

/// The approval at which the run stands, if it is the named one.
fn open_approval(state: &RunState, named: Option<&str>) -> Result<Asking, EngineError> {
    let open = state.approval().map(|(path, _)| path);
    let status = state.phase.status();
    if let Some(path) = open.filter(|path| named.is_none_or(|named| path.to_string() == named)) {
        if status != Status::Paused {
            return Err(not_waiting(state, "the run has to stand still first"));
        }
        return Ok(Asking {
            path: path.clone(),
            attempt: state.steps.get(path.step()).map_or(0, |r| r.attempts),
        });
    }
    Err(decided_before(state, named).unwrap_or_else(|| {
        let reason = match (open, named) {
            (Some(open), Some(named)) => {
                format!("no approval waits at `{named}`; the run asks at `{open}`")
            }
            (None, Some(named)) => format!("no approval waits at `{named}`"),
            (_, None) => "no approval waits in it".to_owned(),
        };
        not_waiting(state, reason)
    }))
}

/// The decision that the run stands behind, for whoever comes second: at the named approval, or the latest one.
fn decided_before(state: &RunState, named: Option<&str>) -> Option<EngineError> {
    let of = |record: &StepRecord| earlier(state, record);
    let meant = |record: &&StepRecord| named.is_none_or(|named| record.path.to_string() == named);
    let found = state.steps.values().filter(meant).filter_map(of);
    let latest = found.max_by_key(|earlier| earlier.at)?;
    Some(EngineError::AlreadyDecided(Box::new(latest)))
}

fn earlier(state: &RunState, record: &StepRecord) -> Option<EarlierDecision> {
    let earlier = |decision, by, at, timed_out| EarlierDecision {
        run: state.created.run.clone(),
        status: state.phase.status(),
        path: record.path.clone(),
        decision,
        by,
        at,
        timed_out,
    };
    // The end of the run is all that is recorded of a timeout that cancelled it.
    if let (Phase::Cancelled { stop, at }, StepPhase::Awaiting { wait }) =
        (&state.phase, &record.phase)
        && stop.code == StopCode::ApprovalTimedOut
        && matches!(wait, Wait::Approval { .. })
    {
        return Some(earlier(Verdict::Rejected, None, *at, true));
    }
    if matches!(record.phase, StepPhase::Awaiting { .. }) {
        return None;
    }
    let settled = record.visible()?;
    let StepResult::Completed { output } = &settled.result else {
        return None;
    };
    let output = output.value();
    let decision = match output.get("decision")?.as_str()? {
        "approved" => Verdict::Approved,
        "rejected" => Verdict::Rejected,
        _ => return None,
    };
    let by = output.get("by").and_then(|by| by.as_str());
    let timed_out = output.get("timed_out").and_then(serde_json::Value::as_bool);
    record.waited.then(|| {
        earlier(
            decision,
            by.map(str::to_owned),
            settled.at,
            timed_out == Some(true),
        )
    })
}

fn not_waiting(state: &RunState, reason: impl Into<String>) -> EngineError {
    EngineError::NotWaiting {
        run: state.created.run.clone(),
        status: state.phase.status(),
        reason: reason.into(),
    }
}
