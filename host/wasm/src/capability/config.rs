//! Capability `config`: the plugin's settings from the definition. Constant in an attempt.

use crate::bindings::milepost::step::config::Host;
use crate::state::HostState;

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
