//! Capability `progress`: shown live; the last report stays with the attempt.

use milepost_core::{limits, shown};

use super::bindings::milepost::step::progress::Host;
use super::state::HostState;
use crate::attempt::Progress;

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
