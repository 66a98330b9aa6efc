//! A wall clock that was far ahead and has been corrected: what it left in a run moves back with it.
//!
//! The times of a journal do not step back by a little, so that nothing comes early. Left by a clock that was years ahead, they
//! would hold the run up for years; then the step back is recorded, once, and says what moves with it.

use crate::definition::{Definition, StepKind, WaitStep};
use crate::event::{Event, RunEvent};
use crate::ids::StepId;
use crate::limits;
use crate::state::{RunState, StepPhase, StepRecord};
use crate::time::Timestamp;
use crate::wait::Wait;

/// The start of 2023. A clock that shows an earlier time was never set, as that of a device which boots without a battery and has not
/// heard from a time server yet: it cannot say that others are wrong. Earlier than all versions of this program, so that no
/// clock that is right shows it.
const CLOCKS_BEGIN: Timestamp = Timestamp::from_nanos(1_672_531_200_000_000_000);

/// Whether a clock that shows `now` can be right at all. One that cannot corrects nothing and distrusts nobody.
#[must_use]
pub fn is_plausible(now: Timestamp) -> bool {
    now >= CLOCKS_BEGIN
}

/// Whether a time was written by a clock that is too far ahead of `now` for a lease or a record to hold; by a clock that can be
/// right itself.
#[must_use]
pub fn is_far_ahead(time: Timestamp, now: Timestamp) -> bool {
    is_plausible(now) && time.since(now) > limits::CLOCK_AHEAD
}

/// The event that takes a run back to `now`, when a clock that was far ahead wrote its last event. Times that were reckoned from
/// that clock move; one that the definition names as such stays.
#[must_use]
pub fn correction(definition: &Definition, state: &RunState, now: Timestamp) -> Option<Event> {
    if !is_far_ahead(state.updated_at(), now) {
        return None;
    }
    let reckoned = |record: &StepRecord| match &record.phase {
        StepPhase::Waiting { .. } => true,
        StepPhase::Awaiting {
            wait: Wait::Time { .. },
        } => definition
            .step(record.path.step())
            .is_some_and(|step| matches!(step.kind, StepKind::Wait(WaitStep::For(_)))),
        StepPhase::Awaiting { .. }
        | StepPhase::Paused {
            due_at: Some(_), ..
        } => true,
        StepPhase::Pending
        | StepPhase::InFlight { .. }
        | StepPhase::Paused { .. }
        | StepPhase::Looping { .. }
        | StepPhase::FannedOut
        | StepPhase::InItem
        | StepPhase::Settled(_) => record.deadline().is_some(),
    };
    let records = state.executions().iter().filter(|record| reckoned(record));
    let mut steps: Vec<StepId> = records.map(|record| record.path.step().clone()).collect();
    steps.sort();
    steps.dedup();
    Some(Event::Run(RunEvent::ClockCorrected {
        back_millis: u64::try_from(state.updated_at().since(now).as_millis()).unwrap_or(u64::MAX),
        steps,
    }))
}
