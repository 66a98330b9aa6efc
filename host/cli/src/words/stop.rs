//! Why a run does not move, and what happens next.

use milepost::core::definition::EndStatus;
use milepost::core::ids::RunId;
use milepost::core::outcome::codes;
use milepost::core::shown;
use milepost::core::stop::{
    AfterHostError, Automatic, Came, Failure, Lasting, Lost, Pausing, Stop, Why,
};

use crate::{format, shell};

/// Codes of what a plugin is not granted.
const NOT_GRANTED: [&str; 3] = ["denied", "private-address", "insecure-secret"];

/// What may happen next that is told of a run at many things; the rest is counted.
const NEXT: usize = 4;
/// Decisions among them: each has two long commands, which differ only in the approval that they name.
const DECISIONS: usize = 2;

/// Why it does not move: all that it stands at.
pub(crate) fn message(stop: &Stop) -> String {
    if let Why::Told(told) = &stop.why {
        return told.message.clone();
    }
    let mut told = vec![one(stop)];
    told.extend(beside(stop).map(one));
    if stop.more > 0 {
        told.push(format!("{} more", stop.more));
    }
    told.extend(stop.compensated.map(compensated));
    told.extend(stop.uncompensated.and_then(uncompensated));
    shown::message(told.join("; "))
}

fn compensated(steps: u32) -> String {
    match steps {
        0 => "nothing was compensated".to_owned(),
        1 => "1 step was compensated".to_owned(),
        _ => format!("{steps} steps were compensated"),
    }
}

fn uncompensated(steps: u32) -> Option<String> {
    match steps {
        0 => None,
        1 => Some("1 step was not".to_owned()),
        _ => Some(format!("{steps} steps were not")),
    }
}

/// What it stands at besides what its stop names first.
fn beside(stop: &Stop) -> impl Iterator<Item = &Stop> {
    let others = stop.reasons.iter();
    others.filter(|reason| (&reason.path, &reason.why) != (&stop.path, &stop.why))
}

fn one(stop: &Stop) -> String {
    let path = stop.path.as_ref().map(ToString::to_string);
    let path = path.unwrap_or_default();
    match &stop.why {
        Why::Told(told) => told.message.clone(),
        Why::StepFailed { failures, more } | Why::FinallyFailed { failures, more } => {
            failed(failures, *more)
        }
        Why::StepPaused(pausing) | Why::RetriesExhausted(pausing) => {
            format!("`{path}` paused ({}): {}", pausing.code, pausing.reason)
        }
        Why::Interrupted { by, lost: false } => format!("paused by {by}"),
        Why::Interrupted { by, lost: true } => {
            format!("paused by {by}; the process that ran it was gone")
        }
        Why::Ended { message, .. } => {
            let why = message
                .as_ref()
                .map_or_else(String::new, |message| format!(": {message}"));
            format!("`{path}` ended the run{why}")
        }
        Why::Cancelled { by } => format!("cancelled by {by}"),
        Why::ReturnsFailed { error } => format!("`returns` could not be evaluated: {error}"),
        Why::HostError { error, then } => host_error(error, *then),
        Why::CheckpointNotSaved { error } => format!("the checkpoint could not be saved: {error}"),
        Why::ProcessLost(Lost::Repeatedly { times }) => format!(
            "the process that ran it was lost {times} times in a row, and nothing was recorded in between"
        ),
        Why::ProcessLost(Lost::CannotGoOn { error, .. }) => {
            format!("the process that ran it is gone, and it cannot continue: {error}")
        }
        Why::DiskLimit { stored, limit } => format!(
            "it takes {stored} bytes of the store (journal, tapes, logs, and the blobs that it uses), more than its `limits.disk` \
             of {limit}"
        ),
        Why::WaitingForTime => format!("`{path}` waits for a point in time"),
        Why::WaitingForSignal { signal } => format!("`{path}` waits for the signal `{signal}`"),
        Why::WaitingForApproval {
            question,
            overdue: false,
        } => format!("`{path}` asks: {question}"),
        Why::WaitingForApproval { overdue: true, .. } | Why::ApprovalTimedOut => {
            format!("nobody decided at `{path}` in time")
        }
        Why::WaitingForChild { run } => format!("`{path}` waits for its child run {run}"),
        Why::Ready(Came::Child(run)) => format!("the child run {run} of `{path}` has ended"),
        Why::Ready(Came::Signal(signal)) => format!("the signal `{signal}` arrived"),
        Why::Ready(Came::Decision(decision)) => format!("`{path}` was {decision}"),
        Why::Ready(Came::Time) => format!("the time of `{path}` is over"),
        Why::Ready(Came::End) if stop.path.is_none() => "the wait is over".to_owned(),
        Why::Ready(Came::End) => format!("the wait at `{path}` is over"),
        Why::Rejected { by, comment } => {
            let by = by
                .as_ref()
                .map_or_else(String::new, |by| format!(" by {by}"));
            let why = comment
                .as_ref()
                .map_or_else(String::new, |why| format!(": {why}"));
            format!("`{path}` was rejected{by}{why}")
        }
        Why::CompensationFailed { code, message, .. } => {
            format!("`{path}` failed ({code}): {message}")
        }
    }
}

/// Its code and what it names first; that alone where it begins with the code's word.
pub(crate) fn reason(stop: &Stop) -> String {
    let message = match &stop.why {
        Why::Told(told) => told.message.clone(),
        _ => shown::message(one(stop)),
    };
    let code = stop.code();
    match begins_with(&message, code.as_str()) {
        Some(_) => message,
        None => format!("{code}: {message}"),
    }
}

/// What follows such a word at the beginning of a text.
pub(crate) fn begins_with<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.strip_prefix(word).filter(|rest| rest.starts_with(' '))
}

fn failed(failures: &[Failure], more: u32) -> String {
    let told: Vec<String> = failures
        .iter()
        .map(|failure| {
            format!(
                "`{}` failed ({}): {}",
                failure.path, failure.code, failure.message
            )
        })
        .collect();
    let told = told.join("; ");
    match more {
        0 => told,
        _ => format!("{more} more failed besides these: {told}"),
    }
}

fn host_error(error: &str, then: AfterHostError) -> String {
    match then {
        AfterHostError::Automatic(Automatic::Next { .. })
        | AfterHostError::Lasting { begun: true, .. } => {
            format!("the host could not continue: {error}")
        }
        AfterHostError::Automatic(Automatic::UsedUp { of }) => {
            format!("the host could not continue, even after {of} automatic resumes: {error}")
        }
        AfterHostError::Lasting { begun: false, .. } => format!("it could not start: {error}"),
        AfterHostError::Panicked => format!("the engine failed: {error}"),
    }
}

/// What happens next, and by whom; not when.
pub(crate) fn next(run: &RunId, stop: &Stop, command: impl Fn(&str) -> String) -> String {
    let resume = format!("`{} {run}`", command("resume"));
    if stop.held_by.is_some() {
        return format!("it is held until {resume}");
    }
    if let Some(reason) = &stop.postponed {
        let then = match stop.due_at {
            Some(_) => "it is tried again",
            None => "it is not tried again: resume it by hand",
        };
        return format!("the last automatic resume could not start: {reason}; {then}");
    }
    if let Why::Told(told) = &stop.why {
        return told.next.clone();
    }
    if stop.compensated.is_some_and(|steps| steps > 0) {
        let undone = match stop.uncompensated {
            Some(1..) => "not all of what its steps did is undone",
            Some(0) | None => "what its steps did is undone",
        };
        return format!("nothing; the run is over, and {undone}");
    }
    let names_step = asks_at_several(stop);
    // Of a run that ended with a failure at its end, what comes next is a matter of what ended it.
    let first = match (&stop.why, stop.reasons.as_slice()) {
        (Why::FinallyFailed { .. }, [first]) => first,
        _ => stop,
    };
    let mut told = vec![after(run, first, names_step, &command)];
    let mut more = stop.more as usize;
    let asks = |reason: &Stop| matches!(reason.why, Why::WaitingForApproval { .. });
    let mut decisions = usize::from(asks(first));
    let finally = |reason: &&Stop| matches!(reason.why, Why::FinallyFailed { .. });
    for reason in beside(stop).filter(|reason| !finally(reason)) {
        let next = after(run, reason, names_step, &command);
        if told.contains(&next) {
            continue;
        }
        if told.len() == NEXT || asks(reason) && decisions == DECISIONS {
            more += 1;
            continue;
        }
        decisions += usize::from(asks(reason));
        told.push(next);
    }
    if more > 0 {
        told.push(format!("`{} {run}` lists {more} more", command("show")));
    }
    shown::message(told.join("; "))
}

/// What happens next of one of its reasons.
pub(crate) fn next_of_reason(
    run: &RunId,
    stop: &Stop,
    reason: &Stop,
    command: impl Fn(&str) -> String,
) -> String {
    shown::message(after(run, reason, asks_at_several(stop), &command))
}

/// Whether a decision has to name its approval.
fn asks_at_several(stop: &Stop) -> bool {
    let asks = |reason: &&Stop| matches!(reason.why, Why::WaitingForApproval { .. });
    stop.reasons.iter().filter(asks).count() > 1
}

/// What happens next of one thing at which it stands; `names_step` where a decision has to name its approval.
fn after(run: &RunId, stop: &Stop, names_step: bool, command: &impl Fn(&str) -> String) -> String {
    let resume = format!("`{} {run}`", command("resume"));
    let accept = format!("`{} {run} --accept-changes`", command("resume"));
    match &stop.why {
        Why::Told(told) => told.next.clone(),
        Why::StepFailed { failures, .. } => {
            let exhausted = |failure: &Failure| failure.code == codes::LOOP_EXHAUSTED;
            // What a grant lacks is mended in the workflow.
            let lacks = |failure: &Failure| NOT_GRANTED.contains(&&*failure.code);
            let lacks = failures.iter().any(lacks);
            match failures.iter().any(exhausted) {
                false if lacks => format!(
                    "nothing by itself; change what the plugin is granted, then {accept} runs the failed steps again"
                ),
                true => format!(
                    "nothing by itself; `{} {run}` restarts the loop from its first iteration, or, with a higher \
                     `max_iterations`, {accept} continues where it stopped",
                    command("retry")
                ),
                false => format!(
                    "nothing by itself; fix the cause, then {resume} runs the failed steps again"
                ),
            }
        }
        Why::FinallyFailed { .. } => format!(
            "nothing by itself; fix the cause, then {resume} runs the steps with `finally` again"
        ),
        Why::StepPaused(pausing) | Why::RetriesExhausted(pausing) => {
            let at = stop.path.as_ref().map(|path| format!(" at `{path}`"));
            let goes_on = format!("{resume} continues{}", at.unwrap_or_default());
            paused(goes_on, run, pausing, command)
        }
        Why::Interrupted { .. } => format!("{resume} continues the run"),
        Why::Ended {
            status: EndStatus::Failed,
            ..
        } => {
            let step = stop.path.as_ref().map(|path| format!(" at `{path}`"));
            format!(
                "nothing by itself; fix the cause, then {resume} decides again{}",
                step.unwrap_or_default()
            )
        }
        Why::Ended { .. }
        | Why::Cancelled { .. }
        | Why::Rejected { .. }
        | Why::ApprovalTimedOut => "nothing; the run is over".to_owned(),
        Why::ReturnsFailed { .. } => format!("nothing by itself; fix `returns`, then {accept}"),
        Why::HostError { then, .. } => match then {
            AfterHostError::Automatic(Automatic::Next { number, of }) => format!(
                "a worker (`{}`) tries again when it is due, as automatic resume {number} of {of}; {resume} tries at once",
                command("work")
            ),
            AfterHostError::Automatic(Automatic::UsedUp { .. }) => {
                format!("nothing by itself; fix the cause, then {resume}")
            }
            AfterHostError::Lasting { fault, .. } => lasting(*fault, &resume, command),
            AfterHostError::Panicked => format!("nothing by itself; {resume} tries again"),
        },
        Why::CheckpointNotSaved { .. } => format!(
            "make the store writable, then {resume}; steps whose outcome was not saved run again"
        ),
        Why::ProcessLost(Lost::Repeatedly { .. }) => {
            format!("nothing by itself; check what the steps in flight did, then {resume}")
        }
        Why::ProcessLost(Lost::CannotGoOn { fault, .. }) => lasting(*fault, &resume, command),
        Why::DiskLimit { .. } => format!(
            "nothing by itself; raise `limits.disk` in the definition, then {accept} continues the run"
        ),
        Why::WaitingForTime => format!(
            "a worker (`{}`) or {resume} continues the run then, not before",
            command("work")
        ),
        Why::WaitingForSignal { signal } => {
            format!(
                "after `{}`, a worker or {resume} continues the run",
                send(run, signal, command)
            )
        }
        Why::WaitingForApproval { .. } => {
            let path = stop.path.as_ref().filter(|_| names_step);
            let step = path.map_or_else(String::new, |path| {
                format!(" --step {}", shell::argument(&path.to_string()))
            });
            format!(
                "`{} {run}{step}` or `{} {run}{step}` decides",
                command("approve"),
                command("reject")
            )
        }
        Why::WaitingForChild { run: child } => format!(
            "the end of {child} continues the run; `{} {child}` shows how far that is",
            command("show")
        ),
        Why::Ready(_) => format!("a worker or {resume} continues it"),
        Why::CompensationFailed { automatic, .. } => {
            let then = format!("{resume} tries it again, then continues with the others");
            let by_itself = match automatic {
                Some(Automatic::Next { number, of }) => format!(
                    "a worker (`{}`) does so when it is due, as automatic resume {number} of {of}",
                    command("work")
                ),
                Some(Automatic::UsedUp { of }) => {
                    format!("its {of} automatic resumes are used up")
                }
                None => format!("`{} {run}` ends the run without the rest", command("kill")),
            };
            format!("{then}; {by_itself}")
        }
    }
}

fn paused(
    mut next: String,
    run: &RunId,
    pausing: &Pausing,
    command: impl Fn(&str) -> String,
) -> String {
    if let Some(signal) = &pausing.signal {
        next.push_str(&format!(
            "; after `{}`, a worker does so, too",
            send(run, signal, &command)
        ));
    }
    match pausing.automatic {
        Some(Automatic::Next { number, of }) => next.push_str(&format!(
            "; a worker (`{}`) does so when it is due, as automatic resume {number} of {of}",
            command("work")
        )),
        Some(Automatic::UsedUp { of }) => {
            next.push_str(&format!("; its {of} automatic resumes are used up"));
        }
        None => {}
    }
    if let Some(until) = pausing.not_before {
        let until = format::instant(until);
        next.push_str(&format!("; it is pointless before {until}"));
    }
    next
}

fn lasting(fault: Lasting, resume: &str, command: impl Fn(&str) -> String) -> String {
    let remedy = match fault {
        Lasting::Unusable => format!("fix the cause, then {resume}"),
        Lasting::ComponentMissing => {
            format!("put the component back, then {resume}, or start a new run")
        }
        Lasting::Damaged => format!(
            "`{}` lists all damage; restore the store from a backup, then {resume}, or start a new run",
            command("doctor")
        ),
    };
    format!("nothing by itself; {remedy}")
}

/// The command that sends the signal.
fn send(run: &RunId, signal: &str, command: impl Fn(&str) -> String) -> String {
    format!("{} {run} {}", command("signal"), shell::argument(signal))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use milepost::core::time::Timestamp;
    use milepost::core::wait::Verdict;

    use super::*;
    use crate::words::plain;

    fn pausing(signal: Option<&str>, automatic: Option<Automatic>) -> Pausing {
        Pausing {
            code: "quota".to_owned(),
            reason: "no more today".to_owned(),
            signal: signal.map(str::to_owned),
            not_before: None,
            automatic,
        }
    }

    fn failures(code: &str) -> Why {
        let failure = |path: &str, code: &str| Failure {
            path: path.parse().unwrap(),
            code: code.to_owned(),
            message: "it broke".to_owned(),
        };
        Why::StepFailed {
            failures: vec![failure("a", "broken"), failure("l", code)],
            more: 0,
        }
    }

    fn finally_failed() -> Why {
        Why::FinallyFailed {
            failures: vec![Failure {
                path: "a".parse().unwrap(),
                code: "red".to_owned(),
                message: "it broke".to_owned(),
            }],
            more: 0,
        }
    }

    #[test]
    fn a_failure_at_the_end_stands_beside_what_ended_the_run() {
        let run = RunId::new("r1").unwrap();
        let told = |stop: &Stop| (message(stop), next(&run, stop, plain));
        let first = Stop::new(failures("red"));
        let failed = Stop {
            reasons: vec![first],
            ..Stop::new(finally_failed())
        };
        let broke = "`a` failed (broken): it broke; `l` failed (red): it broke";
        assert_eq!(
            told(&failed),
            (
                format!("`a` failed (red): it broke; {broke}"),
                "nothing by itself; fix the cause, then `milepost resume r1` runs the failed steps again".to_owned()
            )
        );
        let cancelled = Stop {
            reasons: vec![Stop::new(finally_failed())],
            ..Stop::cancelled_by("ann")
        };
        assert_eq!(
            told(&cancelled),
            (
                "cancelled by ann; `a` failed (red): it broke".to_owned(),
                "nothing; the run is over".to_owned()
            )
        );
    }

    fn host_error(then: AfterHostError) -> Why {
        Why::HostError {
            error: "no luck".to_owned(),
            then,
        }
    }

    fn lasting(fault: Lasting, begun: bool) -> Why {
        host_error(AfterHostError::Lasting { fault, begun })
    }

    fn approval(overdue: bool) -> Why {
        Why::WaitingForApproval {
            question: "Go?".to_owned(),
            overdue,
        }
    }

    fn table() -> Vec<(Why, &'static str, &'static str)> {
        let next = Automatic::Next { number: 1, of: 5 };
        let used_up = Automatic::UsedUp { of: 5 };
        let until = Pausing {
            not_before: Some(Timestamp::default()),
            ..pausing(Some("go on"), Some(used_up))
        };
        vec![
            (
                failures("red"),
                "`a` failed (broken): it broke; `l` failed (red): it broke",
                "nothing by itself; fix the cause, then `milepost resume r1` runs the failed steps again",
            ),
            (
                failures("denied"),
                "`a` failed (broken): it broke; `l` failed (denied): it broke",
                "nothing by itself; change what the plugin is granted, then `milepost resume r1 --accept-changes` runs the failed steps again",
            ),
            (
                failures(codes::LOOP_EXHAUSTED),
                "`a` failed (broken): it broke; `l` failed (loop_exhausted): it broke",
                "nothing by itself; `milepost retry r1` restarts the loop from its first iteration, or, with a higher `max_iterations`, \
                 `milepost resume r1 --accept-changes` continues where it stopped",
            ),
            (
                finally_failed(),
                "`a` failed (red): it broke",
                "nothing by itself; fix the cause, then `milepost resume r1` runs the steps with `finally` again",
            ),
            (
                Why::StepPaused(pausing(None, None)),
                "`a` paused (quota): no more today",
                "`milepost resume r1` continues at `a`",
            ),
            (
                Why::RetriesExhausted(pausing(None, Some(next))),
                "`a` paused (quota): no more today",
                "`milepost resume r1` continues at `a`; a worker (`milepost work`) does so when it is due, as automatic resume 1 of 5",
            ),
            (
                Why::StepPaused(until),
                "`a` paused (quota): no more today",
                "`milepost resume r1` continues at `a`; after `milepost signal r1 'go on'`, a worker does so, too; its 5 automatic resumes are used up; \
                 it is pointless before 1970-01-01 00:00:00Z",
            ),
            (
                Why::Interrupted {
                    by: "SIGINT".to_owned(),
                    lost: false,
                },
                "paused by SIGINT",
                "`milepost resume r1` continues the run",
            ),
            (
                Why::Interrupted {
                    by: "ann".to_owned(),
                    lost: true,
                },
                "paused by ann; the process that ran it was gone",
                "`milepost resume r1` continues the run",
            ),
            (
                Why::Ended {
                    status: EndStatus::Failed,
                    message: Some("no luck".to_owned()),
                },
                "`a` ended the run: no luck",
                "nothing by itself; fix the cause, then `milepost resume r1` decides again at `a`",
            ),
            (
                Why::Ended {
                    status: EndStatus::Cancelled,
                    message: None,
                },
                "`a` ended the run",
                "nothing; the run is over",
            ),
            (
                Why::Cancelled {
                    by: "ann".to_owned(),
                },
                "cancelled by ann",
                "nothing; the run is over",
            ),
            (
                Why::ReturnsFailed {
                    error: "no such step".to_owned(),
                },
                "`returns` could not be evaluated: no such step",
                "nothing by itself; fix `returns`, then `milepost resume r1 --accept-changes`",
            ),
            (
                host_error(AfterHostError::Automatic(next)),
                "the host could not continue: no luck",
                "a worker (`milepost work`) tries again when it is due, as automatic resume 1 of 5; `milepost resume r1` tries at once",
            ),
            (
                host_error(AfterHostError::Automatic(used_up)),
                "the host could not continue, even after 5 automatic resumes: no luck",
                "nothing by itself; fix the cause, then `milepost resume r1`",
            ),
            (
                lasting(Lasting::Unusable, true),
                "the host could not continue: no luck",
                "nothing by itself; fix the cause, then `milepost resume r1`",
            ),
            (
                lasting(Lasting::ComponentMissing, false),
                "it could not start: no luck",
                "nothing by itself; put the component back, then `milepost resume r1`, or start a new run",
            ),
            (
                lasting(Lasting::Damaged, true),
                "the host could not continue: no luck",
                "nothing by itself; `milepost doctor` lists all damage; restore the store from a backup, then \
                 `milepost resume r1`, or start a new run",
            ),
            (
                host_error(AfterHostError::Panicked),
                "the engine failed: no luck",
                "nothing by itself; `milepost resume r1` tries again",
            ),
            (
                Why::CheckpointNotSaved {
                    error: "the disk is full".to_owned(),
                },
                "the checkpoint could not be saved: the disk is full",
                "make the store writable, then `milepost resume r1`; steps whose outcome was not saved run again",
            ),
            (
                Why::ProcessLost(Lost::Repeatedly { times: 2 }),
                "the process that ran it was lost 2 times in a row, and nothing was recorded in between",
                "nothing by itself; check what the steps in flight did, then `milepost resume r1`",
            ),
            (
                Why::ProcessLost(Lost::CannotGoOn {
                    error: "no luck".to_owned(),
                    fault: Lasting::Unusable,
                }),
                "the process that ran it is gone, and it cannot continue: no luck",
                "nothing by itself; fix the cause, then `milepost resume r1`",
            ),
            (
                Why::DiskLimit {
                    stored: 2,
                    limit: 1,
                },
                "it takes 2 bytes of the store (journal, tapes, logs, and the blobs that it uses), more than its `limits.disk` of 1",
                "nothing by itself; raise `limits.disk` in the definition, then `milepost resume r1 --accept-changes` continues the run",
            ),
            (
                Why::WaitingForTime,
                "`a` waits for a point in time",
                "a worker (`milepost work`) or `milepost resume r1` continues the run then, not before",
            ),
            (
                Why::WaitingForSignal {
                    signal: "-x".to_owned(),
                },
                "`a` waits for the signal `-x`",
                "after `milepost signal r1 -- -x`, a worker or `milepost resume r1` continues the run",
            ),
            (
                approval(false),
                "`a` asks: Go?",
                "`milepost approve r1` or `milepost reject r1` decides",
            ),
            (
                approval(true),
                "nobody decided at `a` in time",
                "`milepost approve r1` or `milepost reject r1` decides",
            ),
            (
                Why::Ready(Came::Signal("go".to_owned())),
                "the signal `go` arrived",
                "a worker or `milepost resume r1` continues it",
            ),
            (
                Why::Ready(Came::Decision(Verdict::Approved)),
                "`a` was approved",
                "a worker or `milepost resume r1` continues it",
            ),
            (
                Why::Ready(Came::Time),
                "the time of `a` is over",
                "a worker or `milepost resume r1` continues it",
            ),
            (
                Why::Ready(Came::End),
                "the wait at `a` is over",
                "a worker or `milepost resume r1` continues it",
            ),
            (
                Why::Rejected {
                    by: Some("ann".to_owned()),
                    comment: Some("too long".to_owned()),
                },
                "`a` was rejected by ann: too long",
                "nothing; the run is over",
            ),
            (
                Why::ApprovalTimedOut,
                "nobody decided at `a` in time",
                "nothing; the run is over",
            ),
        ]
    }

    #[test]
    fn of_many_things_that_may_happen_next_the_first_ones_are_told() {
        let run = RunId::new("r").unwrap();
        let reason = |at: usize| {
            let path: milepost::core::ids::Path = format!("ask{at}").parse().unwrap();
            Stop::new(approval(false)).at(path)
        };
        let stop = |count| Stop::for_reasons((0..count).map(reason).collect()).unwrap();
        let decides = |at| {
            format!(
                "`milepost approve r --step ask{at}` or `milepost reject r --step ask{at}` decides"
            )
        };
        let [a, b] = [0, 1].map(decides);
        for (count, told) in [
            (
                1,
                "`milepost approve r` or `milepost reject r` decides".to_owned(),
            ),
            (2, format!("{a}; {b}")),
            (3, format!("{a}; {b}; `milepost show r` lists 1 more")),
            (150, format!("{a}; {b}; `milepost show r` lists 148 more")),
        ] {
            assert_eq!(next(&run, &stop(count), plain), told);
        }
        // What else may happen is told beside them.
        let go = Stop::new(Why::WaitingForSignal {
            signal: "go".to_owned(),
        });
        let reasons = (0..3).map(reason).chain([go]);
        let mixed = Stop::for_reasons(reasons.collect()).unwrap();
        let signal =
            "after `milepost signal r go`, a worker or `milepost resume r` continues the run";
        let told = format!("{a}; {b}; {signal}; `milepost show r` lists 1 more");
        assert_eq!(next(&run, &mixed, plain), told);
        // Each reason names its own step, where one has to be named.
        let several = stop(2);
        assert_eq!(
            next_of_reason(&run, &several, &several.reasons[1], plain),
            b
        );
    }

    #[test]
    fn every_stop_says_why_and_what_happens_next() {
        let run = RunId::new("r1").unwrap();
        for (why, says, then) in table() {
            let stop = Stop::new(why).at("a".parse::<milepost::core::ids::Path>().ok());
            assert_eq!(message(&stop), says);
            assert_eq!(next(&run, &stop, plain), then);
            // What was recorded in words is told in those, whoever reads them.
            let told = stop
                .clone()
                .told("why".to_owned(), "`milepost then`".to_owned());
            let elsewhere = |verb: &str| format!("milepost --store s {verb}");
            assert_eq!(message(&told), "why");
            assert_eq!(next(&run, &told, elsewhere), "`milepost then`");
            let held = Stop {
                held_by: Some("ann".to_owned()),
                ..told
            };
            assert_eq!(
                next(&run, &held, elsewhere),
                "it is held until `milepost --store s resume r1`"
            );
            let postponed = Stop {
                postponed: Some("no luck".to_owned()),
                ..stop
            };
            assert_eq!(
                next(&run, &postponed, plain),
                "the last automatic resume could not start: no luck; it is not tried again: resume it by hand"
            );
        }
    }
}
