//! Which rules of the core govern a run.
//!
//! What was decided once is decided again by every replay, so no rule may change under a run that has begun. One that has to
//! change gets a number here. A run records the number that it was created under and keeps it to its end.

use serde::{Deserialize, Serialize};

/// The rules of a run, by number; what was created before there were numbers has 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Rules(u32);

impl Rules {
    /// The rules of runs that are created now.
    pub const PRESENT: Self = Self(6);

    /// Whether `continue_on_error` handles a failure: the run can complete, and a step that says nothing else fails when its
    /// attempts are used up. Before, the run ended as failed all the same.
    #[must_use]
    pub const fn handle_failures(self) -> bool {
        self.0 >= 1
    }

    /// Whether chance keeps the wait before another attempt within `max`. Before, it was added after the cap.
    #[must_use]
    pub const fn cap_jitter(self) -> bool {
        self.0 >= 1
    }

    /// Whether automatic resumes count whatever provider a pause names. Before, another one began the count afresh.
    #[must_use]
    pub const fn count_across_providers(self) -> bool {
        self.0 >= 1
    }

    /// Whether an int compares with a double as the nearest double, and a whole number that fits only without a sign is an int,
    /// as CEL has it. Before, an int and a double compared without rounding, and such a number was a double.
    #[must_use]
    pub const fn compare_as_cel(self) -> bool {
        self.0 >= 1
    }

    /// Whether everything that is open where the run stands can be answered: in a graph that may be more than one thing. Before, it
    /// was the one at which it stopped.
    #[must_use]
    pub const fn answer_all(self) -> bool {
        self.0 >= 2
    }

    /// Whether the stop of a failed run names only failures that are not handled. Before, it named all of them.
    #[must_use]
    pub const fn name_what_failed_the_run(self) -> bool {
        self.0 >= 3
    }

    /// Whether a component that asked to stop goes on at its time also while other steps are in flight. Before, the run had to pause,
    /// and that time was found then.
    #[must_use]
    pub const fn pauses_pass_beside(self) -> bool {
        self.0 >= 3
    }

    /// Whether the time of the steps with `finally` counts from when the first of them began, whoever drives the run. Before, it
    /// began afresh with every claim.
    #[must_use]
    pub const fn finally_counts_across_claims(self) -> bool {
        self.0 >= 4
    }

    /// Whether a run that was lost too often while it was being cancelled is still being cancelled when it goes on. Before, it went on
    /// with its steps.
    #[must_use]
    pub const fn cancellations_outlive_losses(self) -> bool {
        self.0 >= 4
    }

    /// Whether an item that a person cancelled stays so where what stands before its fan-out, or holds it, runs again. Before, it was
    /// worked at again.
    #[must_use]
    pub const fn keep_cancelled_items(self) -> bool {
        self.0 >= 5
    }

    /// Whether inputs and outputs are held against the manifest of the component. Before, a step was called with whatever its
    /// expressions gave, and its output was what it gave.
    #[must_use]
    pub const fn validate_values(self) -> bool {
        self.0 >= 6
    }

    /// Whether `.?` on a list, and an index beyond 64 bits, is an error, as CEL has it. Before, the value was missing.
    #[must_use]
    pub const fn refuse_what_no_list_has(self) -> bool {
        self.0 >= 1
    }
}

impl TryFrom<u32> for Rules {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number > Self::PRESENT.0 {
            return Err(format!(
                "the run goes by rules {number}, this program knows up to {}",
                Self::PRESENT.0
            ));
        }
        Ok(Self(number))
    }
}

impl From<Rules> for u32 {
    fn from(rules: Rules) -> Self {
        rules.0
    }
}
