//! Events of a journal, as documents show them.

use milepost::core::event::{Event, RunEvent, Skip};
use milepost::core::ids::RunId;
use milepost::core::stop::Stop;

use super::{plain, stop};

/// The event with its stop in words.
pub(crate) fn told(run: &RunId, mut event: Event) -> Event {
    if let Event::Run(event) = &mut event {
        match event {
            RunEvent::Paused { stop }
            | RunEvent::Failed { stop }
            | RunEvent::Cancelled { stop } => put_into_words(run, stop),
            RunEvent::Resumed(resumed) => {
                if let Some(stop) = &mut resumed.cleared {
                    put_into_words(run, stop);
                }
            }
            RunEvent::Created(_)
            | RunEvent::Claimed { .. }
            | RunEvent::Released { .. }
            | RunEvent::DefinitionChanged(_)
            | RunEvent::Postponed { .. }
            | RunEvent::Held { .. }
            | RunEvent::ClockCorrected { .. }
            | RunEvent::Completed { .. } => {}
        }
    }
    event
}

fn put_into_words(run: &RunId, what: &mut Stop) {
    let (message, next) = (stop::message(what), stop::next(run, what, plain));
    *what = what.clone().told(message, next);
}

/// Why a step was skipped.
pub(crate) fn skipped(skip: &Skip) -> String {
    match skip {
        Skip::Condition(condition) => format!("because `{condition}` is false"),
        Skip::Join { needs } => {
            let needs: Vec<String> = needs.iter().map(|id| format!("`{id}`")).collect();
            format!("because of {}", needs.join(", "))
        }
    }
}
