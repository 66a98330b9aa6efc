//! Components are compiled by a child process that can do nothing else: what it makes, how it is shut in, how it ends.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../wasm/tests/guests/mod.rs"]
mod guests;

use std::process::{Command, Stdio};
use std::sync::Arc;

use guests::{call, execute, output, returns};
use milepost::clock::SystemClock;
use milepost::wasm::{ChildProgram, CodeCache, Compiler, Rejection, WasmEngine};

const COMPILE: &str = "compile-component-from-stdin";

fn child(program: &str, arguments: &[&str]) -> Compiler {
    Compiler::Child(ChildProgram {
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
    })
}

fn this_program() -> Compiler {
    child(env!("CARGO_BIN_EXE_milepost"), &[COMPILE])
}

fn load(compiler: Compiler, bytes: &[u8]) -> Result<serde_json::Value, Rejection> {
    let engine = WasmEngine::with_compiler(None, Arc::new(SystemClock), compiler).unwrap();
    let plugin = engine.load_bytes(bytes)?;
    Ok(output(&execute(&plugin, call())).clone())
}

#[test]
fn a_child_compiles_what_this_process_can_run() {
    assert_eq!(load(this_program(), &returns("1")).unwrap(), 1);
}

#[test]
fn code_that_a_child_made_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let start = |compiler| {
        let cache = Some(CodeCache::open(dir.path()));
        let engine = WasmEngine::with_compiler(cache, Arc::new(SystemClock), compiler).unwrap();
        engine.load_bytes(&returns("1")).unwrap().from_cache()
    };
    assert!(!start(this_program()));
    // Code that is cached needs no compiler.
    assert!(start(child("/nowhere", &[])));
}

#[test]
fn what_the_compiler_refuses_is_told_in_its_words() {
    let unreachable_type = wat::parse_str(
        r#"(component (core module (func (result i32) (i64.const 1))) (instance $i)
            (export "milepost:step/guest@0.1.0" (instance $i)))"#,
    )
    .unwrap();
    for compiler in [this_program(), Compiler::InProcess] {
        let rejection = load(compiler, &unreachable_type).unwrap_err();
        assert!(
            matches!(&rejection, Rejection::Invalid(words) if words.contains("type mismatch")),
            "{rejection:?}"
        );
    }
}

#[test]
#[cfg(unix)]
fn a_child_that_does_not_end_well_costs_one_component() {
    for compiler in [
        child("/nowhere/milepost", &[]),
        child("/bin/sh", &["-c", "kill -9 $$"]),
        child("/bin/sh", &["-c", "exit 3"]),
        child("/bin/sh", &["-c", "echo no memory >&2; exit 70"]),
    ] {
        let rejection = load(compiler, &returns("1")).unwrap_err();
        assert!(
            matches!(rejection, Rejection::NotCompiled(_)),
            "{rejection:?}"
        );
    }
    // It said that all is well, and gave something that is no code.
    load(child("/bin/echo", &["code"]), &returns("1")).unwrap_err();
    let told = load(
        child("/bin/sh", &["-c", "echo no >&2; exit 1"]),
        &returns("1"),
    )
    .unwrap_err();
    assert!(
        matches!(&told, Rejection::Invalid(words) if words == "no\n"),
        "{told:?}"
    );
}

/// No file to write its answer to, as one that could not be shut in, or has no memory: that is no word against the component.
#[test]
#[cfg(target_os = "linux")]
fn a_child_that_cannot_work_does_not_blame_the_component() {
    let program = env!("CARGO_BIN_EXE_milepost");
    let script = format!("exec {program} {COMPILE} > /dev/full");
    let rejection = load(child("/bin/sh", &["-c", &script]), &returns("1")).unwrap_err();
    assert!(
        matches!(&rejection, Rejection::NotCompiled(words) if words.contains("could not work")),
        "{rejection:?}"
    );
}

/// A child that waits for its component, looked at from outside.
#[test]
#[cfg(target_os = "linux")]
fn a_child_is_shut_in_before_it_reads_a_byte() {
    use milepost_core::limits;
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_milepost"))
        .arg(COMPILE)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        // It may not write to files, and this test's errors may go to one.
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let of = |file: &str| {
        let path = format!("/proc/{}/{file}", waiting.id());
        std::fs::read_to_string(path).unwrap()
    };
    let most = |name: &str| {
        let text = of("limits");
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        let hard = line.split_whitespace().rev().nth(1).unwrap();
        hard.parse::<u64>().unwrap_or(u64::MAX)
    };
    // Seccomp comes last. A kernel without it shows no such line, or 0 for ever.
    let started = std::time::Instant::now();
    while !of("status").contains("Seccomp:\t2") {
        assert!(started.elapsed().as_secs() < 60, "{}", of("status"));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let found = [
        most("Max address space"),
        most("Max cpu time"),
        most("Max file size"),
    ];
    let status = of("status");
    drop(waiting.stdin.take());
    assert_eq!(
        waiting.wait().unwrap().code(),
        Some(1),
        "nothing is no component"
    );
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let memory = limits::COMPILE_MEMORY_BYTES as u64;
    assert_eq!(found, [memory, limits::COMPILE_PROCESSOR_TIME.as_secs(), 0]);
}
