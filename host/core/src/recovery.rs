//! What a sweep thinks of a run that says it is running: it is well, its owner is to be warned about, it is to be taken over or
//! to be given up.

use crate::correction::is_far_ahead;
use crate::limits;
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
pub enum Judgement {
    /// Its owner is at work.
    Healthy,
    /// Its owner lives but has stopped renewing: one warning, then it is left alone until it renews again.
    Detached,
    /// Its owner is gone: somebody takes over.
    Recover,
    /// Its owner is gone, like the previous one, and nothing was recorded in between: it fails.
    GiveUp,
}

/// Judges a running run by its owner, its lease, and the recoveries since its last progress.
#[must_use]
pub fn judge(owner: Liveness, lease_expired: bool, recoveries: u32) -> Judgement {
    match (owner, lease_expired) {
        (Liveness::Alive | Liveness::Unknown, false) => Judgement::Healthy,
        (Liveness::Alive, true) => Judgement::Detached,
        (Liveness::Gone, _) | (Liveness::Unknown, true) => {
            if recoveries < limits::RECOVERIES {
                Judgement::Recover
            } else {
                Judgement::GiveUp
            }
        }
    }
}

/// Whether a lease still speaks for its owner. One from a clock that is far ahead does not: it would hold for years.
#[must_use]
pub fn lease_holds(until: Timestamp, now: Timestamp) -> bool {
    until > now && !is_far_ahead(until, now)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn b213_b214_b395_b398_b399_owner_lease_and_count_decide() {
        use Judgement::{Detached, GiveUp, Healthy, Recover};
        use Liveness::{Alive, Gone, Unknown};
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
