//! What a store holds while an attempt runs: its call, what it has used up, and what it has said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use milepost_core::limits;
use milepost_core::outcome::Outcome;
use milepost_core::tape::HostCall;
use wasmtime::component::ResourceTable;

use super::capability::States;
use super::capability::http::HttpClient;
use super::limits::{Allocations, Refusal};
use super::recorder::Recorder;
use super::script::Script;
use crate::attempt::{Call, CallResult, Heard, Mode, Silent};
use crate::clock::{AttemptClock, Clock};
use crate::secrets::{Found, Secrets};
use crate::taped::Durable;

/// State of one attempt. The host functions of every capability are implemented on it.
pub(super) struct HostState {
    pub(super) call: Call,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) started: Duration,
    pub(super) heard: Heard,
    pub(super) allocations: Allocations,
    pub(super) recorder: Recorder,
    pub(super) states: States,
    pub(super) resources: ResourceTable,
    /// What it is making durable.
    pub(super) durable: Arc<Durable>,
    /// The call that has no answer yet, and since when.
    pub(super) under_way: Option<(Instant, HostCall)>,
    /// How the guest reaches the web; `None` where it does not.
    pub(super) http: Option<HttpClient>,
    /// The script that its component carries.
    pub(super) script: Option<Arc<Script>>,
    /// What the guest consumed, once it has ended and where that is metered.
    pub(super) fuel: Option<u64>,
    host_calls: u64,
}

impl HostState {
    pub(super) fn new(mut call: Call, clock: Arc<dyn Clock>) -> Self {
        if let Mode::Replay(_) = call.mode {
            // A replay is silent, and its answers are on the tape.
            call.host = Arc::new(Silent(call.host));
        }
        let clock = match &call.mode {
            Mode::Mocked(world) => world.clock(),
            Mode::Live | Mode::Replay(_) => clock,
        };
        let clock: Arc<dyn Clock> = Arc::new(AttemptClock::new(Arc::clone(&call.host), clock));
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(limits::HANDLES);
        Self {
            started: clock.monotonic(),
            heard: Heard::default(),
            allocations: Allocations::new(call.limits.memory_bytes, call.limits.table_elements),
            recorder: Recorder::new(call.mode.clone(), call.limits.tape_bytes),
            states: States::new(&call, Arc::clone(&clock)),
            resources,
            durable: Arc::default(),
            under_way: None,
            http: None,
            script: None,
            fuel: None,
            host_calls: 0,
            call,
            clock,
        }
    }

    /// Counts a host call.
    ///
    /// # Errors
    /// [`Refusal::HostCalls`] when it is one too many.
    pub(super) fn charge(&mut self) -> Result<(), Refusal> {
        self.charge_later();
        self.check_host_calls()
    }

    /// Counts a host call where no error can be returned; [`HostState::check_host_calls`] tells later.
    pub(super) fn charge_later(&mut self) {
        self.host_calls += 1;
        // Telling the time costs more than most calls; who may be silent need not be heard.
        if self.call.idle_timeout.is_some() {
            self.heard.note();
        }
    }

    /// Whether the attempt is within its number of host calls.
    pub(super) fn check_host_calls(&self) -> Result<(), Refusal> {
        let limit = self.call.limits.host_calls;
        if self.host_calls > limit {
            return Err(Refusal::HostCalls { limit });
        }
        Ok(())
    }

    /// What is said and compared of something that the guest gave to be kept: without values of secrets, on which the tape depends then.
    /// Where it held one, it is [not kept](Found::refused).
    pub(super) fn kept<T>(
        &mut self,
        found: &mut Found,
        given: T,
        mask: impl FnOnce(&Secrets, T, &mut dyn FnMut(&Arc<str>)) -> T,
    ) -> T {
        let kept = mask(&self.call.secrets, given, &mut |name| found.note(name));
        for name in found.names() {
            self.recorder.depends_on(name);
        }
        kept
    }

    /// The outcome without values of secrets.
    pub(super) fn masked(&mut self, outcome: Outcome) -> Outcome {
        let (outcome, masked) = self.call.secrets.mask_outcome(outcome);
        for name in masked {
            self.recorder.depends_on(&name);
        }
        outcome
    }

    /// Ends the attempt.
    pub(super) fn finish(mut self, outcome: Outcome) -> CallResult {
        self.leave_unanswered();
        let (mut tape, unsaved, divergence) = self.recorder.finish();
        let (logs, log_dropped, progress) = self.states.finish();
        tape.log_dropped = log_dropped;
        let memory = u64::try_from(self.allocations.memory_bytes()).unwrap_or(u64::MAX);
        CallResult {
            outcome,
            tape,
            unsaved,
            logs,
            progress,
            divergence,
            fuel: self.fuel,
            memory: Some(memory),
        }
    }
}
