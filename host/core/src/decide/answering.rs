//! What people and signals bring to a run that waits, and what it becomes there.

use super::fitting::fits;
use crate::definition::{ApprovalStep, Definition, OnReject};
use crate::event::{Event, RunEvent, StepEvent, WaitEvent};
use crate::ids::Path;
use crate::payload::Payload;
use crate::resume::rework;
use crate::state::{RunState, StepPhase};
use crate::stop::{Stop, StopCode};
use crate::tape::Tape;
use crate::time::Timestamp;
use crate::wait::{Verdict, Wait, approval_output, signal_output};

/// What a decision does.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What to record, together.
    pub events: Vec<Event>,
    /// How many rejections with rework the approval has left; `None` when it has no rework.
    pub rework_left: Option<u32>,
}

/// What a person's decision at the approval at `path` does: it goes over the work again, goes on, or ends the run.
#[must_use]
pub fn answer(
    definition: &Definition,
    state: &RunState,
    (path, approval): (&Path, &ApprovalStep),
    verdict: Verdict,
    comment: Option<&str>,
    by: Option<&str>,
) -> Answer {
    let record = state.steps.get(path.step());
    let rejected = record.and_then(|record| record.rejections).unwrap_or(0);
    let left = |max: u32| max.saturating_sub(rejected.saturating_add(1));
    let rework_left = approval.rework.as_ref().map(|plan| left(plan.max_attempts));
    let again = match (verdict, &approval.rework, rework_left) {
        (Verdict::Rejected, Some(plan), Some(1..)) => rework(definition, path.step(), &plan.from),
        _ => Vec::new(),
    };
    let ends =
        verdict == Verdict::Rejected && again.is_empty() && approval.on_reject == OnReject::Cancel;
    let mut events = vec![Event::Step {
        path: path.clone(),
        event: StepEvent::Wait(WaitEvent::ApprovalDecided {
            decision: verdict,
            comment: comment.map(str::to_owned),
            by: by.map(str::to_owned),
            rework: again,
        }),
    }];
    if ends {
        let by = by.map_or_else(String::new, |by| format!(" by {by}"));
        let why = comment.map_or_else(String::new, |why| format!(": {why}"));
        let message = format!("`{path}` was rejected{by}{why}");
        let stop = Stop::over(StopCode::Rejected, message).at(path.clone());
        events.push(Event::Run(RunEvent::Cancelled { stop }));
    }
    Answer {
        events,
        rework_left,
    }
}

/// Whether the words of a decision have room in the run's state. A decision without words always has.
#[must_use]
pub fn fits_answer(state: &RunState, path: &Path, comment: Option<&str>, by: Option<&str>) -> bool {
    let words = comment.map_or(0, str::len) + by.map_or(0, str::len);
    let output = approval_output(Verdict::Approved, comment, by, false);
    words == 0 || fits(state, path, "these words", output.text().len()).is_ok()
}

/// What a signal that was sent at `sent_at` does where the run stands; `None` when nothing waits for it there, or it came when
/// the time of the wait was over.
#[must_use]
pub fn received(state: &RunState, name: &str, data: Payload, sent_at: Timestamp) -> Option<Event> {
    let path = state.awaits(name)?.clone();
    let StepPhase::Awaiting {
        wait: Wait::Signal { until, .. },
    } = &state.steps.get(path.step())?.phase
    else {
        return Some(Event::Step {
            path,
            event: StepEvent::Wait(WaitEvent::SignalReceived {
                signal: name.to_owned(),
                data,
                sent_at,
            }),
        });
    };
    if until.is_some_and(|until| until <= sent_at) {
        return None;
    }
    let output = signal_output(name, Some(&data.value()));
    let what = "what came with the signal";
    Some(match fits(state, &path, what, output.text().len()) {
        Ok(()) => Event::Step {
            path,
            event: StepEvent::Wait(WaitEvent::SignalReceived {
                signal: name.to_owned(),
                data,
                sent_at,
            }),
        },
        Err(error) => Event::Step {
            path,
            event: StepEvent::Failed {
                attempt: None,
                error: *error,
                tape: Tape::default(),
            },
        },
    })
}
