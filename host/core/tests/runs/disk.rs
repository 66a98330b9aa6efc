//! What a run may take in its store.

use milepost_core::decide::too_large;
use milepost_core::event::{Event, RunEvent};
use milepost_core::limits;
use milepost_core::replay::check;
use milepost_core::state::{RunState, Status};
use milepost_core::stop::{Stop, Why};
use serde_json::json;

use crate::sim::{Sim, ok};

const STEP: &str = "[[step]]\nid = \"a\"\nuse = \"p/a\"\n";

#[test]
fn a_run_fails_when_it_takes_more_than_its_definition_allows() {
    for (settings, limit) in [
        ("", limits::DISK_DEFAULT_BYTES),
        ("[limits]\ndisk = \"4MiB\"\n", 4 * 1024 * 1024),
        ("[limits]\ndisk = \"2GiB\"\n", 2 * 1024 * 1024 * 1024),
    ] {
        let sim = Sim::new(&format!("{settings}{STEP}"));
        let ends = |stored: usize| too_large(&sim.definition, stored as u64);
        assert_eq!(ends(0), None);
        assert_eq!(ends(limit), None, "{settings}");
        let Some(Event::Run(RunEvent::Failed { stop })) = ends(limit + 1) else {
            panic!("{settings}: the run goes on");
        };
        let limit = limit as u64;
        let why = Why::DiskLimit {
            stored: limit + 1,
            limit,
        };
        assert_eq!(stop, Stop::new(why));
    }
}

/// The size is a fact of the store: the recorded end holds, and a run that was let go on afterwards as well.
#[test]
fn the_end_is_replayed_as_it_was_recorded() {
    let mut sim = Sim::new(STEP);
    let attempt = sim.next_attempt().unwrap();
    let end = too_large(&sim.definition, u64::MAX).unwrap();
    for event in milepost_core::decide::interrupt(&sim.state.clone(), end) {
        sim.record(event);
    }
    assert_eq!((sim.status(), attempt.attempt), (Status::Failed, 1));
    sim.resume().run(|_| ok(json!(1)));
    assert_eq!(sim.status(), Status::Completed);
    let mut state = RunState::create(&sim.journal[0]).unwrap();
    for entry in &sim.journal[1..] {
        check(&sim.definition, &mut state, entry).unwrap();
    }
    assert_eq!(state, sim.state);
}
