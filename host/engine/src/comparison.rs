//! What two runs do not share: inputs, definition, components, what their steps were given and came to, and how they ended.
//!
//! The journals are read once, and of each step execution only a digest is kept, however large its values are; the values of
//! those that differ are read again.

use std::collections::{BTreeMap, BTreeSet};

use milepost_core::event::{
    AttemptStarted, ChildEnding, Entry, Event, ForEachEvent, LoopEvent, RunEvent, Skip, StepEvent,
    WaitEvent,
};
use milepost_core::ids::{Digest, Path, RunId};
use milepost_core::json::{Difference, differences};
use milepost_core::outcome::StepError;
use milepost_core::payload::Payload;
use milepost_core::state::{Phase, RunState, StepResult};
use milepost_core::stop::StopCode;
use serde_json::{Value, json};

use crate::engine::EngineError;
use crate::record::{self, RecordError};
use crate::store::Store;

/// Differing steps that are shown; the others are counted.
const STEPS: usize = 20;
/// Places where two values differ, likewise.
const PLACES: usize = 20;

/// What two runs do not share.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// One run.
    pub a: RunId,
    /// The other one.
    pub b: RunId,
    /// Where their inputs differ, at first.
    pub inputs: Vec<Difference>,
    /// Their definitions, where they differ.
    pub definition: Option<DefinitionDifference>,
    /// Components and child workflows that differ, by name.
    pub components: Vec<ComponentDifference>,
    /// The first step executions that differ, in the order in which they began.
    pub steps: Vec<StepDifference>,
    /// How many more differ.
    pub more_steps: usize,
    /// Step executions that are the same.
    pub same_steps: usize,
    /// Where their endings differ.
    pub endings: Vec<Difference>,
}

/// Two definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionDifference {
    /// Digest of one.
    pub a: Digest,
    /// Digest of the other one.
    pub b: Digest,
    /// Their texts, as a unified diff.
    pub text: String,
}

/// Two components of one name, or the texts of a child workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentDifference {
    /// Name of the plugin, or file of the child workflow.
    pub name: String,
    /// Digest of one; absent where that run has none.
    pub a: Option<Digest>,
    /// Digest of the other one.
    pub b: Option<Digest>,
}

/// A step execution that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDifference {
    /// Which one.
    pub path: Path,
    /// Where, at first; the whole where only one run has it.
    pub places: Vec<Difference>,
}

impl Comparison {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.inputs.is_empty()
            && self.definition.is_none()
            && self.components.is_empty()
            && self.steps.is_empty()
            && self.endings.is_empty()
    }
}

/// Compares two runs as they stand.
///
/// # Errors
/// [`EngineError`] when one of them cannot be read.
pub async fn compare(store: &dyn Store, a: &RunId, b: &RunId) -> Result<Comparison, EngineError> {
    let (of_a, of_b) = (record::load(store, a).await?, record::load(store, b).await?);
    let (mut left, mut right) = (seen(store, a).await?, seen(store, b).await?);
    // Of a step whose outcome a fork keeps, there is that outcome and no history.
    let tops: BTreeSet<Path> = left.iter().chain(&right).filter_map(kept_at).collect();
    let has_history = |path: &Path| {
        let top = Path::top(path.segments()[0].step.clone());
        *path == top || !tops.contains(&top)
    };
    left.retain(|path, _| has_history(path));
    right.retain(|path, _| has_history(path));
    let mut differing: Vec<(u64, &Path)> = Vec::new();
    let mut same_steps = 0;
    for (path, one) in &left {
        match right.get(path) {
            Some(other) if one.is_as(other) => same_steps += 1,
            other => {
                let begun = match other {
                    // That it is kept says nothing of when it began.
                    Some(other) if one.kept.is_some() => other.first,
                    Some(other) if other.kept.is_none() => one.first.min(other.first),
                    _ => one.first,
                };
                differing.push((begun, path));
            }
        }
    }
    let only_right = right.iter().filter(|(path, _)| !left.contains_key(*path));
    differing.extend(only_right.map(|(path, other)| (other.first, path)));
    differing.sort_unstable();
    let more_steps = differing.len().saturating_sub(STEPS);
    differing.truncate(STEPS);
    let mut steps = Vec::new();
    for (_, path) in differing {
        let one = values(store, a, left.get(path)).await?;
        let other = values(store, b, right.get(path)).await?;
        let places = match (one, other) {
            (Some(one), Some(other)) => differences(&one, &other, PLACES),
            (one, other) => vec![Difference {
                field: String::new(),
                a: one,
                b: other,
            }],
        };
        steps.push(StepDifference {
            path: path.clone(),
            places,
        });
    }
    let (sa, sb) = (&of_a.state, &of_b.state);
    Ok(Comparison {
        a: a.clone(),
        b: b.clone(),
        inputs: differences(&sa.inputs().value(), &sb.inputs().value(), PLACES),
        definition: definitions(store, sa, sb).await?,
        components: components(sa, sb),
        steps,
        more_steps,
        same_steps,
        endings: differences(&ending(sa), &ending(sb), PLACES),
    })
}

/// What a journal holds of a step execution.
struct Seen {
    /// Event with which it began.
    first: u64,
    /// Event that started its last attempt.
    started: Option<u64>,
    /// Event that says what it came to.
    ended: Option<u64>,
    attempts: u32,
    input: Option<Digest>,
    outcome: Option<Digest>,
    /// Whether it was skipped, for whatever reason.
    skipped: bool,
    /// In a fork: what it came to in the other run.
    kept: Option<StepResult>,
}

impl Seen {
    const fn new(first: u64) -> Self {
        Self {
            first,
            started: None,
            ended: None,
            attempts: 0,
            input: None,
            outcome: None,
            skipped: false,
            kept: None,
        }
    }

    fn is_as(&self, other: &Self) -> bool {
        match (&self.kept, &other.kept) {
            (None, None) => {
                (self.attempts, self.input, self.outcome)
                    == (other.attempts, other.input, other.outcome)
            }
            (Some(one), Some(other)) => one == other,
            (Some(kept), None) => other.came_to(kept),
            (None, Some(kept)) => self.came_to(kept),
        }
    }

    fn came_to(&self, result: &StepResult) -> bool {
        match result {
            StepResult::Completed { output } => {
                // Of a loop, the journal has the numbers that its output is made of.
                let of_loop = json!({ "status": "completed", "output": output.value() });
                let ways = [Came::Output(output), Came::Other(of_loop)];
                ways.iter().any(|came| self.outcome == Some(came.digest()))
            }
            StepResult::Failed { error } => self.outcome == Some(Came::Failed(error).digest()),
            StepResult::Skipped => self.skipped,
        }
    }
}

/// The path, where it is a step at the top level that a fork keeps the outcome of.
fn kept_at((path, seen): (&Path, &Seen)) -> Option<Path> {
    (seen.kept.is_some() && path.parent().is_none() && !path.is_item()).then(|| path.clone())
}

async fn seen(store: &dyn Store, run: &RunId) -> Result<BTreeMap<Path, Seen>, RecordError> {
    let mut all = BTreeMap::<Path, Seen>::new();
    let mut entries = record::entries(store, run, 0);
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        if let Event::Run(RunEvent::Created(created)) = &entry.event {
            let kept = created.fork.iter().flat_map(|fork| &fork.kept);
            all.extend(kept.filter_map(|record| {
                let kept = Some(record.settled()?.result.clone());
                let seen = Seen::new(entry.seq);
                Some((record.path().clone(), Seen { kept, ..seen }))
            }));
        }
        let Event::Step { path, event } = &entry.event else {
            continue;
        };
        let (input, outcome) = (input(event), outcome(event));
        if input.is_none() && outcome.is_none() {
            continue;
        }
        let seen = all.entry(path.clone());
        let seen = seen.or_insert_with(|| Seen::new(entry.seq));
        if let Some((started, input)) = input {
            seen.started = Some(entry.seq);
            seen.attempts = started;
            seen.input = Some(Digest::of(input.text().as_bytes()));
            (seen.ended, seen.outcome) = (None, None);
        }
        if let Some(outcome) = outcome {
            seen.ended = Some(entry.seq);
            seen.outcome = Some(outcome.digest());
            seen.skipped = matches!(event, StepEvent::Skipped(_));
        }
    }
    Ok(all)
}

/// What an attempt was given.
fn input(event: &StepEvent) -> Option<(u32, &Payload)> {
    match event {
        StepEvent::Started(AttemptStarted { attempt, input, .. }) => Some((*attempt, input)),
        _ => None,
    }
}

/// What an execution came to, by its last event that says so.
enum Came<'a> {
    Output(&'a Payload),
    Failed(&'a StepError),
    Other(Value),
}

impl Came<'_> {
    fn digest(&self) -> Digest {
        match self {
            Self::Output(output) => Digest::of(output.text().as_bytes()),
            Self::Failed(error) => Digest::of(json!({ "error": error }).to_string().as_bytes()),
            Self::Other(what) => Digest::of(what.to_string().as_bytes()),
        }
    }
}

/// What of it depends on nothing but the run: no ids of child runs, no times.
fn outcome(event: &StepEvent) -> Option<Came<'_>> {
    Some(match event {
        StepEvent::Completed { output, .. }
        | StepEvent::Wait(
            WaitEvent::Ended { output }
            | WaitEvent::ChildEnded {
                ending: ChildEnding::Completed(output),
                ..
            },
        )
        | StepEvent::ForEach(
            ForEachEvent::ItemCompleted { output } | ForEachEvent::Completed { output },
        ) => Came::Output(output),
        StepEvent::Failed { error, .. }
        | StepEvent::Wait(WaitEvent::ChildEnded {
            ending: ChildEnding::Failed(error) | ChildEnding::Cancelled(error),
            ..
        }) => Came::Failed(error),
        StepEvent::Paused { pause, .. } => {
            Came::Other(json!({ "status": "paused", "code": pause.code, "reason": pause.reason }))
        }
        StepEvent::Skipped(skip) => Came::Other(match skip {
            Skip::Condition(text) => json!({ "status": "skipped", "condition": text }),
            Skip::Join { needs } => json!({ "status": "skipped", "needs": needs }),
        }),
        StepEvent::Ends {
            status, message, ..
        } => Came::Other(json!({ "status": status.as_str(), "message": message })),
        StepEvent::Wait(WaitEvent::SignalReceived { signal, data, .. }) => {
            Came::Other(json!({ "signal": signal, "data": data.value() }))
        }
        StepEvent::Wait(WaitEvent::ApprovalDecided {
            decision,
            comment,
            by,
            ..
        }) => Came::Other(json!({
            "decision": decision.as_str(), "comment": comment, "by": by,
        })),
        StepEvent::Loop(LoopEvent::Completed {
            iterations,
            condition_met,
        }) => Came::Other(json!({
            "status": "completed",
            "output": { "iterations": iterations, "condition_met": condition_met },
        })),
        StepEvent::ForEach(ForEachEvent::ItemCancelled { by }) => {
            Came::Other(json!({ "status": "cancelled", "by": by }))
        }
        StepEvent::Started(_)
        | StepEvent::AttemptFailed { .. }
        | StepEvent::Interrupted { .. }
        | StepEvent::Continued
        | StepEvent::DeadlineSet { .. }
        | StepEvent::Wait(WaitEvent::Started { .. })
        | StepEvent::Loop(LoopEvent::IterationStarted { .. } | LoopEvent::IterationEnded { .. })
        | StepEvent::ForEach(ForEachEvent::Started { .. } | ForEachEvent::ItemStarted) => {
            return None;
        }
    })
}

/// What an execution was given and came to, whole.
async fn values(
    store: &dyn Store,
    run: &RunId,
    seen: Option<&Seen>,
) -> Result<Option<Value>, RecordError> {
    let Some(seen) = seen else {
        return Ok(None);
    };
    if let Some(kept) = &seen.kept {
        return Ok(Some(match kept {
            StepResult::Completed { output } => {
                json!({ "status": "completed", "output": output.value() })
            }
            StepResult::Failed { error } => json!({ "status": "failed", "error": error }),
            StepResult::Skipped => json!({ "status": "skipped" }),
        }));
    }
    let mut whole = serde_json::Map::new();
    if let Some(Entry {
        event: Event::Step { event, .. },
        ..
    }) = entry(store, run, seen.started).await?
        && let Some((attempts, given)) = input(&event)
    {
        whole.insert("attempts".into(), json!(attempts));
        whole.insert("input".into(), (*given.value()).clone());
    }
    if let Some(Entry {
        event: Event::Step { event, .. },
        ..
    }) = entry(store, run, seen.ended).await?
    {
        let came = match outcome(&event) {
            Some(Came::Output(output)) => {
                json!({ "status": "completed", "output": output.value() })
            }
            Some(Came::Failed(error)) => json!({ "status": "failed", "error": error }),
            Some(Came::Other(what)) => what,
            None => Value::Null,
        };
        if let Value::Object(came) = came {
            whole.extend(came);
        }
    }
    Ok(Some(Value::Object(whole)))
}

async fn entry(
    store: &dyn Store,
    run: &RunId,
    seq: Option<u64>,
) -> Result<Option<Entry>, RecordError> {
    match seq {
        Some(seq) => Ok(record::journal(store, run, seq - 1, 1).await?.pop()),
        None => Ok(None),
    }
}

async fn definitions(
    store: &dyn Store,
    a: &RunState,
    b: &RunState,
) -> Result<Option<DefinitionDifference>, EngineError> {
    let digests = [a, b].map(|state| state.binding().definition);
    if digests[0] == digests[1] {
        return Ok(None);
    }
    let old = record::definition_text(store, a).await?;
    let new = record::definition_text(store, b).await?;
    let diff = similar::TextDiff::from_lines(old.as_str(), new.as_str());
    let mut unified = diff.unified_diff();
    let names =
        [a, b].map(|state| format!("{} of {}", state.created().workflow, state.created().run));
    unified.context_radius(2).header(&names[0], &names[1]);
    Ok(Some(DefinitionDifference {
        a: digests[0],
        b: digests[1],
        text: unified.to_string(),
    }))
}

fn components(a: &RunState, b: &RunState) -> Vec<ComponentDifference> {
    let all = |state: &RunState| -> BTreeMap<String, Digest> {
        let binding = state.binding();
        let components = binding.plugins.iter();
        let components = components.map(|(name, digest)| (name.clone(), *digest));
        let children = binding.children.iter();
        let texts = children.map(|(file, carried)| (file.clone(), carried.definition));
        components.chain(texts).collect()
    };
    let (one, other) = (all(a), all(b));
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name))
        .map(|name| ComponentDifference {
            name: name.clone(),
            a: one.get(name).copied(),
            b: other.get(name).copied(),
        })
        .collect()
}

/// How a run stands, without times.
fn ending(state: &RunState) -> Value {
    let phase = state.phase();
    let mut ending = json!({ "status": phase.status().as_str() });
    if let Some(code) = phase.stop_code() {
        ending["reason"] = json!(StopCode::as_str(code));
    }
    if let Some(path) = phase.stop().and_then(|stop| stop.path.clone()) {
        ending["path"] = json!(path);
    }
    if let Phase::Completed { output, .. } = phase {
        ending["output"] = (*output.value()).clone();
    }
    ending
}
