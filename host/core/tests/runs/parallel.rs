//! Several attempts in flight at once, whoever starts them.

use std::collections::BTreeMap;

use milepost_core::checkpoint::{Position, all_parts, changed_parts, restore};
use milepost_core::decide::interrupt;
use milepost_core::event::{
    AttemptStarted, ClaimCause, Entry, Event, ForEachEvent, RunCreated, RunEvent, StepEvent,
};
use milepost_core::ids::{Digest, Epoch, Path, RunId};
use milepost_core::labels::Labels;
use milepost_core::payload::Payload;
use milepost_core::rules::Rules;
use milepost_core::state::{Rejected, RunState};
use milepost_core::stop::{Stop, Why};
use milepost_core::tape::Tape;
use milepost_core::time::Timestamp;
use serde_json::json;

/// A run with its checkpoint, to which nothing but events is done.
struct Run {
    state: RunState,
    parts: BTreeMap<String, Option<String>>,
}

impl Run {
    fn claimed() -> Self {
        let created = RunCreated {
            run: RunId::new("r").unwrap(),
            workflow: "w".to_owned(),
            definition: Digest::of(b""),
            file: "/w.toml".to_owned(),
            plugins: BTreeMap::new(),
            inputs: Payload::new(json!({})),
            seed: 1,
            rules: Rules::PRESENT,
            children: BTreeMap::new(),
            parent: None,
            redacted: Vec::new(),
            fork: None,
            labels: Labels::default(),
        };
        let state = RunState::create(&entry(1, RunEvent::Created(created).into())).unwrap();
        let mut run = Self {
            parts: all_parts(&state).into_iter().collect(),
            state,
        };
        let claim = RunEvent::Claimed {
            owner: "test".to_owned(),
            cause: ClaimCause::Start,
        };
        run.record(claim.into()).unwrap();
        let items = Payload::new(json!([1, 2, 3]));
        let fan_out = ForEachEvent::Started { items, kept: 0 }.at(path("files"));
        run.record(fan_out).unwrap();
        run
    }

    fn record(&mut self, event: Event) -> Result<(), Rejected> {
        let touched = self.state.apply(&entry(self.state.seq() + 1, event))?;
        let changed = changed_parts(&self.state, &touched.slots, touched.run);
        self.parts.extend(changed);
        let position = Position {
            seq: self.state.seq(),
            epoch: self.state.epoch(),
            updated_at: self.state.updated_at(),
        };
        let parts = self.parts.iter();
        let parts = parts.filter_map(|(name, body)| Some((name.as_str(), body.as_deref()?)));
        assert_eq!(
            restore(position, parts, &|_| None).as_ref(),
            Ok(&self.state)
        );
        Ok(())
    }

    fn in_flight(&self) -> Vec<String> {
        let records = self.state.in_flight();
        records.map(|record| record.path().to_string()).collect()
    }
}

fn entry(seq: u64, event: Event) -> Entry {
    Entry {
        seq,
        at: Timestamp::from_nanos(1_700_000_000_000_000_000),
        epoch: Epoch(1),
        event,
    }
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn started(at: &str) -> Event {
    StepEvent::Started(AttemptStarted {
        attempt: 1,
        input: Payload::new(json!({})),
        seed: 1,
        timeout_millis: 1,
    })
    .at(path(at))
}

fn completed(at: &str) -> Event {
    StepEvent::Completed {
        attempt: 1,
        output: Payload::new(json!(at)),
        undo: None,
        tape: Tape::default(),
    }
    .at(path(at))
}

/// Steps beside each other, items of a fan-out, and members inside of items.
const SEVERAL: [&str; 5] = [
    "a",
    "b",
    "files[0]",
    "files[1]/fix#2/test",
    "files[2]/fix#1/test",
];

#[test]
fn attempts_that_are_in_flight_together_end_in_any_order() {
    let mut ends = Vec::new();
    for first in 0..SEVERAL.len() {
        let mut run = Run::claimed();
        for at in SEVERAL {
            run.record(started(at)).unwrap();
        }
        assert_eq!(run.in_flight().len(), SEVERAL.len());
        for n in 0..SEVERAL.len() {
            run.record(completed(SEVERAL[(first + n) % SEVERAL.len()]))
                .unwrap();
        }
        assert!(run.in_flight().is_empty());
        ends.push(run.state);
    }
    assert!(ends.iter().all(|end| *end == ends[0]));
    for at in SEVERAL {
        let record = ends[0].executions().at(&path(at)).unwrap();
        assert_eq!(record.outputs().next().unwrap().text(), format!("\"{at}\""));
    }
}

#[test]
fn a_slot_has_one_execution_at_a_time() {
    let mut run = Run::claimed();
    run.record(started("files[1]/fix#1/test")).unwrap();
    let twice = run.record(started("files[1]/fix#2/test"));
    assert!(matches!(twice, Err(Rejected::Step { .. })), "{twice:?}");
    run.record(started("files[0]/fix#7/test")).unwrap();
    run.record(completed("files[1]/fix#1/test")).unwrap();
    run.record(started("files[1]/fix#2/test")).unwrap();
    assert_eq!(
        run.in_flight(),
        ["files[0]/fix#7/test", "files[1]/fix#2/test"]
    );
}

#[test]
fn a_run_that_stops_interrupts_all_that_is_in_flight() {
    let mut run = Run::claimed();
    for at in SEVERAL {
        run.record(started(at)).unwrap();
    }
    let paused: Event = RunEvent::Paused {
        stop: Stop::new(Why::Interrupted {
            by: "a test".to_owned(),
            lost: false,
        }),
    }
    .into();
    let refused = run.record(paused.clone());
    assert!(matches!(refused, Err(Rejected::NotRunning { .. })));
    let events = interrupt(&run.state, paused);
    assert_eq!(events.len(), SEVERAL.len() + 1);
    for event in events {
        run.record(event).unwrap();
    }
    assert!(run.in_flight().is_empty());
}
