//! Components for the tests of the WebAssembly host, written as core modules in the text format: no toolchain is needed,
//! and each does exactly one thing.

#![expect(clippy::unwrap_used, reason = "test support")]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use milepost_core::ids::{Path, RunId};
use milepost_core::limits::CallLimits;
use milepost_core::outcome::{ErrorClass, Outcome, StepError};
use milepost_core::tape::Tape;
use milepost_core::time::Timestamp;
use milepost_wasm::attempt::{
    AttemptHost, BoxFuture, Call, CallResult, Callable, CancelFlag, LogLine, Mode, NoHost, Progress,
};
use milepost_wasm::clock::{SystemClock, VirtualClock};
use milepost_wasm::secrets::Secrets;
use milepost_wasm::{Plugin, WasmEngine};
use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The part of WASI that the guests here use: as much of each interface as they import.
const WASI: &str = r#"
package wasi:everything@0.2.6;
package wasi:io@0.2.6 {
    interface error { resource error; }
    interface poll {
        resource pollable { ready: func() -> bool; block: func(); }
        poll: func(in: list<borrow<pollable>>) -> list<u32>;
    }
    interface streams {
        use error.{error};
        use poll.{pollable};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream {
            write: func(contents: list<u8>) -> result<_, stream-error>;
            subscribe: func() -> pollable;
            blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
        }
    }
}
package wasi:clocks@0.2.6 {
    interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
    interface monotonic-clock {
        use wasi:io/poll@0.2.6.{pollable};
        now: func() -> u64;
        subscribe-duration: func(when: u64) -> pollable;
    }
}
package wasi:random@0.2.6 { interface random { get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64; } }
package wasi:cli@0.2.6 {
    interface exit { exit: func(status: result); }
    interface environment { get-environment: func() -> list<tuple<string, string>>; get-arguments: func() -> list<string>; }
    interface stdout { use wasi:io/streams@0.2.6.{output-stream}; get-stdout: func() -> output-stream; }
    interface stderr { use wasi:io/streams@0.2.6.{output-stream}; get-stderr: func() -> output-stream; }
}
package wasi:filesystem@0.2.6 {
    interface types { resource descriptor; }
    interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }
}
package wasi:sockets@0.2.6 {
    interface network {
        enum ip-address-family { ipv4, ipv6 }
        enum error-code {
            unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout, concurrency-conflict,
            not-in-progress, would-block, invalid-state, new-socket-limit, address-not-bindable, address-in-use,
            remote-unreachable, connection-refused, connection-reset, connection-aborted, datagram-too-large,
            name-unresolvable, temporary-resolver-failure, permanent-resolver-failure,
        }
    }
    interface tcp { resource tcp-socket; }
    interface udp { resource udp-socket; }
    interface tcp-create-socket {
        use network.{ip-address-family, error-code};
        use tcp.{tcp-socket};
        create-tcp-socket: func(family: ip-address-family) -> result<tcp-socket, error-code>;
    }
    interface udp-create-socket {
        use network.{ip-address-family, error-code};
        use udp.{udp-socket};
        create-udp-socket: func(family: ip-address-family) -> result<udp-socket, error-code>;
    }
}
package wasi:http@0.2.6 { interface incoming-handler { http-error: func() -> bool; } }
"#;

const WORLD: &str = "
package test:guest;
world guest {
    include milepost:step/step@0.1.0;
    import wasi:io/poll@0.2.6;
    import wasi:io/streams@0.2.6;
    import wasi:clocks/wall-clock@0.2.6;
    import wasi:clocks/monotonic-clock@0.2.6;
    import wasi:random/random@0.2.6;
    import wasi:cli/exit@0.2.6;
    import wasi:cli/environment@0.2.6;
    import wasi:cli/stdout@0.2.6;
    import wasi:cli/stderr@0.2.6;
    import wasi:filesystem/preopens@0.2.6;
    import wasi:sockets/tcp-create-socket@0.2.6;
    import wasi:sockets/udp-create-socket@0.2.6;
    import wasi:http/incoming-handler@0.2.6;
}
interface things { resource thing { constructor(); } }
world resources { include milepost:step/step@0.1.0; export things; }
";

/// What every guest has: memory, an allocator that frees nothing, and ways to return. The return area is at 1024, text of
/// `data` at 2048, the heap from 16384.
const PRELUDE: &str = r#"
  (global $heap (mut i32) (i32.const 16384))
  (func $alloc (export "cabi_realloc") (param $old i32) (param $old_n i32) (param $align i32) (param $n i32) (result i32)
    (local $p i32) (local $need i32)
    (local.set $p (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $p) (local.get $n)))
    (local.set $need (i32.sub
      (i32.shr_u (i32.add (global.get $heap) (i32.const 65535)) (i32.const 16)) (memory.size)))
    (if (i32.gt_s (local.get $need) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $need)) (i32.const -1)) (then (unreachable)))))
    (memory.copy (local.get $p) (local.get $old) (local.get $old_n))
    (local.get $p))
  ;; Returns a text as the output.
  (func $ok (param $p i32) (param $n i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1032) (local.get $p))
    (i32.store (i32.const 1036) (local.get $n))
    (i32.const 1024))
  ;; Returns a number as the output.
  (func $ok_number (param $v i64) (result i32) (local $d i32)
    (local.set $d (i32.const 2040))
    (loop $digit
      (local.set $d (i32.sub (local.get $d) (i32.const 1)))
      (i32.store8 (local.get $d) (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $v) (i64.const 10)))))
      (local.set $v (i64.div_u (local.get $v) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $v) (i64.const 0))))
    (call $ok (local.get $d) (i32.sub (i32.const 2040) (local.get $d))))
  ;; Returns the string that a host function left at `at` as a JSON string.
  (func $ok_string (param $at i32) (result i32) (local $p i32) (local $n i32)
    (local.set $n (i32.load offset=4 (local.get $at)))
    (local.set $p (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.add (local.get $n) (i32.const 2))))
    (i32.store8 (local.get $p) (i32.const 34))
    (memory.copy (i32.add (local.get $p) (i32.const 1)) (i32.load (local.get $at)) (local.get $n))
    (i32.store8 (i32.add (i32.add (local.get $p) (local.get $n)) (i32.const 1)) (i32.const 34))
    (call $ok (local.get $p) (i32.add (local.get $n) (i32.const 2))))
  (func (export "milepost:step/guest@0.1.0#describe") (result i32)
    (i32.store (i32.const 1024) (i32.const 2048))
    (i32.store (i32.const 1028) (global.get $data_n))
    (i32.const 1024))
"#;

/// Parts of a guest.
#[derive(Default, Clone, Copy)]
pub(crate) struct Guest<'a> {
    /// `(import "milepost:step/clock@0.1.0" "now" (func $now (result i64)))` and the like.
    pub(crate) imports: &'a str,
    /// Further definitions.
    pub(crate) items: &'a str,
    /// Body of `run`: `$in` and `$in_n` are the input, the result is the address of the return area.
    pub(crate) run: &'a str,
    /// Text at 2048, `$data_n` bytes of it.
    pub(crate) data: &'a str,
    /// Memory at the start, pages.
    pub(crate) pages: u32,
}

impl Guest<'_> {
    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        component(&self.core())
    }

    /// The core module.
    pub(crate) fn core(&self) -> String {
        let Self {
            imports,
            items,
            run,
            data,
            pages,
        } = self;
        let bytes: String = data.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        format!(
            r#"(module {imports}
            (memory (export "memory") {})
            (global $data_n i32 (i32.const {}))
            (data (i32.const 2048) "{bytes}")
            {PRELUDE} {items}
            (func (export "milepost:step/guest@0.1.0#run")
                (param $step i32) (param $step_n i32) (param $in i32) (param $in_n i32) (result i32)
                {run}))"#,
            pages.max(&1),
            data.len(),
        )
    }
}

/// A guest that only has a body.
pub(crate) fn runs(run: &str) -> Vec<u8> {
    Guest {
        run,
        ..Guest::default()
    }
    .build()
}

/// A guest that returns `text`.
pub(crate) fn returns(text: &str) -> Vec<u8> {
    Guest {
        data: text,
        run: "(call $ok (i32.const 2048) (global.get $data_n))",
        ..Guest::default()
    }
    .build()
}

/// Makes a component for the world of the contract (and WASI) of a core module in the text format.
pub(crate) fn component(core: &str) -> Vec<u8> {
    encode(core, "guest")
}

/// Makes a component that exports a resource of its own beside the contract.
pub(crate) fn component_with_resources(core: &str) -> Vec<u8> {
    encode(core, "resources")
}

/// Makes a component for a world that is not the contract's.
pub(crate) fn component_of_other_world() -> Vec<u8> {
    let text = r#"(component
        (type $t (resource (rep i32)))
        (export $file "file" (type $t))
        (core module $m (func (export "run") (param i32)))
        (core instance $i (instantiate $m))
        (func $run (param "of" (own $file)) (canon lift (core func $i "run")))
        (export "run" (func $run)))"#;
    wat::parse_str(text).unwrap()
}

/// Puts a custom section behind everything else.
pub(crate) fn append_section(bytes: &mut Vec<u8>, name: &str, body: &[u8]) {
    let mut length = 1 + name.len() + body.len();
    bytes.push(0);
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.push(u8::try_from(name.len()).unwrap());
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(body);
}

/// Makes a component for the world of the contract of a core module.
pub(crate) fn component_of(module: Vec<u8>) -> Vec<u8> {
    encode_module(module, "guest")
}

fn encode(core: &str, world: &str) -> Vec<u8> {
    encode_module(wat::parse_str(core).unwrap(), world)
}

fn encode_module(mut module: Vec<u8>, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve
        .push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1.0"))
        .unwrap();
    resolve.push_str("wasi.wit", WASI).unwrap();
    let package = resolve.push_str("guest.wit", WORLD).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap();
    encoder.encode().unwrap()
}

/// The engine that tests share, as a process does.
pub(crate) fn engine() -> &'static WasmEngine {
    static ENGINE: LazyLock<WasmEngine> =
        LazyLock::new(|| WasmEngine::new(None, Arc::new(SystemClock)).unwrap());
    &ENGINE
}

/// Loads a component that must load.
pub(crate) fn load(bytes: &[u8]) -> Plugin {
    engine().load_bytes(bytes).unwrap()
}

/// A call with generous time and default limits.
pub(crate) fn call() -> Call {
    Call {
        run: RunId::new("run-1").unwrap(),
        workflow: "flow".into(),
        step: "work".into(),
        path: "fix#2/test".parse::<Path>().unwrap(),
        attempt: 3,
        input: Arc::new(json!({"n": 1})),
        config: Arc::new(BTreeMap::new()),
        grants: Arc::default(),
        secrets: Secrets::default(),
        outputs: Arc::new(BTreeMap::new()),
        resume_state: None,
        resume_signal: None,
        seed: 7,
        deadline: None,
        timeout: Duration::from_secs(60),
        idle_timeout: None,
        limits: CallLimits::default(),
        host: Arc::new(NoHost),
        mode: Mode::Live,
    }
}

/// A host that notes what it is shown.
#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) lines: Mutex<Vec<LogLine>>,
    pub(crate) progress: Mutex<Vec<Progress>>,
    pub(crate) cancel: CancelFlag,
    /// What it does with a line before it notes it, if anything.
    pub(crate) on_line: Option<OnLine>,
}

pub(crate) type OnLine = Box<dyn Fn(&LogLine) -> BoxFuture<'static, ()> + Send + Sync>;

impl TestHost {
    pub(crate) fn on_line(
        on_line: impl Fn(&LogLine) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            on_line: Some(Box::new(on_line)),
            ..Self::default()
        })
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|line| line.message.clone()).collect()
    }
}

impl AttemptHost for TestHost {
    fn log<'a>(&'a self, line: &'a LogLine) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(on_line) = &self.on_line {
                on_line(line).await;
            }
            self.lines.lock().unwrap().push(line.clone());
        })
    }

    fn progress<'a>(&'a self, progress: &'a Progress) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.progress.lock().unwrap().push(progress.clone()) })
    }

    fn cancel_requested(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.cancel.is_raised() })
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.cancel.raised())
    }
}

/// A call with a host of its own.
pub(crate) fn call_to(host: &Arc<TestHost>) -> Call {
    Call {
        host: Arc::clone(host) as _,
        ..call()
    }
}

/// Executes one attempt to its end.
pub(crate) fn execute(plugin: &Plugin, call: Call) -> CallResult {
    block_on(plugin.call(call))
}

/// Where the clock of [`execute_at_now`] begins.
pub(crate) const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

/// Executes a guest on an engine whose clock stands at [`NOW`] and jumps over every wait.
pub(crate) fn execute_at_now(bytes: &[u8], call: Call) -> CallResult {
    let engine = WasmEngine::new(None, Arc::new(VirtualClock::jumping(NOW))).unwrap();
    execute(&engine.load_bytes(bytes).unwrap(), call)
}

/// A call that is answered from `tape`.
pub(crate) fn replay(tape: &Tape) -> Call {
    Call {
        mode: Mode::Replay(Arc::new(tape.clone())),
        ..call()
    }
}

/// Runs a future on a runtime with one thread: what blocks it, blocks the test.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

/// The output of an attempt that completed.
pub(crate) fn output(result: &CallResult) -> &Value {
    match &result.outcome {
        Outcome::Completed(value) => value,
        other => panic!("not completed: {other:?}"),
    }
}

/// The error of an attempt that failed.
pub(crate) fn error(result: &CallResult) -> &StepError {
    match &result.outcome {
        Outcome::Failed(error) => error,
        other => panic!("not failed: {other:?}"),
    }
}

/// Checks how an attempt failed, and that the engine still runs another component afterwards.
pub(crate) fn assert_failed(result: &CallResult, class: ErrorClass, code: &str) {
    let found = error(result);
    assert_eq!(
        (found.class, found.code.as_str()),
        (class, code),
        "{}",
        found.message
    );
    let echo = load(&runs("(call $ok (local.get $in) (local.get $in_n))"));
    assert_eq!(output(&execute(&echo, call())), &json!({"n": 1}));
}
