//! What happens next with a run.

use milepost::core::stop::{Failure, Stop, Why};
use milepost::report::{Next, RunReport, StepReport};

use super::stop;

/// What happens next with a run that does not move.
pub(crate) fn of_stop(
    report: &RunReport,
    stopped: &Stop,
    command: impl Fn(&str) -> String,
) -> String {
    match &stopped.why {
        Why::StepFailed { failures, more: 0 }
            if failures
                .iter()
                .all(|failure| was_cancelled(report, failure)) =>
        {
            "nothing; the items that failed were cancelled for good, and a new run works at them"
                .to_owned()
        }
        _ => stop::next(&report.id, stopped, command),
    }
}

/// Whether a fan-out failed for nothing but items that a person cancelled.
fn was_cancelled(report: &RunReport, failure: &Failure) -> bool {
    let path = failure.path.to_string();
    let is_it = |step: &&StepReport| step.path == path;
    let items = report
        .steps
        .iter()
        .find(is_it)
        .and_then(|step| step.items.as_ref());
    items.is_some_and(|items| items.failed == 0 && items.cancelled > 0)
}

/// What happens next, and by whom; `None` when the run is over, and where its stop tells it.
pub(crate) fn of_run(report: &RunReport, command: impl Fn(&str) -> String) -> Option<String> {
    let work = command("work");
    let resume = format!("{} {}", command("resume"), report.id);
    Some(match report.next? {
        Next::Claim => format!("a worker (`{work}`) or `{resume}` starts it"),
        Next::Moves => "its process continues it".to_owned(),
        Next::TakeOver => format!("a worker (`{work}`) or `{resume}` takes it over"),
        Next::GiveUp => {
            format!("a worker fails it with `process_lost`; `{resume}` tries it once more")
        }
        Next::Stop => return None,
    })
}
