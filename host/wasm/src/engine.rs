//! The process's one wasmtime engine: its settings, its slots, and what all attempts share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use milepost_core::ids::Digest;
use milepost_core::limits;
use wasmtime::component::{Component, Linker};
use wasmtime::{Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::cache::CodeCache;
use super::capability;
use super::capability::http::HttpClient;
use super::compile::{self, ChildProgram, Compiler};
use super::component::{Inspection, Rejection, words};
use super::guest_code::GuestCode;
use super::memory_budget::{Room, Turns};
use super::state::HostState;
use super::ticker::Ticker;
use crate::clock::Clock;

/// Bytes of a memory slot that stay mapped between attempts: enough for a small guest, so that its next attempt needs no
/// page fault, and little enough for many slots.
const KEEP_RESIDENT: usize = 256 * 1024;
/// The same for each table: giving its pages back would cost a flush of every core's address cache per call.
const KEEP_TABLE_RESIDENT: usize = 64 * 1024;
/// Idle slots that keep their pages.
const WARM_SLOTS: u32 = 32;
/// The WebAssembly engine of the process. A clone is another handle on it.
#[derive(Clone)]
pub struct WasmEngine {
    pub(super) shared: Arc<Sandbox>,
}

/// What every plugin and every attempt has in common.
pub(super) struct Sandbox {
    pub(super) engine: Engine,
    pub(super) ticker: Ticker,
    pub(super) turns: Turns,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) http: HttpClient,
    /// Whether its guests' fuel is counted.
    pub(super) code: GuestCode,
    cache: Option<CodeCache>,
    compiler: Compiler,
    pub(super) holder: Arc<ChildProgram>,
    /// What starts them; `None`: this process does.
    pub(super) supervisor: Option<Arc<ChildProgram>>,
    compilations: AtomicU64,
    /// Hears of compilations that take long.
    slow: Option<SlowCompilation>,
    /// Code of the engine for scripts, whose digest stands beside it: all scripts have it in common.
    script_engine: Mutex<Option<(Digest, Component)>>,
    /// With the contract's interfaces.
    plain: OnceLock<Linker<HostState>>,
    /// With WASI as well: some hundred functions that small guests do not need.
    with_wasi: OnceLock<Linker<HostState>>,
}

/// Hears of a component that has been compiling for a while.
pub type SlowCompilation = Arc<dyn Fn(Option<&str>) + Send + Sync>;

/// How long a component compiles before somebody hears of it.
const SLOW: Duration = Duration::from_secs(1);

fn name_of(inspection: &Inspection) -> Option<&str> {
    match &inspection.script {
        // What is compiled is not the script.
        Some(_) => Some("the engine for JavaScript"),
        None => inspection.manifest.as_ref().map(|manifest| &*manifest.name),
    }
}

/// Compiles; when that is not over after so long, somebody hears of it.
fn told_if_slow<T>(
    hears: &SlowCompilation,
    name: Option<&str>,
    after: Duration,
    compile: impl FnOnce() -> T,
) -> T {
    std::thread::scope(|scope| {
        let (done, wait) = mpsc::channel::<()>();
        let watch = std::thread::Builder::new().name("milepost-compiling".to_owned());
        // Without a thread, nobody hears of it.
        let _ = watch.spawn_scoped(scope, move || {
            if wait.recv_timeout(after) == Err(mpsc::RecvTimeoutError::Timeout) {
                hears(name);
            }
        });
        let compiled = compile();
        drop(done);
        compiled
    })
}

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refused its settings.
    #[error("the WebAssembly engine cannot be set up on this machine: {0}")]
    Settings(String),
    /// The ticker thread could not be started.
    #[error("the thread that interrupts guests cannot be started")]
    Ticker(#[source] std::io::Error),
}

impl WasmEngine {
    /// Sets up an engine that compiles in this process; see [`WasmEngine::with_compiler`].
    ///
    /// # Errors
    /// [`EngineError`] when the machine lacks what wasmtime needs.
    pub fn new(cache: Option<CodeCache>, clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        Self::with_compiler(cache, clock, Compiler::InProcess)
    }

    /// Sets up the engine. `clock` is the time that guests see and sleep by; attempt timeouts use tokio's timer.
    ///
    /// # Errors
    /// [`EngineError`] when the machine lacks what wasmtime needs.
    pub fn with_compiler(
        cache: Option<CodeCache>,
        clock: Arc<dyn Clock>,
        compiler: Compiler,
    ) -> Result<Self, EngineError> {
        Self::within(Room::default(), cache, clock, compiler)
    }

    /// The same with less room for all attempts than they have by default.
    ///
    /// # Errors
    /// [`EngineError`] when the machine lacks what wasmtime needs.
    pub fn within(
        room: Room,
        cache: Option<CodeCache>,
        clock: Arc<dyn Clock>,
        compiler: Compiler,
    ) -> Result<Self, EngineError> {
        Self::of(false, room, cache, clock, compiler)
    }

    /// The same for attempts whose fuel is counted, a stamp of every instruction that a guest executed: two executions of one
    /// attempt consume the same. Its code is of its own, and slower.
    ///
    /// # Errors
    /// [`EngineError`] when the machine lacks what wasmtime needs.
    pub fn metered(
        room: Room,
        cache: Option<CodeCache>,
        clock: Arc<dyn Clock>,
        compiler: Compiler,
    ) -> Result<Self, EngineError> {
        Self::of(true, room, cache, clock, compiler)
    }

    fn of(
        metered: bool,
        mut room: Room,
        cache: Option<CodeCache>,
        clock: Arc<dyn Clock>,
        compiler: Compiler,
    ) -> Result<Self, EngineError> {
        room.attempts = room.attempts.clamp(1, Room::MOST_ATTEMPTS);
        let mut code = GuestCode {
            metered,
            checked: false,
        };
        let with =
            |code: GuestCode, strategy| Engine::new(code.config().allocation_strategy(strategy));
        let pooling = InstanceAllocationStrategy::Pooling(pool(room.attempts));
        let engine = with(code, pooling).or_else(|error| {
            // The pool reserves address space up front, which a limit on it (`ulimit -v`) may forbid. Then there is none for what lies
            // behind the memory of a guest either.
            tracing::info!(%error, "address space is scarce; steps are slower");
            code.checked = true;
            with(code, InstanceAllocationStrategy::OnDemand)
                .map_err(|error| EngineError::Settings(format!("{error:#}")))
        })?;
        let ticker = Ticker::start(engine.clone()).map_err(EngineError::Ticker)?;
        Ok(Self {
            shared: Arc::new(Sandbox {
                engine,
                ticker,
                turns: Turns::new(room),
                clock,
                http: HttpClient::default(),
                code,
                cache,
                compiler,
                holder: Arc::new(capability::exec::plain_holder()),
                supervisor: None,
                compilations: AtomicU64::new(0),
                slow: None,
                script_engine: Mutex::default(),
                plain: OnceLock::new(),
                with_wasi: OnceLock::new(),
            }),
        })
    }

    /// Names the program that holds the process groups of what steps run, and which calls
    /// [`hold_group_until_stdin_ends`](crate::process_group::hold_group_until_stdin_ends): with it, the end of this process, however
    /// it comes, is theirs. Without one, what such an end leaves is ended by whoever takes over.
    #[must_use]
    pub fn group_holder(mut self, holder: ChildProgram) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.holder = Arc::new(holder);
        }
        self
    }

    /// Names the program that starts the programs of steps, and which calls [`supervise_program`](crate::supervisor::supervise_program): with
    /// it, also what leaves the group of its program, as daemons do, ends with that. Without one, that lives on. Linux alone has such.
    #[must_use]
    pub fn program_supervisor(mut self, supervisor: ChildProgram) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.supervisor = Some(Arc::new(supervisor));
        }
        self
    }

    /// Names who hears of a component that has been compiling for a while: once, on a thread of its own, with the name of the component
    /// where it has one.
    #[must_use]
    pub fn slow_compilation(mut self, hears: SlowCompilation) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.slow = Some(hears);
        }
        self
    }

    /// Has the requests of guests sent by this client instead of one for every day.
    #[must_use]
    pub fn http_client(mut self, client: HttpClient) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.http = client;
        }
        self
    }

    /// Components that this engine compiled, rather than found in its cache.
    #[must_use]
    pub fn compilations(&self) -> u64 {
        self.shared.compilations.load(Ordering::Relaxed)
    }
}

impl Sandbox {
    /// Machine code of a component, and whether it came from the cache.
    pub(super) fn code(
        &self,
        bytes: &[u8],
        inspection: &Inspection,
    ) -> Result<(Component, bool), Rejection> {
        let Some(script) = &inspection.script else {
            return self.code_of(bytes, inspection, inspection.digest);
        };
        let engine = &bytes[..script.engine_bytes];
        let digest = Digest::of(engine);
        // Held while it is compiled: whoever comes second waits instead of doing the same.
        let known = self.script_engine.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        if let Some((of, component)) = &*known
            && *of == digest
        {
            return Ok((component.clone(), true));
        }
        let (component, from_cache) = self.code_of(engine, inspection, digest)?;
        *known = Some((digest, component.clone()));
        Ok((component, from_cache))
    }

    fn code_of(
        &self,
        bytes: &[u8],
        inspection: &Inspection,
        digest: Digest,
    ) -> Result<(Component, bool), Rejection> {
        if let Some(cache) = &self.cache
            && let Some(code) = cache.read(&self.engine, digest)
        {
            match self.deserialize(&code) {
                Ok(component) => return Ok((component, true)),
                // Intact, but not what its name says.
                Err(_) => cache.remove(&self.engine, digest),
            }
        }
        self.compilations.fetch_add(1, Ordering::Relaxed);
        let compile = || self.compiler.compile(&self.engine, self.code, bytes);
        let code = match &self.slow {
            Some(hears) => told_if_slow(hears, name_of(inspection), SLOW, compile),
            None => compile(),
        }?;
        let component = self.deserialize(&code)?;
        // Before it is kept: code that comes from the cache is not looked at again.
        inspection.check_types(bytes)?;
        if let Some(cache) = &self.cache {
            cache.write(&self.engine, digest, &code);
        }
        Ok((component, false))
    }

    /// Finds the code of one component for the other one, too, where the compiler would see the same of both.
    pub(super) fn share_code(&self, one: &[u8], other: &[u8]) {
        if let Some(cache) = &self.cache
            && compile::is_same_code(one, other)
        {
            cache.also(&self.engine, Digest::of(one), Digest::of(other));
        }
    }

    /// # Errors
    /// [`Rejection::TooDemanding`]: all that can be wrong with code that this engine made is that it does not fit the pool.
    fn deserialize(&self, code: &[u8]) -> Result<Component, Rejection> {
        #[expect(
            unsafe_code,
            reason = "machine code from outside cannot be checked by the compiler"
        )]
        // SAFETY: `code` must have been made by wasmtime's compiler and not been changed since; wasmtime itself checks its
        // version and settings. It was made by `precompile_component` either just now or in an earlier process of this
        // user: `CodeCache` reads only from a directory that no other user can write to, and checks a hash over the entry,
        // so that accidental damage does not get here. Whoever can still forge an entry can also replace this program.
        let component = unsafe { Component::deserialize(&self.engine, code) };
        component.map_err(|error| Rejection::TooDemanding(words(&error)))
    }

    /// The host functions for a component, which only gets WASI when it asks for it.
    pub(super) fn linker(&self, inspection: &Inspection) -> wasmtime::Result<&Linker<HostState>> {
        let needs_wasi = inspection
            .imports
            .iter()
            .any(|import| import.starts_with("wasi:"));
        let linker = if needs_wasi {
            &self.with_wasi
        } else {
            &self.plain
        };
        if linker.get().is_none() {
            let mut new = Linker::new(&self.engine);
            capability::link(&mut new)?;
            if needs_wasi {
                capability::wasi::add_to_linker(&mut new)?;
            }
            // Another thread may have been faster; theirs is the same.
            let _ = linker.set(new);
        }
        Ok(linker.get().expect("it was set above"))
    }
}

/// Slots for every attempt in flight, as many as each may take. They are reserved address space (about 4 GiB for a memory,
/// 5 TiB in all) until they are used.
fn pool(attempts: u32) -> PoolingAllocationConfig {
    let instances = limits::INSTANCES as u32;
    let memories = limits::MEMORIES as u32;
    let tables = limits::TABLES as u32;
    let mut pool = PoolingAllocationConfig::new();
    pool.max_unused_warm_slots(WARM_SLOTS)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_TABLE_RESIDENT)
        .pagemap_scan(Enabled::Auto)
        .total_stacks(attempts)
        // Counters, not slots.
        .total_component_instances(attempts * instances)
        .total_core_instances(attempts * instances)
        .max_core_instances_per_component(instances)
        .total_memories(attempts * memories)
        .max_memories_per_component(memories)
        .max_memories_per_module(memories)
        .total_tables(attempts * tables)
        .max_tables_per_module(tables)
        .max_tables_per_component(tables)
        .table_elements(limits::TABLE_ELEMENTS)
        .max_memory_size(limits::MEMORY_BYTES);
    pool
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn what_compiles_for_long_is_told_once_by_its_name_and_what_is_quick_is_not() {
        const BOUND: Duration = Duration::from_secs(60);
        let (told, heard) = mpsc::channel();
        let told = Mutex::new(told);
        let hears: SlowCompilation = Arc::new(move |name| {
            let told = told.lock().unwrap();
            told.send(name.map(str::to_owned)).unwrap();
        });
        let quick = told_if_slow(&hears, Some("quick"), BOUND, || 1);
        assert_eq!((quick, heard.try_recv().is_err()), (1, true));
        // It takes until it was told.
        let name = told_if_slow(&hears, Some("slow"), Duration::from_millis(1), || {
            heard.recv_timeout(BOUND).unwrap()
        });
        assert_eq!(name.as_deref(), Some("slow"));
        assert!(heard.try_recv().is_err());
    }
}
