//! Prints what the step `greet` costs in components that were built from several languages, in the way of one attempt each: fresh
//! store, instantiate, call, drop. `plugins/speed.sh` builds the components and makes the table of `plugins/LANGUAGES.md` of this.
//! Run with `MILEPOST_GUESTS=FOLDER cargo bench --bench languages`.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark")]

#[path = "../tests/guests/mod.rs"]
mod guests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use guests::{block_on, call, output};
use milepost_wasm::attempt::{Call, Callable as _};
use milepost_wasm::clock::SystemClock;
use milepost_wasm::{CodeCache, Plugin, WasmEngine};
use serde_json::json;

/// Engines that a first call is measured on. The median is told, of calls as well: other work on the machine moves it least.
const STARTS: usize = 7;
/// How long calls are measured for, and at least how many.
const CALLING: Duration = Duration::from_secs(2);
const CALLS: usize = 50;

fn main() {
    let Some(folder) = std::env::var_os("MILEPOST_GUESTS") else {
        println!("nothing to call: `MILEPOST_GUESTS` names no folder of components");
        return;
    };
    println!(
        "{:<16} {:>10} {:>12} {:>12} {:>12} {:>10} {:>10}",
        "component", "bytes", "compile", "first call", "call", "calls/s", "memory KiB"
    );
    for file in components(Path::new(&folder)) {
        println!("{}", block_on(row(&file)));
    }
}

fn components(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "wasm"));
    files.sort();
    files
}

async fn row(file: &Path) -> String {
    let bytes = std::fs::read(file).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let engine = || {
        let cache = Some(CodeCache::open(cache.path()));
        WasmEngine::new(cache, Arc::new(SystemClock)).unwrap()
    };

    let start = Instant::now();
    engine().load_bytes(&bytes).unwrap();
    let compile = start.elapsed();

    // From a component whose code is in the cache to an answer, as the first step of a run waits for it.
    let mut firsts = Vec::new();
    for _ in 0..STARTS {
        let engine = engine();
        let start = Instant::now();
        let plugin = engine.load_bytes(&bytes).unwrap();
        assert!(plugin.from_cache());
        once(&plugin).await;
        firsts.push(start.elapsed());
    }
    let first = median(firsts);

    let engine = engine();
    let plugin = engine.load_bytes(&bytes).unwrap();
    let memory = once(&plugin).await;
    let mut calls = Vec::new();
    let start = Instant::now();
    while calls.len() < CALLS || start.elapsed() < CALLING {
        let start = Instant::now();
        once(&plugin).await;
        calls.push(start.elapsed());
    }
    let call = median(calls);
    format!(
        "{:<16} {:>10} {:>12} {:>12} {:>12} {:>10.0} {:>10}",
        file.file_stem().unwrap().to_string_lossy(),
        bytes.len(),
        format!("{compile:.1?}"),
        format!("{first:.1?}"),
        format!("{call:.1?}"),
        1.0 / call.as_secs_f64(),
        memory / 1024
    )
}

/// One attempt, and the memory that it had at its end.
async fn once(plugin: &Plugin) -> u64 {
    let call = Call {
        step: "greet".into(),
        input: Arc::new(json!({"name": "Ada"})),
        ..call()
    };
    let result = plugin.call(call).await;
    assert_eq!(*output(&result), json!({"greeting": "Hello, Ada!"}));
    result.memory.unwrap_or_default()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
