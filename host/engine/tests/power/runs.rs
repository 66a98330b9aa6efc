//! Runs as the engine writes them: the core decides every event, [`Batch`] makes the transaction. Only the outcomes of steps
//! are invented.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use milepost::record::Batch;
use milepost::store::{Claim, NewLog, NewSignal, Write};
use milepost_core::decide::{decide, interrupt, settle};
use milepost_core::definition::Definition;
use milepost_core::event::{ClaimCause, Event, Fork, Parent, RunCreated, RunEvent};
use milepost_core::ids::{Path, RunId, StepId};
use milepost_core::labels::Labels;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError};
use milepost_core::payload::Payload;
use milepost_core::request::fork::fork;
use milepost_core::request::resume::{ResumeBy, resume};
use milepost_core::rules::Rules;
use milepost_core::state::{Phase, RunState};
use milepost_core::stop::{Stop, Why};
use milepost_core::tape::Tape;
use milepost_core::time::Timestamp;
use serde_json::{Value, json};

use super::draws::Draws;
use crate::store::{at, owner};

const DEFINITION: &str = r#"
schema = 1
name = "power"
flow = "graph"
on_failure = "compensate"
returns = "${ steps.publish.output.n }"
plugins.p = { source = "p.wasm" }

[[step]]
id = "fetch"
use = "p/s"
compensate = { use = "p/s", with = { n = "${ steps.fetch.output.n }" } }

[[step]]
id = "improve"
needs = ["fetch"]
flow = "sequence"
loop = { until = "steps.judge.output.n > 900", max_iterations = 20, on_exhausted = "continue" }

[[step]]
id = "draft"
in = "improve"
use = "p/s"
with = { from = "${ steps.fetch.output.n }" }

[[step]]
id = "judge"
in = "improve"
use = "p/s"

[[step]]
id = "each"
use = "p/s"
foreach = { items = "[1, 2, 3, 4, 5]", max_parallel = 3, join = "all_done" }
compensate = { use = "p/s" }

[[step]]
id = "publish"
needs = ["improve", "each"]
use = "p/s"

[[step]]
id = "report"
use = "p/s"
finally = true
"#;

pub(crate) fn definition() -> Definition {
    match Definition::parse("power.toml", DEFINITION) {
        Ok(parsed) => parsed.definition,
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

/// Makes the moves of runs, each with content that no other has.
#[derive(Debug)]
pub(crate) struct Mover {
    definition: Definition,
    seconds: u64,
    /// Bytes that some moves carry, up to.
    weight: usize,
}

impl Mover {
    pub(crate) fn new(weight: usize) -> Self {
        Self {
            definition: definition(),
            seconds: 0,
            weight,
        }
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        self.seconds += 1;
        at(self.seconds)
    }

    /// The first move of a run; some are claimed at once, as the engine does, some wait.
    pub(crate) fn create(&mut self, run: RunId, draws: &mut Draws) -> Write {
        let (batch, state) = self.created(run, None, None, draws);
        self.begin(batch, state, draws)
    }

    /// The first move of a run that keeps what came of the steps of another one, which is over.
    pub(crate) fn fork(&mut self, run: RunId, origin: &RunState, draws: &mut Draws) -> Write {
        let ids = ["fetch", "improve", "each", "publish"];
        let from = vec![StepId::new(draws.choose::<&str>(&ids)).unwrap()];
        let kept = fork(&self.definition, origin, &from, &BTreeSet::new());
        let fork = Fork {
            run: origin.created().run.clone(),
            seq: origin.seq(),
            kept: kept.unwrap(),
            from,
        };
        let (batch, state) = self.created(run, None, Some(fork), draws);
        self.begin(batch, state, draws)
    }

    fn begin(&mut self, mut batch: Batch, mut state: RunState, draws: &mut Draws) -> Write {
        if draws.chance(80) {
            self.claim(&mut batch, &mut state, ClaimCause::Start, draws);
        }
        batch.to_write(&state)
    }

    /// Another run comes into being with a write.
    pub(crate) fn bear(&mut self, write: &mut Write, child: RunId, draws: &mut Draws) {
        let parent = Parent {
            run: write.run.clone(),
            path: "fetch".parse().unwrap(),
        };
        let (batch, state) = self.created(child, Some(parent), None, draws);
        write.kin.children.push(batch.to_write(&state));
    }

    /// A write tells another run something.
    pub(crate) fn tell(&mut self, write: &mut Write, run: RunId) {
        let signal = NewSignal {
            name: "told".to_owned(),
            data: self.seconds.to_string(),
            at: self.now(),
            token: None,
        };
        write.kin.tells.push((run, signal));
    }

    fn created(
        &mut self,
        run: RunId,
        parent: Option<Parent>,
        fork: Option<Fork>,
        draws: &mut Draws,
    ) -> (Batch, RunState) {
        let now = self.now();
        let mut batch = Batch::for_new_run();
        batch.blob(self.definition.source.text.as_bytes());
        let created = RunCreated {
            run,
            workflow: self.definition.name.to_string(),
            definition: self.definition.source.digest,
            file: "/w/power.toml".to_owned(),
            plugins: BTreeMap::new(),
            inputs: Payload::new(json!({})),
            seed: draws.next() >> 11,
            rules: Rules::PRESENT,
            children: BTreeMap::new(),
            parent,
            redacted: Vec::new(),
            fork,
            labels: Labels::default(),
        };
        let state = batch
            .create(Event::Run(RunEvent::Created(created)), now)
            .unwrap();
        (batch, state)
    }

    /// The next move of a run; `None` when it is over.
    pub(crate) fn advance(&mut self, state: &RunState, draws: &mut Draws) -> Option<Write> {
        let mut batch = Batch::after(state.seq(), state.epoch());
        let mut state = state.clone();
        match &state.phase() {
            Phase::Pending => self.claim(&mut batch, &mut state, ClaimCause::Start, draws),
            Phase::Paused { .. } | Phase::Failed { .. } => {
                // What was compensated is over.
                let resumed = resume(&self.definition, &state, ResumeBy::Person).ok()?;
                let now = self.now();
                batch
                    .record(&mut state, Event::Run(RunEvent::Resumed(resumed)), now)
                    .unwrap();
                self.claim(&mut batch, &mut state, ClaimCause::Resume, draws);
            }
            Phase::Running => match draws.below(20) {
                0 => self.claim(&mut batch, &mut state, ClaimCause::Recovery, draws),
                1 => self.stop(&mut batch, &mut state, draws),
                _ => self.step(&mut batch, &mut state, draws),
            },
            Phase::Completed { .. } | Phase::Cancelled { .. } => return None,
        }
        Some(batch.to_write(&state))
    }

    fn claim(
        &mut self,
        batch: &mut Batch,
        state: &mut RunState,
        cause: ClaimCause,
        draws: &mut Draws,
    ) {
        let now = self.now();
        let event = Event::Run(RunEvent::Claimed {
            owner: "somebody".to_owned(),
            cause,
        });
        batch.record(state, event, now).unwrap();
        batch.claim(Claim {
            owner: owner(&draws.next().to_string()),
            lease: Duration::from_secs(self.seconds + 30),
        });
        self.decide(batch, state);
    }

    fn stop(&mut self, batch: &mut Batch, state: &mut RunState, draws: &mut Draws) {
        let now = self.now();
        let why = Why::Interrupted {
            by: "enough".to_owned(),
            lost: false,
        };
        let stop = Stop {
            due_at: Some(at(self.seconds + 60)),
            ..Stop::new(why)
        };
        let last = match draws.below(4) {
            0 => Event::Run(RunEvent::Cancelled { stop }),
            1 => Event::Run(RunEvent::Released {
                reason: "restart".to_owned(),
            }),
            _ => Event::Run(RunEvent::Paused { stop }),
        };
        for event in interrupt(state, last) {
            batch.record(state, event, now).unwrap();
        }
    }

    /// One of the attempts in flight ends, and what follows from it begins.
    fn step(&mut self, batch: &mut Batch, state: &mut RunState, draws: &mut Draws) {
        let now = self.now();
        let (path, attempt) = in_flight(state, draws);
        let event = settle(
            &self.definition,
            state,
            &path,
            attempt,
            self.outcome(draws),
            Tape::default(),
            now,
        );
        batch.record(state, event, now).unwrap();
        for _ in 0..draws.below(3) {
            batch.logs([NewLog {
                at: now,
                path: path.to_string(),
                attempt,
                body: self.filling(draws),
            }]);
        }
        if draws.chance(30) {
            batch.blob(self.filling(draws).as_bytes());
        }
        self.decide(batch, state);
    }

    fn outcome(&self, draws: &mut Draws) -> Outcome {
        match draws.below(20) {
            0 => Outcome::Failed(StepError::new(ErrorClass::Failed, "broken", "it broke")),
            1 => Outcome::Paused(Pause {
                code: "wait".to_owned(),
                reason: "not now".to_owned(),
                provider: None,
                until: None,
                signal: None,
                state: Some(Value::from(draws.next())),
            }),
            // Too large to stand beside its event: becomes a blob.
            2 => Outcome::Completed(json!({ "n": 0, "text": unique(draws, 17_000) })),
            n => Outcome::Completed(
                json!({ "n": draws.below(1_000), "text": unique(draws, n * 50) }),
            ),
        }
    }

    fn decide(&mut self, batch: &mut Batch, state: &mut RunState) {
        let now = self.now();
        loop {
            let events = decide(&self.definition, state, now).into_events();
            if events.is_empty() {
                return;
            }
            for event in events {
                batch.record(state, event, now).unwrap();
            }
        }
    }

    fn filling(&self, draws: &mut Draws) -> String {
        let length = match draws.below(4) {
            0 => self.weight,
            _ => 200,
        };
        unique(draws, length)
    }
}

fn in_flight(state: &RunState, draws: &mut Draws) -> (Path, u32) {
    let count = state.in_flight_count();
    assert!(
        count > 0,
        "a running run of this definition waits for an attempt"
    );
    let mut records = state.in_flight();
    let record = records.nth(draws.below(count)).unwrap();
    (record.path().clone(), record.attempts())
}

/// A text of at least this many bytes that is like no other.
fn unique(draws: &mut Draws, bytes: usize) -> String {
    format!("{:016x}{}", draws.next(), ".".repeat(bytes))
}
