//! Approve and reject: a person decides at an approval at which a run asks. The first decision holds.

use std::collections::BTreeSet;
use std::fmt;

use super::again::{add_subtree, reads_any};
use crate::decide::{due_by, ends_at, fits, last, overdue};
use crate::definition::{ApprovalStep, Definition, Flow, OnReject, Rework, StepKind};
use crate::event::{Event, StepEvent, WaitEvent};
use crate::ids::{Path, RunId, StepId};
use crate::shown::Shown;
use crate::state::{Ending, Phase, RunState, Status, StepPhase, StepRecord, StepResult};
use crate::stop::{Stop, StopCode, Why};
use crate::time::Timestamp;
use crate::wait::{Verdict, Wait, approval_output};

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub comment: Option<&'a str>,
    /// Who decides.
    pub by: Option<&'a str>,
}

/// One asking of one approval: rework and retries ask again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    path: Path,
    attempt: u32,
}

impl Asking {
    pub(super) const fn new(path: Path, attempt: u32) -> Self {
        Self { path, attempt }
    }

    pub(super) const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The approval.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What a decision comes to.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
pub enum Approving {
    /// Record these, together.
    Decided {
        /// The decision, and what it ends.
        events: Vec<Event>,
        /// How many rejections with rework the approval has left; `None` when it has no rework.
        rework_left: Option<u32>,
    },
    /// It is too late: record this instead, and tell whoever decides what holds.
    TooLate(Event),
}

/// Why there is nothing to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDecided {
    /// Somebody decided before (B302).
    Before(Box<EarlierDecision>),
    /// No such approval waits.
    NotWaiting(NotWaiting),
}

/// Why no such approval waits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotWaiting {
    /// The run is about to end.
    #[error("it is being cancelled")]
    Ends,
    /// It does nothing any more but what comes before its end.
    #[error("it is about to end")]
    Finishing,
    /// It asks somewhere else.
    #[error("no approval waits at `{named}`; the run asks at {}", listed(.open))]
    Elsewhere {
        /// The approval that was named.
        named: String,
        /// Those at which it asks.
        open: Vec<Path>,
    },
    /// It asks at several, and none was named.
    #[error("several approvals wait in it: name one, {}", listed(.0))]
    Several(Vec<Path>),
    /// It does not ask there.
    #[error("no approval waits at `{0}`")]
    NotThere(String),
    /// It does not ask at all.
    #[error("no approval waits in it")]
    Nowhere,
    /// It asks another question by now.
    #[error("another process has continued it")]
    MovedOn,
    /// The definition has something else there.
    #[error("`{0}` is not an approval")]
    NoApproval(Path),
    /// The words of the decision have no room.
    #[error("its recorded state has no room for this comment; use a shorter one, or none")]
    NoRoom,
}

/// The first ones, for a message.
fn listed(paths: &[Path]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .take(5)
        .map(|path| format!("`{path}`"))
        .collect();
    let more = match paths.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}

impl From<NotWaiting> for NotDecided {
    fn from(reason: NotWaiting) -> Self {
        Self::NotWaiting(reason)
    }
}

/// The question that a run asks where it stands, if it is that of the named approval. `meant` is what was asked when the person
/// decided: whoever was quicker may have brought the run to its next question, which nobody has answered here. `ends` says that
/// the run was asked to end.
///
/// # Errors
/// [`NotDecided`] when no such approval waits.
pub fn asking(
    state: &RunState,
    named: Option<&str>,
    meant: Option<&Asking>,
    ends: bool,
) -> Result<Asking, NotDecided> {
    if ends && !state.phase().status().is_terminal() {
        return Err(NotWaiting::Ends.into());
    }
    if state.ending().is_some() {
        return Err(NotWaiting::Finishing.into());
    }
    let asking = open_approval(state, named)?;
    match meant {
        Some(meant) if *meant != asking => {
            Err(decided_before(state, Some(&meant.path.to_string()))
                .unwrap_or(NotWaiting::MovedOn.into()))
        }
        Some(_) | None => Ok(asking),
    }
}

/// Whether a decision there goes by how often the approval was rejected.
#[must_use]
pub fn counts_rejections(definition: &Definition, asking: &Asking) -> bool {
    approval_at(definition, &asking.path).is_some_and(|approval| approval.rework.is_some())
}

/// What the decision of a person does: it goes over the work again, goes on, or ends the run.
///
/// # Errors
/// [`NotDecided`]: the run stands as before.
pub fn approve(
    definition: &Definition,
    state: &RunState,
    asking: &Asking,
    answer: Answer<'_>,
    now: Timestamp,
) -> Result<Approving, NotDecided> {
    let path = &asking.path;
    if let Some(event) = overdue(definition, state, path, now.max(state.updated_at())) {
        return Ok(Approving::TooLate(event));
    }
    let Some(approval) = approval_at(definition, path) else {
        return Err(NotWaiting::NoApproval(path.clone()).into());
    };
    if !has_room(state, path, answer) {
        return Err(NotWaiting::NoRoom.into());
    }
    let (events, rework_left) = decided(definition, state, path, approval, answer);
    Ok(Approving::Decided {
        events,
        rework_left,
    })
}

/// What a decision does that was made while somebody drove the run, and `sent_at` that time; `None` where it does not hold.
pub(super) fn posted(
    definition: &Definition,
    state: &RunState,
    meant: &Asking,
    answer: Answer<'_>,
    sent_at: Timestamp,
) -> Option<Vec<Event>> {
    let path = &meant.path;
    let asked = asking(state, Some(&path.to_string()), None, false).ok()?;
    let record = state.executions().latest(path)?;
    let StepPhase::Awaiting { wait } = &record.phase else {
        return None;
    };
    let until = ends_at(definition.step(path.step())?, wait);
    let times = [until, record.deadline, due_by(state, path)];
    let in_time = times.into_iter().flatten().all(|time| time > sent_at);
    if asked != *meant || !in_time || !has_room(state, path, answer) {
        return None;
    }
    let approval = approval_at(definition, path)?;
    if approval.rework.is_some() && record.rejections().is_none() {
        // Of a program that did not count: whoever decides counts first.
        return None;
    }
    let (events, _) = decided(definition, state, path, approval, answer);
    Some(events)
}

/// How many rejections with rework the approval has left, where it has rework.
#[must_use]
pub fn rework_left(definition: &Definition, state: &RunState, asking: &Asking) -> Option<u32> {
    let plan = approval_at(definition, &asking.path)?.rework.as_ref()?;
    Some(left(plan, state, &asking.path))
}

fn left(plan: &Rework, state: &RunState, path: &Path) -> u32 {
    let record = state.executions().latest(path);
    let rejected = record.and_then(StepRecord::rejections).unwrap_or(0);
    plan.max_attempts.saturating_sub(rejected)
}

fn approval_at<'a>(definition: &'a Definition, path: &Path) -> Option<&'a ApprovalStep> {
    match &definition.step(path.step())?.kind {
        StepKind::Approval(approval) => Some(approval),
        StepKind::Component(_)
        | StepKind::Loop(_)
        | StepKind::Wait(_)
        | StepKind::ForEach(_)
        | StepKind::End(_)
        | StepKind::Child(_) => None,
    }
}

/// What a decision records, and how many rejections with rework are left then.
fn decided(
    definition: &Definition,
    state: &RunState,
    path: &Path,
    approval: &ApprovalStep,
    answer: Answer<'_>,
) -> (Vec<Event>, Option<u32>) {
    let Answer {
        verdict,
        comment,
        by,
    } = answer;
    let plan = approval.rework.as_ref();
    let rework_left = plan.map(|plan| left(plan, state, path).saturating_sub(1));
    let again = match (verdict, plan, rework_left) {
        (Verdict::Rejected, Some(plan), Some(1..)) => rework(definition, path.step(), &plan.from),
        _ => Vec::new(),
    };
    let ends =
        verdict == Verdict::Rejected && again.is_empty() && approval.on_reject == OnReject::Cancel;
    let mut events = vec![Event::Step {
        path: path.clone(),
        event: StepEvent::Wait(WaitEvent::ApprovalDecided {
            decision: verdict,
            comment: comment.map(str::to_owned),
            by: by.map(str::to_owned),
            rework: again,
        }),
    }];
    if ends {
        let why = Why::Rejected {
            by: by.map(str::to_owned),
            comment: comment.map(str::to_owned),
        };
        let stop = Stop::new(why).at(path.clone());
        events.push(last(definition, state, Ending::Cancelled { stop }).into());
    }
    (events, rework_left)
}

/// Whether the words of a decision have room in the run's state. A decision without words always has.
fn has_room(state: &RunState, path: &Path, answer: Answer<'_>) -> bool {
    let Answer { comment, by, .. } = answer;
    let words = comment.map_or(0, str::len) + by.map_or(0, str::len);
    let output = approval_output(Verdict::Approved, comment, by, false);
    words == 0 || fits(state, path, "these words", output.text().len()).is_ok()
}

/// The approval at which the run stands, if it is the named one, or the only one.
fn open_approval(state: &RunState, named: Option<&str>) -> Result<Asking, NotDecided> {
    let open: Vec<Path> = state.approvals().map(|(path, _)| path.clone()).collect();
    let meant = match (named, open.as_slice()) {
        (Some(named), open) => open.iter().find(|path| path.to_string() == named),
        (None, [only]) => Some(only),
        (None, []) => None,
        (None, _) => return Err(NotWaiting::Several(open).into()),
    };
    if let Some(path) = meant {
        let record = state.executions().latest(path);
        let attempt = record.map_or(0, StepRecord::attempts);
        return Ok(Asking::new(path.clone(), attempt));
    }
    Err(decided_before(state, named).unwrap_or_else(|| {
        let reason = match named {
            Some(named) if open.is_empty() => NotWaiting::NotThere(named.to_owned()),
            Some(named) => NotWaiting::Elsewhere {
                named: named.to_owned(),
                open,
            },
            None => NotWaiting::Nowhere,
        };
        reason.into()
    }))
}

/// The decision that the run stands behind, for whoever comes second: at the named approval, or the latest one.
fn decided_before(state: &RunState, named: Option<&str>) -> Option<NotDecided> {
    let of = |record: &StepRecord| earlier(state, record);
    let meant = |record: &&StepRecord| named.is_none_or(|named| record.path.to_string() == named);
    let found = state.executions().iter().filter(meant).filter_map(of);
    let latest = found.max_by_key(|earlier| earlier.at)?;
    Some(NotDecided::Before(Box::new(latest)))
}

fn earlier(state: &RunState, record: &StepRecord) -> Option<EarlierDecision> {
    let earlier = |decision, by, at, timed_out| EarlierDecision {
        run: state.created().run.clone(),
        status: state.phase().status(),
        path: record.path.clone(),
        decision,
        comment: None,
        by,
        at,
        timed_out,
        held: state.is_held(),
        goes_on: state.moves(),
    };
    // The end of the run is all that is recorded of a timeout that cancelled it.
    if let (Phase::Cancelled { stop, at }, StepPhase::Awaiting { wait }) =
        (&state.phase(), &record.phase)
        && stop.code() == StopCode::ApprovalTimedOut
        && matches!(wait, Wait::Approval { .. })
    {
        return Some(earlier(Verdict::Rejected, None, *at, true));
    }
    if matches!(record.phase, StepPhase::Awaiting { .. }) {
        return None;
    }
    let settled = record.visible()?;
    let StepResult::Completed { output } = &settled.result else {
        return None;
    };
    let output = output.value();
    let decision = match output.get("decision")?.as_str()? {
        "approved" => Verdict::Approved,
        "rejected" => Verdict::Rejected,
        _ => return None,
    };
    let text = |name| Some(output.get(name)?.as_str()?.to_owned());
    let timed_out = output.get("timed_out").and_then(serde_json::Value::as_bool);
    record.is_wait().then(|| EarlierDecision {
        comment: text("comment"),
        ..earlier(decision, text("by"), settled.at, timed_out == Some(true))
    })
}

/// A decision that was made before: the first one holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierDecision {
    /// The run.
    pub run: RunId,
    /// Its status now.
    pub status: Status,
    /// The approval.
    pub path: Path,
    /// What was decided.
    pub decision: Verdict,
    /// Why.
    pub comment: Option<String>,
    /// By whom; nobody when time decided.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Whether nobody decided in time.
    pub timed_out: bool,
    /// Whether a person has to resume the run.
    pub held: bool,
    /// Whether the run continues by itself.
    pub goes_on: bool,
}

impl EarlierDecision {
    /// Whether it says all that this decision would say, whoever makes it: as when somebody asks again who got no answer.
    #[must_use]
    pub fn says(&self, verdict: Verdict, comment: Option<&str>) -> bool {
        let kept = comment.is_none_or(|comment| self.comment.as_deref() == Some(comment));
        !self.timed_out && self.decision == verdict && kept
    }
}

impl fmt::Display for EarlierDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            run,
            path,
            decision,
            status,
            ..
        } = self;
        let at = self.at.to_the_second();
        if self.timed_out {
            write!(
                f,
                "nobody decided at `{path}` of run `{run}` in time: since {at} it counts as {decision}"
            )?;
        } else {
            write!(f, "`{path}` of run `{run}` was {decision}")?;
            if let Some(by) = &self.by {
                let short = &by[..by.floor_char_boundary(BY_SHOWN)];
                let cut = if short.len() < by.len() { "…" } else { "" };
                write!(f, " by {}{cut}", Shown(short))?;
            }
            write!(f, " at {at}; the first decision counts")?;
        }
        write!(f, ", and the run is {status}")
    }
}

/// How much of a name a message shows.
const BY_SHOWN: usize = 80;

/// The steps that run again when the approval at `gate` is rejected with rework from `from`: that step, and in a sequence every one
/// between it and the approval that reads, directly or through others, what runs again or what the approval leaves; in a graph
/// every one that needs it and leads to the approval.
#[must_use]
pub fn rework(definition: &Definition, gate: &StepId, from: &StepId) -> Vec<StepId> {
    let (Some(end), Some(from)) = (definition.index_of(gate), definition.index_of(from)) else {
        return Vec::new();
    };
    let parent = definition.steps()[end].parent;
    let mut again = BTreeSet::from([gate.clone()]);
    if definition.flow_in(parent) == Flow::Graph {
        let behind = definition.needing([end]);
        let needing = definition.needing([from]);
        let between = needing.difference(&behind).filter(|index| **index != end);
        for index in between.chain([&from]) {
            add_subtree(definition, *index, &mut again);
        }
        again.remove(gate);
        return again.into_iter().collect();
    }
    for index in from..end {
        let step = &definition.steps()[index];
        if step.parent == parent && (index == from || reads_any(definition, index, &again)) {
            add_subtree(definition, index, &mut again);
        }
    }
    again.remove(gate);
    again.into_iter().collect()
}
