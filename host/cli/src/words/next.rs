//! What happens next with a run.

use milepost::report::{Next, RunReport};

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
