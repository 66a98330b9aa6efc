//! Capability `log`: what a guest says with it goes to the [`Log`](crate::log::Log) of the attempt, as what it writes to WASI's stdout and
//! stderr does.

use wasmtime::component::HasSelf;

use super::Capability;
use crate::attempt::LogLevel;
use crate::contract::v0_1::milepost::step::log::{self, Host, Level};
use crate::state::HostState;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: "log",
    functions: FUNCTIONS,
    link: |linker| log::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const FUNCTIONS: &[(&str, &str)] = &[(
    "emit",
    "func(level: enum { trace, debug, info, warn, error }, message: string, fields: list<tuple<string, string>>)",
)];

impl Host for HostState {
    async fn emit(
        &mut self,
        level: Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.charge()?;
        let level = match level {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        self.states.log.emit(level, message, fields).await;
        Ok(())
    }
}
