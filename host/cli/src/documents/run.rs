//! A run: whole, and as a row of a list.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milepost::core::definition::Join;
use milepost::core::event::{Fork, Parent, Skip};
use milepost::core::ids::{Digest, Epoch, Path, RunId, StepId};
use milepost::core::labels::Labels;
use milepost::core::outcome::StepError;
use milepost::core::request::signal::is_reserved;
use milepost::core::state::Status;
use milepost::core::stop::{self, StopCode};
use milepost::core::tape::{LogDropped, TapeNote};
use milepost::core::time::Timestamp;
use milepost::core::wait::Wait;
use milepost::engine::Spent;
use milepost::history::Past;
use milepost::report::{ItemsReport, Next, OwnerReport, OwnerState, RunReport, StepReport};
use milepost::store::{RunRow, StopKind, StopRequest};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use super::kept::KeptArtifact;
use crate::row::{self, Foreseen};
use crate::words;

/// A run, whole.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Run {
    /// The run.
    id: RunId,
    /// Name of the workflow.
    workflow: String,
    /// Status.
    status: Status,
    /// What the workflow returned; null unless completed.
    output: Value,
    /// Why the run does not move, and what happens next; null unless paused, failed or cancelled.
    stop: Option<Stop>,
    /// Every step of the definition, in file order; a loop or fan-out before its members.
    steps: Vec<Step>,
    /// Counts over the top-level steps.
    summary: Summary,
    /// What is or was undone of it, once that has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    compensations: Option<Compensations>,
    /// The inputs it was started with.
    inputs: Arc<Value>,
    /// File of the definition.
    file: String,
    /// Digest of the definition's text.
    definition: Digest,
    /// Digests of the components.
    plugins: BTreeMap<String, Digest>,
    /// The step of another run that has started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Parent>,
    /// Where it began, if it is the fork of another run.
    #[serde(skip_serializing_if = "Option::is_none")]
    forked_from: Option<ForkedFrom>,
    /// What whoever started it called it by.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    /// How many runs it has started, by status.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    children: BTreeMap<String, usize>,
    /// When it was created.
    created_at: Timestamp,
    /// When it was claimed first.
    started_at: Option<Timestamp>,
    /// When something was recorded last. (Renewing a claim records nothing.)
    updated_at: Timestamp,
    /// When it stopped for good, or failed.
    ended_at: Option<Timestamp>,
    /// When it paused.
    paused_at: Option<Timestamp>,
    /// Milliseconds from the first claim to the end, the pause, or the last event.
    duration_millis: u64,
    /// Events recorded.
    events: u64,
    /// How often it was claimed.
    epoch: u64,
    /// Recoveries without progress in between.
    recoveries: u32,
    /// Automatic resumes of the present or last pause episode.
    automatic_resumes: u32,
    /// Why it ended or stopped, in one word: `completed`, or the code of its stop; null while it runs.
    #[schemars(schema_with = "stop_reason")]
    stop_reason: Option<&'static str>,
    /// What happens next, and by whom; null when it is over.
    next_action: Option<String>,
    /// Who owns it and whether that process is alive, while it runs.
    owner: Option<Owner>,
    /// Why its definition cannot be read, if so: then only the steps with a record are listed, in the order of their ids, and
    /// there is no summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    definition_problem: Option<String>,
    /// `show --at`, `show --at-step`: the event up to which its history counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) as_of: Option<AsOf>,
    /// `show`: what somebody asked of it, until that is met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<Request>,
    /// `show`: the first signals that it does not wait for yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) inbox: Vec<Kept>,
    /// `show`: how many such signals there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) inbox_count: u64,
    /// `show`: artifacts that it uses, in the order in which it came to use them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) artifacts: Vec<KeptArtifact>,
    /// `show`: bytes that it takes in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stored_bytes: Option<u64>,
}

/// The run that a run is the fork of.
#[derive(Serialize, JsonSchema)]
struct ForkedFrom {
    /// That run. It may have been removed.
    run: RunId,
    /// How many events it had recorded then.
    events: u64,
    /// From which steps on the fork runs by itself.
    from: Vec<StepId>,
}

impl From<&Fork> for ForkedFrom {
    fn from(fork: &Fork) -> Self {
        Self {
            run: fork.run.clone(),
            events: fork.seq,
            from: fork.from.clone(),
        }
    }
}

/// A point in the history of a run.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AsOf {
    /// Position of the last event that counts.
    event: u64,
    /// What it is called.
    name: &'static str,
    /// The step execution that it is about; null where it is about none.
    path: Option<Path>,
    /// When it was recorded.
    at: Timestamp,
}

impl From<&Past> for AsOf {
    fn from(past: &Past) -> Self {
        Self {
            event: past.event,
            name: past.name,
            path: past.path.clone(),
            at: past.at,
        }
    }
}

/// The tape of an attempt.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Tape {
    /// Calls on it.
    entries: u64,
    /// SHA-256 of them.
    digest: Digest,
    /// Why the attempt cannot be replayed, if so.
    not_replayable: Option<String>,
}

impl From<&TapeNote> for Tape {
    fn from(note: &TapeNote) -> Self {
        Self {
            entries: note.kept.entries,
            digest: note.kept.digest,
            not_replayable: note.not_replayable.clone(),
        }
    }
}

/// Whether an attempt can be executed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grade {
    /// It asked the host for nothing that may be answered otherwise another time.
    Pure,
    /// What it was answered is on its tape.
    Journaled,
    /// It cannot be executed again.
    NotReplayable,
}

impl Grade {
    /// That of the last attempt of a step that ended, where it was one of a component.
    pub(crate) fn of(step: &StepReport) -> Option<Self> {
        match &step.tape {
            Some(tape) if tape.not_replayable.is_some() => Some(Self::NotReplayable),
            Some(_) => Some(Self::Journaled),
            None => {
                let ended = step.timeout.is_some() && step.attempts > 0 && step.ended_at.is_some();
                (ended && step.items.is_none()).then_some(Self::Pure)
            }
        }
    }
}

/// A call of the host, as people see it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HostCall {
    /// Interface and function.
    pub(crate) call: String,
    /// What was asked.
    pub(crate) about: String,
    /// How long the answer took, milliseconds.
    pub(crate) took_millis: u64,
    /// The code of the error that was the answer; null where it was none.
    pub(crate) error: Option<String>,
    /// The status of an HTTP response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u64>,
    /// How a program ended that did not end with the exit code 0: `exit code 5`, `signal 9`, `timed out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
}

impl Run {
    /// The same, with the last host calls of attempts that failed: by their path.
    pub(crate) fn with_calls(
        mut self,
        calls: impl IntoIterator<Item = (String, Vec<HostCall>)>,
    ) -> Self {
        for (path, calls) in calls {
            let mut all = self.steps.iter_mut().flat_map(Step::with_failures);
            if let Some(step) = all.find(|step| step.path == path) {
                step.host_calls = calls;
            }
        }
        self
    }

    /// The same, where it is known why steps were skipped: by their place.
    pub(crate) fn with_skips(mut self, skips: impl IntoIterator<Item = (usize, Skipped)>) -> Self {
        for (at, skipped) in skips {
            if let Some(step) = self.steps.get_mut(at) {
                step.skipped = Some(skipped);
            }
        }
        self
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// `completed`, the code of a stop, or null.
fn stop_reason(_: &mut SchemaGenerator) -> Schema {
    let codes = StopCode::ALL.iter().map(|code| Some(code.as_str()));
    let all: Vec<_> = codes.chain([Some("completed"), None]).collect();
    json_schema!({ "enum": all })
}

/// What is undone of a run.
#[derive(Serialize, JsonSchema)]
struct Compensations {
    /// Completed executions that can be undone.
    total: usize,
    /// Those that are.
    completed: usize,
    /// The compensations that were tried, in that order; of many, the last ones.
    tried: Vec<Step>,
}

/// Why a run does not move.
#[derive(Serialize, JsonSchema)]
struct Stop {
    /// Reason from a closed set.
    code: StopCode,
    /// For a person.
    message: String,
    /// The step execution that stopped it.
    path: Option<String>,
    /// What happens next, and by whom.
    next: String,
    /// When something happens by itself: the run continues, or its wait times out.
    due_at: Option<Timestamp>,
    /// Whose limit was met.
    provider: Option<String>,
    /// Who wants the run to stay here until a person resumes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<String>,
    /// Everything that it stands at, where that is more than one thing: the first one is this stop, unless it is over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Stop>,
    /// How many reasons there are besides, where there are more than are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<u32>,
    /// How many steps were compensated before the run ended, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    compensated: Option<u32>,
    /// How many steps were not, where the run was ended before all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    uncompensated: Option<u32>,
}

/// One step of a run.
#[derive(Serialize, JsonSchema)]
struct Step {
    /// Where its latest execution stands; the step's id when there was none.
    path: String,
    /// Status of its latest execution.
    #[schemars(extend("enum" = ["pending", "running", "waiting", "paused", "completed", "failed", "skipped", "cancelled"]))]
    status: &'static str,
    /// Attempts of its latest execution.
    attempts: u32,
    /// Iterations of a loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    iterations: Option<u32>,
    /// The output; null unless completed. A failed loop has one too: how far it got.
    output: Arc<Value>,
    /// Why it failed, or why its last attempt did; null otherwise.
    error: Option<StepError>,
    /// What did not fit into the log of its last attempt that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_dropped: Option<LogDropped>,
    /// The tape of that attempt: how many calls of the host are on it, and why it cannot be replayed, if so. Absent where the attempt
    /// called nothing whose answer has to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    tape: Option<Tape>,
    /// Whether that attempt can be executed again: `pure` asks the host for nothing, `journaled` has its answers on the tape. Absent where
    /// no attempt of a component has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    grade: Option<Grade>,
    /// `show`: the last calls of a failed attempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) host_calls: Vec<HostCall>,
    /// When the next attempt is due, while it waits for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Timestamp>,
    /// When its latest execution began.
    started_at: Option<Timestamp>,
    /// When its latest execution ended.
    ended_at: Option<Timestamp>,
    /// Why its latest execution or attempt ended; null while it has not.
    #[schemars(extend("enum" = ["completed", "failed", "timeout", "skipped", "paused", "retries_exhausted", "cancelled", null]))]
    stop_reason: Option<&'static str>,
    /// The time that an attempt may take, and where it was set; absent for steps that call no component.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Timeout>,
    /// What it waits for, while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<Wait>,
    /// Of a fan-out that has begun, how its items stand; of a step inside of one, its executions in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Items>,
    /// Its child run.
    #[serde(skip_serializing_if = "Option::is_none")]
    child: Option<Child>,
    /// `show`: why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<Skipped>,
}

/// Why a step was skipped.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Skipped {
    /// What was not met.
    because: Because,
    /// Its `if`, which was false.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    /// Its `join`, which what it needs did not meet.
    #[schemars(extend("enum" = ["all_success", "one_success", "none_failed_min_one_success", "all_done", null]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<&'static str>,
    /// The steps that kept it from running, then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs: Vec<StepId>,
}

/// What keeps a step from running.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Because {
    /// Its `if`.
    Condition,
    /// Its `join`.
    Join,
}

impl Skipped {
    /// Of a step with this join.
    pub(crate) fn new(skip: &Skip, join: Join) -> Self {
        match skip {
            Skip::Condition(condition) => Self {
                because: Because::Condition,
                condition: Some(condition.clone()),
                join: None,
                needs: Vec::new(),
            },
            Skip::Join { needs } => Self {
                because: Because::Join,
                condition: None,
                join: Some(join.as_str()),
                needs: needs.clone(),
            },
        }
    }
}

/// How the items of a fan-out stand, or the executions of a step inside of it.
#[derive(Serialize, JsonSchema)]
struct Items {
    /// All of them; inside a fan-out, those that were touched.
    total: u32,
    /// Completed.
    completed: u32,
    /// Failed, those that were cancelled not included.
    failed: u32,
    /// Cancelled by a person.
    cancelled: u32,
    /// Skipped.
    skipped: u32,
    /// At work.
    running: u32,
    /// Waiting for time, a signal, a person or another attempt.
    waiting: u32,
    /// Paused.
    paused: u32,
    /// Not begun, or about to begin again.
    pending: u32,
    /// The first ones that failed.
    failures: Vec<Step>,
    /// The first ones that wait or are paused.
    open: Vec<Step>,
}

impl Step {
    /// Itself, or the items of it that failed.
    fn with_failures(&mut self) -> Vec<&mut Self> {
        if self.items.is_none() {
            return vec![self];
        }
        let items = self.items.iter_mut();
        items.flat_map(|items| &mut items.failures).collect()
    }
}

impl From<&ItemsReport> for Items {
    fn from(items: &ItemsReport) -> Self {
        Self {
            total: items.total,
            completed: items.completed,
            failed: items.failed,
            cancelled: items.cancelled,
            skipped: items.skipped,
            running: items.running,
            waiting: items.waiting,
            paused: items.paused,
            pending: items.pending(),
            failures: items.failures.iter().map(Step::from).collect(),
            open: items.open.iter().map(Step::from).collect(),
        }
    }
}

/// The child run of a step.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChildRun")]
struct Child {
    /// The run.
    id: RunId,
    /// Its status; null when it is not there or nobody has looked.
    status: Option<Status>,
    /// Why it does not move, and what happens next.
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Stop>,
}

/// The timeout in force.
#[derive(Serialize, JsonSchema)]
struct Timeout {
    /// How long, in milliseconds.
    millis: u64,
    /// Where it was set.
    #[schemars(extend("enum" = ["step", "defaults", "engine"]))]
    source: &'static str,
    /// Whether the latest attempt met it.
    fired: bool,
}

/// Counts over the top-level steps.
#[derive(Serialize, JsonSchema)]
struct Summary {
    /// All of them.
    total: usize,
    /// Completed.
    completed: usize,
    /// Failed.
    failed: usize,
    /// Skipped.
    skipped: usize,
    /// Settled, of all, in percent, rounded down.
    percent: usize,
}

/// Who runs a run.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Owner {
    /// Process id.
    pid: u32,
    /// Host name.
    host: String,
    /// Whether that process lives.
    liveness: Liveness,
    /// Until when the claim holds without renewal.
    lease_until: Option<Timestamp>,
}

/// Whether a process lives.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Liveness {
    /// It does.
    Alive,
    /// It does, but does not renew its claim.
    Detached,
    /// It does not.
    Gone,
    /// Cannot be determined from here.
    Unknown,
}

impl From<&OwnerReport> for Owner {
    fn from(owner: &OwnerReport) -> Self {
        Self {
            pid: owner.pid,
            host: owner.host.clone(),
            liveness: match owner.state {
                OwnerState::Alive => Liveness::Alive,
                OwnerState::Detached => Liveness::Detached,
                OwnerState::Gone => Liveness::Gone,
                OwnerState::Unknown => Liveness::Unknown,
            },
            lease_until: owner.lease_until,
        }
    }
}

/// What somebody asked of a run.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Request {
    /// What is asked.
    kind: RequestKind,
    /// Since when.
    at: Timestamp,
    /// By whom, for people.
    by: String,
}

/// How a run is asked to stop.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RequestKind {
    /// Pause when the steps in flight have ended.
    Pause,
    /// Pause at once.
    PauseNow,
    /// End for good, after what its completed steps did is undone.
    Compensate,
    /// End for good.
    Cancel,
    /// End for good, at once.
    Kill,
}

impl From<&StopRequest> for Request {
    fn from(request: &StopRequest) -> Self {
        Self {
            kind: match request.kind {
                StopKind::Pause => RequestKind::Pause,
                StopKind::PauseNow => RequestKind::PauseNow,
                StopKind::Compensate => RequestKind::Compensate,
                StopKind::Cancel => RequestKind::Cancel,
                StopKind::Kill => RequestKind::Kill,
            },
            at: request.at,
            by: request.by.clone(),
        }
    }
}

/// A signal that is kept until the run waits for it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeptSignal")]
pub(crate) struct Kept {
    /// Its name.
    pub(crate) name: String,
    /// When it was sent.
    pub(crate) sent_at: Timestamp,
}

impl From<&RunReport> for Run {
    fn from(report: &RunReport) -> Self {
        let summary = report.summary;
        Self {
            id: report.id.clone(),
            workflow: report.workflow.clone(),
            status: report.status,
            output: report.output.clone(),
            stop: report.stop.as_ref().map(|stop| Stop::new(&report.id, stop)),
            steps: report.steps.iter().map(Step::from).collect(),
            summary: Summary {
                total: summary.total,
                completed: summary.completed,
                failed: summary.failed,
                skipped: summary.skipped,
                percent: summary.percent,
            },
            compensations: report.compensations.as_ref().map(|undone| Compensations {
                total: undone.total,
                completed: undone.completed,
                tried: undone.tried.iter().map(Step::from).collect(),
            }),
            inputs: report.inputs.value(),
            file: report.file.clone(),
            definition: report.definition,
            plugins: report.plugins.clone(),
            parent: report.parent.clone(),
            forked_from: report.fork.as_ref().map(ForkedFrom::from),
            labels: report.labels.clone(),
            children: report
                .children
                .iter()
                .map(|(status, count)| (status.to_string(), *count))
                .collect(),
            created_at: report.created_at,
            started_at: report.started_at,
            updated_at: report.updated_at,
            ended_at: report.ended_at,
            paused_at: report.paused_at,
            duration_millis: report.duration_millis,
            events: report.events,
            epoch: report.epoch,
            recoveries: report.recoveries,
            automatic_resumes: report.automatic_resumes,
            stop_reason: report.stop_reason,
            next_action: next_action(report),
            owner: report.owner.as_ref().map(Owner::from),
            definition_problem: report.definition_problem.clone(),
            request: None,
            inbox: Vec::new(),
            inbox_count: 0,
            artifacts: Vec::new(),
            stored_bytes: None,
            as_of: None,
        }
    }
}

fn next_action(report: &RunReport) -> Option<String> {
    match report.next? {
        Next::Stop => {
            let stop = report.stop.as_ref();
            stop.map(|stop| words::next::of_stop(report, stop, words::plain))
        }
        Next::Claim | Next::Moves | Next::TakeOver | Next::GiveUp => {
            words::next::of_run(report, words::plain)
        }
    }
}

impl Stop {
    fn new(run: &RunId, stop: &stop::Stop) -> Self {
        Self {
            code: stop.code(),
            message: words::stop::message(stop),
            path: stop.path.as_ref().map(ToString::to_string),
            next: words::stop::next(run, stop, words::plain),
            due_at: stop.due_at,
            provider: stop.provider.clone(),
            held_by: stop.held_by.clone(),
            reasons: {
                let reasons = stop.reasons.iter().map(|reason| Self {
                    next: words::stop::next_of_reason(run, stop, reason, words::plain),
                    ..Self::new(run, reason)
                });
                reasons.collect()
            },
            more: Some(stop.more).filter(|more| *more > 0),
            compensated: stop.compensated,
            uncompensated: stop.uncompensated,
        }
    }
}

impl From<&StepReport> for Step {
    fn from(step: &StepReport) -> Self {
        Self {
            path: step.path.clone(),
            status: step.status,
            attempts: step.attempts,
            iterations: step.iterations,
            output: step.output.value(),
            error: step.error.clone(),
            log_dropped: step.log_dropped,
            tape: step.tape.as_ref().map(Tape::from),
            grade: Grade::of(step),
            host_calls: Vec::new(),
            retry_at: step.retry_at,
            started_at: step.started_at,
            ended_at: step.ended_at,
            stop_reason: step.stop_reason,
            timeout: step.timeout.map(|timeout| Timeout {
                millis: timeout.millis,
                source: timeout.source,
                fired: timeout.fired,
            }),
            waits_for: step.waits_for.clone(),
            items: step.items.as_ref().map(Items::from),
            child: step.child.as_ref().map(|child| Child {
                id: child.run.clone(),
                status: child.status,
                stop: child.stop.as_ref().map(|stop| Stop::new(&child.run, stop)),
            }),
            skipped: None,
        }
    }
}

/// Runs, the newest first.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Runs(pub(crate) Vec<Row>);

/// A run in a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListedRun")]
pub(crate) struct Row {
    /// The run.
    id: RunId,
    /// Name of the workflow.
    workflow: String,
    /// The run that has started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<RunId>,
    /// The run that it is a fork of. It may have been removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    forked_from: Option<RunId>,
    /// What whoever started it called it by.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    /// Status.
    status: Status,
    /// Why it ended or stopped, in one word: `completed`, or the code of its stop; null while it runs.
    stop_reason: Option<String>,
    /// What happens next; null when the run continues by itself, or is over.
    next_action: Option<String>,
    /// When something happens by itself: the run continues, or its wait times out.
    due_at: Option<Timestamp>,
    /// Names of the signals that it waits for.
    awaits: Vec<String>,
    /// Whose limit was met.
    provider: Option<String>,
    /// When it was created.
    created_at: Timestamp,
    /// When something was recorded last. (Renewing a claim records nothing.)
    updated_at: Timestamp,
    /// Milliseconds that it was at work: from each claim to where it stopped, or to what was recorded last; null before its first claim.
    working_millis: Option<u64>,
    /// Milliseconds that it waited, up to what was recorded last: for its first claim, and wherever it was paused or had failed; null
    /// where that is not known.
    waiting_millis: Option<u64>,
    /// Who owns it and whether that process is alive, while it runs.
    owner: Option<Owner>,
    /// What somebody asked of it, until that is met.
    request: Option<Request>,
    /// Recoveries without progress in between.
    recoveries: u32,
    /// Automatic resumes of the present or last pause episode.
    automatic_resumes: u32,
    /// Events recorded.
    events: u64,
    /// How often it was claimed.
    epoch: Epoch,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Row {
    /// One that is `over` has failed, and nobody can resume it.
    pub(crate) fn new(
        row: &RunRow,
        owner: Option<&OwnerReport>,
        spent: Spent,
        (over, foreseen): (bool, Foreseen),
    ) -> Self {
        Self {
            id: row.id.clone(),
            workflow: row.workflow.clone(),
            parent: row.parent.clone(),
            forked_from: row.forked_from.clone(),
            labels: row.labels.clone(),
            status: row.status,
            stop_reason: match row.status {
                Status::Completed => Some("completed".to_owned()),
                Status::Pending
                | Status::Running
                | Status::Paused
                | Status::Failed
                | Status::Cancelled => row.stop_code.clone(),
            },
            next_action: row::next_action(row, owner, foreseen).filter(|_| !over),
            due_at: row.due_at,
            awaits: row
                .awaits
                .iter()
                .filter(|name| !is_reserved(name))
                .cloned()
                .collect(),
            provider: row.provider.clone(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            working_millis: spent.working.map(millis),
            waiting_millis: spent.waiting.map(millis),
            owner: owner.map(Owner::from),
            request: row.request.as_ref().map(Request::from),
            recoveries: row.recoveries,
            automatic_resumes: row.auto_resumes,
            events: row.seq,
            epoch: row.epoch,
        }
    }
}
