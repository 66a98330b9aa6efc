//! What a sweep does with a run that says it is running: nothing, a warning, a recovery, or an end. And what becomes of one that
//! its host could not drive on.

use crate::correction::is_far_ahead;
use crate::event::{Event, RunEvent};
use crate::ids::Path;
use crate::limits;
use crate::schedule;
use crate::state::RunState;
use crate::stop::{Stop, StopCode};
use crate::time::Timestamp;

/// Whether the owner of a run can still be at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// That very process runs on this host.
    Alive,
    /// It is gone: no such process, the pid belongs to another one, or the host was booted since.
    Gone,
    /// It is on another host, or this host does not tell: only its lease speaks for it.
    Unknown,
}

/// What to do with a running run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its owner is at work.
    Healthy,
    /// Its owner lives but has stopped renewing: one warning, then it is left alone until it renews again.
    Detached,
    /// Its owner is gone: somebody takes over.
    Recover,
    /// Its owner is gone, as was the one before, and nothing was recorded in between: it fails.
    GiveUp,
}

/// Judges a running run by its owner, its lease, and the recoveries since its last progress.
#[must_use]
pub fn judge(owner: Liveness, lease_expired: bool, recoveries: u32) -> Verdict {
    match (owner, lease_expired) {
        (Liveness::Alive | Liveness::Unknown, false) => Verdict::Healthy,
        (Liveness::Alive, true) => Verdict::Detached,
        (Liveness::Gone, _) | (Liveness::Unknown, true) => {
            if recoveries < limits::RECOVERIES {
                Verdict::Recover
            } else {
                Verdict::GiveUp
            }
        }
    }
}

/// Whether a lease still speaks for its owner. One from a clock that is far ahead does not: it would hold for years.
#[must_use]
pub fn lease_holds(until: Timestamp, now: Timestamp) -> bool {
    until > now && !is_far_ahead(until, now)
}

/// The event with which the host lets go of a running run after an error of its own, at `path`. The run goes on by itself, later
/// and later; when it was in vain too often without a completed step in between, it fails.
#[must_use]
pub fn put_off(state: &RunState, reason: &str, path: Option<Path>, now: Timestamp) -> Event {
    let run = &state.created.run;
    let most = limits::AUTOMATIC_RESUMES.len();
    let used = state.episode.in_a_row();
    match schedule::due(run, path.as_ref(), used, None, false, now) {
        Some(due_at) => {
            let next = format!(
                "a worker (`milepost work`) tries again when it is due, automatic resume {} of {most}; `milepost resume {run}` \
                 does at once",
                used + 1
            );
            let message = format!("the host could not go on: {reason}");
            let stop = Stop {
                due_at: Some(due_at),
                ..Stop::new(StopCode::HostError, message, next).at(path)
            };
            Event::Run(RunEvent::Paused { stop })
        }
        None => {
            let message =
                format!("the host could not go on, also after {most} automatic resumes: {reason}");
            let next = format!("nothing by itself; mend the cause, then `milepost resume {run}`");
            let stop = Stop::new(StopCode::HostError, message, next).at(path);
            Event::Run(RunEvent::Failed { stop })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn b213_b214_b395_b398_b399_owner_lease_and_count_decide() {
        use Liveness::{Alive, Gone, Unknown};
        use Verdict::{Detached, GiveUp, Healthy, Recover};
        for (owner, expired, recoveries, expected) in [
            (Alive, false, 0, Healthy),
            (Alive, false, 9, Healthy),
            (Alive, true, 0, Detached),
            (Alive, true, 1, Detached),
            (Gone, false, 0, Recover),
            (Gone, true, 0, Recover),
            (Gone, false, 1, GiveUp),
            (Gone, true, 1, GiveUp),
            (Unknown, false, 0, Healthy),
            (Unknown, false, 1, Healthy),
            (Unknown, true, 0, Recover),
            (Unknown, true, 1, GiveUp),
        ] {
            let case = format!("{owner:?} {expired} {recoveries}");
            assert_eq!(judge(owner, expired, recoveries), expected, "{case}");
        }
    }

    #[test]
    fn a_lease_that_a_clock_far_ahead_wrote_holds_nobody_up() {
        let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
        for (ahead, holds) in [
            (Duration::ZERO, false),
            (Duration::from_nanos(1), true),
            (limits::LEASE, true),
            (limits::CLOCK_AHEAD, true),
            (limits::CLOCK_AHEAD + Duration::from_nanos(1), false),
            (Duration::from_secs(10 * 365 * 86_400), false),
        ] {
            assert_eq!(lease_holds(now.after(ahead), now), holds, "{ahead:?}");
        }
        // Seen by a clock that was never set, it is not the other one that is wrong.
        for never_set in [0, 946_684_800, 1_672_531_199] {
            let never_set = Timestamp::from_nanos(never_set * 1_000_000_000);
            assert!(lease_holds(now, never_set), "{never_set}");
            assert!(!lease_holds(never_set, never_set), "{never_set}");
        }
    }
}
