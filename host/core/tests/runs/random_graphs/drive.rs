//! Drives a run of a random definition: chance says in which order attempts end, and what happens in between. What comes of an
//! attempt depends on its path alone, so that no order can matter.

use std::collections::BTreeMap;

use milepost_core::decide::{Action, Decision, interrupt, settle};
use milepost_core::event::{Entry, Event, LoopEvent, RunEvent, Skip, StepEvent, WaitEvent};
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError};
use milepost_core::payload::Payload;
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{Status, StepPhase, StepResult};
use milepost_core::stop::{Stop, Why};
use milepost_core::tape::Tape;
use milepost_core::wait::{Verdict, Wait};
use serde_json::{Value, json};
use std::time::Duration;

use super::chance::{Chance, of_text};
use super::generate::{Kind, Made};
use super::reference::{Expected, Reference};
use crate::sim::Sim;

/// Longest wait that passes while attempts are in flight: no time-out that should not be met.
const SOON: Duration = Duration::from_secs(600);

pub(super) struct Drive<'a> {
    pub(super) sim: Sim,
    made: &'a Made,
    /// Decides what comes of each path.
    fate: u64,
    order: Chance,
    /// Whether the process dies, and people come in between.
    disturbed: bool,
    reference: Reference<'a>,
    /// How much of the journal the reference has seen.
    seen: usize,
    /// How many attempts ended at each path.
    ended: BTreeMap<String, usize>,
    inputs: BTreeMap<String, Value>,
}

/// How everything came out, without times.
pub(super) type Facts = Vec<String>;

impl<'a> Drive<'a> {
    pub(super) fn new(made: &'a Made, parallel: usize, fate: u64, order: u64) -> Self {
        let mut order = Chance::new(order);
        Self {
            sim: Sim::new(&made.text(parallel)),
            made,
            fate,
            disturbed: order.once_in(2),
            order,
            reference: Reference::new(made, parallel),
            seen: 0,
            ended: BTreeMap::new(),
            inputs: BTreeMap::new(),
        }
    }

    /// Goes on from where a journal ends.
    pub(super) fn from(made: &'a Made, fate: u64, order: u64, journal: &[Entry]) -> Self {
        let mut drive = Self::new(made, made.parallel, fate, order);
        drive.sim.go_back_to(journal);
        if matches!(drive.sim.status(), Status::Pending | Status::Running) {
            drive.sim.crash();
        }
        drive
    }

    pub(super) fn drive_on(&mut self) -> &mut Self {
        for _ in 0..10_000 {
            self.look_at_the_journal();
            if self.disturbed && self.order.once_in(8) {
                self.try_what_cannot_be();
            }
            match self.sim.status() {
                Status::Running => self.decide(),
                Status::Paused => self.go_on(),
                _ => return self,
            }
        }
        panic!("no end");
    }

    fn look_at_the_journal(&mut self) {
        for entry in &self.sim.journal[self.seen..] {
            self.reference.fold(entry);
            if let Event::Step { path, event } = &entry.event
                && event.tape().is_some()
                && !matches!(event, StepEvent::Failed { attempt: None, .. })
            {
                *self.ended.entry(path.to_string()).or_default() += 1;
            }
        }
        self.seen = self.sim.journal.len();
    }

    fn decide(&mut self) {
        let decision = self.sim.decided();
        let expected = self.reference.expected(self.sim.now);
        let in_flight = self.sim.state.in_flight();
        let in_flight: Vec<_> = in_flight.map(|record| record.path().clone()).collect();
        assert_eq!(Expected::of(&decision, &in_flight), Some(expected));
        match decision {
            Decision::Act(actions) => {
                // As an engine that gives way in between.
                let taken = match self.order.once_in(4) {
                    true => 1 + self.order.below(actions.len()),
                    false => actions.len(),
                };
                for action in actions.into_iter().take(taken) {
                    if let Action::Start { path, attempt } = &action {
                        let input = attempt.input.value();
                        self.inputs.insert(path.to_string(), input.as_ref().clone());
                    }
                    self.sim.record(action.into_event());
                    assert!(self.sim.state.in_flight_count() <= self.sim.definition.parallel);
                }
            }
            Decision::Pause(stop) => self.sim.record(RunEvent::Paused { stop }.into()),
            Decision::Note(event) | Decision::End(event) => self.sim.record(event.into()),
            Decision::Wait { wake_at, .. } => {
                let wake_at =
                    wake_at.filter(|at| in_flight.is_empty() || at.since(self.sim.now) <= SOON);
                let answered = self.order.once_in(6) && self.answer_one();
                match (self.order.one_of(&in_flight).cloned(), wake_at) {
                    _ if answered => {}
                    (Some(_), _) if self.disturbed && self.order.once_in(12) => self.disturb(),
                    (Some(_), Some(at)) if self.order.once_in(5) => self.sim.now = at,
                    (Some(path), _) => self.end(&path),
                    (None, at) => self.sim.now = at.unwrap(),
                }
            }
            Decision::Still => unreachable!("it runs"),
        }
    }

    fn disturb(&mut self) {
        match self.order.once_in(2) {
            true => self.sim.crash(),
            false => self.sim.pause(),
        }
    }

    fn end(&mut self, path: &milepost_core::ids::Path) {
        let millis = self.order.next() % 20_000;
        self.sim.pass(Duration::from_millis(millis));
        let attempt = self.sim.state.executions().at(path).unwrap().attempts();
        let text = path.to_string();
        let outcome = self.outcome(&text);
        let event = settle(
            &self.sim.definition,
            &self.sim.state,
            path,
            attempt,
            outcome,
            Tape::default(),
            self.sim.now,
        );
        self.sim.record(event);
    }

    /// What comes of an attempt: it depends on its path, on its input, and on how many ended there before.
    fn outcome(&self, path: &str) -> Outcome {
        let before = self.ended.get(path).copied().unwrap_or(0);
        let error = |class| Outcome::Failed(StepError::new(class, "no", "no"));
        let pause = |signal: Option<&str>, seconds: Option<u64>| {
            Outcome::Paused(Pause {
                code: "later".to_owned(),
                reason: "later".to_owned(),
                provider: None,
                until: seconds.map(|seconds| self.sim.now.after(Duration::from_secs(seconds))),
                signal: signal.map(str::to_owned),
                state: None,
            })
        };
        let retryable = || error(ErrorClass::Retryable);
        let failed = || error(ErrorClass::Failed);
        match (of_text(self.fate, path) % 14, before) {
            (0 | 1, _) | (2, 2..) => failed(),
            (2, _) | (3, 0) | (4, 0..3) => retryable(),
            (5, 0) => pause(Some("more"), None),
            (6, 0) => pause(None, Some(30)),
            (7, 0) => pause(None, Some(700)),
            _ => {
                let input = self.inputs[path].to_string();
                Outcome::Completed(json!({ "n": of_text(of_text(self.fate, path), &input) % 50 }))
            }
        }
    }

    /// The events that answer what the run waits for: a signal, a decision. Some are never answered, so that time ends them.
    fn answers(&self) -> Vec<Event> {
        let paused = self.sim.status() == Status::Paused;
        let records = self.sim.state.executions().iter();
        let answers = records.filter_map(|record| {
            let path = record.path();
            let fate = of_text(self.fate, &format!("answer {path}"));
            let member = self.made.members.iter();
            let member = member
                .clone()
                .find(|member| member.id == path.step().as_str());
            let times_out = match member?.kind {
                Kind::Signal { times_out, .. } | Kind::Gate { times_out } => times_out,
                _ => false,
            };
            if times_out && fate.is_multiple_of(3) {
                return None;
            }
            let event = match record.phase() {
                StepPhase::Awaiting {
                    wait: Wait::Approval { .. },
                } if paused => WaitEvent::ApprovalDecided {
                    decision: match fate.is_multiple_of(2) {
                        true => Verdict::Approved,
                        false => Verdict::Rejected,
                    },
                    comment: None,
                    by: None,
                    rework: Vec::new(),
                },
                _ => WaitEvent::SignalReceived {
                    signal: record.awaited_signal()?.to_owned(),
                    data: Payload::new(json!(fate % 7)),
                    sent_at: self.sim.now,
                },
            };
            Some(event.at(path.clone()))
        });
        answers.collect()
    }

    fn answer_one(&mut self) -> bool {
        let answers = self.answers();
        let answer = self.order.one_of(&answers).cloned();
        let some = answer.is_some();
        answer.into_iter().for_each(|event| self.sim.record(event));
        some
    }

    /// A paused run: somebody answers, or its time comes, or somebody resumes it.
    fn go_on(&mut self) {
        let due_at = self.sim.stop().due_at;
        match due_at {
            _ if self.answer_one() => while self.order.once_in(2) && self.answer_one() {},
            Some(at) => self.sim.now = self.sim.now.max(at),
            None => {}
        }
        self.sim.work(ResumeBy::Wait);
    }

    /// Events that cannot follow: the harness checks that they change nothing.
    fn try_what_cannot_be(&mut self) {
        let member = self.order.below(self.made.members.len());
        let id = &self.made.members[member].id;
        let latest = self.sim.state.executions().of(&id.parse().unwrap());
        let path = match latest {
            Some(record) => record.path().clone(),
            None => id.parse().unwrap(),
        };
        let settled = latest.is_some_and(|record| record.settled().is_some());
        let in_flight = self.sim.state.in_flight_count() > 0;
        let stop = Stop::new(Why::WaitingForTime);
        let mut events = vec![
            StepEvent::Interrupted { attempt: 99 }.at(path.clone()),
            StepEvent::Completed {
                attempt: 99,
                output: Payload::new(json!({})),
                undo: None,
                tape: Tape::default(),
            }
            .at(path.clone()),
            LoopEvent::IterationEnded {
                iteration: 99,
                condition_met: true,
            }
            .at(path.clone()),
            WaitEvent::SignalReceived {
                signal: "nobody".to_owned(),
                data: Payload::new(json!(1)),
                sent_at: self.sim.now,
            }
            .at(path.clone()),
        ];
        if settled {
            events.push(StepEvent::Skipped(Skip::Condition("false".to_owned())).at(path));
        }
        if in_flight {
            let output = Payload::new(json!(1));
            events.push(RunEvent::Completed { output }.into());
            events.push(RunEvent::Paused { stop: stop.clone() }.into());
            // The events that stop it would follow; the last one alone does not.
            let mut stopping = interrupt(&self.sim.state, RunEvent::Paused { stop }.into());
            events.extend(stopping.pop());
        }
        for event in events {
            let refused = self.sim.try_record(event.clone());
            assert!(refused.is_err(), "{event:?}");
        }
    }

    /// How everything came out.
    pub(super) fn facts(&self) -> Facts {
        let record = |member: &super::generate::Member| {
            let record = self.sim.state.executions().of(&member.id.parse().unwrap());
            let settled = record.and_then(|record| record.settled());
            let said = match settled.map(|settled| &settled.result) {
                // When it ended is a matter of how long the others took.
                Some(StepResult::Completed { .. }) if matches!(member.kind, Kind::Nap { .. }) => {
                    "completed".to_owned()
                }
                Some(StepResult::Completed { output }) => output.text().to_owned(),
                Some(StepResult::Failed { error }) => format!("{} {}", error.code, error.message),
                Some(StepResult::Skipped) => "skipped".to_owned(),
                None => "nothing".to_owned(),
            };
            let path = record.map(|record| record.path().to_string());
            let iterations = settled.and_then(|settled| settled.iterations);
            format!("{}: {path:?} {iterations:?} {said}", member.id)
        };
        let members = self.made.members.iter().map(record);
        let stop = self.sim.state.phase().stop();
        let stop = stop.map(|stop| format!("{:?} at {:?}", stop.why, stop.path));
        members
            .chain([format!("{:?} {stop:?}", self.sim.status())])
            .collect()
    }
}
