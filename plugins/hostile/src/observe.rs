//! Steps that look for what differs between two executions: time, randomness, state left behind.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use milepost_sdk::{Context, Result, Schema, Step, clock, random};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exhaust::Nothing;

pub(crate) struct Echo;

impl Step for Echo {
    const NAME: &'static str = "echo";
    const DESCRIPTION: &'static str = "Returns its input.";
    type Input = Value;
    type Output = Value;

    fn run(input: Value, _: &Context) -> Result<Value> {
        Ok(input)
    }
}

/// Nanoseconds, as text: they are beyond what every JSON reader keeps exactly.
#[derive(Serialize, Schema)]
pub(crate) struct ClockOutput {
    /// The host's clock, asked twice.
    first: String,
    second: String,
    /// The wall clock of the language's library.
    system: String,
    /// Between two readings of the library's monotonic clock.
    elapsed: String,
}

pub(crate) struct Clock;

impl Step for Clock {
    const NAME: &'static str = "clock";
    const DESCRIPTION: &'static str = "Reads every clock there is.";
    type Input = Nothing;
    type Output = ClockOutput;

    fn run(_: Nothing, _: &Context) -> Result<ClockOutput> {
        let start = Instant::now();
        Ok(ClockOutput {
            first: nanos(clock::now()),
            second: nanos(clock::now()),
            system: nanos(SystemTime::now()),
            elapsed: start.elapsed().as_nanos().to_string(),
        })
    }
}

fn nanos(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |d| d.as_nanos()).to_string()
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RandomInput {
    /// How many bytes to ask the host for.
    n: u32,
}

#[derive(Serialize, Schema)]
pub(crate) struct RandomOutput {
    /// The host's bytes, in hexadecimal.
    bytes: String,
    /// From the random keys of the language's hash maps, as text.
    hashed: String,
}

pub(crate) struct Random;

impl Step for Random {
    const NAME: &'static str = "random";
    const DESCRIPTION: &'static str = "Draws from every source of randomness there is.";
    type Input = RandomInput;
    type Output = RandomOutput;

    fn run(input: RandomInput, _: &Context) -> Result<RandomOutput> {
        let bytes = random::bytes(input.n);
        Ok(RandomOutput {
            bytes: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            hashed: RandomState::new().hash_one(0_u8).to_string(),
        })
    }
}

/// Survives for as long as the instance does.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// How often this instance ran the step, this time included: 1 in a fresh instance.
#[derive(Serialize, Schema)]
pub(crate) struct ScribbleOutput {
    calls: u64,
}

pub(crate) struct Scribble;

impl Step for Scribble {
    const NAME: &'static str = "scribble";
    const DESCRIPTION: &'static str = "Leaves a mark in the instance, and counts the marks.";
    type Input = Nothing;
    type Output = ScribbleOutput;

    fn run(_: Nothing, _: &Context) -> Result<ScribbleOutput> {
        Ok(ScribbleOutput {
            calls: CALLS.fetch_add(1, Ordering::Relaxed) + 1,
        })
    }
}
