//! What a guest may ask of the host. One file per interface owns all of it: the functions and their types, linking, state,
//! limits, and what of it goes on the tape. `wasi` is what languages and libraries bring along.

pub(crate) mod artifacts;
mod body;
mod clock;
mod config;
mod context;
pub(crate) mod exec;
pub(crate) mod http;
mod key;
pub(crate) mod kv;
mod log;
pub(crate) mod memo;
mod progress;
mod random;
pub(crate) mod script;
mod secrets;
mod secrets_reveal;
pub(crate) mod wasi;

use std::sync::Arc;

use milepost_core::tape::LogDropped;
use wasmtime::component::{HasSelf, Linker};

use crate::attempt::{Call, LogLine, Progress};
use crate::clock::Clock;
use crate::contract::v0_1::milepost::step::types;
use crate::log::Log;
use crate::state::HostState;

/// An interface of the contract as the host provides it.
pub(crate) struct Capability {
    /// Its name in the contract.
    pub(crate) interface: &'static str,
    /// Its functions and their types, as WIT writes them, with every type in them written out.
    pub(crate) functions: &'static [(&'static str, &'static str)],
    /// Makes it available to guests.
    link: fn(&mut Linker<HostState>) -> wasmtime::Result<()>,
}

/// All that this version provides.
pub(crate) const ALL: [&Capability; 13] = [
    &context::CAPABILITY,
    &config::CAPABILITY,
    &log::CAPABILITY,
    &progress::CAPABILITY,
    &clock::CAPABILITY,
    &random::CAPABILITY,
    &memo::CAPABILITY,
    &kv::CAPABILITY,
    &exec::CAPABILITY,
    &artifacts::CAPABILITY,
    &http::CAPABILITY,
    &secrets::CAPABILITY,
    &secrets_reveal::CAPABILITY,
];

/// The capability behind an interface of the contract.
pub(crate) fn find(interface: &str) -> Option<&'static Capability> {
    ALL.into_iter().find(|known| known.interface == interface)
}

/// Links all of them.
pub(crate) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    script::add_to_linker(linker)?;
    ALL.iter().try_for_each(|known| (known.link)(linker))
}

/// What the capabilities keep of one attempt: a field for each that keeps anything, which its own module alone looks into.
pub(crate) struct States {
    exec: exec::State,
    http: http::State,
    log: Log,
    progress: progress::State,
    artifacts: artifacts::State,
    random: random::State,
    wasi: wasi::State,
}

impl States {
    pub(crate) fn new(call: &Call, clock: Arc<dyn Clock>) -> Self {
        Self {
            exec: exec::State::default(),
            http: http::State::default(),
            log: Log::new(call, clock),
            progress: progress::State::default(),
            artifacts: artifacts::State::default(),
            random: random::State::default(),
            wasi: wasi::State::default(),
        }
    }

    /// The log of the attempt.
    pub(crate) fn log(&self) -> Log {
        self.log.clone()
    }

    /// What stays of the attempt beside its tape.
    pub(crate) fn finish(self) -> (Vec<LogLine>, LogDropped, Option<Progress>) {
        let (lines, dropped) = self.log.finish();
        (lines, dropped, self.progress.last)
    }
}

/// It holds no functions.
impl types::Host for HostState {}
