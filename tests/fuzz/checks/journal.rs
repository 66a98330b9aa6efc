//! A definition, a line `---`, and any lines as the events of a run: read or refused, folded or refused. A refused event changes nothing;
//! what was folded comes back from its stored form; replay, decisions and questions take whatever state that gives.

use std::collections::BTreeMap;

use milepost_core::checkpoint::{Position, all_parts, restore};
use milepost_core::decide::decide;
use milepost_core::definition::Definition;
use milepost_core::event::{Entry, Event, RunEvent};
use milepost_core::ids::{Digest, Epoch};
use milepost_core::payload::Payload;
use milepost_core::question::ask;
use milepost_core::replay::check as check_again;
use milepost_core::request::fork::fork;
use milepost_core::state::{RunState, StepRecord};
use milepost_core::time::Timestamp;

/// Lines that are read.
const LINES: usize = 100;
/// When the first event was.
const START: u64 = 1_700_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// Values that are kept apart, as a store holds them. Every other one is there as well: what it is does not matter here.
#[derive(Default)]
struct Blobs(BTreeMap<Digest, Vec<u8>>);

impl Blobs {
    fn add<'a>(&mut self, payloads: impl Iterator<Item = &'a Payload>) {
        let apart = payloads.filter_map(Payload::blob);
        self.0
            .extend(apart.map(|(digest, bytes)| (digest, bytes.to_vec())));
    }

    fn find(&self, digest: &Digest) -> Option<Vec<u8>> {
        Some(
            self.0
                .get(digest)
                .map_or_else(|| b"{}".to_vec(), Clone::clone),
        )
    }
}

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some((definition, events)) = text.split_once("\n---\n") else {
        return;
    };
    let Ok(parsed) = Definition::reread("workflow.toml", definition) else {
        return;
    };
    let definition = &parsed.definition;
    let mut state: Option<RunState> = None;
    let mut blobs = Blobs::default();
    for line in events.lines().take(LINES) {
        let event = match Event::decode(line, &|digest| blobs.find(digest)) {
            Ok(event) => event,
            Err(error) => {
                let _ = error.to_string();
                continue;
            }
        };
        blobs.add(event.payloads());
        let again = Event::decode(&event.encode(), &|digest| blobs.find(digest));
        assert_eq!(again.as_ref(), Ok(&event));
        let claims = matches!(event, Event::Run(RunEvent::Claimed { .. }));
        let (seq, epoch) = state
            .as_ref()
            .map_or((0, 0), |state| (state.seq(), state.epoch().0));
        let entry = Entry {
            seq: seq + 1,
            at: Timestamp::from_nanos(START + seq * SECOND),
            epoch: Epoch(epoch + u64::from(claims)),
            event,
        };
        let Some(state) = &mut state else {
            state = RunState::create(&entry).ok();
            continue;
        };
        let before = state.clone();
        let mut checked = state.clone();
        let same = check_again(definition, &mut checked, &entry);
        match state.apply(&entry) {
            Ok(_) => assert!(same.is_err() || checked == *state),
            Err(_) => assert!(
                same.is_err() && *state == before,
                "{entry:?} changes something"
            ),
        }
    }
    if let Some(state) = &state {
        look(definition, state, &mut blobs);
    }
}

/// What is done with a run that was read.
fn look(definition: &Definition, state: &RunState, blobs: &mut Blobs) {
    blobs.add(state.executions().iter().flat_map(StepRecord::payloads));
    let position = Position {
        seq: state.seq(),
        epoch: state.epoch(),
        updated_at: state.updated_at(),
    };
    let parts = all_parts(state);
    let parts = parts
        .iter()
        .filter_map(|(name, body)| Some((name.as_str(), body.as_deref()?)));
    let restored = restore(position, parts, &|digest| blobs.find(digest));
    assert_eq!(restored.as_ref(), Ok(state));
    let _ = decide(definition, state, state.updated_at());
    let _ = decide(definition, state, Timestamp::from_nanos(u64::MAX));
    for step in definition.steps() {
        let _ = fork(
            definition,
            state,
            std::slice::from_ref(&step.id),
            &Default::default(),
        );
        let text = format!("steps['{}'].output", step.id);
        let _ = ask(definition, state, None, &text).map_err(|problems| problems.to_string());
        for record in state.executions().of_step(&step.id) {
            let _ = ask(definition, state, Some(record.path()), "run.status");
        }
    }
}
