//! A run that a test drives by hand: it answers every attempt from a script and keeps the journal. When it goes, its journal
//! is checked against the core again: whatever a test does, the record of it replays.

use std::collections::BTreeMap;
use std::time::Duration;

use milepost_core::checkpoint::{Position, all_parts, changed_parts, is_due, next_parts, restore};
use milepost_core::decide::{
    Action, ChildStarted, Decision, decide, decide_from, interrupt, overdue, settle,
};
use milepost_core::definition::{Around, Child, Children, Definition};
use milepost_core::event::{ClaimCause, Entry, Event, Fork, RunCreated, RunEvent};
use milepost_core::frontier::Frontier;
use milepost_core::ids::{Digest, Epoch, Path, RunId, StepId};
use milepost_core::labels::Labels;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError};
use milepost_core::payload::Payload;
use milepost_core::replay::check_from;
use milepost_core::request::Intent;
use milepost_core::request::accept::accept;
use milepost_core::request::approve::{self, Answer, Approving, NotDecided};
use milepost_core::request::cancel_item::{NotCancellable, cancel_item};
use milepost_core::request::compensate::Undoing;
use milepost_core::request::fork::{NotForked, fork};
use milepost_core::request::resume::ResumeBy;
use milepost_core::request::signal::{self, Kept, Sending, SignalRefused};
use milepost_core::request::stop::{Demand, Stopping, finish, meet, stop};
use milepost_core::rules::Rules;
use milepost_core::state::{
    Ending, Phase, Rejected, RunState, Settled, Status, StepRecord, StepResult, Touched,
};
use milepost_core::stop::{AfterHostError, Automatic, Stop, Why};
use milepost_core::tape::Tape;
use milepost_core::time::Timestamp;
use milepost_core::wait::Verdict;
use serde_json::{Value, json};

/// What a script may look at.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) step: String,
    pub(crate) path: String,
    pub(crate) attempt: u32,
    pub(crate) input: Value,
}

pub(crate) struct Sim {
    pub(crate) definition: Definition,
    pub(crate) state: RunState,
    pub(crate) journal: Vec<Entry>,
    stored: Stored,
    frontier: Frontier,
    pub(crate) now: Timestamp,
    /// Paths of every attempt that was called, in order.
    pub(crate) calls: Vec<String>,
    /// Waits in the process, in order: for retries and for points in time.
    pub(crate) waits: Vec<Duration>,
    /// Child runs that were started or went on, in order.
    pub(crate) children: Vec<ChildStarted>,
    /// Definitions that were replaced, each with the position of the event that replaced it.
    replaced: Vec<(u64, Definition)>,
}

/// The large values of a state and of an event, as a store holds them.
pub(crate) fn blobs(state: &RunState, event: Option<&Event>) -> BTreeMap<Digest, Vec<u8>> {
    let outputs = state.executions().iter().flat_map(StepRecord::payloads);
    let returned = match &state.phase() {
        Phase::Completed { output, .. } => Some(output),
        _ => None,
    };
    let returning = match state.ending() {
        Some(Ending::Completed { output }) => Some(output),
        _ => None,
    };
    outputs
        .chain(returned)
        .chain(returning)
        .chain([&state.created().inputs])
        .chain(event.into_iter().flat_map(Event::payloads))
        .filter_map(Payload::blob)
        .map(|(digest, bytes)| (digest, bytes.to_vec()))
        .collect()
}

/// A checkpoint as a store holds it: parts that are written over, and blobs that stay.
struct Stored {
    /// Written with every event.
    parts: BTreeMap<String, Option<String>>,
    /// Written now and then, as of a moving run, with the events since.
    behind: (BTreeMap<String, Option<String>>, Vec<Entry>),
    blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Stored {
    fn of(state: &RunState) -> Self {
        let parts: BTreeMap<_, _> = all_parts(state).into_iter().collect();
        Self {
            behind: (parts.clone(), Vec::new()),
            parts,
            blobs: blobs(state, None),
        }
    }

    /// Takes what an event changed. The event must come back from its stored form as it is, and so must, now and then, the state.
    fn write(&mut self, entry: &Entry, touched: &Touched, state: &mut RunState) {
        let Self {
            parts,
            behind: (behind, since),
            blobs,
        } = self;
        since.push(entry.clone());
        if is_due(state) || state.since_checkpoint() > Some(1 + state.seq() % 7) {
            behind.extend(next_parts(state));
            state.checkpoint_stored();
            since.clear();
        }
        parts.extend(changed_parts(state, &touched.slots, touched.run));
        let records = touched
            .slots
            .iter()
            .map(|slot| state.executions().get(slot));
        let outputs = records.flatten().flat_map(StepRecord::payloads);
        let large = outputs.chain(entry.event.payloads());
        let large = large.filter_map(Payload::blob);
        blobs.extend(large.map(|(digest, bytes)| (digest, bytes.to_vec())));
        let find = |digest: &Digest| blobs.get(digest).cloned();
        let text = entry.event.encode();
        // Members in another order are read in another way.
        let sorted: serde_json::Value = serde_json::from_str(&text).unwrap();
        for text in [text, sorted.to_string()] {
            let event = Event::decode(&text, &find);
            assert_eq!(event.as_ref(), Ok(&entry.event));
        }
        // Parts stay until they are written over: a state in between is held by those that are looked at.
        if !touched.run && !state.seq().is_multiple_of(4) {
            return;
        }
        let position = Position {
            seq: state.seq(),
            epoch: state.epoch(),
            updated_at: state.updated_at(),
        };
        let read_back = |parts: &BTreeMap<String, Option<String>>| {
            let bodies = parts
                .iter()
                .filter_map(|(name, body)| Some((name.as_str(), body.as_deref()?)));
            restore(position, bodies, &find).unwrap()
        };
        assert_eq!(read_back(parts), *state);
        if !state.seq().is_multiple_of(16) {
            return;
        }
        let mut followed = read_back(behind);
        for entry in since {
            followed.apply(entry).unwrap();
        }
        assert_eq!(followed, *state);
    }
}

const HEAD: &str = "schema = 1\nname = \"test\"\n[plugins.p]\nsource = \"p.wasm\"\n";

/// The child workflow `c.toml`, which takes a number `n` and a text `tag`.
pub(crate) fn children() -> Children {
    let text = format!(
        "{HEAD}[inputs.n]\ntype = \"int\"\n[inputs.tag]\ntype = \"string\"\ndefault = \"x\"\n[[step]]\nid = \"s\"\nuse = \"p/s\"\n"
    );
    let child = Child {
        file: "/w/c.toml".to_owned(),
        definition: Definition::parse("c.toml", &text)
            .unwrap()
            .definition
            .into(),
    };
    Children::from([("c.toml".to_owned(), Ok(child))])
}

/// Parses a definition whose steps use the plugin `p`.
pub(crate) fn definition(body: &str) -> Definition {
    // Top-level keys of a body must stand before the first table.
    let (top, rest) = body.split_at(body.find('[').unwrap_or(0));
    let text = format!(
        "{}{}",
        HEAD.replacen("[plugins", &format!("{top}[plugins"), 1),
        rest
    );
    let around = Around {
        manifests: None,
        children: Some(&children()),
    };
    match Definition::parse_with("test.toml", &text, around) {
        Ok(parsed) => parsed.definition,
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

impl Sim {
    pub(crate) fn new(body: &str) -> Self {
        Self::with_inputs(body, json!({}))
    }

    pub(crate) fn with_inputs(body: &str, inputs: Value) -> Self {
        Self::under(Rules::PRESENT, body, inputs)
    }

    /// A run that an old program began.
    pub(crate) fn of_old(body: &str) -> Self {
        Self::under(Rules::default(), body, json!({}))
    }

    fn under(rules: Rules, body: &str, inputs: Value) -> Self {
        Self::begun(definition(body), rules, inputs, None)
    }

    /// The fork of this run that runs again from these steps on, with these inputs.
    pub(crate) fn forked(&self, from: &[&str], inputs: Value) -> Result<Self, NotForked> {
        let before = self.state.inputs().value();
        let names = inputs.as_object().unwrap().keys();
        let changed = names.filter(|name| before.get(name.as_str()) != inputs.get(name.as_str()));
        let changed = changed.cloned().collect();
        let from: Vec<StepId> = from.iter().map(|id| StepId::new(id).unwrap()).collect();
        let kept = fork(&self.definition, &self.state, &from, &changed)?;
        let fork = Fork {
            run: self.state.created().run.clone(),
            seq: self.state.seq(),
            from,
            kept,
        };
        let definition = self.definition.clone();
        Ok(Self::begun(definition, Rules::PRESENT, inputs, Some(fork)))
    }

    fn begun(definition: Definition, rules: Rules, inputs: Value, fork: Option<Fork>) -> Self {
        let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let entry = Entry {
            seq: 1,
            at: now,
            epoch: Epoch(0),
            event: Event::Run(RunEvent::Created(RunCreated {
                run: RunId::new(if fork.is_some() { "r2" } else { "r1" }).unwrap(),
                workflow: definition.name.to_string(),
                definition: definition.source.digest,
                file: "/w/test.toml".into(),
                plugins: BTreeMap::new(),
                inputs: Payload::new(inputs),
                seed: 7,
                rules,
                children: BTreeMap::new(),
                parent: None,
                redacted: Vec::new(),
                fork,
                labels: Labels::default(),
            })),
        };
        let state = RunState::create(&entry).unwrap();
        let mut sim = Self {
            definition,
            stored: Stored::of(&state),
            state,
            journal: vec![entry],
            frontier: Frontier::default(),
            now,
            calls: Vec::new(),
            waits: Vec::new(),
            children: Vec::new(),
            replaced: Vec::new(),
        };
        sim.claim(ClaimCause::Start);
        sim
    }

    pub(crate) fn record(&mut self, event: Event) {
        self.try_record(event).unwrap();
    }

    /// Records an event if it can follow; a refusal leaves the state as it was.
    pub(crate) fn try_record(&mut self, event: Event) -> Result<(), Rejected> {
        let raises = u64::from(matches!(event, Event::Run(RunEvent::Claimed { .. })));
        let entry = Entry {
            seq: self.state.seq() + 1,
            at: self.now,
            epoch: Epoch(self.state.epoch().0 + raises),
            event,
        };
        let before = self.state.clone();
        let applied = self.state.apply(&entry);
        match applied {
            Ok(ref touched) => {
                self.stored.write(&entry, touched, &mut self.state);
                self.journal.push(entry);
            }
            Err(_) => assert_eq!(self.state, before, "a refused event changes nothing"),
        }
        applied.map(drop)
    }

    pub(crate) fn claim(&mut self, cause: ClaimCause) {
        self.record(Event::Run(RunEvent::Claimed {
            owner: "test".into(),
            cause,
        }));
    }

    /// Runs until the run stops, answering attempts from `script`.
    pub(crate) fn run(&mut self, mut script: impl FnMut(&Attempt) -> Outcome) -> &mut Self {
        while let Some(attempt) = self.next_attempt() {
            let outcome = script(&attempt);
            self.end(&attempt, outcome);
        }
        self
    }

    /// What the core decides now: the same from the kept frontier as from a fresh one.
    pub(crate) fn decided(&mut self) -> Decision {
        let decision = decide(&self.definition, &self.state, self.now);
        let frontier = &mut self.frontier;
        assert_eq!(
            decide_from(frontier, &self.definition, &self.state, self.now),
            decision,
            "what is behind the frontier was not settled"
        );
        decision
    }

    /// Moves the run to its next attempt; waits pass at once.
    pub(crate) fn next_attempt(&mut self) -> Option<Attempt> {
        loop {
            match self.decided() {
                Decision::Act(actions) => {
                    // A sequence: the tests that follow read the journal in this order.
                    assert_eq!(actions.len(), 1, "{actions:?}");
                    for action in actions {
                        if let Action::StartChild { child, .. } = &action {
                            self.children.push(child.clone());
                        }
                        let attempt = match &action {
                            Action::Start { path, attempt } => Some(Attempt {
                                step: path.step().to_string(),
                                path: path.to_string(),
                                attempt: attempt.attempt,
                                input: attempt.input.value().as_ref().clone(),
                            }),
                            Action::Await { .. }
                            | Action::StartChild { .. }
                            | Action::EndWait { .. }
                            | Action::Record { .. } => None,
                        };
                        self.record(action.into_event());
                        if let Some(attempt) = attempt {
                            self.calls.push(attempt.path.clone());
                            return Some(attempt);
                        }
                    }
                }
                Decision::Pause(stop) => self.record(RunEvent::Paused { stop }.into()),
                Decision::Note(event) | Decision::End(event) => self.record(event.into()),
                Decision::Wait { wake_at, .. } => {
                    let at = wake_at.expect("nothing is in flight, so something is due");
                    self.waits.push(at.since(self.now));
                    self.now = at;
                }
                Decision::Still => return None,
            }
        }
    }

    /// Moves the run until something in flight has to end; returns the attempts that it started on the way. Waits pass only while
    /// nothing is in flight.
    pub(crate) fn start_all(&mut self) -> Vec<Attempt> {
        let mut started = Vec::new();
        loop {
            match self.decided() {
                Decision::Act(actions) => {
                    for action in actions {
                        if let Action::StartChild { child, .. } = &action {
                            self.children.push(child.clone());
                        }
                        if let Action::Start { path, attempt } = &action {
                            self.calls.push(path.to_string());
                            started.push(Attempt {
                                step: path.step().to_string(),
                                path: path.to_string(),
                                attempt: attempt.attempt,
                                input: attempt.input.value().as_ref().clone(),
                            });
                        }
                        self.record(action.into_event());
                    }
                }
                Decision::Pause(stop) => self.record(RunEvent::Paused { stop }.into()),
                Decision::Note(event) => self.record(event.into()),
                Decision::End(event) => {
                    let events = interrupt(&self.state, event.into());
                    events.into_iter().for_each(|event| self.record(event));
                }
                Decision::Wait { wake_at, .. } => {
                    if self.state.in_flight_count() > 0 {
                        return started;
                    }
                    let at = wake_at.expect("nothing is in flight, so something is due");
                    self.waits.push(at.since(self.now));
                    self.now = at;
                }
                Decision::Still => return started,
            }
        }
    }

    /// Runs a graph until the run stops; attempts end in the order in which they started.
    pub(crate) fn run_graph(&mut self, mut script: impl FnMut(&Attempt) -> Outcome) -> &mut Self {
        let mut flying = std::collections::VecDeque::from(self.start_all());
        while let Some(attempt) = flying.pop_front() {
            let outcome = script(&attempt);
            self.end(&attempt, outcome);
            flying.extend(self.start_all());
        }
        self
    }

    /// Records what the core decides now, once.
    pub(crate) fn move_once(&mut self) {
        let events = decide(&self.definition, &self.state, self.now).into_events();
        assert!(!events.is_empty(), "nothing moves");
        events.into_iter().for_each(|event| self.record(event));
    }

    pub(crate) fn end(&mut self, attempt: &Attempt, outcome: Outcome) {
        let path: Path = attempt.path.parse().unwrap();
        let event = settle(
            &self.definition,
            &self.state,
            &path,
            attempt.attempt,
            outcome,
            Tape::default(),
            self.now,
        );
        self.record(event);
    }

    /// The process dies and another one takes the run over.
    pub(crate) fn crash(&mut self) {
        self.claim(ClaimCause::Resume);
    }

    /// The owner meets a request to pause at once.
    pub(crate) fn pause(&mut self) {
        for event in meet(&self.state, Demand::PauseNow, "SIGINT") {
            self.record(event);
        }
    }

    /// A person cancels it: its owner meets that while it moves; where nobody drives it, it is recorded, and it may have to be driven
    /// once more.
    pub(crate) fn cancel(&mut self) -> &mut Self {
        self.end_by(Demand::Cancel)
    }

    /// The same, after what it did is undone.
    pub(crate) fn cancel_and_undo(&mut self) -> &mut Self {
        self.end_by(Demand::Compensate)
    }

    pub(crate) fn end_by(&mut self, demand: Demand) -> &mut Self {
        if self.status() != Status::Running {
            let definition = Some(&self.definition);
            match stop(definition, &self.state, demand, "ann", false) {
                Ok(Stopping::Stop(events)) => events.into_iter().for_each(|e| self.record(e)),
                Ok(Stopping::Finishing) => {}
                other => panic!("{other:?}"),
            }
            return self;
        }
        let events = match finish(&self.definition, &self.state, demand, "ann") {
            Some(event) => event.into_iter().collect(),
            None => meet(&self.state, demand, "ann"),
        };
        events.into_iter().for_each(|event| self.record(event));
        self
    }

    /// Somebody pauses a paused run that would go on by itself.
    pub(crate) fn hold(&mut self) {
        match stop(None, &self.state, Demand::Pause, "ann", false) {
            Ok(Stopping::Hold(event)) => self.record(event),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn resume(&mut self) -> &mut Self {
        self.go_on(Intent::Resume(ResumeBy::Person))
    }

    pub(crate) fn retry(&mut self, from: Option<&str>) -> &mut Self {
        let from: Option<Path> = from.map(|path| path.parse().unwrap());
        self.go_on(Intent::Retry {
            from: from.as_ref(),
        })
    }

    /// A person cancels an item of a fan-out.
    pub(crate) fn cancel_item(&mut self, path: &str) -> Result<(), NotCancellable> {
        for event in cancel_item(&self.state, path, "ann")? {
            self.record(event);
        }
        Ok(())
    }

    /// A worker resumes the run, because its time has come.
    pub(crate) fn work(&mut self, by: ResumeBy) -> &mut Self {
        self.go_on(Intent::Resume(by))
    }

    fn go_on(&mut self, intent: Intent<'_>) -> &mut Self {
        let event = intent.event(&self.definition, &self.state).unwrap();
        self.record(event.into());
        self.claim(ClaimCause::Resume);
        self
    }

    /// A person wants what was done undone, and the run cancelled or left as failed with that.
    pub(crate) fn compensate(&mut self, cancels: bool) -> &mut Self {
        let wanted = Undoing { cancels, by: "ann" };
        self.go_on(Intent::Compensate(wanted))
    }

    pub(crate) fn pass(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.after(time);
        self
    }

    /// Moves to when the paused run is due.
    pub(crate) fn pass_to_due(&mut self) -> &mut Self {
        self.now = self.stop().due_at.expect("the run is due by itself");
        self
    }

    /// Somebody sends a signal to the run that waits for it, and it is delivered.
    pub(crate) fn signal(&mut self, name: &str, data: Value) -> Result<(), SignalRefused> {
        let text = signal::text(name, &data)?;
        let sending = signal::send(Some(&self.definition), &self.state, name, &data, self.now)?;
        assert_eq!(sending, Sending::Keep);
        let kept = Kept {
            number: 1,
            name,
            data: &text,
            sent_at: self.now,
        };
        let delivery = signal::deliver(Some(&self.definition), &self.state, [kept]).unwrap();
        let delivery = delivery.expect("somebody waits for the signal");
        for event in delivery.events {
            self.record(event);
        }
        Ok(())
    }

    /// A person decides.
    pub(crate) fn decide(
        &mut self,
        path: &str,
        verdict: Verdict,
        comment: &str,
    ) -> Result<(), NotDecided> {
        let asking = approve::asking(&self.state, Some(path), None, false)?;
        let answer = Answer {
            verdict,
            comment: Some(comment).filter(|comment| !comment.is_empty()),
            by: Some("ann"),
        };
        match approve::approve(&self.definition, &self.state, &asking, answer, self.now)? {
            Approving::Decided { events, .. } => {
                events.into_iter().for_each(|event| self.record(event));
            }
            Approving::TooLate(event) => panic!("too late: {event:?}"),
        }
        Ok(())
    }

    pub(crate) fn approve(&mut self, path: &str) -> &mut Self {
        self.decide(path, Verdict::Approved, "").unwrap();
        self
    }

    pub(crate) fn reject(&mut self, path: &str, comment: &str) -> &mut Self {
        self.decide(path, Verdict::Rejected, comment).unwrap();
        self
    }

    /// What time makes of the first wait at which the run stands, if that is over.
    pub(crate) fn overdue(&self) -> Option<Event> {
        let open = self.state.stands_at().next()?;
        overdue(&self.definition, &self.state, open.path(), self.now)
    }

    /// Another definition, accepted.
    pub(crate) fn change(&mut self, body: &str) {
        let old = std::mem::replace(&mut self.definition, definition(body));
        self.replaced.push((self.state.seq() + 1, old));
        let accepted = accept(
            &self.definition,
            BTreeMap::new(),
            BTreeMap::new(),
            None,
            &self.state,
        );
        self.record(accepted.into());
    }

    /// Stands where this journal ends.
    pub(crate) fn go_back_to(&mut self, journal: &[Entry]) {
        self.journal = journal.to_vec();
        self.state = RunState::fold(journal).unwrap();
        self.stored = Stored::of(&self.state);
        self.now = self.state.updated_at();
    }

    pub(crate) fn status(&self) -> Status {
        self.state.phase().status()
    }

    pub(crate) fn stop(&self) -> Stop {
        self.state.phase().stop().expect("the run stopped")
    }

    /// Whether an automatic resume is due where it paused.
    pub(crate) fn automatic(&self) -> Option<Automatic> {
        match &self.stop().why {
            Why::StepPaused(pausing) | Why::RetriesExhausted(pausing) => pausing.automatic,
            Why::HostError {
                then: AfterHostError::Automatic(automatic),
                ..
            } => Some(*automatic),
            _ => None,
        }
    }

    /// What a person is asked where it stands.
    pub(crate) fn question(&self) -> String {
        match self.stop().why {
            Why::WaitingForApproval { question, .. } => question,
            other => panic!("it does not ask: {other:?}"),
        }
    }

    /// Path and code of the failures that ended it.
    pub(crate) fn failures(&self) -> Vec<(String, String)> {
        match &self.stop().why {
            Why::StepFailed { failures, more: 0 } => failures
                .iter()
                .map(|failure| (failure.path.to_string(), failure.code.clone()))
                .collect(),
            other => panic!("no step failed: {other:?}"),
        }
    }

    pub(crate) fn step(&self, id: &str) -> &StepRecord {
        let record = self.state.executions().of(&StepId::new(id).unwrap());
        record.expect("it was touched")
    }

    /// What is recorded at a path.
    pub(crate) fn at(&self, path: &str) -> &StepRecord {
        let record = self.state.executions().at(&path.parse().unwrap());
        record.expect("it was touched")
    }

    pub(crate) fn has_record(&self, id: &str) -> bool {
        let id = StepId::new(id).unwrap();
        self.state.executions().of(&id).is_some()
    }

    pub(crate) fn settled(&self, id: &str) -> &Settled {
        self.step(id).settled().expect("the step is settled")
    }

    pub(crate) fn output(&self, id: &str) -> Value {
        match &self.settled(id).result {
            StepResult::Completed { output } => output.value().as_ref().clone(),
            other => panic!("{id}: {other:?}"),
        }
    }

    pub(crate) fn error(&self, id: &str) -> StepError {
        match &self.settled(id).result {
            StepResult::Failed { error } => error.clone(),
            other => panic!("{id}: {other:?}"),
        }
    }

    /// Checks the journal against the core that made it.
    fn replay(&self) {
        let mut state = RunState::create(&self.journal[0]).unwrap();
        let mut frontier = Frontier::default();
        for entry in &self.journal[1..] {
            let old = self.replaced.iter().find(|(seq, _)| entry.seq < *seq);
            let definition = old.map_or(&self.definition, |(_, definition)| definition);
            check_from(&mut frontier, definition, &mut state, entry).unwrap();
        }
        assert_eq!(state, self.state);
    }

    /// Names of the journal's events, without the first two.
    pub(crate) fn events(&self) -> Vec<&'static str> {
        self.journal[2..].iter().map(|e| e.event.name()).collect()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.replay();
        }
    }
}

pub(crate) fn ok(output: Value) -> Outcome {
    Outcome::Completed(output)
}

pub(crate) fn fail(code: &str) -> Outcome {
    Outcome::Failed(StepError::new(
        ErrorClass::Failed,
        code,
        format!("{code} happened"),
    ))
}

pub(crate) fn error(class: ErrorClass, code: &str) -> Outcome {
    Outcome::Failed(StepError::new(class, code, format!("{code} happened")))
}

pub(crate) fn retryable(code: &str) -> Outcome {
    error(ErrorClass::Retryable, code)
}

pub(crate) fn pause(code: &str) -> Outcome {
    Outcome::Paused(Pause {
        code: code.into(),
        reason: format!("{code} reason"),
        provider: None,
        until: None,
        signal: None,
        state: None,
    })
}
