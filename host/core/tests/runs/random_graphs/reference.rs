//! A scheduler as simple as can be: after every event it goes over the whole definition and says what has to happen.

use milepost_core::decide::{Action, Decision};
use milepost_core::event::{Entry, Event, LoopEvent, RunEvent, Skip, StepEvent, WaitEvent};
use milepost_core::ids::Path;
use milepost_core::limits::WAIT_IN_PLACE;
use milepost_core::time::Timestamp;

use super::generate::{Condition, Join, Kind, Made, Until};

/// What is known of a run: what its journal says, member by member.
pub(super) struct Reference<'a> {
    made: &'a Made,
    parallel: usize,
    /// Present or last execution of each member.
    at: Vec<Option<(String, Phase)>>,
    /// How each member ended last, in whatever iteration.
    ended: Vec<Option<Ending>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Whether an attempt, or a wait, had begun.
    Pending(bool),
    InFlight,
    Retry(Timestamp),
    /// And when it goes on by itself.
    Paused(Option<Timestamp>),
    Waiting(Option<Timestamp>),
    Looping(u32, Option<bool>),
    Ended(Ending),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ending {
    /// With the number in its output.
    Completed(i64),
    Failed,
    Skipped,
}

/// What has to happen.
#[derive(Debug, PartialEq)]
pub(super) enum Expected {
    /// These, in this order: where, and what.
    Act(Vec<(String, String)>),
    Wait {
        in_flight: Vec<String>,
        wake_at: Option<Timestamp>,
    },
    /// At the first of those that stand still.
    Pause(String),
    End {
        failed: bool,
    },
}

impl Expected {
    /// A decision in the same words.
    pub(super) fn of(decision: &Decision, in_flight: &[Path]) -> Option<Self> {
        Some(match decision {
            Decision::Act(actions) => Self::Act(
                actions
                    .iter()
                    .map(|action| (action.path().to_string(), words(action)))
                    .collect(),
            ),
            Decision::Wait { wake_at, .. } => {
                let mut in_flight: Vec<_> = in_flight.iter().map(ToString::to_string).collect();
                in_flight.sort();
                Self::Wait {
                    in_flight,
                    wake_at: *wake_at,
                }
            }
            Decision::Pause(stop) => Self::Pause(stop.path.as_ref()?.to_string()),
            Decision::End(RunEvent::Completed { .. }) => Self::End { failed: false },
            Decision::End(RunEvent::Failed { .. }) => Self::End { failed: true },
            Decision::Note(_) | Decision::End(_) | Decision::Still => return None,
        })
    }
}

fn words(action: &Action) -> String {
    match action {
        Action::Start { .. } => "start".to_owned(),
        Action::Await { .. } => "wait".to_owned(),
        Action::StartChild { .. } => "child".to_owned(),
        Action::EndWait { .. } => "time is over".to_owned(),
        Action::Record { event, .. } => match event {
            StepEvent::Skipped(Skip::Condition(_)) => "skip: if".to_owned(),
            StepEvent::Skipped(Skip::Join { needs }) => {
                let needs: Vec<_> = needs.iter().map(ToString::to_string).collect();
                format!("skip: {}", needs.join(" "))
            }
            StepEvent::Loop(LoopEvent::IterationStarted { iteration }) => {
                format!("iteration {iteration}")
            }
            StepEvent::Loop(LoopEvent::IterationEnded {
                iteration,
                condition_met,
            }) => format!("iteration {iteration} ended: {condition_met}"),
            StepEvent::Loop(LoopEvent::Completed {
                iterations,
                condition_met,
            }) => format!("looped {iterations}: {condition_met}"),
            StepEvent::Failed { attempt: None, .. } => "exhausted".to_owned(),
            other => format!("{other:?}"),
        },
    }
}

/// What a look at all members finds.
#[derive(Default)]
struct Found {
    now: Timestamp,
    free: usize,
    actions: Vec<(String, String)>,
    in_flight: Vec<String>,
    /// When something goes on by itself.
    wakes: Vec<Timestamp>,
    /// When a wait ends for which the run would pause.
    dues: Vec<Timestamp>,
    stands: Vec<String>,
    /// Those of them whose time has come, if anything else moves.
    passed: Vec<String>,
}

impl<'a> Reference<'a> {
    pub(super) fn new(made: &'a Made, parallel: usize) -> Self {
        Self {
            made,
            parallel,
            at: vec![None; made.members.len()],
            ended: vec![None; made.members.len()],
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        let at = self.at.iter().flatten();
        at.filter(|(_, phase)| *phase == Phase::InFlight).count()
    }

    fn member(&self, id: &str) -> usize {
        let mut members = self.made.members.iter();
        members.position(|member| member.id == id).unwrap()
    }

    /// Takes note of an event.
    pub(super) fn fold(&mut self, entry: &Entry) {
        let (path, event) = match &entry.event {
            Event::Step { path, event } => (path, event),
            Event::Run(RunEvent::Claimed { .. }) => {
                for (_, phase) in self.at.iter_mut().flatten() {
                    if *phase == Phase::InFlight {
                        *phase = Phase::Pending(true);
                    }
                }
                return;
            }
            Event::Run(RunEvent::Resumed(resumed)) => {
                assert!(resumed.reset.is_empty() && resumed.reopened.is_empty());
                for (path, phase) in self.at.iter_mut().flatten() {
                    let closed = resumed.closed.iter().any(|id| path.ends_with(id.as_str()));
                    let waits = matches!(phase, Phase::Waiting(_)) && closed;
                    let stays = resumed
                        .paused
                        .iter()
                        .any(|stays| stays.to_string() == *path);
                    if matches!(phase, Phase::Paused(_)) && !stays || waits {
                        *phase = Phase::Pending(true);
                    }
                }
                return;
            }
            Event::Run(_) => return,
        };
        let index = self.member(path.step().as_str());
        let phase = match event {
            StepEvent::Started(_) => Phase::InFlight,
            StepEvent::Completed { output, .. } => {
                Phase::Ended(Ending::Completed(output.value()["n"].as_i64().unwrap()))
            }
            StepEvent::AttemptFailed { retry_at, .. } => Phase::Retry(*retry_at),
            StepEvent::Failed { .. } => Phase::Ended(Ending::Failed),
            StepEvent::Paused { due_at, .. } => Phase::Paused(*due_at),
            StepEvent::Interrupted { .. } | StepEvent::Continued => Phase::Pending(true),
            StepEvent::Skipped(_) => Phase::Ended(Ending::Skipped),
            StepEvent::Wait(WaitEvent::Started { wait }) => Phase::Waiting(wait.until()),
            StepEvent::Wait(WaitEvent::SignalReceived { .. })
                if matches!(self.made.members[index].kind, Kind::Call { .. }) =>
            {
                Phase::Pending(true)
            }
            StepEvent::Wait(_) => Phase::Ended(Ending::Completed(0)),
            StepEvent::Loop(LoopEvent::IterationStarted { iteration }) => {
                Phase::Looping(*iteration, None)
            }
            StepEvent::Loop(LoopEvent::IterationEnded {
                iteration,
                condition_met,
            }) => Phase::Looping(*iteration, Some(*condition_met)),
            StepEvent::Loop(LoopEvent::Completed { .. }) => Phase::Ended(Ending::Completed(0)),
            StepEvent::DeadlineSet { .. } | StepEvent::Ends { .. } | StepEvent::ForEach(_) => {
                panic!("no such member is drawn")
            }
        };
        self.at[index] = Some((path.to_string(), phase));
        if let Phase::Ended(ending) = phase {
            self.ended[index] = Some(ending);
        }
    }

    /// What has to happen to a running run.
    pub(super) fn expected(&self, now: Timestamp) -> Expected {
        let mut found = Found {
            now,
            free: self.parallel - self.in_flight(),
            ..Found::default()
        };
        self.look_at_scope(None, "", &mut found);
        if !found.actions.is_empty() {
            // Calls begin when all else is as it will be: it may bring calls that come before them.
            if found.actions.iter().any(|(_, what)| what != "start") {
                found.actions.retain(|(_, what)| what != "start");
            }
            // A failure may keep from beginning what has not begun.
            let may_fail =
                |(_, what): &(String, String)| what == "time is over" || what == "exhausted";
            if self.made.stops && found.actions.iter().any(may_fail) {
                let begun = |(path, _): &(String, String)| {
                    let mut at = self.at.iter().flatten();
                    at.any(|(known, phase)| known == path && *phase != Phase::Pending(false))
                };
                match found.actions.iter().any(begun) {
                    true => found.actions.retain(begun),
                    false => found.actions.truncate(1),
                }
            }
            return Expected::Act(found.actions);
        }
        if !found.in_flight.is_empty() || !found.wakes.is_empty() {
            if let Some(path) = found.passed.into_iter().next() {
                return Expected::Act(vec![(path, "Continued".to_owned())]);
            }
            found.in_flight.sort();
            return Expected::Wait {
                in_flight: found.in_flight,
                wake_at: found.wakes.into_iter().chain(found.dues).min(),
            };
        }
        if let Some(first) = found.stands.into_iter().next() {
            return Expected::Pause(first);
        }
        let mut top = self.made.scope(None);
        let failed = top.any(|index| {
            let ended = self.phase(index, "") == Some(Phase::Ended(Ending::Failed));
            ended && !self.made.members[index].handled
        });
        Expected::End { failed }
    }

    fn phase(&self, index: usize, prefix: &str) -> Option<Phase> {
        let (path, phase) = self.at[index].as_ref()?;
        let own = format!("{prefix}{}", self.made.members[index].id);
        (*path == own).then_some(*phase)
    }

    fn ending(&self, index: usize, prefix: &str) -> Option<Ending> {
        match self.phase(index, prefix)? {
            Phase::Ended(ending) => Some(ending),
            _ => None,
        }
    }

    /// Returns whether the scope is still open.
    fn look_at_scope(&self, parent: Option<usize>, prefix: &str, found: &mut Found) -> bool {
        let made = self.made;
        if !made.is_graph(parent) {
            for index in made.scope(parent) {
                match self.ending(index, prefix) {
                    Some(Ending::Failed) if parent.is_none() && !made.members[index].handled => {
                        return false;
                    }
                    Some(_) => {}
                    None => {
                        self.look_at(index, prefix, found);
                        return true;
                    }
                }
            }
            return false;
        }
        let failed = made.scope(parent).any(|index| {
            self.ending(index, prefix) == Some(Ending::Failed) && !made.members[index].handled
        });
        let mut open = false;
        for index in made.scope(parent) {
            let needs = &made.members[index].needs;
            let ready = needs
                .iter()
                .all(|need| self.ending(*need, prefix).is_some());
            if self.ending(index, prefix).is_some() || !ready {
                continue;
            }
            let phase = self.phase(index, prefix);
            let begun = !matches!(phase, None | Some(Phase::Pending(false)));
            if failed && made.stops && !begun {
                continue;
            }
            open = true;
            let idle = matches!(phase, None | Some(Phase::Pending(_)));
            match self.kept_from_running_by(index, prefix) {
                Some(needs) if idle => {
                    let path = format!("{prefix}{}", made.members[index].id);
                    found.actions.push((path, format!("skip: {needs}")));
                }
                _ => self.look_at(index, prefix, found),
            }
        }
        open
    }

    /// Which of the needs do, by the words of the join.
    fn kept_from_running_by(&self, index: usize, prefix: &str) -> Option<String> {
        let member = &self.made.members[index];
        let of = |wanted: fn(Ending, bool) -> bool| -> Vec<&str> {
            let needs = member.needs.iter().filter(|need| {
                let ending = self.ending(**need, prefix).unwrap();
                wanted(ending, self.made.members[**need].handled)
            });
            needs
                .map(|need| self.made.members[*need].id.as_str())
                .collect()
        };
        let succeeded = of(|ending, handled| match ending {
            Ending::Completed(_) => true,
            Ending::Failed => handled,
            Ending::Skipped => false,
        });
        let failed = of(|ending, handled| ending == Ending::Failed && !handled);
        let skipped = of(|ending, _| ending == Ending::Skipped);
        let others: Vec<&str> = member
            .needs
            .iter()
            .map(|need| self.made.members[*need].id.as_str())
            .filter(|id| !succeeded.contains(id))
            .collect();
        let runs = member.needs.is_empty()
            || match member.join {
                Join::AllSuccess => others.is_empty(),
                Join::OneSuccess => !succeeded.is_empty(),
                Join::NoneFailedMinOneSuccess => failed.is_empty() && !succeeded.is_empty(),
                Join::AllDone => true,
            };
        let named = match member.join {
            Join::NoneFailedMinOneSuccess if !failed.is_empty() => failed,
            Join::NoneFailedMinOneSuccess => skipped,
            Join::AllSuccess | Join::OneSuccess | Join::AllDone => others,
        };
        (!runs).then(|| named.join(" "))
    }

    fn look_at(&self, index: usize, prefix: &str, found: &mut Found) {
        let member = &self.made.members[index];
        let path = format!("{prefix}{}", member.id);
        let now = found.now;
        let mut act = |what: &str| found.actions.push((path.clone(), what.to_owned()));
        match self.phase(index, prefix) {
            None | Some(Phase::Pending(_)) => {
                let meets = member.condition.as_ref();
                if meets.is_some_and(|condition| !self.holds(condition, prefix)) {
                    return act("skip: if");
                }
                match &member.kind {
                    Kind::Call { .. } if found.free == 0 => {}
                    Kind::Call { .. } => {
                        act("start");
                        found.free -= 1;
                    }
                    Kind::Loop { .. } => act("iteration 1"),
                    Kind::Nap { .. } | Kind::Signal { .. } | Kind::Gate { .. } => act("wait"),
                }
            }
            Some(Phase::InFlight) => found.in_flight.push(path),
            Some(Phase::Retry(at)) if at > now => found.wakes.push(at),
            Some(Phase::Retry(_)) if found.free > 0 => {
                act("start");
                found.free -= 1;
            }
            Some(Phase::Retry(_) | Phase::Ended(_)) => {}
            Some(Phase::Paused(due)) => {
                match due {
                    Some(due) if due <= now => found.passed.push(path.clone()),
                    due => found.dues.extend(due),
                }
                found.stands.push(path);
            }
            Some(Phase::Waiting(Some(until))) if until <= now => act("time is over"),
            Some(Phase::Waiting(until)) => match (&member.kind, until) {
                (Kind::Nap { .. }, Some(until)) if until.since(now) <= WAIT_IN_PLACE => {
                    found.wakes.push(until);
                }
                _ => {
                    found.dues.extend(until);
                    found.stands.push(path);
                }
            },
            Some(Phase::Looping(iteration, met)) => {
                self.look_at_loop(index, &path, iteration, met, found);
            }
        }
    }

    fn look_at_loop(
        &self,
        index: usize,
        path: &str,
        iteration: u32,
        met: Option<bool>,
        found: &mut Found,
    ) {
        let Kind::Loop {
            until, max, fails, ..
        } = &self.made.members[index].kind
        else {
            panic!("{path} is no loop");
        };
        let what = match met {
            None if self.look_at_scope(Some(index), &format!("{path}#{iteration}/"), found) => {
                return;
            }
            None => {
                let met = match until {
                    Until::Iteration(last) => iteration >= *last,
                    Until::Even(call) => self.number(*call) % 2 == 0,
                };
                format!("iteration {iteration} ended: {met}")
            }
            Some(true) => format!("looped {iteration}: true"),
            Some(false) if iteration < *max => format!("iteration {}", iteration + 1),
            Some(false) if *fails => "exhausted".to_owned(),
            Some(false) => format!("looped {iteration}: false"),
        };
        found.actions.push((path.to_owned(), what));
    }

    fn holds(&self, condition: &Condition, prefix: &str) -> bool {
        match condition {
            Condition::Never => false,
            Condition::Even(call) => self.number(*call) % 2 == 0,
            Condition::Completed(member) => {
                matches!(self.ended[*member], Some(Ending::Completed(_)))
            }
            Condition::FirstIteration => prefix.ends_with("#1/"),
        }
    }

    /// The number in the last output of a call.
    fn number(&self, call: usize) -> i64 {
        match self.ended[call] {
            Some(Ending::Completed(number)) => number,
            Some(Ending::Failed | Ending::Skipped) | None => 0,
        }
    }
}
