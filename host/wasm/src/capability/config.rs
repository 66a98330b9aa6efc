//! Capability `config`: the plugin's settings from the definition. Constant in an attempt.

use wasmtime::component::HasSelf;

use super::Capability;
use crate::contract::v0_1::milepost::step::config::{self, Host};
use crate::state::HostState;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: "config",
    functions: FUNCTIONS,
    link: |linker| config::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const FUNCTIONS: &[(&str, &str)] = &[
    ("get", "func(key: string) -> option<string>"),
    ("keys", "func() -> list<string>"),
];

impl Host for HostState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.charge()?;
        Ok(self.call.config.get(&key).map(ToString::to_string))
    }

    fn keys(&mut self) -> wasmtime::Result<Vec<String>> {
        self.charge()?;
        Ok(self.call.config.keys().cloned().collect())
    }
}
