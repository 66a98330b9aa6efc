//! Capability `progress`: shown live; the last report stays with the attempt.

use milepost_core::{limits, shown};

use wasmtime::component::HasSelf;

use super::Capability;
use crate::attempt::Progress;
use crate::contract::v0_1::milepost::step::progress::{self, Host};
use crate::state::HostState;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: "progress",
    functions: FUNCTIONS,
    link: |linker| progress::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const FUNCTIONS: &[(&str, &str)] = &[(
    "report",
    "func(done: u64, total: option<u64>, message: string)",
)];

/// What stays with the attempt.
#[derive(Default)]
pub(super) struct State {
    pub(super) last: Option<Progress>,
}

impl Host for HostState {
    async fn report(
        &mut self,
        done: u64,
        total: Option<u64>,
        message: String,
    ) -> wasmtime::Result<()> {
        self.charge()?;
        let message = self.call.secrets.mask(message);
        let progress = Progress {
            done,
            total,
            message: shown::excerpt(&message, limits::LOG_MESSAGE_BYTES),
        };
        let progress = self.states.progress.last.insert(progress);
        self.call.host.progress(progress).await;
        Ok(())
    }
}
