//! WASI p2 for language runtimes, with nothing behind it: no environment, no arguments, no files, no sockets. Output becomes
//! log lines; clocks, timers and random bytes are those of the attempt; requests are those that the plugin is granted.
//!
//! | file | idea |
//! |---|---|
//! | `poll` | what a guest waits for, and how the tape decides it |
//! | `stdio` | output streams |
//! | `http` | `wasi:http`, as far as a client needs it |

pub(crate) mod http;
mod poll;
mod stdio;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_core::tape::TapeEntry;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_io::bindings::wasi::io;

use self::poll::Look;
use self::stdio::LogStream;
use crate::limits::Refusal;
use crate::log::Stdio;
use crate::state::HostState;

/// State of WASI in one attempt.
#[derive(Default)]
pub(super) struct State {
    /// Made at the first call: most small guests never make one.
    used: Option<Box<Wasi>>,
    http: http::State,
}

struct Wasi {
    context: WasiCtx,
    look: Arc<Mutex<Look>>,
    /// The last reading of the monotonic clock, so that it never goes back when the machine's clock does.
    last_reading: u64,
}

/// Links all of WASI p2: everything from the library, then our own clocks, timers and random bytes over it.
pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    wall_clock::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    monotonic_clock::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    random::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    insecure::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    insecure_seed::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    io::poll::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    linker.allow_shadowing(false);
    http::add_to_linker(linker)
}

impl HostState {
    fn wasi(&mut self) -> &mut Wasi {
        let log = &self.states.log;
        self.states.wasi.used.get_or_insert_with(|| {
            let stream = |stdio| LogStream {
                stdio,
                log: log.clone(),
            };
            let context = WasiCtx::builder()
                .stdout(stream(Stdio::Out))
                .stderr(stream(Stdio::Err))
                .build();
            let look = Look::new(Arc::clone(&self.clock), self.started);
            Box::new(Wasi {
                context,
                look: Arc::new(Mutex::new(look)),
                last_reading: 0,
            })
        })
    }

    /// A taped reading of the monotonic clock, nanoseconds since the attempt began.
    fn monotonic(&mut self) -> Result<u64, Refusal> {
        let now = self
            .clock
            .monotonic()
            .saturating_sub(self.started)
            .as_nanos() as u64;
        let wasi = self.wasi();
        // A timer that fired has passed, even if the clock that is read here disagrees by a little.
        let now = now.max(wasi.last_reading).max(lock(&wasi.look).passed());
        let pick = |entry: &TapeEntry| match entry {
            TapeEntry::MonotonicClock { nanos } => Some(*nanos),
            _ => None,
        };
        let entry = |nanos| TapeEntry::MonotonicClock { nanos };
        let now = self
            .recorder
            .answer("monotonic clock", pick, || now, entry)?;
        self.wasi().last_reading = now;
        Ok(now)
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        // The library's functions reach their state through here and nowhere else, once a call or more.
        self.charge_later();
        self.wasi();
        WasiCtxView {
            ctx: &mut self
                .states
                .wasi
                .used
                .as_mut()
                .expect("it was made in the line above")
                .context,
            table: &mut self.resources,
        }
    }
}

impl wall_clock::Host for HostState {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.charge()?;
        let now = Duration::from_nanos(self.wall_clock()?);
        Ok(wall_clock::Datetime {
            seconds: now.as_secs(),
            nanoseconds: now.subsec_nanos(),
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.charge()?;
        Ok(wall_clock::Datetime {
            seconds: 0,
            nanoseconds: 1,
        })
    }
}

impl monotonic_clock::Host for HostState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.charge()?;
        Ok(self.monotonic()?)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.charge()?;
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.charge()?;
        self.add_timer(when)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.charge()?;
        let due = self.monotonic()?.saturating_add(duration);
        self.add_timer(due)
    }
}

impl random::Host for HostState {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.charge()?;
        Ok(self.draw(len)?)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.charge()?;
        Ok(self.draw_u64())
    }
}

impl insecure::Host for HostState {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.charge()?;
        Ok(self.draw(len)?)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.charge()?;
        Ok(self.draw_u64())
    }
}

impl insecure_seed::Host for HostState {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.charge()?;
        Ok((self.draw_u64(), self.draw_u64()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
