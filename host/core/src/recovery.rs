//! What a sweep does with a run that says it is running: nothing, a warning, a recovery, or an end.

use crate::limits;

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

#[cfg(test)]
mod tests {
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
}
