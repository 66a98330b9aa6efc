//! Prints what starting an engine, loading a component and one isolated call (fresh store, instantiate, call, drop) cost.
//! Run with `cargo bench --bench isolated_call`.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark")]

#[path = "../tests/guests/mod.rs"]
mod guests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use guests::{Guest, call, runs};
use milepost_wasm::attempt::Callable as _;
use milepost_wasm::clock::SystemClock;
use milepost_wasm::{CodeCache, Plugin, WasmEngine};

const CALLS: u32 = 20_000;

fn main() {
    let echo = runs("(call $ok (local.get $in) (local.get $in_n))");
    let dir = tempfile::tempdir().unwrap();

    let (engine, creation) = timed(|| start(dir.path()));
    println!("engine creation               {creation:>10.1?}");
    let (_, compiled) = timed(|| engine.load_bytes(&echo).unwrap());
    println!("load, compiled                {compiled:>10.1?}");
    drop(engine);

    let engine = start(dir.path());
    let (plugin, cached) = timed(|| engine.load_bytes(&echo).unwrap());
    assert!(plugin.from_cache());
    println!("load, cached                  {cached:>10.1?}");

    let with_wasi = Guest {
        imports: r#"(import "wasi:random/random@0.2.6" "get-random-u64" (func $u64 (result i64)))"#,
        run: "(call $ok_number (call $u64))",
        ..Guest::default()
    };
    let with_wasi = with_wasi.build();
    // Compiles the second guest, so that the next load measures linking WASI.
    start(dir.path()).load_bytes(&with_wasi).unwrap();
    let (wasi, linked) = timed(|| engine.load_bytes(&with_wasi).unwrap());
    println!("load, cached, first with WASI {linked:>10.1?}");

    let grows = Guest {
        run: "(drop (memory.grow (i32.const 1))) (i32.store (i32.const 65536) (i32.const 1)) (call $ok_number (i64.const 1))",
        ..Guest::default()
    };
    let grows = engine.load_bytes(&grows.build()).unwrap();
    let recursive = Guest {
        items: "(func $deeper (param i32) (if (local.get 0) (then (call $deeper (i32.sub (local.get 0) (i32.const 1))))))",
        run: "(call $deeper (i32.const 5000)) (call $ok_number (i64.const 1))",
        ..Guest::default()
    };
    let recursive = engine.load_bytes(&recursive.build()).unwrap();
    for (name, plugin) in [
        ("echo", &plugin),
        ("random through WASI", &wasi),
        ("grows its memory", &grows),
        ("5,000 frames deep", &recursive),
    ] {
        println!(
            "isolated call, {name:<22}{:>10.1?}",
            one_after_another(plugin)
        );
    }
    println!(
        "isolated calls/s, echo, 2 threads  {:>8.0}",
        on_two_threads(&plugin)
    );
}

fn start(cache: &std::path::Path) -> WasmEngine {
    WasmEngine::new(Some(CodeCache::open(cache)), Arc::new(SystemClock)).unwrap()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// Time for one call, best of five rounds.
fn one_after_another(plugin: &Plugin) -> Duration {
    let round = |_| {
        let ((), time) = timed(|| {
            guests::block_on(async {
                for _ in 0..CALLS / 5 {
                    plugin.call(call()).await;
                }
            });
        });
        time / (CALLS / 5)
    };
    (0..5).map(round).min().unwrap_or_default()
}

fn on_two_threads(plugin: &Plugin) -> f64 {
    let ((), time) = timed(|| {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| one_after_another(plugin));
            }
        });
    });
    f64::from(2 * CALLS) / time.as_secs_f64()
}
