//! Events of a journal, as documents show them.

use std::collections::BTreeMap;

use milepost::core::definition::EndStatus;
use milepost::core::definition::Join;
use milepost::core::event::{Event, RunEvent, Skip, StepEvent};
use milepost::core::ids::{RunId, StepId};
use milepost::core::payload::Payload;
use milepost::core::state::{Ending, Items};
use milepost::core::stop::Stop;

use super::{plain, stop};
use crate::format;

/// Steps that are named as the reason for a skip; the rest is counted.
const NAMED: usize = 5;

/// The event with its stop in words.
pub(crate) fn told(run: &RunId, mut event: Event) -> Event {
    if let Event::Run(event) = &mut event {
        match event {
            RunEvent::Paused { stop }
            | RunEvent::Failed { stop }
            | RunEvent::Cancelled { stop }
            | RunEvent::Compensating { stop, .. }
            | RunEvent::Finishing {
                ending: Ending::Failed { stop } | Ending::Cancelled { stop },
            } => put_into_words(run, stop),
            RunEvent::Resumed(resumed) => {
                if let Some(stop) = &mut resumed.cleared {
                    put_into_words(run, stop);
                }
            }
            RunEvent::Finishing {
                ending: Ending::Completed { .. },
            }
            | RunEvent::FinallyStarted
            | RunEvent::Created(_)
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
    let whole = what.clone();
    for reason in &mut what.reasons {
        let next = stop::next_of_reason(run, &whole, reason, plain);
        *reason = reason.clone().told(stop::message(reason), next);
    }
    let reasons = std::mem::take(&mut what.reasons);
    *what = whole.told(message, next);
    what.reasons = reasons;
}

/// How many items a recorded list has.
pub(crate) fn items(list: &Payload) -> u32 {
    let items = Items::new(list.clone());
    items.map_or(0, |items| items.len())
}

/// How a step ends the run.
pub(crate) fn ends(status: EndStatus, message: Option<&str>) -> String {
    let why = message.map_or_else(String::new, |message| format!(": {message}"));
    format!("as {}{why}", status.as_str())
}

/// Steps that ended without success, as far as somebody followed the events of their run or read its record.
#[derive(Debug, Default)]
pub(crate) struct Unmet(BTreeMap<StepId, &'static str>);

const FAILED: &str = "failed";
const SKIPPED: &str = "was skipped";

impl Unmet {
    /// It failed.
    pub(crate) fn failed(&mut self, step: &StepId) {
        self.0.insert(step.clone(), FAILED);
    }

    /// It was skipped.
    pub(crate) fn skipped(&mut self, step: &StepId) {
        self.0.insert(step.clone(), SKIPPED);
    }

    /// Whether it ended without success.
    pub(crate) fn has(&self, step: &StepId) -> bool {
        self.0.contains_key(step)
    }

    /// Whether it failed.
    pub(crate) fn has_failed(&self, step: &StepId) -> bool {
        self.0.get(step) == Some(&FAILED)
    }

    /// Follows one more event. What ended in an earlier iteration is forgotten when the step ends again.
    pub(crate) fn follow(&mut self, event: &Event) {
        let Event::Step { path, event } = event else {
            return;
        };
        match event {
            // What undoes a step says nothing of how that ended.
            _ if path.is_compensation() => {}
            StepEvent::Failed { .. } => self.failed(path.step()),
            StepEvent::Skipped(_) => self.skipped(path.step()),
            StepEvent::Started(_)
            | StepEvent::Completed { .. }
            | StepEvent::AttemptFailed { .. }
            | StepEvent::Paused { .. }
            | StepEvent::Interrupted { .. }
            | StepEvent::Continued
            | StepEvent::DeadlineSet { .. }
            | StepEvent::Ends { .. }
            | StepEvent::Wait(_)
            | StepEvent::Loop(_)
            | StepEvent::ForEach(_) => {
                self.0.remove(path.step());
            }
        }
    }
}

/// Why a step was skipped: what was not met, and by which join that counts, where that is known.
pub(crate) fn skipped(skip: &Skip, join: Option<Join>, unmet: &Unmet) -> String {
    let needs = match skip {
        Skip::Condition(condition) => return format!("because `{condition}` is false"),
        Skip::Join { needs } => needs,
    };
    let told = |id: &StepId| match unmet.0.get(id) {
        Some(ended) => format!("`{id}` {ended}"),
        None => format!("`{id}` did not succeed"),
    };
    let mut told: Vec<String> = needs.iter().take(NAMED).map(told).collect();
    if needs.len() > NAMED {
        told.push(format!("{} more did not succeed", needs.len() - NAMED));
    }
    let join = join.map_or_else(String::new, |join| format!(" (join {})", join.as_str()));
    format!("because {}{join}", format::list(&told))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use milepost::core::outcome::{ErrorClass, StepError};

    use super::*;

    fn id(text: &str) -> StepId {
        StepId::new(text).unwrap()
    }

    fn skip(needs: &[&str]) -> Skip {
        Skip::Join {
            needs: needs.iter().map(|text| id(text)).collect(),
        }
    }

    #[test]
    fn a_skip_by_a_join_says_what_came_of_the_steps_that_it_names() {
        let mut unmet = Unmet::default();
        let failed = |path: &str| {
            let error = StepError::new(ErrorClass::Failed, "red", "no");
            StepEvent::failed(error).at(path.parse().unwrap())
        };
        let skipped_at = |path: &str| StepEvent::Skipped(skip(&["a"])).at(path.parse().unwrap());
        for event in [
            failed("a"),
            skipped_at("b"),
            failed("l#1/c"),
            skipped_at("l#2/c"),
        ] {
            unmet.follow(&event);
        }
        for (needs, join, told) in [
            (&["a"][..], None, "because `a` failed"),
            (
                &["a", "b"],
                Some(Join::AllSuccess),
                "because `a` failed and `b` was skipped (join all_success)",
            ),
            (
                &["c"],
                Some(Join::OneSuccess),
                "because `c` was skipped (join one_success)",
            ),
            (
                &["x", "a"],
                None,
                "because `x` did not succeed and `a` failed",
            ),
            (
                &["a", "a", "a", "b", "b", "b", "b"],
                None,
                "because `a` failed, `a` failed, `a` failed, `b` was skipped, `b` was skipped and 2 more did not succeed",
            ),
        ] {
            assert_eq!(skipped(&skip(needs), join, &unmet), told);
        }
        // It was run again, and completed.
        let path = "a".parse().unwrap();
        unmet.follow(&StepEvent::Interrupted { attempt: 1 }.at(path));
        assert_eq!(
            skipped(&skip(&["a"]), None, &unmet),
            "because `a` did not succeed"
        );
        let condition = Skip::Condition("1 == 2".to_owned());
        assert_eq!(
            skipped(&condition, None, &unmet),
            "because `1 == 2` is false"
        );
    }
}
