//! Drives a run of a random definition: chance says in which order attempts end, and what happens in between. What comes of an
//! attempt depends on its path alone, so that no order can matter.

use std::collections::{BTreeMap, BTreeSet};

use milepost_core::decide::{Action, Decision, interrupt, settle};
use milepost_core::event::{
    Entry, Event, LoopEvent, ResumeCause, RunEvent, Skip, StepEvent, WaitEvent,
};
use milepost_core::ids::Path;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError};
use milepost_core::payload::Payload;
use milepost_core::request::approve::{Answer, Approving, approve, asking, rework_left};
use milepost_core::request::posted::Posted;
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{Status, StepPhase, StepResult};
use milepost_core::stop::{Stop, Why};
use milepost_core::tape::Tape;
use milepost_core::time::Timestamp;
use milepost_core::wait::{Verdict, Wait};
use serde_json::{Value, json};
use std::time::Duration;

use super::chance::{Chance, of_text};
use super::decision::Expected;
use super::generate::{Kind, Made, Over};
use super::reference::Reference;
use crate::sim::Sim;

/// Longest wait that passes while attempts are in flight: no time-out that should not be met.
const SOON: Duration = Duration::from_secs(600);

/// How everything came out, without times: of the run, and of what was settled, by path.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) run: String,
    pub(super) steps: BTreeMap<String, String>,
}

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
    /// How often each approval was rejected with rework.
    rejected: BTreeMap<String, u64>,
    /// How often a person retried.
    retried: usize,
    inputs: BTreeMap<String, Value>,
}

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
            rejected: BTreeMap::new(),
            retried: 0,
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
        for _ in 0..20_000 {
            self.look_at_the_journal();
            if self.disturbed && self.order.once_in(8) {
                self.try_what_cannot_be();
            }
            match self.sim.status() {
                Status::Running => self.decide(),
                Status::Paused => self.go_on(),
                // Its end, or a decision, has to be driven.
                Status::Pending => self.sim.crash(),
                Status::Failed if self.retried < self.made.retries => self.retry(),
                _ => return self,
            }
        }
        panic!("no end");
    }

    fn look_at_the_journal(&mut self) {
        for entry in &self.sim.journal[self.seen..] {
            self.reference.fold(entry);
            match &entry.event {
                Event::Run(RunEvent::Resumed(resumed)) if resumed.cause == ResumeCause::Retry => {
                    self.retried += 1;
                }
                Event::Step { path, event } => match event {
                    StepEvent::Failed { attempt: None, .. } => {}
                    StepEvent::Wait(WaitEvent::ApprovalDecided { rework, .. })
                        if !rework.is_empty() =>
                    {
                        *self.rejected.entry(path.to_string()).or_default() += 1;
                    }
                    event if event.tape().is_some() => {
                        *self.ended.entry(path.to_string()).or_default() += 1;
                    }
                    _ => {}
                },
                Event::Run(_) => {}
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
            Decision::Wait { cancel, .. } if !cancel.is_empty() && !self.order.once_in(4) => {
                let path = self.order.one_of(&cancel).cloned().unwrap();
                self.cut_off(&path);
            }
            Decision::Wait { wake_at, .. } => self.wait(&in_flight, wake_at),
            Decision::Still => unreachable!("it runs"),
        }
    }

    /// Something happens while nothing can be done.
    fn wait(&mut self, in_flight: &[Path], wake_at: Option<Timestamp>) {
        let soon = wake_at.filter(|at| in_flight.is_empty() || at.since(self.sim.now) <= SOON);
        let ends: Vec<Path> = in_flight
            .iter()
            .filter(|path| !self.hangs(path))
            .cloned()
            .collect();
        let answered = self.order.once_in(6) && self.answer_one();
        match (self.order.one_of(&ends).cloned(), soon) {
            _ if answered => {}
            _ if self.disturbed && !in_flight.is_empty() && self.order.once_in(12) => {
                self.disturb()
            }
            (Some(_), Some(at)) if self.order.once_in(5) => self.pass_to(at),
            (Some(path), _) => self.end(&path),
            (None, Some(at)) => self.pass_to(at),
            // What has to end does.
            (None, None) => {
                let path = self.order.one_of(in_flight).cloned().unwrap();
                self.cut_off(&path);
            }
        }
    }

    fn pass_to(&mut self, at: Timestamp) {
        self.sim.now = self.sim.now.max(at);
    }

    /// An attempt that has to end is interrupted, or ends by itself before.
    fn cut_off(&mut self, path: &Path) {
        if !self.hangs(path) && self.order.once_in(2) {
            return self.end(path);
        }
        let attempt = self.sim.state.executions().at(path).unwrap().attempts();
        let interrupted = StepEvent::Interrupted { attempt };
        self.sim.record(interrupted.at(path.clone()));
    }

    /// Whether an attempt never ends by itself.
    fn hangs(&self, path: &Path) -> bool {
        let id = path.step().as_str();
        let member = self.made.members.iter().find(|member| member.id == id);
        matches!(
            member.unwrap().kind,
            Kind::Call { hangs: true, .. }
                | Kind::Each {
                    over: Over::Call { hangs: true },
                    ..
                }
        )
    }

    fn disturb(&mut self) {
        match self.order.once_in(2) {
            true => self.sim.crash(),
            false => self.sim.pause(),
        }
    }

    fn end(&mut self, path: &Path) {
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
        match (of_text(self.fate, path) % 15, before) {
            (0, _) | (1, 0..2) | (2, 2..) | (8, 0) => failed(),
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

    /// The executions that somebody answers: a signal, a decision. Some are never answered, so that time ends them.
    fn answerable(&self) -> Vec<Path> {
        let records = self.sim.state.executions().iter();
        let answerable = records.filter(|record| {
            let path = record.path();
            let id = path.step().as_str();
            let member = self.made.members.iter().find(|member| member.id == id);
            let unanswered = match member.unwrap().kind {
                Kind::Signal { mute: true, .. } => true,
                Kind::Signal { times_out, .. } | Kind::Gate { times_out, .. } => {
                    let fate = of_text(self.fate, &format!("answer {path}"));
                    times_out && fate.is_multiple_of(3)
                }
                _ => false,
            };
            let asks = matches!(
                record.phase(),
                StepPhase::Awaiting {
                    wait: Wait::Approval { .. }
                }
            );
            !unanswered && (asks || record.awaited_signal().is_some())
        });
        answerable.map(|record| record.path().clone()).collect()
    }

    fn answer_one(&mut self) -> bool {
        if self.sim.state.ending().is_some() {
            return false;
        }
        let answerable = self.answerable();
        let Some(path) = self.order.one_of(&answerable).cloned() else {
            return false;
        };
        let record = self.sim.state.executions().at(&path).unwrap();
        let events = match record.awaited_signal() {
            Some(signal) => {
                let fate = of_text(self.fate, &format!("answer {path}"));
                let received = WaitEvent::SignalReceived {
                    signal: signal.to_owned(),
                    data: Payload::new(json!(fate % 7)),
                    sent_at: self.sim.now,
                };
                vec![received.at(path)]
            }
            None => self.decision(&path),
        };
        let some = !events.is_empty();
        for event in events {
            let ends = matches!(event, Event::Run(RunEvent::Cancelled { .. }));
            match ends && self.sim.status() == Status::Running {
                true => interrupt(&self.sim.state, event)
                    .into_iter()
                    .for_each(|event| self.sim.record(event)),
                false => self.sim.record(event),
            }
        }
        some
    }

    /// What a person says, whether the run moves or not: with rework, so often no, and yes then, or no to the end.
    fn decision(&self, path: &Path) -> Vec<Event> {
        let (definition, state, now) = (&self.sim.definition, &self.sim.state, self.sim.now);
        let fate = of_text(self.fate, &format!("answer {path}"));
        let member = &self.made.members[self.reference.member(path.step().as_str())];
        let asked = asking(state, Some(&path.to_string()), None, false).unwrap();
        let no = match &member.kind {
            Kind::Gate {
                rework: Some(rework),
                ..
            } => {
                let before = self.rejected.get(&path.to_string()).copied().unwrap_or(0);
                let left = rework_left(definition, state, &asked).unwrap();
                rework.gives_up || left > 1 && before < fate % u64::from(rework.max)
            }
            _ => fate.is_multiple_of(2),
        };
        let answer = Answer {
            verdict: match no {
                true => Verdict::Rejected,
                false => Verdict::Approved,
            },
            comment: None,
            by: None,
        };
        if self.sim.status() == Status::Running {
            return Posted::decision(&asked, answer).events(definition, state, now);
        }
        match approve(definition, state, &asked, answer, now).unwrap() {
            Approving::Decided { events, .. } => events,
            Approving::TooLate(event) => vec![event],
        }
    }

    /// A paused run: somebody answers, or its time comes, or somebody resumes it.
    fn go_on(&mut self) {
        let due_at = self.sim.stop().due_at;
        match due_at {
            _ if self.answer_one() => {
                while self.sim.status() == Status::Paused
                    && self.order.once_in(2)
                    && self.answer_one()
                {}
            }
            Some(at) => self.pass_to(at),
            None => {}
        }
        if self.sim.status() == Status::Paused {
            self.sim.work(ResumeBy::Wait);
        }
    }

    /// A person retries a run that failed: what failed, or from a step or an item on.
    fn retry(&mut self) {
        let chosen = of_text(self.fate, &format!("retry {}", self.retried));
        // Mostly a fan-out or one of its items, if there are any.
        let fan_outs = !chosen.is_multiple_of(3);
        let mut from: Vec<String> = Vec::new();
        for index in self.made.scope(None) {
            let member = &self.made.members[index];
            if fan_outs && !matches!(member.kind, Kind::Each { .. }) {
                continue;
            }
            let step = member.id.parse().unwrap();
            let records = self.sim.state.executions().of_step(&step).iter();
            let top = records.filter(|record| record.path().parent().is_none());
            // Whether an item began before the deadline of them all is a matter of time.
            let top = top.filter(|record| {
                member.deadline.is_none() || record.path().to_string() == member.id
            });
            from.extend(top.map(|record| record.path().to_string()));
        }
        from.sort();
        let chosen = usize::try_from(chosen >> 8).unwrap() % (from.len() + 1);
        let from = from.get(chosen).cloned();
        let before = self.reference.retried(from.as_deref());
        self.sim.retry(from.as_deref());
        let Event::Run(RunEvent::Resumed(resumed)) =
            &self.sim.journal[self.sim.journal.len() - 2].event
        else {
            panic!("a retry resumes");
        };
        if let Some(expected) = before {
            let reset = resumed.reset.iter().map(ToString::to_string);
            let reset: BTreeSet<String> = reset.collect();
            assert_eq!(reset, expected, "what runs again from {from:?}");
        }
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
        let mut facts = Facts::default();
        for record in self.sim.state.executions().iter() {
            let Some(settled) = record.settled() else {
                continue;
            };
            let index = self.reference.member(record.path().step().as_str());
            let said = match &settled.result {
                // When it ended is a matter of how long the others took.
                StepResult::Completed { .. }
                    if matches!(
                        self.made.members[index].kind,
                        Kind::Nap { .. } | Kind::Each { .. }
                    ) =>
                {
                    "completed".to_owned()
                }
                StepResult::Completed { output } => output.text().to_owned(),
                StepResult::Failed { error } => format!("{} {}", error.code, error.message),
                StepResult::Skipped => "skipped".to_owned(),
            };
            let iterations = settled.iterations;
            let said = format!("{iterations:?} {said}");
            facts.steps.insert(record.path().to_string(), said);
        }
        let stop = self.sim.state.phase().stop();
        let stop = stop.map(|stop| format!("{:?} at {:?}", stop.why, stop.path));
        facts.run = format!("{:?} {stop:?}", self.sim.status());
        facts
    }
}
