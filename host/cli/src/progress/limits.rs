//! What a definition allows: how many attempts and iterations, and which outcomes let a step run.

use std::collections::BTreeMap;

use milepost::core::definition::{Definition, Join, StepKind};
use milepost::core::ids::{Path, StepId};

/// The "of n" in "attempt k of n" and "iteration k of n", and the joins of steps that need others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    pub(super) attempts: BTreeMap<StepId, u32>,
    pub(super) iterations: BTreeMap<StepId, u32>,
    pub(super) joins: BTreeMap<StepId, Join>,
}

impl Limits {
    /// Of a definition.
    pub(crate) fn of(definition: &Definition) -> Self {
        let mut limits = Self::default();
        for step in definition.steps() {
            if !step.needs.is_empty() {
                limits.joins.insert(step.id.clone(), step.join);
            }
            if let Some(call) = step.call() {
                let most = call.retry.max_attempts;
                limits.attempts.insert(step.id.clone(), most);
            }
            if let StepKind::Loop(repeat) = &step.kind {
                let most = repeat.max_iterations;
                limits.iterations.insert(step.id.clone(), most);
            }
        }
        limits
    }

    /// `2 of 3`, or `2` for a step that the definition at hand does not have.
    pub(super) fn attempt(&self, path: &Path, attempt: u32) -> String {
        of(attempt, self.attempts.get(path.step()))
    }

    /// The same for an iteration of a loop.
    pub(super) fn iteration(&self, step: &StepId, iteration: u32) -> String {
        of(iteration, self.iterations.get(step))
    }

    /// How a step judges what it needs.
    pub(crate) fn join(&self, step: &StepId) -> Option<Join> {
        self.joins.get(step).copied()
    }
}

fn of(count: u32, most: Option<&u32>) -> String {
    most.map_or_else(|| count.to_string(), |most| format!("{count} of {most}"))
}
