//! What a journal says: where its run stands, and what it names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use milepost_core::event::{CarriedWorkflow, Entry, Event, RunEvent, StepEvent, WaitEvent};
use milepost_core::ids::{Digest, RunId};
use milepost_core::payload::Payload;
use milepost_core::state::RunState;
use milepost_core::tape::{TapeEntry, TapeReference};
use milepost_core::wait::Wait;
use serde_json::Value;

use super::manifest::Kind;
use super::worked::Worked;

/// A journal, folded.
#[derive(Debug, Default)]
pub(super) struct Folded {
    state: Option<RunState>,
    definitions: BTreeSet<Digest>,
    components: BTreeSet<Digest>,
    values: BTreeSet<Digest>,
    /// Values that the core makes of what came from outside, where they are too large for a record: no event holds them.
    pub(super) made: BTreeMap<Digest, Arc<[u8]>>,
    /// Runs that it has started, in their order.
    pub(super) children: Vec<RunId>,
    /// Attempts that may have a tape apart, by the event that started each, and what their end says of it.
    pub(super) tapes: BTreeMap<u64, Option<TapeReference>>,
    /// How long the run was at work.
    pub(super) worked: Worked,
    /// Attempts without an end so far.
    open: BTreeMap<(String, u32), u64>,
}

impl Folded {
    /// Takes the next event.
    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), String> {
        match &mut self.state {
            None => {
                let state = RunState::create(entry).map_err(|error| error.to_string())?;
                self.state = Some(state);
            }
            Some(state) => {
                state.apply(entry).map_err(|error| error.to_string())?;
            }
        }
        if let Some(state) = &self.state {
            self.worked.take(entry, state.phase().status());
        }
        self.note_carried(&entry.event);
        let values = entry.event.payloads().filter_map(Payload::blob);
        self.values.extend(values.map(|(digest, _)| digest));
        if let Event::Step { path, event } = &entry.event {
            match event {
                StepEvent::Started(started) => {
                    let attempt = (path.to_string(), started.attempt);
                    self.open.insert(attempt, entry.seq);
                    self.tapes.insert(entry.seq, None);
                }
                StepEvent::Completed { attempt, .. }
                | StepEvent::AttemptFailed { attempt, .. }
                | StepEvent::Failed {
                    attempt: Some(attempt),
                    ..
                }
                | StepEvent::Paused { attempt, .. } => {
                    let started = self.open.remove(&(path.to_string(), *attempt));
                    let kept = event.tape().and_then(|tape| tape.kept.clone());
                    match (started, kept) {
                        (_, Some(kept)) => {
                            if !self.tapes.contains_key(&kept.started) {
                                return Err(
                                    "it names the tape of an attempt that never began".into()
                                );
                            }
                            self.tapes.insert(kept.started, Some(kept));
                        }
                        (Some(started), None) => {
                            self.tapes.remove(&started);
                        }
                        (None, None) => {}
                    }
                }
                StepEvent::Wait(WaitEvent::Started {
                    wait: Wait::Child { run, .. },
                }) if !self.children.contains(run) => self.children.push(run.clone()),
                StepEvent::Wait(
                    WaitEvent::SignalReceived { .. } | WaitEvent::ApprovalDecided { .. },
                ) => {
                    let state = self.state.as_ref();
                    let record = state.and_then(|state| state.executions().latest(path));
                    let made = record.and_then(|record| record.visible()?.output());
                    if let Some((digest, bytes)) = made.and_then(Payload::blob) {
                        self.made.entry(digest).or_insert_with(|| bytes.into());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn note_carried(&mut self, event: &Event) {
        let (definition, plugins, children) = match event {
            Event::Run(RunEvent::Created(it)) => (it.definition, &it.plugins, &it.children),
            Event::Run(RunEvent::DefinitionChanged(it)) => {
                (it.definition, &it.plugins, &it.children)
            }
            Event::Run(_) | Event::Step { .. } => return,
        };
        self.definitions.insert(definition);
        self.components.extend(plugins.values());
        for CarriedWorkflow {
            definition,
            plugins,
        } in children.values()
        {
            self.definitions.insert(*definition);
            self.components.extend(plugins.values());
        }
    }

    /// The state, once there was an event.
    pub(super) fn state(&self) -> Option<&RunState> {
        self.state.as_ref()
    }

    /// The same, for what follows.
    pub(super) fn into_state(self) -> Option<RunState> {
        self.state
    }

    /// The blobs that its events name, and as which parts.
    pub(super) fn named(&self) -> impl Iterator<Item = (Kind, Digest)> {
        let of = |kind: Kind, all: &BTreeSet<Digest>| {
            let all: Vec<_> = all.iter().map(|digest| (kind, *digest)).collect();
            all
        };
        let mut all = of(Kind::Definition, &self.definitions);
        all.extend(of(Kind::Component, &self.components));
        all.extend(of(Kind::Value, &self.values));
        all.into_iter()
    }
}

/// Bodies beside a tape, as far as its entries name any.
pub(super) fn beside(entries: &[TapeEntry]) -> BTreeSet<Digest> {
    let mut found = BTreeSet::new();
    for entry in entries {
        if let TapeEntry::Host(call) = entry {
            bodies(&call.answer, &mut found);
        }
    }
    found
}

fn bodies(value: &Value, found: &mut BTreeSet<Digest>) {
    match value {
        Value::Object(members) => {
            if members.len() == 1
                && let Some(digest) = members.get("blob").and_then(Value::as_str)
                && let Ok(digest) = digest.parse()
            {
                found.insert(digest);
            }
            members.values().for_each(|value| bodies(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| bodies(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
