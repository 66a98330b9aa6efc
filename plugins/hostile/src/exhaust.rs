//! Steps that break off, or take more of something than they should get.

use std::hint::black_box;
use std::time::Duration;

use milepost_sdk::{Context, Result, Schema, Step, clock, log};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// How much.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Amount {
    n: u64,
}

/// How much was done.
#[derive(Serialize, Schema)]
pub(crate) struct Done {
    n: u64,
}

pub(crate) struct Trap;

impl Step for Trap {
    const NAME: &'static str = "trap";
    const DESCRIPTION: &'static str = "Executes `unreachable`.";
    type Input = Nothing;
    type Output = Done;

    fn run(_: Nothing, _: &Context) -> Result<Done> {
        #[cfg(target_family = "wasm")]
        core::arch::wasm32::unreachable();
        #[cfg(not(target_family = "wasm"))]
        std::process::abort();
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PanicInput {
    #[serde(default)]
    message: String,
}

pub(crate) struct Panic;

impl Step for Panic {
    const NAME: &'static str = "panic";
    const DESCRIPTION: &'static str = "Panics with a message, which Rust writes to stderr.";
    type Input = PanicInput;
    type Output = Done;

    fn run(input: PanicInput, _: &Context) -> Result<Done> {
        panic!("{}", input.message)
    }
}

pub(crate) struct Spin;

impl Step for Spin {
    const NAME: &'static str = "spin";
    const DESCRIPTION: &'static str = "Never returns, and calls no host function.";
    type Input = Nothing;
    type Output = Done;

    fn run(_: Nothing, _: &Context) -> Result<Done> {
        let mut n = 0_u64;
        loop {
            n = black_box(n.wrapping_add(1));
        }
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllocateInput {
    /// Stop there; without it the step takes all there is.
    mib: Option<u64>,
}

pub(crate) struct Allocate;

impl Step for Allocate {
    const NAME: &'static str = "allocate";
    const DESCRIPTION: &'static str = "Takes and touches memory, one MiB at a time.";
    type Input = AllocateInput;
    type Output = Done;

    fn run(input: AllocateInput, _: &Context) -> Result<Done> {
        let wanted = input.mib.unwrap_or(u64::MAX);
        let mut held = Vec::new();
        while (held.len() as u64) < wanted {
            held.push(black_box(vec![1_u8; 1024 * 1024]));
        }
        Ok(Done {
            n: held.len() as u64,
        })
    }
}

pub(crate) struct Recurse;

impl Step for Recurse {
    const NAME: &'static str = "recurse";
    const DESCRIPTION: &'static str = "Calls itself until the stack ends, or `n` calls deep.";
    type Input = Amount;
    type Output = Done;

    fn run(input: Amount, _: &Context) -> Result<Done> {
        Ok(Done {
            n: descend(input.n),
        })
    }
}

#[inline(never)]
fn descend(n: u64) -> u64 {
    // Keeps the frame on the stack and the call out of tail position.
    let frame = black_box([n; 16]);
    if n == 0 {
        0
    } else {
        black_box(descend(n - 1)) + frame[0] - (n - 1)
    }
}

#[derive(Serialize, Schema)]
pub(crate) struct TextOutput {
    text: String,
}

pub(crate) struct BigOutput;

impl Step for BigOutput {
    const NAME: &'static str = "big_output";
    const DESCRIPTION: &'static str = "Returns `n` bytes of text.";
    type Input = Amount;
    type Output = TextOutput;

    fn run(input: Amount, _: &Context) -> Result<TextOutput> {
        let length = usize::try_from(input.n).unwrap_or(usize::MAX);
        Ok(TextOutput {
            text: "x".repeat(length),
        })
    }
}

pub(crate) struct DeepOutput;

impl Step for DeepOutput {
    const NAME: &'static str = "deep_output";
    const DESCRIPTION: &'static str = "Returns lists in lists, `n` deep.";
    type Input = Amount;
    type Output = Value;

    fn run(input: Amount, _: &Context) -> Result<Value> {
        let mut value = Value::Null;
        for _ in 0..input.n {
            value = Value::Array(vec![value]);
        }
        Ok(value)
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FloodInput {
    lines: u64,
    /// Bytes of each line.
    bytes: u64,
}

pub(crate) struct LogFlood;

impl Step for LogFlood {
    const NAME: &'static str = "log_flood";
    const DESCRIPTION: &'static str = "Logs many lines.";
    type Input = FloodInput;
    type Output = Done;

    fn run(input: FloodInput, _: &Context) -> Result<Done> {
        let line = "x".repeat(usize::try_from(input.bytes).unwrap_or(usize::MAX));
        for _ in 0..input.lines {
            log::info(&line);
        }
        Ok(Done { n: input.lines })
    }
}

pub(crate) struct HostCalls;

impl Step for HostCalls {
    const NAME: &'static str = "host_calls";
    const DESCRIPTION: &'static str = "Asks the host for the time, `n` times.";
    type Input = Amount;
    type Output = Done;

    fn run(input: Amount, _: &Context) -> Result<Done> {
        for _ in 0..input.n {
            black_box(clock::now());
        }
        Ok(Done { n: input.n })
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SleepInput {
    ms: u64,
}

pub(crate) struct Sleep;

impl Step for Sleep {
    const NAME: &'static str = "sleep";
    const DESCRIPTION: &'static str = "Sleeps in the host for `ms` milliseconds.";
    type Input = SleepInput;
    type Output = Done;

    fn run(input: SleepInput, _: &Context) -> Result<Done> {
        clock::sleep(Duration::from_millis(input.ms));
        Ok(Done { n: input.ms })
    }
}
