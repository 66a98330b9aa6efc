//! Any bytes as a component: loaded, and called when they can be. `cargo fuzz run load`.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use milepost::attempt::{Call, Callable as _, Mode, NoHost};
use milepost::clock::SystemClock;
use milepost::wasm::WasmEngine;
use milepost_core::ids::{Path, RunId};
use milepost_core::limits::CallLimits;

/// It compiles in this process, where a crash of the compiler is seen; the census stands before it as it does before a child.
static ENGINE: LazyLock<WasmEngine> =
    LazyLock::new(|| WasmEngine::new(None, Arc::new(SystemClock)).expect("an engine"));

fuzz_target!(|bytes: &[u8]| {
    let Ok(plugin) = ENGINE.load_bytes(bytes) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let call = Call {
        run: RunId::new("run").expect("an id"),
        workflow: "flow".into(),
        step: "step".into(),
        path: "step".parse::<Path>().expect("a path"),
        attempt: 1,
        input: Arc::new(serde_json::json!({"n": 1})),
        config: Arc::new(BTreeMap::new()),
        outputs: Arc::new(BTreeMap::new()),
        resume_state: None,
        resume_signal: None,
        seed: 7,
        deadline: None,
        timeout: Duration::from_millis(200),
        limits: CallLimits::default(),
        host: Arc::new(NoHost),
        mode: Mode::Live,
    };
    runtime.expect("a runtime").block_on(plugin.call(call));
});
