//! Components that nobody would write, by chance, through loading and a call. Whatever they are, they end, the process goes on, and
//! its memory does not grow with them.
//!
//! A plain run damages 200 in small ways; `MILEPOST_MUTATIONS=10000` takes more, `MILEPOST_SEED=17` a single one. It also takes the
//! generated ones in `tests/fuzz/corpus/load`; `MILEPOST_COMPONENTS=FOLDER` names others, as `tests/fuzz` writes them.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_macros, reason = "a test prints its counts")]

#[path = "../../engine/tests/power/draws.rs"]
#[expect(dead_code, reason = "another suite uses the rest")]
mod draws;
#[path = "../../wasm/tests/guests/mod.rs"]
mod guests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use draws::Draws;
use guests::{Guest, call, execute, output, returns, runs};
use milepost::attempt::Call;
use milepost::clock::SystemClock;
use milepost::wasm::{ChildProgram, Compiler, WasmEngine};
use serde_json::json;

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
    let variable = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match variable("MILEPOST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("MILEPOST_MUTATIONS").unwrap_or(200),
    };
    survive(seeds.map(|seed| {
        let mut chance = Draws(seed);
        let mut bytes = whole[chance.below(whole.len())].clone();
        let other = &whole[chance.below(whole.len())];
        // Most of them small, so that they get as far as the compiler and the call.
        let accidents = [1, 1, 1, 1, 2, 2, 4, 8][chance.below(8)];
        for _ in 0..accidents {
            damage(&mut bytes, other, &mut chance);
        }
        (format!("MILEPOST_SEED={seed}"), bytes)
    }));
}

#[test]
fn generated_components_end() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus/load");
    let folder = std::env::var("MILEPOST_COMPONENTS").unwrap_or_else(|_| kept.to_owned());
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    survive(files.into_iter().map(|file| {
        let bytes = std::fs::read(&file).unwrap();
        (file.display().to_string(), bytes)
    }));
}

/// Loads and calls each component; with every one comes what to call it.
fn survive(components: impl Iterator<Item = (String, Vec<u8>)>) {
    let compiler = Compiler::Child(ChildProgram {
        program: env!("CARGO_BIN_EXE_milepost").into(),
        arguments: vec!["compile-component-from-stdin".into()],
    });
    let engine = WasmEngine::with_compiler(None, Arc::new(SystemClock), compiler).unwrap();
    let neighbour = engine
        .load_bytes(&runs("(call $ok (local.get $in) (local.get $in_n))"))
        .unwrap();
    let before = resident();
    let (mut tried, mut ran) = (0, 0);
    for (name, bytes) in components {
        tried += 1;
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
        assert!(took < TIME, "{name} took {took:?}");
    }
    assert_eq!(output(&execute(&neighbour, call())), &json!({"n": 1}));
    let grown = resident().saturating_sub(before);
    assert!(
        grown < MEMORY,
        "{} MiB more than before",
        grown / 1024 / 1024
    );
    println!("{tried} components, {ran} of them called");
    assert!(
        ran > 0 || tried == 1,
        "none could be called: they test nothing"
    );
}

/// One small accident.
fn damage(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Draws) {
    let at = chance.below(bytes.len());
    let until = (at + chance.below(64)).min(bytes.len());
    match chance.below(12) {
        0..=6 => bytes[at] ^= 1 << chance.below(8),
        7 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][chance.below(5)],
        8 => drop(bytes.drain(at..until)),
        9 => {
            let again = bytes[at..until].to_vec();
            bytes.splice(at..at, again);
        }
        10 => {
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
