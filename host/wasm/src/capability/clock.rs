//! Capability `clock`: wall-clock readings and short sleeps, both on the tape.

use std::time::Duration;

use milepost_core::limits;

use crate::bindings::milepost::step::clock::Host;
use crate::limits::Refusal;
use crate::state::HostState;

impl HostState {
    /// A taped reading of the wall clock, nanoseconds since the Unix epoch.
    pub(crate) fn wall_clock(&mut self) -> Result<u64, Refusal> {
        let clock = &self.clock;
        self.recorder.wall_clock(|| clock.now().as_nanos())
    }
}

impl Host for HostState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.charge()?;
        Ok(self.wall_clock()?)
    }

    async fn sleep(&mut self, millis: u64) -> wasmtime::Result<()> {
        self.charge()?;
        let duration = Duration::from_millis(millis);
        if duration > limits::SLEEP {
            return Err(Refusal::Sleep { millis }.into());
        }
        if !self.recorder.skips_sleep(millis)? {
            self.clock.sleep(duration).await;
            self.recorder.slept(millis);
        }
        Ok(())
    }
}
