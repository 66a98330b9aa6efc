//! The corpus of hostile components: for each one how it ends, how much memory the host spends on it and for how long, and that
//! its neighbour is not harmed. (`wasm/tests/hostile.rs` has the limits of a running guest one by one.)
//!
//! Everything runs as in the program: counted, compiled by the child, called.

#![expect(clippy::unwrap_used, reason = "tests")]

mod deeds;
#[path = "../../../wasm/tests/guests/mod.rs"]
mod guests;
mod shapes;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use guests::append_section;
use guests::{call, execute, output, runs};
use milepost::attempt::Call;
use milepost::clock::SystemClock;
use milepost::wasm::{ChildProgram, Compiler, Plugin, Rejection, WasmEngine};
use milepost_core::outcome::Outcome;
use serde_json::json;

/// What the host may spend on one of them beyond the memory that the guest itself may have.
const HOST_MEMORY: u64 = 192 * 1024 * 1024;
/// How long one of them may keep the host, timeouts and a slow machine included.
const HOST_TIME: Duration = Duration::from_secs(60);
/// How long an attempt may take that would never end.
const TIMEOUT: Duration = Duration::from_millis(300);

/// One hostile component.
pub(crate) struct Hostile {
    /// What it tries.
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Ends,
}

/// How a hostile component ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Refused when it is loaded: the variant of [`Rejection`].
    Refused(&'static str),
    /// Its attempt fails with this stable code.
    Fails(&'static str),
    /// It gets an answer that gives it nothing.
    Harmless,
}

#[test]
fn every_hostile_component_hurts_itself_alone() {
    let corpus: Vec<Hostile> = shapes::all().into_iter().chain(deeds::all()).collect();
    assert!(corpus.len() >= 60, "{} components", corpus.len());
    let engine = WasmEngine::with_compiler(None, Arc::new(SystemClock), in_a_child()).unwrap();
    let neighbour = engine
        .load_bytes(&runs("(call $ok (local.get $in) (local.get $in_n))"))
        .unwrap();
    let mut wrong = Vec::new();
    for hostile in &corpus {
        peak::reset();
        let before = peak::read();
        let started = Instant::now();
        let found = end(&engine, hostile);
        let (took, peak) = (started.elapsed(), peak::read().saturating_sub(before));
        let harmed = !is_well(&neighbour);
        if found != hostile.ends || took > HOST_TIME || peak > HOST_MEMORY || harmed {
            wrong.push(format!(
                "{}: {found:?} instead of {:?}, {took:?}, {} MiB{}",
                hostile.name,
                hostile.ends,
                peak / 1024 / 1024,
                if harmed {
                    ", the neighbour was harmed"
                } else {
                    ""
                }
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn in_a_child() -> Compiler {
    Compiler::Child(ChildProgram {
        program: env!("CARGO_BIN_EXE_milepost").into(),
        arguments: vec!["compile-component-from-stdin".into()],
    })
}

fn end(engine: &WasmEngine, hostile: &Hostile) -> Ends {
    let plugin = match engine.load_bytes(&hostile.bytes) {
        Ok(plugin) => plugin,
        Err(rejection) => return Ends::Refused(kind(&rejection)),
    };
    let call = match hostile.ends {
        Ends::Fails("timeout") => Call {
            timeout: TIMEOUT,
            ..call()
        },
        // Whatever ends by itself has the time for it, on a busy machine too.
        _ => call(),
    };
    match execute(&plugin, call).outcome {
        Outcome::Failed(error) => Ends::Fails(Box::leak(error.code.into_boxed_str())),
        _ => Ends::Harmless,
    }
}

fn is_well(neighbour: &Plugin) -> bool {
    output(&execute(neighbour, call())) == &json!({"n": 1})
}

/// The name of the variant.
fn kind(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::NotWasm => "NotWasm",
        Rejection::CoreModule => "CoreModule",
        Rejection::Invalid(_) => "Invalid",
        Rejection::TooLarge { .. } => "TooLarge",
        Rejection::WrongWorld { .. } => "WrongWorld",
        Rejection::NotProvided { .. } => "NotProvided",
        Rejection::UnknownImports { .. } => "UnknownImports",
        Rejection::OtherType(_) => "OtherType",
        Rejection::TooDemanding(_) => "TooDemanding",
        Rejection::TooComplex { .. } => "TooComplex",
        Rejection::Unsupported(_) => "Unsupported",
        Rejection::NotCompiled(_) => "NotCompiled",
        Rejection::NotPure { .. } => "NotPure",
        Rejection::Manifest(_) => "Manifest",
    }
}

/// The most memory that this process had since it was last asked to begin anew, in bytes. Linux keeps that; elsewhere it is 0,
/// and only the ends are checked.
mod peak {
    pub(crate) fn reset() {
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }

    pub(crate) fn read() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or_default() * 1024
    }
}
