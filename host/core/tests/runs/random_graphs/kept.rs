//! What one decision leaves for the next one is a matter of speed alone: whatever happens in between, a decision from what was kept is
//! the one from nothing. [`Sim::decided`] compares them.

use std::fmt::Write as _;
use std::time::Duration;

use milepost_core::decide::{Decision, settle};
use milepost_core::event::{Event, RunEvent, WaitEvent};
use milepost_core::ids::Path;
use milepost_core::outcome::{ErrorClass, Outcome, StepError};
use milepost_core::payload::Payload;
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{Status, StepPhase};
use milepost_core::tape::Tape;
use milepost_core::wait::{Verdict, Wait};
use proptest::prelude::*;
use serde_json::json;

use super::chance::Chance;
use crate::sim::{Sim, ok, pause};

/// Loops and fan-outs in each other, of calls, waits and questions, with deadlines on many of them.
struct Drawn {
    text: String,
    chance: Chance,
    members: usize,
}

impl Drawn {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let parallel = 1 + chance.below(4);
        let stop = if chance.once_in(3) { "stop" } else { "finish" };
        let mut drawn = Self {
            text: format!(
                "flow = \"graph\"\non_failure = \"{stop}\"\n[limits]\nparallel = {parallel}\n"
            ),
            chance,
            members: 0,
        };
        let size = 3 + drawn.chance.below(10);
        drawn.scope(None, true, size, 0);
        for id in ["last0", "last1"] {
            if drawn.chance.once_in(2) {
                writeln!(
                    drawn.text,
                    "[[step]]\nid = \"{id}\"\nuse = \"p/{id}\"\nfinally = true"
                )
                .unwrap();
            }
        }
        drawn
    }

    fn scope(&mut self, parent: Option<&str>, graph: bool, size: usize, depth: usize) {
        let mut earlier: Vec<String> = Vec::new();
        for _ in 0..size {
            let letter = char::from(b'a' + u8::try_from(self.chance.below(26)).unwrap());
            let id = format!("{letter}{}", self.members);
            self.members += 1;
            write!(self.text, "[[step]]\nid = \"{id}\"\n").unwrap();
            if let Some(parent) = parent {
                writeln!(self.text, "in = \"{parent}\"").unwrap();
            }
            if graph && self.chance.once_in(3) {
                let need = self.chance.one_of(&earlier).cloned();
                let join = ["all_done", "all_success", "one_success"][self.chance.below(3)];
                if let Some(need) = need {
                    writeln!(self.text, "needs = [\"{need}\"]\njoin = \"{join}\"").unwrap();
                }
            }
            self.kind(&id, depth);
            earlier.push(id);
        }
    }

    fn kind(&mut self, id: &str, depth: usize) {
        let deadline = match self.chance.below(3) {
            0 => ["deadline = \"40s\"\n", "deadline = \"1h\"\n"][self.chance.below(2)],
            _ => "",
        };
        let timeout = [
            "",
            ", timeout = \"30s\", on_timeout = \"THEN\"",
            ", timeout = \"1h\", on_timeout = \"THEN\"",
        ][self.chance.below(3)];
        let chosen = self.chance.below(if depth < 2 { 10 } else { 6 });
        let flow = ["", "flow = \"sequence\"\n"][self.chance.below(2)];
        let kind = match chosen {
            0..3 => format!("use = \"p/{id}\"\nretry = {{ initial = \"9s\" }}\n{deadline}"),
            3 => {
                let until = ["20s", "10m"][self.chance.below(2)];
                format!("wait = {{ for = \"{until}\" }}\n{deadline}")
            }
            4 => {
                let timeout = timeout.replace("THEN", ["fail", "continue"][self.chance.below(2)]);
                format!("wait = {{ signal = \"go\"{timeout} }}\n{deadline}")
            }
            5 => {
                let timeout = timeout.replace("THEN", ["stay", "approve"][self.chance.below(2)]);
                format!(
                    "approval = {{ message = \"?\", on_reject = \"continue\"{timeout} }}\n{deadline}"
                )
            }
            6 | 7 => format!(
                "loop = {{ until = \"loop.iteration >= 2\", max_iterations = 2 }}\n{flow}{deadline}"
            ),
            8 => {
                let window = 1 + self.chance.below(3);
                format!(
                    "use = \"p/{id}\"\nforeach = {{ items = \"[1, 2, 3, 4]\", max_parallel = {window} }}\n{deadline}"
                )
            }
            _ => {
                let window = 1 + self.chance.below(3);
                format!(
                    "foreach = {{ items = \"[1, 2, 3]\", max_parallel = {window}, join = \"all_done\" }}\n{flow}{deadline}"
                )
            }
        };
        self.text.push_str(&kind);
        if let 6 | 7 | 9 = chosen {
            let size = 1 + self.chance.below(3);
            self.scope(Some(id), flow.is_empty(), size, depth + 1);
        }
    }
}

struct Kept {
    sim: Sim,
    chance: Chance,
}

impl Kept {
    fn drive(&mut self) {
        for _ in 0..250 {
            match self.sim.status() {
                Status::Running => self.decide(),
                Status::Paused => self.go_on(),
                _ => return,
            }
        }
    }

    fn decide(&mut self) {
        match self.sim.decided() {
            Decision::Act(actions) => {
                let taken = match self.chance.once_in(3) {
                    true => self.chance.below(actions.len()) + 1,
                    false => actions.len(),
                };
                for action in actions.into_iter().take(taken) {
                    self.sim.record(action.into_event());
                }
                if self.chance.once_in(4) {
                    self.something();
                }
            }
            Decision::Wait { wake_at, cancel } => {
                assert_eq!(
                    self.sim.decided(),
                    Decision::Wait {
                        wake_at,
                        cancel: cancel.clone()
                    }
                );
                for path in cancel {
                    self.end(&path);
                }
                match wake_at {
                    Some(at) if self.sim.state.in_flight_count() == 0 || self.chance.once_in(4) => {
                        self.sim.now = at;
                    }
                    _ => self.something(),
                }
            }
            Decision::Pause(stop) => self.sim.record(RunEvent::Paused { stop }.into()),
            Decision::End(_) if self.sim.state.in_flight_count() > 0 => self.sim.crash(),
            Decision::Note(event) | Decision::End(event) => self.sim.record(event.into()),
            Decision::Still => unreachable!("it runs"),
        }
    }

    /// An attempt ends, time passes, somebody answers, or the process dies.
    fn something(&mut self) {
        let flying = self.sim.state.in_flight();
        let flying: Vec<Path> = flying.map(|record| record.path().clone()).collect();
        let flying = self.chance.one_of(&flying).cloned();
        match (self.chance.below(16), flying) {
            (0 | 1, _) => {
                self.sim
                    .pass(Duration::from_millis(self.chance.next() % 40_000));
            }
            (2..5, _) => self.answer(),
            (5, _) if self.chance.once_in(4) => self.sim.crash(),
            (_, Some(path)) => self.end(&path),
            (_, None) => self.answer(),
        }
    }

    fn end(&mut self, path: &Path) {
        let attempt = self.sim.state.executions().at(path).unwrap().attempts();
        let failed = |class| Outcome::Failed(StepError::new(class, "no", "no"));
        let outcome = match self.chance.below(12) {
            0 => failed(ErrorClass::Failed),
            1 | 2 => failed(ErrorClass::Retryable),
            3 => pause("later"),
            _ => ok(json!({})),
        };
        let (definition, state, now) = (&self.sim.definition, &self.sim.state, self.sim.now);
        let event = settle(
            definition,
            state,
            path,
            attempt,
            outcome,
            Tape::default(),
            now,
        );
        self.sim.record(event);
    }

    /// Somebody answers one of the waits, whether the run moves or not.
    fn answer(&mut self) {
        let records = self.sim.state.executions().iter();
        let open: Vec<(Path, Wait)> = records
            .filter_map(|record| match record.phase() {
                StepPhase::Awaiting { wait } => Some((record.path().clone(), wait.clone())),
                _ => None,
            })
            .collect();
        let Some((path, wait)) = self.chance.one_of(&open).cloned() else {
            return;
        };
        let event = match wait {
            Wait::Signal { name, .. } => WaitEvent::SignalReceived {
                signal: name,
                data: Payload::new(json!(1)),
                sent_at: self.sim.now,
            },
            Wait::Approval { .. } => WaitEvent::ApprovalDecided {
                decision: Verdict::Approved,
                comment: None,
                by: None,
                rework: Vec::new(),
            },
            Wait::Time { .. } | Wait::Child { .. } => return,
        };
        let event: Event = event.at(path);
        // A question is not answered while the run moves.
        let _refused = self.sim.try_record(event);
    }

    fn go_on(&mut self) {
        for _ in 0..self.chance.below(3) {
            self.answer();
        }
        match self.sim.stop().due_at {
            Some(at) if self.chance.once_in(2) => {
                self.sim.now = self.sim.now.max(at);
                self.sim.work(ResumeBy::Wait);
            }
            _ => {
                self.sim.resume();
            }
        }
    }
}

fn check(seed: u64) {
    let drawn = Drawn::new(seed);
    let mut kept = Kept {
        sim: Sim::new(&drawn.text),
        chance: Chance::new(!seed),
    };
    kept.drive();
    if kept.sim.status() == Status::Running {
        let _decision = kept.sim.decided();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 12, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn what_was_kept_decides_as_nothing_does(seed in any::<u64>()) {
        check(seed);
    }
}
