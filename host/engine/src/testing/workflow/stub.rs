//! What stands in the place of steps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use milepost_core::ids::Path;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError};
use milepost_core::time::Timestamp;
use serde_json::Value;

/// What an attempt of a step comes to, in the place of its component.
#[derive(Debug, Clone, PartialEq)]
pub struct Stub {
    pub(crate) outcome: Outcome,
    /// A pause goes on so long after it began.
    pub(crate) pauses_for: Option<Duration>,
    pub(crate) takes: Duration,
    pub(crate) place: Range<usize>,
}

impl Stub {
    /// It ends so.
    #[must_use]
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            pauses_for: None,
            takes: Duration::ZERO,
            place: 0..0,
        }
    }

    /// It completes with this.
    #[must_use]
    pub fn output(output: Value) -> Self {
        Self::new(Outcome::Completed(output))
    }

    /// It fails, and is not tried again.
    #[must_use]
    pub fn fails(code: &str) -> Self {
        Self::error(ErrorClass::Failed, code)
    }

    /// It fails, and another attempt may succeed.
    #[must_use]
    pub fn fails_for_now(code: &str) -> Self {
        Self::error(ErrorClass::Retryable, code)
    }

    /// It fails with an error of that class.
    #[must_use]
    pub fn error(class: ErrorClass, code: &str) -> Self {
        let error = StepError::new(class, code, format!("a test says so: {code}"));
        Self::new(Outcome::Failed(error))
    }

    /// It pauses; `signal` is the name of the signal that it waits for, if any.
    #[must_use]
    pub fn pauses(code: &str, signal: Option<&str>) -> Self {
        Self::new(Outcome::Paused(Pause {
            code: code.to_owned(),
            reason: format!("a test says so: {code}"),
            provider: None,
            until: None,
            signal: signal.map(str::to_owned),
            state: None,
        }))
    }

    /// It takes so long, by the clock of the test.
    #[must_use]
    pub fn takes(mut self, time: Duration) -> Self {
        self.takes = time;
        self
    }

    /// How it ends at that time.
    pub(super) fn at(&self, now: Timestamp) -> Outcome {
        let mut outcome = self.outcome.clone();
        if let (Outcome::Paused(pause), Some(time)) = (&mut outcome, self.pauses_for) {
            pause.until = Some(now.after(time));
        }
        outcome
    }
}

/// Stubs by the names of steps. Of several, each attempt takes the next one, and the last one stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Stubs(pub(crate) BTreeMap<String, Vec<Stub>>);

/// What a step is called in a test: where it stands, in its run, which may be a child run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// `packages[2]/fix#1/test`.
    pub(super) full: String,
    /// `packages/test`: without items and iterations.
    pub(super) short: String,
}

impl Name {
    pub(super) fn of(before: &Before, path: &Path) -> Self {
        Self {
            full: format!("{}{path}", before.full),
            short: format!("{}{}", before.short, id_of(path)),
        }
    }

    /// The stubs that are meant for it.
    pub(super) fn find<'a>(&self, stubs: &'a Stubs) -> Option<(&'a str, &'a [Stub])> {
        let (name, stubs) = self.of_these(&stubs.0)?;
        Some((name, stubs.as_slice()))
    }

    /// What is meant for it: what is given for the place rather than what is given for the step.
    pub(super) fn of_these<'a, T>(
        &self,
        given: &'a BTreeMap<String, T>,
    ) -> Option<(&'a str, &'a T)> {
        let names = [&self.full, &self.short];
        let found = names.into_iter().find_map(|name| given.get_key_value(name));
        found.map(|(name, given)| (name.as_str(), given))
    }
}

fn id_of(path: &Path) -> String {
    match path.is_compensation() {
        true => format!("{}!compensate", path.step()),
        false => path.step().to_string(),
    }
}

/// What stands before the names of the steps of a child run: those of the steps that started it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) full: String,
    pub(super) short: String,
}

impl Before {
    pub(super) fn of_child(&self, path: &Path) -> Self {
        let name = Name::of(self, path);
        Self {
            full: format!("{}/", name.full),
            short: format!("{}/", name.short),
        }
    }
}
