//! What a guest waits for: timers and responses. `poll` is the one place where a guest can see *when* something happened, since it
//! says which of them are there. Its answer is therefore a function of what is on the tape: of a clock reading, as of which timers are
//! due, and of a note which responses had come. Live, `poll` waits, then takes both and answers by them; in replay it does not wait
//! and takes what was recorded. Output streams are always ready there: `poll` first waits until the host has shown what was written.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use milepost_core::tape::TapeEntry;
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_io::bindings::wasi::io::poll::{Host, HostPollable};

use super::lock;
use crate::attempt::once;
use crate::clock::Clock;
use crate::limits::Refusal;
use crate::state::HostState;

/// What all pollables of an attempt share whose time is not certain.
pub(super) struct Look {
    clock: Arc<dyn Clock>,
    started: Duration,
    phase: Phase,
    /// Whether a timer was polled since the phase began.
    timers: bool,
    /// Responses that the guest has not seen and that were polled since then, by the numbers of their requests.
    responses: Vec<u32>,
    /// When the latest timer that fired was due.
    passed: u64,
}

/// How such a pollable answers when it is polled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// Not yet: the caller only wants to know what there is.
    Look,
    /// When it is time.
    Wait,
    /// A timer as of this reading, a response as far as the guest has seen it.
    At(u64),
}

/// What a look found that cannot be answered without the tape.
struct Found {
    timers: bool,
    responses: Vec<u32>,
}

impl Found {
    fn nothing(&self) -> bool {
        !self.timers && self.responses.is_empty()
    }
}

impl Look {
    pub(super) fn new(clock: Arc<dyn Clock>, started: Duration) -> Self {
        Self {
            clock,
            started,
            phase: Phase::Look,
            timers: false,
            responses: Vec::new(),
            passed: 0,
        }
    }

    /// When the latest timer that fired was due.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// A response is polled that the guest has not seen. Returns whether it is to be waited for.
    pub(super) fn asks_for(&mut self, response: u32) -> bool {
        if !self.responses.contains(&response) {
            self.responses.push(response);
        }
        matches!(self.phase, Phase::Wait)
    }
}

impl HostState {
    pub(super) fn add_timer(&mut self, due: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let look = Arc::clone(&self.wasi().look);
        let timer = self.resources.push(Timer { due, look })?;
        subscribe(&mut self.resources, timer)
    }

    /// Begins a look at pollables.
    fn look(&mut self, phase: Phase) {
        let mut look = lock(&self.wasi().look);
        look.phase = phase;
        look.timers = false;
        look.responses.clear();
    }

    /// What was polled since it began.
    fn found(&mut self) -> Found {
        let look = lock(&self.wasi().look);
        Found {
            timers: look.timers,
            responses: look.responses.clone(),
        }
    }

    /// Fixes the answer to a look, live and in replay.
    async fn fix(&mut self, found: Found) -> Result<(), Refusal> {
        self.see_responses(found.responses).await?;
        let now = if found.timers { self.monotonic()? } else { 0 };
        self.look(Phase::At(now));
        Ok(())
    }

    /// Shows the guest those of these responses that have come.
    pub(super) async fn see_responses(&mut self, waiting: Vec<u32>) -> Result<(), Refusal> {
        if waiting.is_empty() {
            return Ok(());
        }
        let pick = |entry: &TapeEntry| match entry {
            TapeEntry::Responses {
                waiting: recorded,
                arrived,
            } if *recorded == waiting => Some(arrived.clone()),
            _ => None,
        };
        let recorded = self.recorder.recorded("a look at responses", pick)?;
        let arrived = match recorded {
            Some(arrived) => arrived,
            None => {
                let arrived = self.arrived(&waiting);
                self.recorder.note(TapeEntry::Responses {
                    waiting,
                    arrived: arrived.clone(),
                });
                arrived
            }
        };
        for response in arrived {
            self.see(response).await?;
        }
        Ok(())
    }
}

impl Host for HostState {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.charge()?;
        self.states.log.show().await;
        let again = || {
            pollables
                .iter()
                .map(|p| Resource::new_borrow(p.rep()))
                .collect()
        };
        self.look(Phase::Look);
        let ready = once(Host::poll(&mut self.resources, again())).await;
        let found = self.found();
        if found.nothing() {
            return match ready {
                Some(ready) => ready,
                None => Host::poll(&mut self.resources, again()).await,
            };
        }
        if !self.recorder.is_replay() {
            self.look(Phase::Wait);
            Host::poll(&mut self.resources, again()).await?;
        }
        self.fix(found).await?;
        match once(Host::poll(&mut self.resources, again())).await {
            Some(ready) => ready,
            // Only an edited tape holds an answer at which nothing is ready.
            None => Err(self.recorder.diverge("a poll that was ready").into()),
        }
    }
}

impl HostPollable for HostState {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.charge()?;
        self.states.log.show().await;
        let again = || Resource::new_borrow(pollable.rep());
        self.look(Phase::Look);
        let ready = HostPollable::ready(&mut self.resources, again()).await?;
        let found = self.found();
        if found.nothing() {
            return Ok(ready);
        }
        self.fix(found).await?;
        HostPollable::ready(&mut self.resources, again()).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.charge()?;
        self.states.log.show().await;
        let again = || Resource::new_borrow(pollable.rep());
        self.look(Phase::Look);
        let ready = once(HostPollable::block(&mut self.resources, again())).await;
        let found = self.found();
        if found.nothing() {
            return match ready {
                Some(ready) => ready,
                None => HostPollable::block(&mut self.resources, again()).await,
            };
        }
        if !self.recorder.is_replay() {
            self.look(Phase::Wait);
            HostPollable::block(&mut self.resources, again()).await?;
        }
        // When a timer is over is certain; a response has to be shown.
        Ok(self.see_responses(found.responses).await?)
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.charge()?;
        HostPollable::drop(&mut self.resources, pollable)
    }
}

/// A pollable that is due at an instant of the monotonic clock.
struct Timer {
    due: u64,
    look: Arc<Mutex<Look>>,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        let fires = {
            let mut look = lock(&self.look);
            look.timers = true;
            match look.phase {
                Phase::At(now) if self.due <= now => return,
                Phase::Look | Phase::At(_) => None,
                Phase::Wait => {
                    let until = look.started + Duration::from_nanos(self.due);
                    let wait = until.saturating_sub(look.clock.monotonic());
                    Some(look.clock.sleep(wait))
                }
            }
        };
        match fires {
            None => std::future::pending().await,
            Some(fires) => {
                fires.await;
                let mut look = lock(&self.look);
                look.passed = look.passed.max(self.due);
            }
        }
    }
}
