//! Why something became of a step of a dry run.

use milepost::core::dry_run::Why;
use milepost::core::event::Skip;
use milepost::core::shown::Shown;
use milepost::core::time::format_duration;
use milepost::core::wait::Wait;

use crate::format;

/// In a few words.
pub(crate) fn why(why: &Why) -> String {
    match why {
        Why::Stub => "stub".to_owned(),
        Why::NoStub => "no stub".to_owned(),
        Why::TriedAgain(after) => format!("tried again after {}", format_duration(*after)),
        Why::NotCalled => "not called".to_owned(),
        Why::Skip(Skip::Condition(text)) => format!("its condition is false: {}", Shown(text)),
        Why::Skip(Skip::Join { needs }) => {
            let needs: Vec<String> = needs.iter().map(|id| format!("`{id}`")).collect();
            format!("because of {}", format::list(&needs))
        }
        Why::Decided(verdict) => verdict.as_str().to_owned(),
        Why::Signal(name) => format!("the signal `{}` came", Shown(name)),
        Why::Passed => "its time passed".to_owned(),
        Why::Child => "its child run ended".to_owned(),
        Why::Iterations(count) => format::count(*count, "iteration"),
        Why::Items => "its items ended".to_owned(),
        Why::Ends => "it ends the run".to_owned(),
        Why::Waits(Wait::Approval { message, .. }) => {
            format!("waits for a decision: {}", Shown(message))
        }
        Why::Waits(Wait::Signal { name, .. }) => format!("waits for the signal `{}`", Shown(name)),
        Why::Waits(Wait::Time { until }) => format!("waits until {}", format::instant(*until)),
        Why::Waits(Wait::Child { .. }) => "waits for its child run".to_owned(),
    }
}
