//! One run of a dry run: the loop of a driver, without anything that it drives.

use std::collections::VecDeque;

use super::trace::{How, Open, Traced, Why};
use super::{Simulation, Stub};
use crate::decide::{Action, Decision, decide_from, interrupt, settle};
use crate::definition::Definition;
use crate::event::{ClaimCause, Entry, Event, RunCreated, RunEvent};
use crate::frontier::Frontier;
use crate::ids::{Epoch, Path};
use crate::limits::DRY_RUN_EVENTS;
use crate::request::Intent;
use crate::request::approve::{Answer, Approving, approve, asking};
use crate::request::resume::ResumeBy;
use crate::request::signal::{Kept, deliver, text};
use crate::state::{RunState, Status, StepPhase};
use crate::tape::Tape;
use crate::time::Timestamp;
use crate::wait::{Verdict, Wait};

pub(super) struct Run<'a> {
    pub(super) definition: &'a Definition,
    pub(super) state: RunState,
    pub(super) now: Timestamp,
    /// What stands before its steps' names: the steps that started it.
    pub(super) before: String,
    frontier: Frontier,
    /// Attempts in flight: they end in the order in which they began.
    flying: VecDeque<(Path, u32)>,
    open: Open,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        definition: &'a Definition,
        created: RunCreated,
        now: Timestamp,
        before: String,
    ) -> Self {
        let entry = Entry {
            seq: 1,
            at: now,
            epoch: Epoch(0),
            event: Event::Run(RunEvent::Created(created)),
        };
        Self {
            definition,
            state: RunState::create(&entry).expect("a run begins so"),
            now,
            before,
            frontier: Frontier::default(),
            flying: VecDeque::new(),
            open: Open::default(),
        }
    }

    /// Drives it to where it does not move.
    pub(super) fn drive(&mut self, simulation: &mut Simulation<'_>) {
        self.claim(simulation, ClaimCause::Start);
        while simulation.events < DRY_RUN_EVENTS {
            match decide_from(&mut self.frontier, self.definition, &self.state, self.now) {
                Decision::Act(actions) => {
                    for action in actions {
                        self.act(simulation, action);
                    }
                }
                Decision::Note(event) => self.record(simulation, event.into(), true),
                Decision::End(event) => {
                    for event in interrupt(&self.state, event.into()) {
                        self.record(simulation, event, true);
                    }
                    self.flying.clear();
                }
                Decision::Wait { wake_at, .. } => match (self.flying.pop_front(), wake_at) {
                    (Some((path, attempt)), _) => self.land(simulation, &path, attempt),
                    (None, Some(at)) => self.now = at.max(self.now),
                    (None, None) => return,
                },
                Decision::Pause(stop) => {
                    self.record(simulation, RunEvent::Paused { stop }.into(), true);
                    if !self.go_on(simulation) {
                        self.tell_what_is_open(simulation);
                        return;
                    }
                }
                Decision::Still => return,
            }
        }
    }

    fn act(&mut self, simulation: &mut Simulation<'_>, action: Action) {
        let started = match &action {
            Action::Start { path, attempt } => Some((path.clone(), attempt.attempt)),
            _ => None,
        };
        let child = match &action {
            Action::StartChild { path, child } => Some((path.clone(), child.clone())),
            _ => None,
        };
        self.record(simulation, action.into_event(), true);
        self.flying.extend(started);
        if let Some((path, child)) = child
            && let Some(ended) = simulation.child(self, &path, &child)
        {
            self.record(simulation, ended, true);
        }
    }

    /// An attempt ends as its stub says.
    fn land(&mut self, simulation: &mut Simulation<'_>, path: &Path, attempt: u32) {
        let (outcome, stubbed) = simulation.outcome(self.definition, &self.before, path);
        let tape = Tape::default();
        let event = settle(
            self.definition,
            &self.state,
            path,
            attempt,
            outcome,
            tape,
            self.now,
        );
        self.record(simulation, event, stubbed);
    }

    /// Whatever ends its waits happens: people decide, signals come, else time passes. Returns false where nothing does.
    fn go_on(&mut self, simulation: &mut Simulation<'_>) -> bool {
        let awaiting: Vec<(Path, Wait)> = self
            .state
            .executions()
            .iter()
            .filter_map(|record| match record.phase() {
                StepPhase::Awaiting { wait } => Some((record.path().clone(), wait.clone())),
                _ => None,
            })
            .collect();
        let mut moved = false;
        for (path, wait) in &awaiting {
            moved |= match wait {
                Wait::Approval { .. } if simulation.stop_at_gates => return false,
                Wait::Approval { .. } => self.decided(simulation, path),
                Wait::Signal { .. } | Wait::Time { .. } | Wait::Child { .. } => false,
            };
        }
        let awaited = self.state.awaited();
        let awaited: Vec<(Path, String)> = awaited
            .map(|(path, name)| (path.clone(), name.to_owned()))
            .collect();
        for (path, name) in awaited {
            moved |= self.signalled(simulation, &path, &name);
        }
        if !moved {
            let due = self.state.phase().stop().and_then(|stop| stop.due_at);
            let Some(due) = due else {
                return false;
            };
            self.now = due.max(self.now);
        }
        self.resume(simulation)
    }

    fn resume(&mut self, simulation: &mut Simulation<'_>) -> bool {
        if self.state.phase().status() == Status::Paused {
            let waits = self.state.phase().stop_code();
            let by = match waits.is_some_and(|code| code.is_wait()) {
                true => ResumeBy::Wait,
                false => ResumeBy::Schedule,
            };
            match Intent::Resume(by).event(self.definition, &self.state) {
                Ok(event) => self.record(simulation, event.into(), true),
                Err(_) => return false,
            }
        }
        if matches!(
            self.state.phase().status(),
            Status::Pending | Status::Paused
        ) {
            self.claim(simulation, ClaimCause::Resume);
        }
        true
    }

    /// A person decides: as the stub says, else they approve.
    fn decided(&mut self, simulation: &mut Simulation<'_>, path: &Path) -> bool {
        let name = format!("{}{}", self.before, path.step());
        let (verdict, comment) = match simulation.stub(&name) {
            Some(Stub::TimedOut) => return false,
            Some(Stub::Decision { verdict, comment }) => (verdict, comment),
            _ => (Verdict::Approved, None),
        };
        let Ok(asked) = asking(&self.state, Some(&path.to_string()), None, false) else {
            return false;
        };
        let answer = Answer {
            verdict,
            comment: comment.as_deref(),
            by: None,
        };
        match approve(self.definition, &self.state, &asked, answer, self.now) {
            Ok(Approving::Decided { events, .. }) => {
                for event in events {
                    self.record(simulation, event, true);
                }
                true
            }
            Ok(Approving::TooLate(_)) | Err(_) => false,
        }
    }

    /// The signal comes, with what the stub says, else with nothing.
    fn signalled(&mut self, simulation: &mut Simulation<'_>, path: &Path, name: &str) -> bool {
        let stub = format!("{}{}", self.before, path.step());
        let is_wait = self.state.executions().at(path);
        let is_wait = is_wait.is_some_and(|record| record.is_wait());
        // The stubs of a component say what its attempts come to.
        if !is_wait && !simulation.has_more(&stub) {
            return false;
        }
        let data = match is_wait.then(|| simulation.stub(&stub)).flatten() {
            Some(Stub::TimedOut) => return false,
            Some(Stub::Signal(data)) => data,
            _ => serde_json::Value::Null,
        };
        let Ok(data) = text(name, &data) else {
            return false;
        };
        let kept = Kept {
            number: 1,
            name,
            data: &data,
            sent_at: self.now,
        };
        match deliver(Some(self.definition), &self.state, [kept]) {
            Ok(Some(delivery)) => {
                for event in delivery.events {
                    self.record(simulation, event, true);
                }
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    fn claim(&mut self, simulation: &mut Simulation<'_>, cause: ClaimCause) {
        let owner = "a dry run".to_owned();
        let event = RunEvent::Claimed { owner, cause };
        self.record(simulation, event.into(), true);
    }

    fn record(&mut self, simulation: &mut Simulation<'_>, event: Event, stubbed: bool) {
        simulation.events += 1;
        let raises = u64::from(matches!(event, Event::Run(RunEvent::Claimed { .. })));
        let entry = Entry {
            seq: self.state.seq() + 1,
            at: self.now,
            epoch: Epoch(self.state.epoch().0 + raises),
            event,
        };
        self.state
            .apply(&entry)
            .expect("what the core decides can follow");
        let told = self
            .open
            .tell(&self.before, &entry.event, self.now, stubbed);
        simulation.trace.extend(told);
    }

    /// What it stands at, at the end.
    fn tell_what_is_open(&self, simulation: &mut Simulation<'_>) {
        for record in self.state.stands_at() {
            if let StepPhase::Awaiting { wait } = record.phase() {
                simulation.trace.push(Traced {
                    path: format!("{}{}", self.before, record.path()),
                    how: How::Paused,
                    why: Why::Waits(wait.clone()),
                    attempt: None,
                    input: None,
                    output: None,
                    error: None,
                });
            }
        }
    }
}
