//! Damaged components, by chance, through loading and a call. Whatever they are, they end, the process goes on, and its memory does
//! not grow with them.
//!
//! A plain run takes 200; `MILEPOST_MUTATIONS=10000` takes more, `MILEPOST_SEED=17` a single one.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "power/draws.rs"]
#[expect(dead_code, reason = "another suite uses the rest")]
mod draws;
mod wasm_guests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use draws::Draws;
use milepost::attempt::Call;
use milepost::clock::SystemClock;
use milepost::wasm::{ChildProgram, Compiler, WasmEngine};
use serde_json::json;
use wasm_guests::{Guest, call, execute, output, returns, runs};

/// What one of them may cost, a busy machine included.
const TIME: Duration = Duration::from_secs(60);
/// What all of them together may leave behind.
const MEMORY: u64 = 256 * 1024 * 1024;

#[test]
fn damaged_components_end() {
    let whole = [
        returns("{\"a\":[1,2,3]}"),
        runs("(call $ok (local.get $in) (local.get $in_n))"),
        Guest {
            imports: r#"
                (import "milepost:step/log@0.1.0" "emit" (func $log (param i32 i32 i32 i32 i32)))
                (import "wasi:random/random@0.2.6" "get-random-u64" (func $u64 (result i64)))"#,
            run: "(call $log (i32.const 2) (i32.const 2048) (i32.const 5) (i32.const 0) (i32.const 0))
                (call $ok_number (call $u64))",
            data: "hello",
            ..Guest::default()
        }
        .build(),
    ];
    survive(|seed| {
        let mut chance = Draws(seed);
        let mut bytes = whole[chance.below(whole.len())].clone();
        let other = &whole[chance.below(whole.len())];
        for _ in 0..=chance.below(8) {
            damage(&mut bytes, other, &mut chance);
        }
        bytes
    });
}

/// Loads and calls the component of each seed.
fn survive(component: impl Fn(u64) -> Vec<u8>) {
    let variable = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match variable("MILEPOST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("MILEPOST_MUTATIONS").unwrap_or(200),
    };
    let compiler = Compiler::Child(ChildProgram {
        program: env!("CARGO_BIN_EXE_milepost").into(),
        arguments: vec!["compile-component-from-stdin".into()],
    });
    let engine = WasmEngine::with_compiler(None, Arc::new(SystemClock), compiler).unwrap();
    let neighbour = engine
        .load_bytes(&runs("(call $ok (local.get $in) (local.get $in_n))"))
        .unwrap();
    let before = resident();
    let mut ran = 0;
    for seed in seeds.clone() {
        let bytes = component(seed);
        let started = Instant::now();
        if let Ok(plugin) = engine.load_bytes(&bytes) {
            let call = Call {
                timeout: Duration::from_millis(200),
                ..call()
            };
            execute(&plugin, call);
            ran += 1;
        }
        let took = started.elapsed();
        assert!(took < TIME, "MILEPOST_SEED={seed} took {took:?}");
    }
    assert_eq!(output(&execute(&neighbour, call())), &json!({"n": 1}));
    let grown = resident().saturating_sub(before);
    assert!(
        grown < MEMORY,
        "{} MiB more than before",
        grown / 1024 / 1024
    );
    assert!(
        ran > 0 || seeds.end - seeds.start == 1,
        "none could be called: they test nothing"
    );
}

/// One small accident.
fn damage(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Draws) {
    let at = chance.below(bytes.len());
    let until = (at + chance.below(64)).min(bytes.len());
    match chance.below(6) {
        0 => bytes[at] ^= 1 << chance.below(8),
        1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][chance.below(5)],
        2 => drop(bytes.drain(at..until)),
        3 => {
            let again = bytes[at..until].to_vec();
            bytes.splice(at..at, again);
        }
        4 => {
            let from = chance.below(other.len());
            let to = (from + chance.below(64)).min(other.len());
            bytes.splice(at..until, other[from..to].iter().copied());
        }
        _ => {
            let number = [0xff, 0xff, 0xff, 0xff, 0x0f];
            bytes.splice(at..(at + 1), number);
        }
    }
    if bytes.is_empty() {
        bytes.push(0);
    }
}

/// Memory of this process, in bytes; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
