//! WASI p2 for language runtimes, with nothing behind it: no environment, no arguments, no files, no network. Output becomes
//! log lines; clocks, timers and random bytes are those of the attempt.
//!
//! Timers are the one place where a guest can see *when* something happened: `poll` says which of them are due. Their
//! answer is therefore a function of a clock reading that is on the tape. Live, `poll` waits, then takes a reading, and
//! reports the timers that are due at it; in replay it does not wait and takes the recorded reading. Output streams are always
//! ready there: `poll` first waits until the host has shown what was written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_core::tape::TapeEntry;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::{
    DynPollable, OutputStream, Pollable, StreamError, StreamResult, subscribe,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView, async_trait};
use wasmtime_wasi_io::bindings::wasi::io::poll;
use wasmtime_wasi_io::bytes::Bytes;

use crate::attempt::once;
use crate::clock::Clock;
use crate::limits::Refusal;
use crate::log::{Log, Stdio};
use crate::state::HostState;

/// Bytes that a guest may write to an output stream at once.
const WRITE_BYTES: usize = 64 * 1024;

/// State of WASI in one attempt.
#[derive(Default)]
pub(super) struct State {
    /// Made at the first call: most small guests never make one.
    used: Option<Box<Wasi>>,
}

struct Wasi {
    context: WasiCtx,
    timers: Arc<Mutex<Timers>>,
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
    poll::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
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
            let timers = Timers {
                clock: Arc::clone(&self.clock),
                started: self.started,
                phase: Phase::Look,
                asked: false,
                passed: 0,
            };
            Box::new(Wasi {
                context,
                timers: Arc::new(Mutex::new(timers)),
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
        let now = now.max(wasi.last_reading).max(lock(&wasi.timers).passed);
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

    fn add_timer(&mut self, due: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let timers = Arc::clone(&self.wasi().timers);
        let timer = self.resources.push(Timer { due, timers })?;
        subscribe(&mut self.resources, timer)
    }

    /// Begins a look at pollables in `phase`; the result tells afterwards whether a timer was among them.
    fn timers(&mut self, phase: Phase) -> Arc<Mutex<Timers>> {
        let timers = Arc::clone(&self.wasi().timers);
        {
            let mut timers = lock(&timers);
            timers.phase = phase;
            timers.asked = false;
        }
        timers
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

impl poll::Host for HostState {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.charge()?;
        self.states.log.show().await;
        let again = || {
            pollables
                .iter()
                .map(|p| Resource::new_borrow(p.rep()))
                .collect()
        };
        let timers = self.timers(Phase::Look);
        let ready = once(poll::Host::poll(&mut self.resources, again())).await;
        if !lock(&timers).asked {
            return match ready {
                Some(ready) => ready,
                None => poll::Host::poll(&mut self.resources, again()).await,
            };
        }
        if !self.recorder.is_replay() {
            self.timers(Phase::Wait);
            poll::Host::poll(&mut self.resources, again()).await?;
        }
        let now = self.monotonic()?;
        self.timers(Phase::At(now));
        match once(poll::Host::poll(&mut self.resources, again())).await {
            Some(ready) => ready,
            // Only an edited tape holds a reading at which nothing is ready.
            None => Err(self.recorder.diverge("a poll that was ready").into()),
        }
    }
}

impl poll::HostPollable for HostState {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.charge()?;
        self.states.log.show().await;
        let again = || Resource::new_borrow(pollable.rep());
        let timers = self.timers(Phase::Look);
        let ready = poll::HostPollable::ready(&mut self.resources, again()).await?;
        if !lock(&timers).asked {
            return Ok(ready);
        }
        let now = self.monotonic()?;
        self.timers(Phase::At(now));
        poll::HostPollable::ready(&mut self.resources, again()).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.charge()?;
        self.states.log.show().await;
        let again = || Resource::new_borrow(pollable.rep());
        let timers = self.timers(Phase::Look);
        let ready = once(poll::HostPollable::block(&mut self.resources, again())).await;
        if lock(&timers).asked && self.recorder.is_replay() {
            return Ok(());
        }
        match ready {
            Some(ready) => ready,
            None => {
                self.timers(Phase::Wait);
                poll::HostPollable::block(&mut self.resources, again()).await
            }
        }
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.charge()?;
        poll::HostPollable::drop(&mut self.resources, pollable)
    }
}

/// What all timers of an attempt share.
struct Timers {
    clock: Arc<dyn Clock>,
    started: Duration,
    phase: Phase,
    /// Whether a timer was polled since the phase began.
    asked: bool,
    /// When the latest timer that fired was due.
    passed: u64,
}

/// How a timer answers when it is polled.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Not yet: the caller only wants to know whether there are timers.
    Look,
    /// When the clock has reached it.
    Wait,
    /// As of this reading.
    At(u64),
}

/// A pollable that is due at an instant of the monotonic clock.
struct Timer {
    due: u64,
    timers: Arc<Mutex<Timers>>,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        let fires = {
            let mut timers = lock(&self.timers);
            timers.asked = true;
            match timers.phase {
                Phase::At(now) if self.due <= now => return,
                Phase::Look | Phase::At(_) => None,
                Phase::Wait => {
                    let until = timers.started + Duration::from_nanos(self.due);
                    let wait = until.saturating_sub(timers.clock.monotonic());
                    Some(timers.clock.sleep(wait))
                }
            }
        };
        match fires {
            None => std::future::pending().await,
            Some(fires) => {
                fires.await;
                let mut timers = lock(&self.timers);
                timers.passed = timers.passed.max(self.due);
            }
        }
    }
}

/// An output stream that ends as log lines.
struct LogStream {
    stdio: Stdio,
    log: Log,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    /// Only WASI p2 is linked, which asks for [`StdoutStream::p2_stream`].
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(LogStream {
            stdio: self.stdio,
            log: self.log.clone(),
        })
    }
}

#[async_trait]
impl Pollable for LogStream {
    /// The calls that block on a stream wait here until the host has shown what was written.
    async fn ready(&mut self) {
        self.log.show().await;
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES {
            return Err(StreamError::trap(
                "more was written than `check-write` allows",
            ));
        }
        self.log.write(self.stdio, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
