//! Runs in the pure core: a definition and scripted outcomes in, events and records out. No clock, no component, no store.
#![expect(clippy::unwrap_used, reason = "tests")]

mod conditions;
mod loops;
mod pauses;
mod properties;
mod replays;
mod resumes;
mod sequence;
mod sim;
