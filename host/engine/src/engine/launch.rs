//! From a recorded start to a call: the same for a live attempt and for one that is executed again.

use std::sync::Arc;
use std::time::Duration;

use milepost_core::ids::Path;
use milepost_core::scope::seen_from;
use milepost_core::state::{RunState, StepResult};
use milepost_core::time::Timestamp;
use serde_json::Value;

use crate::attempt::{AttemptHost, Call, Callable, Mode};
use crate::wasm::secrets::Secrets;
use crate::workflow::Workflow;

/// An attempt whose start is recorded: what `step_started` holds, and when it was recorded.
pub(crate) struct Launch {
    /// Sequence number of the event that starts it.
    pub(crate) seq: u64,
    pub(crate) path: Path,
    pub(crate) attempt: u32,
    pub(crate) input: Arc<Value>,
    pub(crate) seed: u64,
    pub(crate) timeout: Duration,
    pub(crate) at: Timestamp,
}

impl Launch {
    /// The call, and the component that takes it. `state` must stand as it did when the attempt was started: the call gets
    /// copies of the outputs that the step reads, so nothing that happens later reaches it. `None` when the definition has
    /// no such component step.
    pub(crate) fn prepare(
        self,
        workflow: &Workflow,
        state: &RunState,
        host: Arc<dyn AttemptHost>,
        mode: Mode,
    ) -> Option<(Arc<dyn Callable>, Call)> {
        let step = workflow.definition.step(self.path.step())?;
        let component = step.call()?;
        let callee = step.callee(&self.path)?;
        let spec = workflow.definition.plugins.get(callee.plugin)?;
        // A run goes on as it began: one that is older was not checked.
        let checked = spec.validate && state.created().rules.validate_values();
        let callable = workflow.callable(callee.plugin, checked)?;
        // A compensation sees what its step came to when it completed, which is its input. Others may have changed since.
        let reads = step.reads.iter().filter(|_| !self.path.is_compensation());
        let outputs = reads
            .filter_map(|id| {
                let record = seen_from(&workflow.definition, state, Some(&self.path), id)?;
                match &record.visible()?.result {
                    StepResult::Completed { output } => Some((id.clone(), output.clone())),
                    StepResult::Failed { .. } | StepResult::Skipped => None,
                }
            })
            .collect();
        let record = state.executions().latest(&self.path);
        let call = Call {
            run: state.created().run.clone(),
            workflow: Arc::clone(&workflow.definition.name),
            step: callee.step.cloned()?,
            attempt: self.attempt,
            input: self.input,
            config: Arc::clone(&spec.config),
            grants: Arc::new(spec.grants.with_secrets(callee.secrets)),
            secrets: Secrets::default(),
            outputs: Arc::new(outputs),
            resume_state: record.and_then(|record| record.resume_state().cloned().map(Arc::new)),
            resume_signal: record.and_then(|record| record.resume_signal().cloned().map(Arc::new)),
            seed: self.seed,
            deadline: Some(self.at.after(self.timeout)),
            timeout: self.timeout,
            idle_timeout: component.idle_timeout,
            limits: workflow.definition.call_limits.clone(),
            host,
            mode,
            path: self.path,
        };
        Some((callable, call))
    }
}
