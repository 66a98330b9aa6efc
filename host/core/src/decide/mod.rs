//! What a run does next. A pure function of definition, state and time; the engine performs what it says, replay checks
//! that the record agrees with it.
//!
//! A decision names what to do: nobody looks into an event to find that out. It collects all that can be done now; when nothing
//! can, and nothing is in flight or due soon, the run stops for the reasons that were found on the way.

mod automatic;
mod children;
mod compensation;
mod deadlines;
mod ending;
mod fan_out;
mod finally;
mod fitting;
mod graph;
mod looping;
mod settling;
mod stopping;
mod waiting;

pub use children::{ChildStanding, ChildStarted, child_gone, child_run, child_standing};
pub(crate) use deadlines::due_by;
pub(crate) use ending::last;
pub(crate) use fitting::fits;
pub use settling::{settle, settle_recorded};
pub use stopping::too_large;
pub use waiting::overdue;
pub(crate) use waiting::{asked, ends_at};

use sha2::{Digest as _, Sha256};

use crate::definition::{ComponentStep, Definition, Flow, OnFailure, Step, StepKind};
use crate::event::{AttemptStarted, Event, RunEvent, Skip, StepEvent, WaitEvent};
use crate::expr::{Budget, EvalError};
use crate::frontier::{Frontier, Graph, Progress};
use crate::ids::{Path, RunId};
use crate::limits;
use crate::open::{Due, Timer};
use crate::outcome::{ErrorClass, StepError};
use crate::payload::Payload;
use crate::scope::StateScope;
use crate::state::{Ending, Phase, RunState, StepPhase, StepRecord};
use crate::stop::Stop;
use crate::time::Timestamp;
use crate::wait::Wait;
use crate::within::Within;

/// What a run does next.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Decision {
    /// Do all of these, in this order, and ask again. There is at least one; they are about different executions, so that none
    /// of them says anything about whether the others still hold.
    Act(Vec<Action>),
    /// Nothing to record until an attempt in flight ends, or until `wake_at`.
    Wait {
        /// The earliest due retry, end of a wait, or deadline.
        wake_at: Option<Timestamp>,
        /// Executions whose attempt is in flight and has to end: they may clean up, and are interrupted when they take too long
        /// over it.
        cancel: Vec<Path>,
    },
    /// Nothing moves any more: record that the run pauses. Where it waits for a signal that is there already, take that
    /// instead.
    Pause(Stop),
    /// Record this of the run as a whole, and ask again.
    Note(RunEvent),
    /// Record the end of the run.
    End(RunEvent),
    /// It is not running: there is nothing to decide.
    Still,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Record that an attempt starts, then call its component.
    Start {
        /// The execution.
        path: Path,
        /// The attempt.
        attempt: AttemptStarted,
    },
    /// Record that a wait begins.
    Await {
        /// The execution.
        path: Path,
        /// What ends it.
        wait: Wait,
    },
    /// Record that a child run starts, and start it, or let the one that is there go on.
    StartChild {
        /// The execution.
        path: Path,
        /// The run.
        child: ChildStarted,
    },
    /// The time of a wait is over: record what that makes of it. Where a signal is there that came in time, take that instead.
    EndWait {
        /// The execution.
        path: Path,
        /// What it becomes.
        event: StepEvent,
    },
    /// Record this, and nothing else.
    Record {
        /// The execution.
        path: Path,
        /// What happens to it.
        event: StepEvent,
    },
}

impl Action {
    fn record(path: &Path, event: StepEvent) -> Self {
        Self::Record {
            path: path.clone(),
            event,
        }
    }

    /// Whether something new begins with it, as a person who pauses the run does not want.
    #[must_use]
    pub const fn begins(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Await { .. } | Self::StartChild { .. } => true,
            Self::EndWait { .. } | Self::Record { .. } => false,
        }
    }

    /// Whether an execution fails by it, or may.
    const fn may_fail(&self) -> bool {
        match self {
            Self::EndWait { .. } => true,
            Self::Record { event, .. } => matches!(event, StepEvent::Failed { .. }),
            Self::Start { .. } | Self::Await { .. } | Self::StartChild { .. } => false,
        }
    }

    /// The execution that it is about.
    #[must_use]
    pub const fn path(&self) -> &Path {
        match self {
            Self::Start { path, .. }
            | Self::Await { path, .. }
            | Self::StartChild { path, .. }
            | Self::EndWait { path, .. }
            | Self::Record { path, .. } => path,
        }
    }

    /// What is recorded of it.
    #[must_use]
    pub fn into_event(self) -> Event {
        match self {
            Self::Start { path, attempt } => StepEvent::Started(attempt).at(path),
            Self::Await { path, wait } => WaitEvent::Started { wait }.at(path),
            Self::StartChild { path, child } => {
                let wait = child.wait();
                WaitEvent::Started { wait }.at(path)
            }
            Self::EndWait { path, event } | Self::Record { path, event } => event.at(path),
        }
    }
}

impl Decision {
    /// What it records, in order; nothing while the run waits or does not run.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        match self {
            Self::Act(actions) => actions.into_iter().map(Action::into_event).collect(),
            Self::Pause(stop) => vec![RunEvent::Paused { stop }.into()],
            Self::Note(event) | Self::End(event) => vec![event.into()],
            Self::Wait { .. } | Self::Still => Vec::new(),
        }
    }
}

/// Decides the next moves of a run.
///
/// # Panics
/// Never on states that [`RunState::apply`] produced under the same definition.
pub fn decide(definition: &Definition, state: &RunState, now: Timestamp) -> Decision {
    decide_from(&mut Frontier::default(), definition, state, now)
}

/// [`decide`] for whoever asks again and again: what the frontier has passed is not looked at again, so a decision does not
/// take longer the more steps have ended. A frontier is of one run.
///
/// # Panics
/// Never on states that [`RunState::apply`] produced under the same definition.
pub fn decide_from(
    frontier: &mut Frontier,
    definition: &Definition,
    state: &RunState,
    now: Timestamp,
) -> Decision {
    match decide_all(frontier, definition, state, now) {
        (Decision::Act(mut actions), Alone::First) => {
            actions.truncate(1);
            Decision::Act(actions)
        }
        (Decision::Act(actions), Alone::None)
            if definition.on_failure == OnFailure::Stop && actions.iter().any(Action::may_fail) =>
        {
            Decision::Act(before_a_failure(state, &actions))
        }
        (decision, _) => decision,
    }
}

/// Whether one of several actions keeps the others from being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    None,
    /// The first one does.
    First,
}

/// What holds still when some of these fail, where a failure keeps from beginning what has not begun.
fn before_a_failure(state: &RunState, actions: &[Action]) -> Vec<Action> {
    let has_begun = |action: &&Action| {
        let record = state.executions().at(action.path());
        record.is_some_and(|record| !record.is_fresh())
    };
    let held: Vec<Action> = actions.iter().filter(has_begun).cloned().collect();
    match held.is_empty() {
        true => actions.iter().take(1).cloned().collect(),
        false => held,
    }
}

/// [`decide_from`] with all that can be done, also where one thing may keep another from being done: whatever was recorded of it in
/// some order is among it.
pub(crate) fn decide_all(
    frontier: &mut Frontier,
    definition: &Definition,
    state: &RunState,
    now: Timestamp,
) -> (Decision, Alone) {
    if *state.phase() != Phase::Running {
        return (Decision::Still, Alone::None);
    }
    let decider = Decider {
        definition,
        state,
        now,
    };
    frontier.follow(definition, state);
    if let Some(ending) = state.ending() {
        let decision = decider.end(ending, decider.walk(frontier));
        return (decision, Alone::None);
    }
    let mut walk = decider.look(frontier);
    if !decider.moves(&walk) && !walk.whole {
        // It stops, for the reasons of all that stands still.
        frontier.wake_all();
        walk = decider.look(frontier);
    }
    if let Some(ends) = walk.ends.take().filter(|_| walk.end.is_none()) {
        // What was decided together with what made it ready was recorded before it.
        let actions = std::iter::once(ends).chain(walk.ready).collect();
        return (Decision::Act(actions), Alone::First);
    }
    (decider.without_end(walk), Alone::None)
}

/// The events that stop a running run from outside: every attempt in flight is interrupted, then the run stops.
#[must_use]
pub fn interrupt(state: &RunState, last: Event) -> Vec<Event> {
    interrupted(state.in_flight(), last)
}

/// The same for one item of a fan-out, and what stands inside of it.
#[must_use]
pub(crate) fn interrupt_inside(state: &RunState, item: &Path, last: Event) -> Vec<Event> {
    let inside = |record: &&StepRecord| record.path == *item || item.holds(&record.path);
    interrupted(state.in_flight().filter(inside), last)
}

fn interrupted<'a>(in_flight: impl Iterator<Item = &'a StepRecord>, last: Event) -> Vec<Event> {
    let interrupted = in_flight.map(|record| {
        let attempt = record.attempts();
        StepEvent::Interrupted { attempt }.at(record.path.clone())
    });
    interrupted.chain([last]).collect()
}

/// The seed of one attempt, derived from the run's seed.
#[must_use]
pub fn attempt_seed(run_seed: u64, run: &RunId, path: &Path, attempt: u32) -> u64 {
    let hash = Sha256::digest(format!("{run_seed}/{run}/{path}/{attempt}").as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    // 53 bits: what every reader of the journal can hold exactly.
    u64::from_be_bytes(bytes) >> 11
}

/// What a walk over the members finds.
struct Walk<'a> {
    frontier: &'a mut Frontier,
    /// How many more attempts may be in flight.
    free: usize,
    /// What can be done now, whatever else is in flight.
    ready: Vec<Action>,
    /// What takes one of the free places, or would have.
    calls: Vec<Action>,
    /// What comes by itself.
    due: Due,
    /// Whether another call would begin if there were room.
    wanting: bool,
    /// Components that asked to stop and whose time has come: they go on if anything else moves.
    passed: Vec<Path>,
    /// How often there was something to do.
    finds: usize,
    /// Attempts in flight that have to end.
    cancel: Vec<Path>,
    /// Whether all that is open is looked at.
    whole: bool,
    /// If so, why members stand still until somebody or something moves them.
    reasons: Vec<Stop>,
    /// The run is over, whatever else could be done.
    end: Option<Ending>,
    /// The first step that ends the run: nothing else begins beside it.
    ends: Option<Action>,
}

impl<'a> Walk<'a> {
    fn new(frontier: &'a mut Frontier, free: usize) -> Self {
        Self {
            whole: frontier.is_awake(),
            frontier,
            free,
            ready: Vec::new(),
            calls: Vec::new(),
            due: Due::default(),
            wanting: false,
            passed: Vec::new(),
            finds: 0,
            cancel: Vec::new(),
            reasons: Vec::new(),
            end: None,
            ends: None,
        }
    }

    fn act(&mut self, action: Action) -> Standing {
        self.finds += 1;
        self.ready.push(action);
        Standing::Open
    }

    /// The same of a step for which there is a free place.
    fn call(&mut self, action: Action) -> Standing {
        self.finds += 1;
        if let Action::Start { .. } = action {
            self.free = self.free.saturating_sub(1);
        }
        self.calls.push(action);
        Standing::Open
    }

    /// What is to be done now. Each of these holds whichever of the others are recorded: calls wait until all else is, which may
    /// bring calls that come before them, and so do those behind a call that could not be made.
    fn actions(&mut self) -> Vec<Action> {
        if !self.ready.is_empty() {
            return std::mem::take(&mut self.ready);
        }
        let mut calls = std::mem::take(&mut self.calls);
        let started = |action: &Action| matches!(action, Action::Start { .. });
        if let Some(last) = calls.iter().position(|action| !started(action)) {
            calls.truncate(last + 1);
        }
        calls
    }

    /// It moves by itself then.
    fn wake(&mut self, timer: Timer, at: Timestamp) -> Standing {
        self.due.note(timer, at);
        Standing::Open
    }

    /// Whether there is room for another call; whoever asks wants it.
    const fn has_room(&mut self) -> bool {
        let room = self.free > 0;
        self.wanting |= !room;
        room
    }

    /// Ends an attempt in flight.
    fn cancel(&mut self, path: &Path) -> Standing {
        self.finds += 1;
        self.cancel.push(path.clone());
        Standing::Open
    }

    fn stand(&mut self, reason: impl FnOnce() -> Stop) -> Standing {
        if self.whole {
            self.reasons.push(reason());
        }
        Standing::Open
    }

    fn end(&mut self, ending: Ending) -> Standing {
        self.finds += 1;
        self.end.get_or_insert(ending);
        Standing::Open
    }

    /// What one of several that stand beside each other finds. One that does nothing stands still, so what is due of it is left
    /// out: it is due of those that stand still.
    fn apart<T>(&mut self, look: impl FnOnce(&mut Self) -> T) -> (T, Apart) {
        let (due, wanting) = (std::mem::take(&mut self.due), self.wanting);
        let finds = self.finds;
        self.wanting = false;
        let found = look(self);
        let apart = Apart {
            acted: self.finds > finds,
            due: std::mem::replace(&mut self.due, due),
            wanting: std::mem::replace(&mut self.wanting, wanting),
        };
        match apart.acted {
            true => self.due.join(&apart.due),
            false => self.frontier.rest(),
        }
        (found, apart)
    }
}

/// What a walk finds at one of several members that stand beside each other.
struct Apart {
    /// Whether there is something to do.
    acted: bool,
    due: Due,
    /// Whether a call in it would begin if there were room.
    wanting: bool,
}

/// How far the members of a scope are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Something is to be done, in flight, due later, or stands still.
    Open,
    /// Every member is settled, or a failure ends the scope.
    Done,
}

/// How far one member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    Settled { failed: bool },
}

struct Decider<'a> {
    definition: &'a Definition,
    state: &'a RunState,
    now: Timestamp,
}

impl Decider<'_> {
    fn walk<'a>(&self, frontier: &'a mut Frontier) -> Walk<'a> {
        let parallel = self.definition.parallel;
        let free = parallel.saturating_sub(self.state.in_flight_count());
        Walk::new(frontier, free)
    }

    /// Looks for what can be done.
    fn look<'a>(&self, frontier: &'a mut Frontier) -> Walk<'a> {
        let mut walk = self.walk(frontier);
        let (members, flow) = (self.definition.main(), self.definition.flow);
        let _over = self.scope(members, flow, Within::Top, &mut walk);
        walk
    }

    /// What is decided where no step ends the run now.
    fn without_end(&self, mut walk: Walk<'_>) -> Decision {
        if let Some(end) = walk.end {
            return self.over(end);
        }
        let moves = self.moves(&walk);
        let actions = walk.actions();
        if !actions.is_empty() {
            return Decision::Act(actions);
        }
        // One after the other: a call comes of each, which comes before the next one.
        if moves && let Some(path) = walk.passed.first() {
            return Decision::Act(vec![Action::record(path, StepEvent::Continued)]);
        }
        if moves {
            return Decision::Wait {
                wake_at: walk.due.earliest(),
                cancel: walk.cancel,
            };
        }
        let deadline = walk.due.of(Timer::Deadline);
        match Stop::for_reasons(walk.reasons) {
            Some(stop) => Decision::Pause(stop.due_by(deadline)),
            None => self.over(self.finish()),
        }
    }

    /// Whether there is something to do, in flight, or due so soon that the run sits it out.
    fn moves(&self, walk: &Walk<'_>) -> bool {
        let soon = |at: Timestamp| at.since(self.now) <= limits::WAIT_IN_PLACE;
        walk.finds > 0
            || self.state.in_flight_count() > 0
            || walk.due.of(Timer::Retry).is_some()
            || walk.due.of(Timer::Time).is_some_and(soon)
    }

    /// Walks the members of one scope: the top level, or the body of a loop in one iteration.
    fn scope(
        &self,
        members: &[usize],
        flow: Flow,
        within: Within<'_>,
        walk: &mut Walk<'_>,
    ) -> Scope {
        let mut walked = walk.frontier.enter(within, || match flow {
            Flow::Sequence => Progress::Sequence(0),
            Flow::Graph => Progress::Graph(Graph::new(self.definition, members)),
        });
        let scope = match &mut walked.progress {
            Progress::Sequence(behind) => self.sequence(members, within, behind, walk),
            Progress::Graph(graph) => self.graph(members, within, graph, walk),
        };
        if scope == Scope::Open || within == Within::Top {
            walk.frontier.leave(within, walked);
        }
        scope
    }

    /// The first member that has not ended holds all others up.
    fn sequence(
        &self,
        members: &[usize],
        within: Within<'_>,
        behind: &mut usize,
        walk: &mut Walk<'_>,
    ) -> Scope {
        for index in members.iter().skip(*behind) {
            let step = &self.definition.steps()[*index];
            match self.standing(step, self.record(step, within), within, walk) {
                // In a loop `until` alone decides; elsewhere a failure ends the run or the item, unless told otherwise.
                Standing::Settled { failed: true }
                    if !matches!(within, Within::Iteration(..)) && !step.continue_on_error =>
                {
                    return Scope::Done;
                }
                Standing::Settled { .. } => *behind += 1,
                Standing::Open => return Scope::Open,
            }
        }
        Scope::Done
    }

    /// How far a member is; one that is not settled moves on as far as it can.
    fn standing(
        &self,
        step: &Step,
        record: Option<&StepRecord>,
        within: Within<'_>,
        walk: &mut Walk<'_>,
    ) -> Standing {
        // Looking at a settled member must not cost an allocation.
        match record {
            None => self.begin(step, &within.member(&step.id), None, walk),
            Some(record) => match record.settled() {
                Some(settled) => Standing::Settled {
                    failed: settled.has_failed(),
                },
                None => self.member(step, record, walk),
            },
        }
    }

    /// What is recorded of a member in this very scope.
    fn record(&self, step: &Step, within: Within<'_>) -> Option<&StepRecord> {
        self.state.executions().member(&step.id, within)
    }

    /// A member that has begun and not ended.
    fn member(&self, step: &Step, record: &StepRecord, walk: &mut Walk<'_>) -> Standing {
        let path = &record.path;
        if let Some(deadline) = record.deadline {
            if let Some(error) = self.out_of_time(step, record) {
                return self.end_at_deadline(path, record, error, walk);
            }
            walk.due.note(Timer::Deadline, deadline);
        } else if matches!(
            record.phase,
            StepPhase::Looping { .. } | StepPhase::FannedOut
        ) && let Some(deadline) = self.set_deadline(step, path, Some(record))
        {
            // A person reopened it.
            return walk.act(deadline);
        }
        match (&record.phase, &step.kind) {
            (StepPhase::Settled(settled), _) => Standing::Settled {
                failed: settled.has_failed(),
            },
            (StepPhase::InFlight { .. }, _) => Standing::Open,
            (StepPhase::Waiting { retry_at, .. }, _) if *retry_at > self.now => {
                walk.wake(Timer::Retry, *retry_at)
            }
            // The condition was met before the first attempt.
            (StepPhase::Waiting { .. }, StepKind::Component(component)) => match walk.has_room() {
                false => Standing::Open,
                true => walk.call(self.start(component, path, Some(record))),
            },
            (
                StepPhase::Paused {
                    pause,
                    retries_exhausted,
                    due_at,
                },
                _,
            ) => self.paused(path, pause, *retries_exhausted, *due_at, walk),
            (
                StepPhase::Looping {
                    iteration,
                    condition_met,
                },
                StepKind::Loop(body),
            ) => self.in_loop(body, path, *iteration, *condition_met, walk),
            (StepPhase::Awaiting { wait }, _) => self.awaiting(step, path, wait, walk),
            (StepPhase::FannedOut, StepKind::ForEach(fan_out))
                if let Some(items) = record.items() =>
            {
                self.in_fan_out((step, fan_out), path, items, walk)
            }
            (
                StepPhase::Pending
                | StepPhase::Waiting { .. }
                | StepPhase::Looping { .. }
                | StepPhase::FannedOut
                | StepPhase::InItem,
                _,
            ) => self.begin(step, path, Some(record), walk),
        }
    }

    /// A step whose turn has come: its condition decides, then it starts.
    fn begin(
        &self,
        step: &Step,
        path: &Path,
        record: Option<&StepRecord>,
        walk: &mut Walk<'_>,
    ) -> Standing {
        if let Some(condition) = &step.condition {
            let scope = StateScope::of_step(self.definition, self.state, path);
            let unmet = match condition.eval_bool(&scope, &mut Budget::default()) {
                Ok(true) => None,
                Ok(false) => Some(StepEvent::Skipped(Skip::Condition(
                    condition.text().to_owned(),
                ))),
                Err(error) => Some(expression_failed("if", &error)),
            };
            if let Some(event) = unmet {
                return walk.act(Action::record(path, event));
            }
        }
        let action = match (&step.kind, self.set_deadline(step, path, record)) {
            (StepKind::Component(_), _) if !walk.has_room() => return Standing::Open,
            (_, Some(deadline)) => deadline,
            (StepKind::Component(component), None) => self.start(component, path, record),
            (StepKind::Loop(body), None) => {
                Action::record(path, self.next_iteration(body, path, 0))
            }
            (StepKind::Wait(wait), None) => self.begin_wait(wait, path),
            (StepKind::Approval(approval), None) => self.begin_approval(approval, path),
            (StepKind::ForEach(fan_out), None) => self.begin_fan_out(fan_out, path),
            (StepKind::Child(child), None) => self.begin_child(child, path),
            (StepKind::End(end), None) => Action::record(path, self.ends(end, path)),
        };
        match &step.kind {
            StepKind::Component(_) => walk.call(action),
            StepKind::End(_) => {
                walk.finds += 1;
                walk.ends.get_or_insert(action);
                Standing::Open
            }
            _ => walk.act(action),
        }
    }

    fn start(&self, component: &ComponentStep, path: &Path, record: Option<&StepRecord>) -> Action {
        if let Some(error) = self.cannot_be_undone(component, path) {
            return Action::record(path, StepEvent::failed(error));
        }
        let scope = StateScope::of_step(self.definition, self.state, path);
        match component.with.resolve(&scope, &mut Budget::default()) {
            // The call is about to read it.
            Ok(input) => self.attempt(component, path, record, Payload::kept(input)),
            Err(error) => Action::record(path, expression_failed("with", &error)),
        }
    }

    /// The next attempt at a path, with this input.
    fn attempt(
        &self,
        component: &ComponentStep,
        path: &Path,
        record: Option<&StepRecord>,
        input: Payload,
    ) -> Action {
        let attempt = record.map_or(0, StepRecord::attempts) + 1;
        let timeout = self.attempt_timeout(component, record);
        let created = self.state.created();
        Action::Start {
            path: path.clone(),
            attempt: AttemptStarted {
                attempt,
                input,
                seed: attempt_seed(created.seed, &created.run, path, attempt),
                timeout_millis: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            },
        }
    }
}

/// An expression of the step could not be evaluated, so it fails without an attempt.
fn expression_failed(place: &str, error: &EvalError) -> StepEvent {
    StepEvent::failed(StepError::new(
        ErrorClass::Definition,
        error.code(),
        format!("in `{place}`: {error}"),
    ))
}
