//! Runs in the pure core: a definition and scripted outcomes in, events and records out. No clock, no component, no store.
#![expect(clippy::unwrap_used, reason = "tests")]

mod adopting;
mod approvals;
mod automatic;
mod children;
mod children_of_items;
mod classes;
mod compensation;
mod conditions;
mod deadlines;
mod disk;
mod dry_runs;
mod endings;
mod fan_out;
mod fan_out_resumes;
mod finally;
mod forks;
mod graph;
mod graph_stops;
mod identity;
mod in_items;
mod loops;
mod moving;
mod parallel;
mod pauses;
mod properties;
mod questions;
mod random_graphs;
mod record;
mod replays;
mod requests;
mod resumes;
mod sequence;
mod signals;
mod sim;
mod statuses;
#[path = "../../../../tests/harness/values.rs"]
#[expect(unreachable_pub, reason = "it is shared")]
mod values;
mod waits;
mod words;
