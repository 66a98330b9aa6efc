//! Milepost as its users see it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod api_report;
mod behaviours;
mod bounds;
mod bundle;
mod card;
mod cli;
mod conformance;
mod crash;
mod crash_matrix;
mod durable;
mod engine;
mod examples;
mod following;
mod fuzz_corpora;
mod hostile;
mod logs;
mod offline;
mod prebuilt;
mod programs;
mod races;
mod readme;
mod registries;
mod reserving;
mod sdk;
#[path = "../../host/wasm/tests/servers/mod.rs"]
mod servers;
mod sharing;
mod soak;
mod status;
mod streams;
mod telemetry;
mod testing;
mod web;
mod world;
