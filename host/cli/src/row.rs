//! What the store's row of a run says to people: who has the run, and what happens next.

use milepost::core::limits::{AUTOMATIC_RESUMES, RECOVERIES};
use milepost::core::request::signal::is_reserved;
use milepost::core::state::Status;
use milepost::core::stop::StopCode;
use milepost::core::time::Timestamp;
use milepost::report::{OwnerReport, OwnerState, stop_of};
use milepost::store::RunRow;

use super::{format, shell};

/// `812@host`, with a word when that process is not known to be alive.
pub(crate) fn owner(owner: &OwnerReport) -> String {
    let liveness = match owner.state {
        OwnerState::Alive => "",
        OwnerState::Detached => " detached",
        OwnerState::Gone => " gone",
        OwnerState::Unknown => " unknown",
    };
    format!("{}@{}{liveness}", owner.pid, owner.host)
}

/// What a row does not say of what happens next.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Foreseen {
    /// Whether its due time is that of something else than what it names.
    pub(crate) beside: bool,
    /// Whether a worker is there.
    pub(crate) worker: bool,
}

impl Foreseen {
    /// What a worker does, or that there has to be one.
    fn worker(self, does: &str) -> String {
        match self.worker {
            true => format!("a worker {does}"),
            false => NO_WORKER.to_owned(),
        }
    }
}

/// Nobody looks for runs that could move.
const NO_WORKER: &str = "needs a worker";

/// Whether a run moves only when a worker, or a person, takes it.
pub(crate) fn needs_worker(row: &RunRow, owner: Option<&OwnerReport>) -> bool {
    match row.status {
        Status::Completed | Status::Cancelled | Status::Failed => false,
        Status::Pending => true,
        Status::Running => owner.is_none_or(|owner| owner.state == OwnerState::Gone),
        Status::Paused => row.due_at.is_some(),
    }
}

/// What happens next with a run, beside its own due time; `None` when it moves by itself, or is over.
pub(crate) fn next_action(
    row: &RunRow,
    owner: Option<&OwnerReport>,
    foreseen: Foreseen,
) -> Option<String> {
    match row.status {
        Status::Completed | Status::Cancelled => None,
        Status::Pending => Some(foreseen.worker("starts it")),
        Status::Running => match owner {
            Some(owner) if owner.state != OwnerState::Gone => None,
            Some(_) | None if row.recoveries < RECOVERIES => Some(foreseen.worker("takes it over")),
            Some(_) | None => Some(foreseen.worker("fails it, or resume by hand")),
        },
        Status::Failed => Some("resume by hand".to_owned()),
        Status::Paused if foreseen.beside && stop_of(row) != Some(StopCode::WaitingForTime) => {
            let without = RunRow {
                due_at: None,
                ..row.clone()
            };
            Some(paused(&without, foreseen))
        }
        Status::Paused => Some(paused(row, foreseen)),
    }
}

fn paused(row: &RunRow, foreseen: Foreseen) -> String {
    let is = |code: StopCode| stop_of(row) == Some(code);
    let most = AUTOMATIC_RESUMES.len();
    let used = usize::try_from(row.auto_resumes).unwrap_or(usize::MAX);
    if row.due_at.is_none() && (is(StopCode::Ready) || is(StopCode::WaitingForTime)) {
        "resume by hand".to_owned()
    } else if is(StopCode::Ready) {
        foreseen.worker("continues it")
    } else if is(StopCode::WaitingForChild) {
        "its child run ends".to_owned()
    } else if is(StopCode::WaitingForApproval) {
        "approve or reject".to_owned()
    } else if is(StopCode::WaitingForTime) {
        foreseen.worker("continues it")
    } else if row.awaits.iter().any(|name| !is_reserved(name)) {
        let names = row.awaits.iter().filter(|name| !is_reserved(name));
        let names = names.map(|name| shell::word(name));
        format!("signal {}", names.collect::<Vec<_>>().join(" or "))
    } else if row.due_at.is_some() {
        format!("resume {} of {most}", used.saturating_add(1))
    } else if used >= most {
        format!("resume by hand, {used} of {most} automatic ones used")
    } else {
        "resume by hand".to_owned()
    }
}

/// The same with the run's own due time (B241): `in 4m (resume 2 of 5)`, `signal go, times out in 4m`.
pub(crate) fn next(
    row: &RunRow,
    owner: Option<&OwnerReport>,
    now: Timestamp,
    foreseen: Foreseen,
) -> String {
    let action = next_action(row, owner, foreseen);
    let due = row.due_at.map(|at| format::ahead(now, at));
    let times_out = stop_of(row).is_some_and(StopCode::times_out);
    match (action, due) {
        (Some(action), Some(due)) if foreseen.beside => {
            format!("{action}; something else is due {due}")
        }
        (Some(action), Some(due)) if times_out => format!("{action}, times out {due}"),
        (Some(action), Some(due)) => format!("{due} ({action})"),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::time::Duration;

    use milepost::core::ids::{Epoch, RunId};
    use milepost::core::labels::Labels;

    use super::*;

    const WORKER: Foreseen = Foreseen {
        beside: false,
        worker: true,
    };

    fn paused(code: StopCode) -> RunRow {
        RunRow {
            id: RunId::new("r").unwrap(),
            workflow: "w".into(),
            parent: None,
            forked_from: None,
            labels: Labels::default(),
            status: Status::Paused,
            seq: 1,
            epoch: Epoch(1),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            owner: None,
            lease_until: None,
            stop_code: Some(code.as_str().to_owned()),
            due_at: None,
            recoveries: 0,
            auto_resumes: 0,
            provider: None,
            awaits: Vec::new(),
            request: None,
            detached_at: None,
            worked: None,
            stored_bytes: 0,
        }
    }

    fn next_of(row: &RunRow) -> String {
        next(row, None, Timestamp::default(), WORKER)
    }

    #[test]
    fn a_due_time_of_another_wait_is_told_as_that() {
        let due = Some(Timestamp::default().after(Duration::from_secs(5)));
        for (code, awaits, text) in [
            (
                StopCode::WaitingForSignal,
                Some("go"),
                "signal go; something else is due in 5s",
            ),
            (
                StopCode::WaitingForApproval,
                None,
                "approve or reject; something else is due in 5s",
            ),
            (
                StopCode::StepPaused,
                None,
                "resume by hand; something else is due in 5s",
            ),
            (
                StopCode::WaitingForTime,
                None,
                "a worker continues it; something else is due in 5s",
            ),
        ] {
            let row = RunRow {
                due_at: due,
                awaits: awaits.into_iter().map(str::to_owned).collect(),
                ..paused(code)
            };
            let beside = Foreseen {
                beside: true,
                ..WORKER
            };
            assert_eq!(next(&row, None, Timestamp::default(), beside), text);
        }
    }

    #[test]
    fn b241_b439_a_paused_row_tells_its_own_due_time_and_which_resume_that_is() {
        let due = Some(Timestamp::default().after(Duration::from_secs(240)));
        let mut row = paused(StopCode::StepPaused);
        assert_eq!(next_of(&row), "resume by hand");
        (row.due_at, row.auto_resumes) = (due, 1);
        assert_eq!(next_of(&row), "in 4m (resume 2 of 5)");
        (row.due_at, row.auto_resumes) = (None, 5);
        assert_eq!(next_of(&row), "resume by hand, 5 of 5 automatic ones used");
    }

    #[test]
    fn b437_a_row_tells_what_it_waits_for() {
        let due = Some(Timestamp::default().after(Duration::from_secs(5)));
        for (code, due_at, awaits, text) in [
            (StopCode::Ready, due, None, "in 5s (a worker continues it)"),
            // Its wait is over, but it could not go on.
            (
                StopCode::Ready,
                due,
                Some("go"),
                "in 5s (a worker continues it)",
            ),
            (StopCode::Ready, None, Some("go"), "resume by hand"),
            (
                StopCode::WaitingForTime,
                due,
                None,
                "in 5s (a worker continues it)",
            ),
            (
                StopCode::WaitingForApproval,
                None,
                None,
                "approve or reject",
            ),
            (StopCode::WaitingForSignal, None, Some("go"), "signal go"),
            (
                StopCode::WaitingForSignal,
                due,
                Some("a\nb"),
                "signal $'a\\012b', times out in 5s",
            ),
            (StopCode::StepPaused, None, Some("go"), "signal go"),
        ] {
            let row = RunRow {
                due_at,
                awaits: awaits.into_iter().map(str::to_owned).collect(),
                ..paused(code)
            };
            assert_eq!(next_of(&row), text);
        }
    }

    #[test]
    fn a_run_whose_process_is_gone_says_who_takes_it() {
        let mut row = paused(StopCode::StepPaused);
        row.status = Status::Running;
        let mut who = OwnerReport {
            pid: 7,
            host: "h".into(),
            state: OwnerState::Alive,
            lease_until: None,
        };
        assert_eq!(
            (owner(&who), next_action(&row, Some(&who), WORKER)),
            ("7@h".into(), None)
        );
        who.state = OwnerState::Detached;
        assert_eq!(owner(&who), "7@h detached");
        who.state = OwnerState::Gone;
        assert_eq!(
            next_action(&row, Some(&who), WORKER).as_deref(),
            Some("a worker takes it over")
        );
        row.recoveries = RECOVERIES;
        assert_eq!(
            next_action(&row, Some(&who), WORKER).as_deref(),
            Some("a worker fails it, or resume by hand")
        );
    }

    #[test]
    fn a_worker_does_something_only_where_one_is_there() {
        let nobody = |row: &RunRow| next(row, None, Timestamp::default(), Foreseen::default());
        let mut row = paused(StopCode::Ready);
        row.due_at = Some(Timestamp::default());
        assert_eq!(next_of(&row), "now (a worker continues it)");
        assert_eq!(nobody(&row), "now (needs a worker)");
        row.due_at = None;
        for status in [Status::Pending, Status::Running] {
            row.status = status;
            assert!(next_of(&row).starts_with("a worker "), "{status}");
            assert_eq!(nobody(&row), "needs a worker");
        }
    }
}
