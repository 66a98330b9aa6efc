//! Which signals a workflow can wait for.

use super::model::{Definition, StepKind, WaitStep};
use super::nearest::nearest;
use crate::limits;

/// A signal that nothing in the workflow can ever wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSignal {
    /// The names that it was probably meant to be, best first.
    pub nearest: Vec<String>,
    /// All names that the workflow waits for, sorted.
    pub known: Vec<String>,
}

impl Definition {
    /// The names that `wait` steps wait for, sorted.
    #[must_use]
    pub fn signals(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .steps()
            .iter()
            .filter_map(|step| match &step.kind {
                StepKind::Wait(WaitStep::Signal { name, .. }) => Some(name.as_str()),
                StepKind::Wait(_)
                | StepKind::Component(_)
                | StepKind::Loop(_)
                | StepKind::ForEach(_)
                | StepKind::Approval(_)
                | StepKind::End(_)
                | StepKind::Child(_) => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The known names that this one was probably meant to be; empty when it is one of them.
    #[must_use]
    pub fn nearest_signals(&self, name: &str) -> Vec<String> {
        let known = self.signals();
        if known.contains(&name) {
            return Vec::new();
        }
        nearest(name, known)
    }

    /// Checks that something in the workflow can wait for a signal of this name: a `wait` for it, or any component, which may
    /// pause for whatever it likes and says so only then.
    ///
    /// # Errors
    /// [`UnknownSignal`] when nothing can.
    pub fn can_wait_for(&self, name: &str) -> Result<(), UnknownSignal> {
        let known = self.signals();
        let nameable = name.len() <= limits::NAME_BYTES;
        if known.contains(&name)
            || nameable && self.steps().iter().any(|step| step.call().is_some())
        {
            return Ok(());
        }
        Err(UnknownSignal {
            nearest: self.nearest_signals(name),
            known: known.into_iter().map(str::to_owned).collect(),
        })
    }
}
