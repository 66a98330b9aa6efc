//! A run as its record tells it, for whoever shows it to people and programs.

use std::collections::BTreeMap;
use std::sync::Arc;

use milepost_core::definition::{Definition, Step, TimeoutSource};
use milepost_core::event::{Fork, Parent};
use milepost_core::ids::{Digest, RunId, StepId};
use milepost_core::labels::Labels;
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, StepError};
use milepost_core::payload::Payload;
use milepost_core::recovery::{Liveness, lease_holds};
use milepost_core::state::{
    Phase, RunState, Status, StepPhase, StepRecord, StepResult, loop_output,
};
use milepost_core::stop::{Stop, StopCode};
use milepost_core::tape::{LogDropped, TapeNote};
use milepost_core::time::Timestamp;
use milepost_core::wait::Wait;
use serde_json::Value;

use crate::store::RunRow;

/// A run, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// The run.
    pub id: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// Status.
    pub status: Status,
    /// What the workflow returned; absent unless completed.
    pub output: Value,
    /// Why the run does not move; absent unless paused, failed or cancelled.
    pub stop: Option<Stop>,
    /// Every step of the definition, in file order; a loop before its members.
    pub steps: Vec<StepReport>,
    /// Counts over the top-level steps (B88).
    pub summary: Summary,
    /// What is or was undone of it, once that has begun.
    pub compensations: Option<CompensationsReport>,
    /// The inputs it was started with.
    pub inputs: RecordedValue,
    /// File of the definition.
    pub file: String,
    /// Digest of the definition's text.
    pub definition: Digest,
    /// Digests of the components.
    pub plugins: BTreeMap<String, Digest>,
    /// Whose child run it is, if it is one.
    pub parent: Option<Parent>,
    /// Where it began, if it is the fork of another run.
    pub fork: Option<Fork>,
    /// What whoever started it called it by.
    pub labels: Labels,
    /// How many runs it has started, by their status. Only [`Engine::report`](crate::Engine::report) tells.
    pub children: BTreeMap<Status, usize>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was claimed first.
    pub started_at: Option<Timestamp>,
    /// When something was recorded last. (Renewing a claim records nothing.)
    pub updated_at: Timestamp,
    /// When it stopped for good, or failed.
    pub ended_at: Option<Timestamp>,
    /// When it paused.
    pub paused_at: Option<Timestamp>,
    /// Milliseconds from the first claim to the end, the pause, or the last event (B235).
    pub duration_millis: u64,
    /// Events recorded.
    pub events: u64,
    /// How often it was claimed.
    pub epoch: u64,
    /// Recoveries without progress in between.
    pub recoveries: u32,
    /// Automatic resumes of the present or last pause episode.
    pub automatic_resumes: u32,
    /// Why it ended or stopped, in one word: `completed`, or the code of its stop; absent while it runs.
    pub stop_reason: Option<&'static str>,
    /// What happens next; absent when it is over.
    pub next: Option<Next>,
    /// Who owns it and whether that process is alive, while it runs.
    pub owner: Option<OwnerReport>,
    /// Why its definition cannot be read, if so: then only the steps with a record are listed, in the order of their ids, and
    /// there is no summary.
    pub definition_problem: Option<String>,
    /// Whether this driver put it off because the store did not take a commit in time.
    pub(crate) unsaved: bool,
}

/// A value of the record: text until somebody reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedValue(Payload);

impl RecordedValue {
    /// The value.
    #[must_use]
    pub fn value(&self) -> Arc<Value> {
        self.0.value()
    }
}

impl PartialEq<Value> for RecordedValue {
    fn eq(&self, other: &Value) -> bool {
        *self.value() == *other
    }
}

/// Who runs a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerReport {
    /// Process id.
    pub pid: u32,
    /// Host name.
    pub host: String,
    /// Whether that process lives.
    pub state: OwnerState,
    /// Until when the claim holds without renewal.
    pub lease_until: Option<Timestamp>,
}

/// Whether the owner of a run lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerState {
    /// It does.
    Alive,
    /// It does, but does not renew its claim.
    Detached,
    /// It does not.
    Gone,
    /// Cannot be determined from here.
    Unknown,
}

/// Why a run stands, where it does and this program knows the reason.
#[must_use]
pub fn stop_of(row: &RunRow) -> Option<StopCode> {
    let code = row.stop_code.as_deref()?;
    StopCode::ALL.into_iter().find(|stop| stop.as_str() == code)
}

impl OwnerReport {
    /// Reports the owner of a row, as of `now`: of one that cannot be seen from here, only its lease says that it is there.
    #[must_use]
    pub fn new(row: &RunRow, liveness: Option<Liveness>, now: Timestamp) -> Option<Self> {
        let holds = row.lease_until.is_some_and(|until| lease_holds(until, now));
        let owner = row.owner.as_ref()?;
        Some(Self {
            pid: owner.pid,
            host: owner.host.clone(),
            state: match (liveness, row.detached_at) {
                (Some(Liveness::Alive), Some(_)) => OwnerState::Detached,
                (Some(Liveness::Alive), None) => OwnerState::Alive,
                (Some(Liveness::Gone), _) => OwnerState::Gone,
                (Some(Liveness::Unknown) | None, _) if !holds => OwnerState::Gone,
                (Some(Liveness::Unknown) | None, _) => OwnerState::Unknown,
            },
            lease_until: row.lease_until,
        })
    }
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Where its latest execution stands; the step's id when there was none.
    pub path: String,
    /// `pending`, `running`, `waiting`, `paused`, `completed`, `failed` or `skipped`; `cancelled` when its run ended before it.
    pub status: &'static str,
    /// Attempts of its latest execution.
    pub attempts: u32,
    /// Iterations of a loop.
    pub iterations: Option<u32>,
    /// The output; absent unless completed. A failed loop has one too: how far it got.
    pub output: RecordedValue,
    /// Why it failed, or why its last attempt did; absent otherwise.
    pub error: Option<StepError>,
    /// What did not fit into the log of its last attempt that ended.
    pub log_dropped: Option<LogDropped>,
    /// The tape of that attempt, where it called anything whose answer is kept.
    pub tape: Option<TapeNote>,
    /// When the next attempt is due, while it waits for one.
    pub retry_at: Option<Timestamp>,
    /// When its latest execution began.
    pub started_at: Option<Timestamp>,
    /// When its latest execution ended.
    pub ended_at: Option<Timestamp>,
    /// Why its latest execution or attempt ended: `completed`, `failed`, `timeout`, `skipped`, `paused`,
    /// `retries_exhausted`, `cancelled`; absent while it has not.
    pub stop_reason: Option<&'static str>,
    /// The time that an attempt may take, and where it was set; absent for steps that call no component.
    pub timeout: Option<TimeoutReport>,
    /// What it waits for, while it does.
    pub waits_for: Option<Wait>,
    /// Of a fan-out that has begun, how its items stand; of a step inside of one, its executions in them.
    pub items: Option<ItemsReport>,
    /// Its child run.
    pub child: Option<ChildReport>,
}

/// What is undone of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct CompensationsReport {
    /// Completed executions that can be undone.
    pub total: usize,
    /// Those that are.
    pub completed: usize,
    /// The compensations that were tried, in that order; of many, the last ones.
    pub tried: Vec<StepReport>,
}

impl CompensationsReport {
    fn of(state: &RunState) -> Option<Self> {
        let all = state.executions().compensations();
        if !all.have_begun() && !state.compensates() {
            return None;
        }
        let when = |record: &&StepRecord| record.compensable().map(|undone| undone.completed);
        let tried = all.iter().filter(|record| record.attempts() > 0);
        let mut tried: Vec<&StepRecord> = tried.collect();
        tried.sort_by_key(when);
        tried.truncate(LISTED);
        let tried = tried.iter().rev();
        Some(Self {
            total: all.len(),
            completed: all.completed(),
            tried: tried
                .map(|record| StepReport::new(record.path().step(), Some(record)))
                .collect(),
        })
    }
}

/// The child run of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildReport {
    /// The run.
    pub run: RunId,
    /// Its status, where [`Engine::report`](crate::Engine::report) has looked and it is there.
    pub status: Option<Status>,
    /// Why it does not move, then.
    pub stop: Option<Stop>,
}

/// How the items of a fan-out stand, or the executions of a step inside of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ItemsReport {
    /// All of them; inside a fan-out, those that were touched.
    pub total: u32,
    /// Completed.
    pub completed: u32,
    /// Failed, those that were cancelled not included.
    pub failed: u32,
    /// Cancelled by a person, or ended with the run.
    pub cancelled: u32,
    /// Skipped.
    pub skipped: u32,
    /// At work.
    pub running: u32,
    /// Waiting for time, a signal, a person or another attempt.
    pub waiting: u32,
    /// Paused.
    pub paused: u32,
    /// The first ones that failed.
    pub failures: Vec<StepReport>,
    /// The first ones that wait or are paused.
    pub open: Vec<StepReport>,
}

/// Items that a report lists of a kind; the others are counted.
const LISTED: usize = 20;

impl ItemsReport {
    /// Of these executions of a step.
    fn of<'a>(id: &StepId, total: u32, records: impl Iterator<Item = &'a StepRecord>) -> Self {
        let mut items = Self {
            total,
            ..Self::default()
        };
        for record in records {
            let (count, listed) = match record.phase() {
                StepPhase::Settled(settled) => match &settled.result {
                    StepResult::Completed { .. } => (&mut items.completed, None),
                    StepResult::Skipped => (&mut items.skipped, None),
                    StepResult::Failed { error } if error.class == ErrorClass::Cancelled => {
                        (&mut items.cancelled, None)
                    }
                    StepResult::Failed { .. } => (&mut items.failed, Some(&mut items.failures)),
                },
                StepPhase::InFlight { .. }
                | StepPhase::Looping { .. }
                | StepPhase::FannedOut
                | StepPhase::InItem => (&mut items.running, None),
                StepPhase::Waiting { .. } | StepPhase::Awaiting { .. } => {
                    (&mut items.waiting, Some(&mut items.open))
                }
                StepPhase::Paused { .. } => (&mut items.paused, Some(&mut items.open)),
                StepPhase::Pending => continue,
            };
            *count += 1;
            if let Some(listed) = listed
                && listed.len() < LISTED
            {
                listed.push(StepReport::new(id, Some(record)));
            }
        }
        items
    }

    /// How many have ended.
    #[must_use]
    pub const fn settled(&self) -> u32 {
        self.completed + self.failed + self.cancelled + self.skipped
    }

    /// How many have not begun, or begin again.
    #[must_use]
    pub const fn pending(&self) -> u32 {
        let begun = self.settled() + self.running + self.waiting + self.paused;
        self.total.saturating_sub(begun)
    }

    /// The status of all of them together.
    const fn status(&self) -> &'static str {
        let open = self.running + self.pending();
        match (
            open,
            self.waiting + self.paused,
            self.failed + self.cancelled,
        ) {
            (1.., ..) => "running",
            (0, 1.., _) => "waiting",
            (0, 0, 1..) => "failed",
            (0, 0, 0) => "completed",
        }
    }
}

/// The timeout in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeoutReport {
    /// How long, in milliseconds.
    pub millis: u64,
    /// `step`, `defaults` or `engine`.
    pub source: &'static str,
    /// Whether the latest attempt met it.
    pub fired: bool,
}

/// Counts over the top-level steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// All of them.
    pub total: usize,
    /// Completed.
    pub completed: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
    /// Settled, of all, in percent, rounded down (B89).
    pub percent: usize,
}

impl RunReport {
    /// Reports a state under its definition.
    #[must_use]
    pub fn new(definition: &Definition, state: &RunState) -> Self {
        let steps = definition.steps().iter();
        Self {
            steps: steps
                .enumerate()
                .map(|(index, step)| {
                    let record = state.executions().of(&step.id);
                    let report = StepReport {
                        timeout: timeout(step, record),
                        ..StepReport::new(&step.id, record)
                    };
                    let report = report.with_items(definition, state, index);
                    report.ended_with_its_run(state.phase().status())
                })
                .collect(),
            summary: Summary::new(definition, state),
            ..Self::of_state(state)
        }
    }

    /// Reports a state whose definition cannot be read, as far as the record tells.
    #[must_use]
    pub fn without_definition(state: &RunState, problem: &str) -> Self {
        let steps = state.executions().iter();
        Self {
            steps: steps
                .filter(|record| !record.path().is_compensation())
                .map(|record| StepReport::new(record.path().step(), Some(record)))
                .collect(),
            definition_problem: Some(problem.to_owned()),
            ..Self::of_state(state)
        }
    }

    fn of_state(state: &RunState) -> Self {
        let (ended_at, paused_at) = match &state.phase() {
            Phase::Completed { at, .. }
            | Phase::Failed { at, .. }
            | Phase::Cancelled { at, .. } => (Some(*at), None),
            Phase::Paused { at, .. } => (None, Some(*at)),
            Phase::Pending | Phase::Running => (None, None),
        };
        let until = ended_at.or(paused_at).unwrap_or(state.updated_at());
        let duration = state.started_at().map(|start| until.since(start));
        Self {
            id: state.created().run.clone(),
            workflow: state.created().workflow.clone(),
            status: state.phase().status(),
            output: match &state.phase() {
                Phase::Completed { output, .. } => Arc::unwrap_or_clone(output.value()),
                Phase::Pending
                | Phase::Running
                | Phase::Paused { .. }
                | Phase::Failed { .. }
                | Phase::Cancelled { .. } => Value::Null,
            },
            stop: state.phase().stop(),
            steps: Vec::new(),
            summary: Summary::default(),
            compensations: CompensationsReport::of(state),
            inputs: RecordedValue(state.inputs().clone()),
            file: state.created().file.clone(),
            definition: state.binding().definition,
            plugins: state.binding().plugins.clone(),
            parent: state.created().parent.clone(),
            fork: state.created().fork.clone(),
            labels: state.created().labels.clone(),
            children: BTreeMap::new(),
            created_at: state.created_at(),
            started_at: state.started_at(),
            updated_at: state.updated_at(),
            ended_at,
            paused_at,
            duration_millis: duration
                .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            events: state.seq(),
            epoch: state.epoch().0,
            recoveries: state.recoveries(),
            automatic_resumes: state.episode().in_a_row(),
            stop_reason: match &state.phase() {
                Phase::Completed { .. } => Some("completed"),
                phase => phase.stop_code().map(StopCode::as_str),
            },
            next: next(state),
            owner: None,
            definition_problem: None,
            unsaved: false,
        }
    }
}

impl RunReport {
    /// Whether a checkpoint could not be saved: in the store the run is unfinished, and continues from the previous one.
    #[must_use]
    pub fn is_unsaved(&self) -> bool {
        let code = self.stop.as_ref().map(Stop::code);
        self.unsaved || code == Some(StopCode::CheckpointNotSaved)
    }

    /// Whether the host could not drive the run on and has put it off, or given it up.
    pub(crate) fn is_put_off(&self) -> bool {
        let code = self.stop.as_ref().map(Stop::code);
        matches!(
            code,
            Some(StopCode::HostError | StopCode::CheckpointNotSaved)
        )
    }

    /// Adds who owns the run. When that process is gone, the run does not move by itself any more.
    pub(crate) fn owned(&mut self, owner: Option<OwnerReport>) {
        if owner
            .as_ref()
            .is_some_and(|owner| owner.state == OwnerState::Gone)
        {
            self.next = Some(match self.recoveries < limits::RECOVERIES {
                true => Next::TakeOver,
                false => Next::GiveUp,
            });
        }
        self.owner = owner;
    }
}

/// What happens next with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A worker or a person takes it.
    Claim,
    /// It moves by itself.
    Moves,
    /// Its process is gone; a worker or a person takes it over.
    TakeOver,
    /// Its process is gone once more than a worker accepts, which fails it; a person can try it once more.
    GiveUp,
    /// What its stop says.
    Stop,
}

fn next(state: &RunState) -> Option<Next> {
    match state.phase() {
        Phase::Pending => Some(Next::Claim),
        Phase::Running => Some(Next::Moves),
        Phase::Paused { .. } | Phase::Failed { .. } => Some(Next::Stop),
        Phase::Completed { .. } | Phase::Cancelled { .. } => None,
    }
}

/// The timeout of a component step.
fn timeout(step: &Step, record: Option<&StepRecord>) -> Option<TimeoutReport> {
    let component = step.call()?;
    let error = record.and_then(|record| match &record.phase() {
        StepPhase::Waiting { error, .. } => Some(error),
        StepPhase::Settled(settled) => match &settled.result {
            StepResult::Failed { error } => Some(error),
            StepResult::Completed { .. } | StepResult::Skipped => None,
        },
        _ => None,
    });
    Some(TimeoutReport {
        millis: u64::try_from(component.timeout.as_millis()).unwrap_or(u64::MAX),
        source: match component.timeout_source {
            TimeoutSource::Step => "step",
            TimeoutSource::Defaults => "defaults",
            TimeoutSource::Engine => "engine",
        },
        fired: error.is_some_and(|error| error.class == ErrorClass::Timeout),
    })
}

fn why_failed(error: &StepError) -> &'static str {
    match error.class {
        ErrorClass::Timeout => "timeout",
        _ => "failed",
    }
}

impl StepReport {
    fn new(id: &StepId, record: Option<&StepRecord>) -> Self {
        let mut report = Self {
            path: id.to_string(),
            status: "pending",
            attempts: 0,
            iterations: None,
            output: RecordedValue(Payload::new(Value::Null)),
            error: None,
            log_dropped: None,
            tape: None,
            retry_at: None,
            started_at: None,
            ended_at: None,
            stop_reason: None,
            timeout: None,
            waits_for: None,
            items: None,
            child: None,
        };
        let Some(record) = record else {
            return report;
        };
        report.path = record.path().to_string();
        report.status = record.status();
        report.attempts = record.attempts();
        report.child = record.child().map(|child| ChildReport {
            run: child.run.clone(),
            status: None,
            stop: None,
        });
        report.started_at = Some(record.started_at());
        report.tape = record.tape().cloned();
        report.log_dropped = Some(record.log_dropped()).filter(|dropped| !dropped.is_nothing());
        match &record.phase() {
            StepPhase::Settled(settled) => {
                report.ended_at = Some(settled.at);
                report.iterations = settled.iterations;
                match &settled.result {
                    StepResult::Completed { output } => {
                        report.stop_reason = Some("completed");
                        report.output = RecordedValue(output.clone());
                    }
                    StepResult::Failed { error } => {
                        report.stop_reason = Some(why_failed(error));
                        report.error = Some(error.clone());
                        if let Some(iterations) = settled.iterations {
                            report.output = RecordedValue(loop_output(iterations, false));
                        }
                    }
                    StepResult::Skipped => report.stop_reason = Some("skipped"),
                }
            }
            StepPhase::Waiting { retry_at, error } => {
                report.retry_at = Some(*retry_at);
                report.stop_reason = Some(why_failed(error));
                report.error = Some(error.clone());
            }
            StepPhase::Looping { iteration, .. } => report.iterations = Some(*iteration),
            StepPhase::Awaiting { wait } => report.waits_for = Some(wait.clone()),
            StepPhase::Paused {
                retries_exhausted, ..
            } => {
                report.stop_reason = Some(match retries_exhausted {
                    true => "retries_exhausted",
                    false => "paused",
                });
            }
            StepPhase::Pending
            | StepPhase::InFlight { .. }
            | StepPhase::FannedOut
            | StepPhase::InItem => {}
        }
        report
    }

    /// Its child run, and those of its items that are listed.
    pub(crate) fn children_mut(&mut self) -> impl Iterator<Item = &mut ChildReport> {
        let items = self.items.iter_mut();
        let listed = items.flat_map(|items| items.failures.iter_mut().chain(&mut items.open));
        let of_items = listed.filter_map(|item| item.child.as_mut());
        self.child.iter_mut().chain(of_items)
    }

    /// The same of a run that is over: what was open ended with it. Where one that has failed stands still, a resume goes on.
    fn ended_with_its_run(mut self, run: Status) -> Self {
        let ended = match self.status {
            "running" => run.has_ended(),
            "waiting" | "paused" => run.is_terminal(),
            _ => false,
        };
        if ended {
            (self.status, self.stop_reason) = ("cancelled", Some("cancelled"));
            self.waits_for = None;
        }
        let Some(items) = &mut self.items else {
            return self;
        };
        if run.has_ended() {
            items.cancelled += std::mem::take(&mut items.running);
        }
        if run.is_terminal() {
            items.cancelled += items.waiting + items.paused;
            (items.waiting, items.paused) = (0, 0);
            items.open.clear();
        }
        self
    }

    /// The same with the items that it goes over, or with what it came to in those around it.
    fn with_items(mut self, definition: &Definition, state: &RunState, index: usize) -> Self {
        let step = &definition.steps()[index];
        let records = state.executions().of_step(&step.id);
        let inside = definition
            .around(index)
            .any(|outer| outer.for_each().is_some());
        if inside {
            let total = u32::try_from(records.len()).unwrap_or(u32::MAX);
            let items = ItemsReport::of(&step.id, total, records.iter());
            if total > 0 {
                self.status = items.status();
                self.items = Some(items);
            }
        } else if let Some(record) = state.executions().of(&step.id)
            && let Some(items) = record.items()
        {
            let own = |item: &&StepRecord| {
                item.path()
                    .item_of(record.path())
                    .is_some_and(|index| index < items.len())
            };
            let all = ItemsReport::of(&step.id, items.len(), records.iter().filter(own));
            self.items = Some(all);
        }
        self
    }
}

impl Summary {
    fn new(definition: &Definition, state: &RunState) -> Self {
        let mut summary = Self {
            total: definition.top().len(),
            ..Self::default()
        };
        for index in definition.top() {
            let record = state.executions().of(&definition.steps()[*index].id);
            match record.and_then(StepRecord::settled).map(|s| &s.result) {
                Some(StepResult::Completed { .. }) => summary.completed += 1,
                Some(StepResult::Failed { .. }) => summary.failed += 1,
                Some(StepResult::Skipped) => summary.skipped += 1,
                None => {}
            }
        }
        let settled = summary.completed + summary.failed + summary.skipped;
        summary.percent = match state.phase().status() {
            Status::Completed | Status::Failed => 100,
            Status::Pending | Status::Running | Status::Paused | Status::Cancelled => {
                (settled * 100).checked_div(summary.total).unwrap_or(100)
            }
        };
        summary
    }
}
