//! Capability `clock`: wall-clock readings and short sleeps, both on the tape.

use std::time::Duration;

use milepost_core::limits;
use milepost_core::tape::TapeEntry;

use wasmtime::component::HasSelf;

use super::Capability;
use crate::contract::v0_1::milepost::step::clock::{self, Host};
use crate::limits::Refusal;
use crate::recorder::describe;
use crate::state::HostState;
use crate::taped::call_span;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: "clock",
    functions: FUNCTIONS,
    link: |linker| clock::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const FUNCTIONS: &[(&str, &str)] = &[("now", "func() -> u64"), ("sleep", "func(duration: u64)")];

impl HostState {
    /// A taped reading of the wall clock, nanoseconds since the Unix epoch.
    pub(crate) fn wall_clock(&mut self) -> Result<u64, Refusal> {
        let pick = |entry: &TapeEntry| match entry {
            TapeEntry::WallClock { nanos } => Some(*nanos),
            _ => None,
        };
        let clock = &self.clock;
        let read = || clock.now().as_nanos();
        let entry = |nanos| TapeEntry::WallClock { nanos };
        self.recorder.answer("wall clock", pick, read, entry)
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
        let slept = TapeEntry::Sleep { millis };
        let pick = |entry: &TapeEntry| (*entry == slept).then_some(());
        // In replay there is nothing to wait for. Live, a sleep that was cut short is not on the tape.
        let recorded = self.recorder.recorded(&describe(&slept), pick)?;
        if recorded.is_none() {
            let _lasts = call_span("clock", "sleep");
            self.clock.sleep(duration).await;
            self.recorder.note(slept);
        }
        Ok(())
    }
}
