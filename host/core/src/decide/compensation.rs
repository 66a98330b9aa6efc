//! Undoing what has completed, before a run ends: one compensation at a time, that of the step that completed last first.

use super::{Action, Decider, Decision, expression_failed};
use crate::definition::{Compensation, ComponentStep, Definition, OnFailure, Step};
use crate::event::{RunEvent, Undo};
use crate::expr::{Budget, EvalError};
use crate::ids::Path;
use crate::limits;
use crate::outcome::{ErrorClass, StepError, codes};
use crate::payload::Payload;
use crate::scope::StateScope;
use crate::shown;
use crate::state::{Ending, RunState, StepPhase, StepRecord, StepResult};
use crate::stop::{Stop, Why};

/// How an execution that completes with this output can be undone.
pub(super) fn undo(
    definition: &Definition,
    state: &RunState,
    path: &Path,
    output: &Payload,
) -> Option<Undo> {
    if path.is_compensation() {
        return None;
    }
    let compensation = definition
        .step(path.step())?
        .call()?
        .compensation
        .as_deref()?;
    let with = resolve(compensation, definition, state, path, output);
    Some(Undo { with: with.ok() })
}

fn resolve(
    compensation: &Compensation,
    definition: &Definition,
    state: &RunState,
    path: &Path,
    output: &Payload,
) -> Result<Payload, EvalError> {
    let output = output.value();
    let scope = StateScope::of_compensation(definition, state, path, &output);
    let with = compensation.with.resolve(&scope, &mut Budget::default())?;
    Ok(Payload::new(with))
}

/// Whether the workflow says of a run that ends so that what it did is undone.
fn may_be_undone(definition: &Definition, ending: &Ending) -> bool {
    definition.on_failure == OnFailure::Compensate && matches!(ending, Ending::Failed { .. })
}

/// Whether a run that is about to end so has something to undo, and its workflow wants that.
pub(super) fn is_undone(definition: &Definition, state: &RunState, ending: &Ending) -> bool {
    may_be_undone(definition, ending) && next(definition, state).is_some()
}

/// The compensation that comes next. What the definition does not say any more how to undo is left as it is.
fn next<'a>(
    definition: &'a Definition,
    state: &'a RunState,
) -> Option<(&'a StepRecord, &'a ComponentStep, &'a Compensation)> {
    let mut open = state.executions().compensations().open();
    open.find_map(|record| {
        let call = definition.step(record.path.step()).and_then(Step::call)?;
        Some((record, call, call.compensation.as_deref()?))
    })
}

impl Decider<'_> {
    /// The end of a run that ends so, with how many of its steps were undone.
    pub(super) fn after_compensations(&self, ending: &Ending, mut last: RunEvent) -> RunEvent {
        let all = self.state.executions().compensations();
        let undone =
            self.state.compensates() || !all.is_empty() && may_be_undone(self.definition, ending);
        if let RunEvent::Failed { stop } | RunEvent::Cancelled { stop } = &mut last
            && undone
        {
            let completed = u32::try_from(all.completed()).unwrap_or(u32::MAX);
            stop.compensated = Some(completed);
        }
        last
    }

    /// What there is to do before the run can end so; nothing when all is undone.
    pub(super) fn compensate(&self, ending: &Ending) -> Option<Decision> {
        if !self.state.compensates() && !may_be_undone(self.definition, ending) {
            return None;
        }
        let next = next(self.definition, self.state);
        let (record, call, compensation) = next?;
        let path = &record.path;
        Some(match &record.phase {
            StepPhase::InFlight { .. } => Decision::Wait {
                wake_at: None,
                cancel: Vec::new(),
            },
            StepPhase::Waiting { retry_at, .. } if *retry_at > self.now => Decision::Wait {
                wake_at: Some(*retry_at),
                cancel: Vec::new(),
            },
            StepPhase::Paused {
                pause,
                retries_exhausted: false,
                due_at,
            } => Decision::Pause(self.pause_stop(path, pause, false, *due_at)),
            StepPhase::Paused { pause, due_at, .. } => {
                let (due_at, automatic) = self.resumes_by_itself(path, pause, true, *due_at);
                let why = Why::CompensationFailed {
                    code: pause.code.clone(),
                    message: shown::message(pause.reason.as_str()),
                    automatic,
                };
                Decision::Pause(Stop {
                    due_at,
                    provider: pause.provider.clone(),
                    ..Stop::new(why).at(path.clone())
                })
            }
            StepPhase::Settled(settled) => {
                let why = match &settled.result {
                    StepResult::Failed { error } => Why::CompensationFailed {
                        code: error.code.clone(),
                        message: shown::message(error.message.as_str()),
                        automatic: None,
                    },
                    StepResult::Completed { .. } | StepResult::Skipped => return None,
                };
                Decision::Pause(Stop::new(why).at(path.clone()))
            }
            StepPhase::Pending
            | StepPhase::Waiting { .. }
            | StepPhase::Awaiting { .. }
            | StepPhase::Looping { .. }
            | StepPhase::FannedOut
            | StepPhase::InItem => {
                Decision::Act(vec![self.start_compensation(record, call, compensation)])
            }
        })
    }

    fn start_compensation(
        &self,
        record: &StepRecord,
        call: &ComponentStep,
        compensation: &Compensation,
    ) -> Action {
        let path = &record.path;
        match self.compensation_input(record, compensation) {
            Ok(input) => self.attempt(call, path, Some(record), input),
            Err(error) => Action::record(path, expression_failed("compensate.with", &error)),
        }
    }

    fn compensation_input(
        &self,
        record: &StepRecord,
        compensation: &Compensation,
    ) -> Result<Payload, EvalError> {
        if let Some(with) = record.compensable().and_then(|undone| undone.with.as_ref()) {
            return Ok(with.clone());
        }
        // It could not be evaluated when the step completed; the definition may be another one since.
        let path = record.path.compensated();
        let step = self.state.executions().at(&path);
        let output = step
            .and_then(StepRecord::settled)
            .and_then(|settled| settled.output());
        let output = output
            .cloned()
            .unwrap_or_else(|| Payload::new(serde_json::Value::Null));
        resolve(compensation, self.definition, self.state, &path, &output)
    }

    /// The error of a step that could not be undone any more if it ran: there is no room to remember it.
    pub(super) fn cannot_be_undone(&self, call: &ComponentStep, path: &Path) -> Option<StepError> {
        let executions = self.state.executions();
        let full = executions.compensations().len() >= limits::COMPENSATIONS;
        let known = || executions.at(&path.compensation()).is_some();
        if call.compensation.is_none() || !full || known() {
            return None;
        }
        let message = format!(
            "the run has {} completed executions to undo; there may be no more",
            limits::COMPENSATIONS
        );
        let code = codes::TOO_MANY_COMPENSATIONS;
        Some(StepError::new(ErrorClass::Failed, code, message))
    }
}
