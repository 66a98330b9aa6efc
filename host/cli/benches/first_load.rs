//! What a component costs that is met for the first time: the checks before it is compiled, and compiling it in a child process
//! against compiling it in this one.
//!
//! Run with `cargo bench --bench first_load`.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark: whatever fails ends it")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use milepost::clock::SystemClock;
use milepost::wasm::{ChildProgram, Compiler, Inspection, WasmEngine};

const ROUNDS: usize = 7;
/// What a component of an interpreted language weighs, most of it code.
const LARGE_BYTES: usize = 18_000_000;
const FUNCTION_BYTES: usize = 1_000;

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/prebuilt");
    let read = |name: &str| std::fs::read(format!("{folder}/{name}.wasm")).unwrap();
    let (small, medium, large) = (read("flaky"), read("table"), with_code(&read("flaky")));

    println!("hash and checks before compiling");
    for (name, bytes) in [("small", &small), ("medium", &medium), ("large", &large)] {
        let checked = median(|| drop(Inspection::of(bytes).unwrap()));
        println!("  {name:<7} {:>6} KB  {}", bytes.len() / 1000, ms(checked));
    }
    println!("compiled in a child / here (at most 1.1 and 15 ms)");
    let child = Compiler::Child(ChildProgram {
        program: env!("CARGO_BIN_EXE_milepost").into(),
        arguments: vec!["compile-component-from-stdin".into()],
    });
    let clock = Arc::new(SystemClock);
    let elsewhere = WasmEngine::with_compiler(None, clock.clone(), child).unwrap();
    let here = WasmEngine::new(None, clock).unwrap();
    for (name, bytes) in [("small", &small), ("medium", &medium)] {
        let load = |engine: &WasmEngine| drop(engine.load_bytes(bytes).unwrap());
        // In turns, so that a busy moment meets both.
        let (mut there_took, mut here_took) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            there_took.push(time(|| load(&elsewhere)));
            here_took.push(time(|| load(&here)));
        }
        let (there, here) = (middle(there_took), middle(here_took));
        println!(
            "  {name:<7} {} / {} = {:.2}, {:+.1} ms",
            ms(there),
            ms(here),
            there.as_secs_f64() / here.as_secs_f64(),
            (there.as_secs_f64() - here.as_secs_f64()) * 1e3,
        );
    }
}

/// A component with a further core module, which nothing instantiates: compiling does not ask.
fn with_code(component: &[u8]) -> Vec<u8> {
    let functions = LARGE_BYTES / FUNCTION_BYTES;
    let mut body = vec![0];
    // i32.const 1, drop: as many as there is room for.
    body.extend([0x41, 1, 0x1a].repeat((FUNCTION_BYTES - 8) / 3));
    body.push(0x0b);
    let mut code = leb(functions);
    for _ in 0..functions {
        code.extend(leb(body.len()));
        code.extend(&body);
    }
    let mut declared = leb(functions);
    declared.resize(declared.len() + functions, 0);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in [(1, vec![1, 0x60, 0, 0]), (3, declared), (10, code)] {
        section(&mut module, id, &content);
    }
    let mut bytes = component.to_vec();
    section(&mut bytes, 1, &module);
    bytes
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    bytes.extend(leb(content.len()));
    bytes.extend(content);
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(work: impl Fn()) -> Duration {
    middle((0..ROUNDS).map(|_| time(&work)).collect())
}

fn middle(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

fn ms(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}
