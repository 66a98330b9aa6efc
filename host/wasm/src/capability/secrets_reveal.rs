//! Capability `secrets-reveal`: the value of a secret. It is never on the tape: the attempt is marked, and a replay reads the value anew.

use wasmtime::component::HasSelf;

use super::Capability;
use crate::contract::v0_1::milepost::step::secrets_reveal::{self, Host};
use crate::contract::v0_1::milepost::step::types;
use crate::host_error::HostError;
use crate::state::HostState;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: "secrets-reveal",
    functions: FUNCTIONS,
    link: |linker| secrets_reveal::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const FUNCTIONS: &[(&str, &str)] = &[(
    "reveal",
    "func(name: string) -> result<string, record { code: string, message: string, transient: bool }>",
)];

impl Host for HostState {
    fn reveal(&mut self, name: String) -> wasmtime::Result<Result<String, types::HostError>> {
        self.charge()?;
        let granted = self.call.grants.reveal(&name).map_err(HostError::from);
        let value = granted.and_then(|()| {
            self.recorder.depends_on(&name);
            let value = self.call.secrets.value(&name);
            value
                .map(|value| value.expose().to_owned())
                .ok_or_else(|| HostError::no_secret(&name))
        });
        Ok(value.map_err(Into::into))
    }
}
