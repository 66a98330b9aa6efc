//! Capability `context`: who is running. Constant in an attempt, but for `cancel-requested`, which is on the tape.
//! Its trace context too: exported or not, the span of the attempt has that name.

use milepost_core::tape::TapeEntry;
use milepost_core::trace::trace_parent;
use wasmtime::component::HasSelf;

use super::Capability;
use crate::contract::v0_1::milepost::step::context::{self, Host};
use crate::state::HostState;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: "context",
    functions: FUNCTIONS,
    link: |linker| context::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const FUNCTIONS: &[(&str, &str)] = &[
    ("run-id", "func() -> string"),
    ("workflow", "func() -> string"),
    ("step-id", "func() -> string"),
    ("path", "func() -> string"),
    ("attempt", "func() -> u32"),
    ("loop-iteration", "func() -> option<u32>"),
    ("item-index", "func() -> option<u32>"),
    ("idempotency-key", "func() -> string"),
    ("deadline", "func() -> option<u64>"),
    ("resume-state", "func() -> option<string>"),
    ("resume-signal", "func() -> option<string>"),
    ("output-of", "func(step-id: string) -> option<string>"),
    ("trace-parent", "func() -> string"),
    ("cancel-requested", "func() -> bool"),
];

impl Host for HostState {
    fn run_id(&mut self) -> wasmtime::Result<String> {
        self.charge()?;
        Ok(self.call.run.as_str().to_owned())
    }

    fn workflow(&mut self) -> wasmtime::Result<String> {
        self.charge()?;
        Ok(self.call.workflow.as_ref().to_owned())
    }

    fn step_id(&mut self) -> wasmtime::Result<String> {
        self.charge()?;
        Ok(self.call.path.step().as_str().to_owned())
    }

    fn path(&mut self) -> wasmtime::Result<String> {
        self.charge()?;
        Ok(self.call.path.to_string())
    }

    fn attempt(&mut self) -> wasmtime::Result<u32> {
        self.charge()?;
        Ok(self.call.attempt)
    }

    fn loop_iteration(&mut self) -> wasmtime::Result<Option<u32>> {
        self.charge()?;
        Ok(self.call.path.loop_iteration())
    }

    fn item_index(&mut self) -> wasmtime::Result<Option<u32>> {
        self.charge()?;
        Ok(self.call.path.item_index())
    }

    fn idempotency_key(&mut self) -> wasmtime::Result<String> {
        self.charge()?;
        Ok(format!("{}/{}", self.call.run, self.call.path))
    }

    fn deadline(&mut self) -> wasmtime::Result<Option<u64>> {
        self.charge()?;
        Ok(self.call.deadline.map(|at| at.as_nanos()))
    }

    fn resume_state(&mut self) -> wasmtime::Result<Option<String>> {
        self.charge()?;
        Ok(self.call.resume_state.as_ref().map(ToString::to_string))
    }

    fn resume_signal(&mut self) -> wasmtime::Result<Option<String>> {
        self.charge()?;
        Ok(self.call.resume_signal.as_ref().map(ToString::to_string))
    }

    fn output_of(&mut self, step_id: String) -> wasmtime::Result<Option<String>> {
        self.charge()?;
        Ok(self
            .call
            .outputs
            .get(step_id.as_str())
            .map(|output| output.text().to_owned()))
    }

    fn trace_parent(&mut self) -> wasmtime::Result<String> {
        self.charge()?;
        let call = &self.call;
        let path = call.path.to_string();
        Ok(trace_parent(call.run.as_str(), &path, call.attempt))
    }

    async fn cancel_requested(&mut self) -> wasmtime::Result<bool> {
        self.charge()?;
        let pick = |entry: &TapeEntry| match entry {
            TapeEntry::CancelRequested { requested } => Some(*requested),
            _ => None,
        };
        if let Some(requested) = self.recorder.recorded("cancel requested", pick)? {
            return Ok(requested);
        }
        let requested = self.call.host.cancel_requested().await;
        self.recorder.note(TapeEntry::CancelRequested { requested });
        Ok(requested)
    }
}
