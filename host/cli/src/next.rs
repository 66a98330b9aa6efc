//! What happens next with a run, in words.

use milepost::report::{Next, RunReport};

/// What happens next, and by whom; `None` when the run is over.
pub(crate) fn of_run(report: &RunReport) -> Option<String> {
    let run = &report.id;
    Some(match report.next? {
        Next::Claim => format!("a worker (`milepost work`) takes it, or `milepost resume {run}`"),
        Next::Moves => "it moves by itself".to_owned(),
        Next::TakeOver => {
            format!("a worker (`milepost work`) takes it over, or `milepost resume {run}` does")
        }
        Next::GiveUp => format!(
            "a worker fails it with `process_lost`; `milepost resume {run}` tries it once more"
        ),
        Next::Stop => report.stop.as_ref()?.next.clone(),
    })
}
