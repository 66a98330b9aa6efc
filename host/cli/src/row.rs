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

/// What happens next with a run, beside its own due time; `None` when it moves by itself, or is over. With `beside`, that is the due
/// time of something else than what the row names.
pub(crate) fn next_action(
    row: &RunRow,
    owner: Option<&OwnerReport>,
    beside: bool,
) -> Option<String> {
    match row.status {
        Status::Completed | Status::Cancelled => None,
        Status::Pending => Some("a worker starts it".to_owned()),
        Status::Running => match owner {
            Some(owner) if owner.state != OwnerState::Gone => None,
            Some(_) | None if row.recoveries < RECOVERIES => {
                Some("a worker takes it over".to_owned())
            }
            Some(_) | None => Some("a worker fails it, or resume by hand".to_owned()),
        },
        Status::Failed => Some("resume by hand".to_owned()),
        Status::Paused if beside && stop_of(row) != Some(StopCode::WaitingForTime) => {
            let without = RunRow {
                due_at: None,
                ..row.clone()
            };
            Some(paused(&without))
        }
        Status::Paused => Some(paused(row)),
    }
}

fn paused(row: &RunRow) -> String {
    let is = |code: StopCode| stop_of(row) == Some(code);
    let most = AUTOMATIC_RESUMES.len();
    let used = usize::try_from(row.auto_resumes).unwrap_or(usize::MAX);
    if row.due_at.is_none() && (is(StopCode::Ready) || is(StopCode::WaitingForTime)) {
        "resume by hand".to_owned()
    } else if is(StopCode::Ready) {
        "a worker continues it".to_owned()
    } else if is(StopCode::WaitingForChild) {
        "its child run ends".to_owned()
    } else if is(StopCode::WaitingForApproval) {
        "approve or reject".to_owned()
    } else if is(StopCode::WaitingForTime) {
        "a worker continues it".to_owned()
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
    beside: bool,
) -> String {
    let action = next_action(row, owner, beside);
    let due = row.due_at.map(|at| format::ahead(now, at));
    let times_out = stop_of(row).is_some_and(StopCode::times_out);
    match (action, due) {
        (Some(action), Some(due)) if beside => format!("{action}; something else is due {due}"),
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

    use super::*;

    fn paused(code: StopCode) -> RunRow {
        RunRow {
            id: RunId::new("r").unwrap(),
            workflow: "w".into(),
            parent: None,
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
            stored_bytes: 0,
        }
    }

    fn next_of(row: &RunRow) -> String {
        next(row, None, Timestamp::default(), false)
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
            assert_eq!(next(&row, None, Timestamp::default(), true), text);
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
            (owner(&who), next_action(&row, Some(&who), false)),
            ("7@h".into(), None)
        );
        who.state = OwnerState::Detached;
        assert_eq!(owner(&who), "7@h detached");
        who.state = OwnerState::Gone;
        assert_eq!(
            next_action(&row, Some(&who), false).as_deref(),
            Some("a worker takes it over")
        );
        row.recoveries = RECOVERIES;
        assert_eq!(
            next_action(&row, Some(&who), false).as_deref(),
            Some("a worker fails it, or resume by hand")
        );
    }
}
