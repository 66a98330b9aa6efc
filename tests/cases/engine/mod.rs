//! The engine with scripted steps and a clock that the test owns: what only it can show. How a run moves is tested in the
//! core.

mod approvals;
mod behind;
mod bounded;
mod carried;
mod changes;
mod checked;
mod children;
mod children_of_items;
mod commits;
mod continuations;
mod crashes;
mod damage;
mod endings;
mod family_ends;
mod fan_outs;
mod far;
mod finalization;
mod finally;
mod forks;
mod golden;
mod graphs;
mod items_and_finally;
mod ledger;
mod lifecycle;
mod moving;
mod ownership;
mod poison;
mod replays;
mod resumes;
mod saves;
mod scheduled;
mod spans;
mod starts;
mod stops;
mod sweeps;
mod time_limits;
mod times;
mod uncounted;
mod values;
mod workers;

pub(crate) use self::children::rig_of;

use milepost::store::RunRow;
use milepost_core::ids::RunId;

/// A sequence of steps, each of which uses the scripted step of its own name.
pub(crate) fn steps(ids: &[&str]) -> String {
    ids.iter()
        .map(|id| format!("[[step]]\nid = \"{id}\"\nuse = \"p/{id}\"\n"))
        .collect()
}

/// The runs of some rows.
fn ids(rows: &[RunRow]) -> Vec<RunId> {
    rows.iter().map(|row| row.id.clone()).collect()
}

/// How often a name is among those of some events.
fn count(names: &[&str], name: &str) -> usize {
    names.iter().filter(|other| **other == name).count()
}

/// What `#[tokio::test(start_paused = true)]` does, for a test that has many cases.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(future)
}
