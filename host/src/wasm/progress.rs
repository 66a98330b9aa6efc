//! Capability `progress`: shown live; the last report stays with the attempt.

use milepost_core::limits;

use super::bindings::milepost::step::progress::Host;
use super::state::HostState;
use crate::attempt::Progress;

impl Host for HostState {
    fn report(
        &mut self,
        done: u64,
        total: Option<u64>,
        mut message: String,
    ) -> wasmtime::Result<()> {
        self.charge()?;
        message.truncate(message.floor_char_boundary(limits::LOG_MESSAGE_BYTES));
        let progress = Progress {
            done,
            total,
            message,
        };
        if let Some(sink) = &self.sink {
            sink.progress(&progress);
        }
        self.progress = Some(progress);
        Ok(())
    }
}
