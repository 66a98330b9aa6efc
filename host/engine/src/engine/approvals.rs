//! A person's decisions at approvals.

use milepost_core::event::{Entry, Event, RunEvent, StepEvent, WaitEvent};
use milepost_core::ids::{Path, RunId};
use milepost_core::limits;
use milepost_core::request::approve::{self, Answer, Approving, Asking, NotDecided};
use milepost_core::request::posted::Posted;
use milepost_core::state::{RunState, Status};
use milepost_core::stop::StopCode;
use milepost_core::wait::Verdict;

use super::Engine;
use super::error::{EngineError, Wanted};
use super::family::END_OF_PARENT;
use super::shared::Looks;
use crate::fault;
use crate::record::{self, Batch, Recorded};
use crate::report::stop_of;
use crate::store::{RunRow, StopKind};

/// A person's decision at an approval.
#[derive(Debug, Clone)]
pub struct ApprovalDecision {
    /// The approval; may be left out where the run asks at one only.
    pub path: Option<String>,
    /// What is decided.
    pub verdict: Verdict,
    /// Why.
    pub comment: Option<String>,
    /// Who decides.
    pub by: Option<String>,
}

/// What a decision did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The approval.
    pub path: Path,
    /// What was decided.
    pub decision: Verdict,
    /// Whether it is recorded. Otherwise it is kept for whoever drives the run, and counts if it still holds when they take it.
    pub taken: bool,
    /// Status of the run now: pending when it is cancelled, and has steps with `finally` to run before it is over.
    pub status: Status,
    /// Whether a person has to resume it, because somebody paused it or holds it.
    pub held: bool,
    /// Whether the run continues by itself now: one that a person holds does not.
    pub goes_on: bool,
    /// How many rejections with rework the approval has left; absent when it has no rework.
    pub rework_left: Option<u32>,
}

impl Engine {
    /// Decides at an approval at which a run asks. The first decision holds. A run that moves is told: it goes on with it while
    /// other steps are in flight.
    ///
    /// # Errors
    /// [`EngineError::NotWaiting`] when no such approval waits, [`EngineError::AlreadyDecided`] when somebody was quicker, and
    /// [`EngineError::NoteTooLong`] or [`EngineError::NoteWithNul`]: the run stands as before. [`EngineError::TimedOut`] when the time of the approval is over,
    /// which is recorded then.
    pub async fn decide_approval(
        &self,
        run: &RunId,
        decision: &ApprovalDecision,
    ) -> Result<Decided, EngineError> {
        let answer = Answer {
            verdict: decision.verdict,
            comment: decision.comment.as_deref(),
            by: decision.by.as_deref(),
        };
        note("the comment", answer.comment)?;
        note("the name of who decides", answer.by)?;
        let mut meant: Option<Asking> = None;
        self.shared.follow().await;
        let mut looks = Looks::default();
        loop {
            let recorded = looks.load(self.shared.store.as_ref(), run).await?;
            let driven = self.is_driven(&recorded);
            let Recorded { row, mut state } = recorded;
            let ends = row.request.is_some_and(|request| request.kind.ends());
            let named = decision.path.as_deref();
            let asking = match approve::asking(&state, named, meant.as_ref(), ends) {
                Ok(asking) => asking,
                Err(reason) => {
                    let asks = |row: &RunRow| stop_of(row) == Some(StopCode::WaitingForApproval);
                    let at_child = match reason {
                        NotDecided::NotWaiting(_) => {
                            self.at_child(&state, Wanted::Decision, named, asks, true)
                                .await?
                        }
                        NotDecided::Before(_) => None,
                    };
                    return Err(at_child.unwrap_or_else(|| not_decided(&state, reason)));
                }
            };
            let definition = self.frozen(&state).await?;
            let mut batch = Batch::after(state.seq(), state.epoch());
            self.correct_clock(&mut batch, &mut state).await?;
            if approve::counts_rejections(&definition, &asking) {
                record::count_rejections(self.shared.store.as_ref(), &mut state, asking.path())
                    .await?;
            }
            let now = self.shared.clock.now();
            let deciding = approve::approve(&definition, &state, &asking, answer, now)
                .map_err(|reason| not_decided(&state, reason))?;
            let (events, rework_left) = match deciding {
                Approving::Decided {
                    events,
                    rework_left,
                } => (events, rework_left),
                Approving::TooLate(event) => {
                    match self
                        .record_timeout(batch, state, asking.path(), event, now)
                        .await?
                    {
                        Some(over) => return Err(over.into()),
                        None => {
                            meant = Some(asking);
                            continue;
                        }
                    }
                }
            };
            if driven {
                if let Some(decided) = self.post_decision(&state, &asking, answer).await? {
                    return Ok(decided);
                }
                meant = Some(asking);
                continue;
            }
            let ends = |event: &Event| {
                matches!(
                    event,
                    Event::Run(RunEvent::Cancelled { .. } | RunEvent::Finishing { .. })
                )
            };
            if events.iter().any(ends) {
                self.end_children_first(run, StopKind::Cancel, END_OF_PARENT, drop)
                    .await;
            }
            for event in events {
                batch.record(&mut state, event, now)?;
            }
            fault::point("before_decision");
            if self.shared.write(&batch, &state).await? {
                if state.phase().status() == Status::Cancelled || state.ending().is_some() {
                    self.end_children(run, StopKind::Cancel, END_OF_PARENT)
                        .await;
                }
                return Ok(decided(&state, &asking, answer, true, rework_left));
            }
            meant = Some(asking);
        }
    }

    /// Leaves a decision for whoever drives the run. `None` says that it was not what counted: the run tells why.
    async fn post_decision(
        &self,
        state: &RunState,
        asking: &Asking,
        answer: Answer<'_>,
    ) -> Result<Option<Decided>, EngineError> {
        let run = &state.created().run;
        if !self.post(run, &Posted::decision(asking, answer)).await? {
            return Ok(Some(decided(state, asking, answer, false, None)));
        }
        let store = self.shared.store.as_ref();
        let mut seen = state.seq();
        loop {
            let entries = record::journal(store, run, seen, limits::EVENTS_PER_COMMIT).await?;
            let Some(last) = entries.last() else {
                return Ok(None);
            };
            seen = last.seq;
            let found = entries
                .iter()
                .find(|entry| entry.event.path() == Some(asking.path()) && is_of(entry, answer));
            if found.is_some() {
                let state = record::load(store, run).await?.state;
                let definition = self.frozen(&state).await?;
                let left = approve::rework_left(&definition, &state, asking);
                return Ok(Some(decided(&state, asking, answer, true, left)));
            }
        }
    }
}

/// Whether an event is this decision.
fn is_of(entry: &Entry, answer: Answer<'_>) -> bool {
    match &entry.event {
        Event::Step {
            event:
                StepEvent::Wait(WaitEvent::ApprovalDecided {
                    decision,
                    comment,
                    by,
                    ..
                }),
            ..
        } => {
            *decision == answer.verdict
                && comment.as_deref() == answer.comment
                && by.as_deref() == answer.by
        }
        _ => false,
    }
}

fn decided(
    state: &RunState,
    asking: &Asking,
    answer: Answer<'_>,
    taken: bool,
    rework_left: Option<u32>,
) -> Decided {
    Decided {
        path: asking.path().clone(),
        decision: answer.verdict,
        taken,
        status: state.phase().status(),
        held: state.is_held(),
        goes_on: state.moves(),
        rework_left,
    }
}

/// Refuses a text that cannot be kept beside a decision or a request.
pub(super) fn note(what: &'static str, text: Option<&str>) -> Result<(), EngineError> {
    match text.unwrap_or_default() {
        text if text.len() > limits::NOTE_BYTES => Err(EngineError::NoteTooLong {
            what,
            bytes: text.len(),
        }),
        text if text.contains('\0') => Err(EngineError::NoteWithNul { what }),
        _ => Ok(()),
    }
}

fn not_decided(state: &RunState, reason: NotDecided) -> EngineError {
    match reason {
        NotDecided::Before(earlier) => EngineError::AlreadyDecided(earlier),
        NotDecided::NotWaiting(reason) => EngineError::NotWaiting {
            run: state.created().run.clone(),
            status: state.phase().status(),
            reason: reason.to_string(),
        },
    }
}
