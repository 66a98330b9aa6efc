//! Capability `progress`: shown live; the last report stays with the attempt.

use milepost_core::{limits, shown};

use crate::attempt::Progress;
use crate::bindings::milepost::step::progress::Host;
use crate::state::HostState;

impl Host for HostState {
    fn report(&mut self, done: u64, total: Option<u64>, message: String) -> wasmtime::Result<()> {
        self.charge()?;
        let progress = Progress {
            done,
            total,
            message: shown::excerpt(&message, limits::LOG_MESSAGE_BYTES),
        };
        if let Some(sink) = &self.sink {
            sink.progress(&progress);
        }
        self.progress = Some(progress);
        Ok(())
    }
}
