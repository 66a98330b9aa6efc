//! Capability `secrets`: what stands for a secret until the host sends a request. Constant in an attempt, so nothing is on the tape.

use wasmtime::component::HasSelf;

use super::Capability;
use crate::contract::v0_1::milepost::step::secrets::{self, Host};
use crate::contract::v0_1::milepost::step::types;
use crate::host_error::HostError;
use crate::state::HostState;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: "secrets",
    functions: FUNCTIONS,
    link: |linker| secrets::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const FUNCTIONS: &[(&str, &str)] = &[(
    "placeholder",
    "func(name: string) -> result<string, record { code: string, message: string, transient: bool }>",
)];

impl Host for HostState {
    fn placeholder(&mut self, name: String) -> wasmtime::Result<Result<String, types::HostError>> {
        self.charge()?;
        let granted = self.call.grants.secret(&name).map_err(HostError::from);
        let placeholder = granted.and_then(|()| {
            let stand_in = self.call.secrets.stand_in(&name).map(str::to_owned);
            stand_in.ok_or_else(|| HostError::no_secret(&name))
        });
        Ok(placeholder.map_err(Into::into))
    }
}
