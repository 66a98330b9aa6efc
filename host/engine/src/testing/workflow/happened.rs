//! What happened to a run, under the names of expectations, and whether that was expected.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use milepost_core::definition::Definition;
use milepost_core::event::{Event, StepEvent, WaitEvent};
use milepost_core::ids::{Path, RunId};
use milepost_core::question::ask;
use milepost_core::state::{RunState, Status};
use milepost_core::stop::{Stop, Why};
use serde_json::{Map, Value, json};

use super::stage::Stage;
use super::stub::Name;
use super::{Played, TestError, WorkflowTest};
use crate::carried;
use crate::engine::EngineError;
use crate::record;
use crate::report::RunReport;
use crate::testing::compare::{Check, Finding, Known, compare};

/// How a run can end beside an output, under the names of expectations.
pub(crate) const ENDINGS: &[&str] = &["failed", "paused", "cancelled"];

/// A run, read back.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(super) report: RunReport,
    pub(super) path: Vec<String>,
    pub(super) attempts: BTreeMap<String, u32>,
    state: RunState,
    definition: Definition,
}

impl Happened {
    pub(super) async fn read(stage: &Stage, run: &RunId) -> Result<Self, TestError> {
        let store = stage.store.as_ref();
        let recorded = record::load(store, run).await.map_err(EngineError::from)?;
        let definition = carried::definition(store, &recorded.state).await?;
        let mut journals: BTreeMap<RunId, BTreeMap<u64, Event>> = BTreeMap::new();
        let mut path = Vec::new();
        let mut attempts: BTreeMap<String, u32> = BTreeMap::new();
        let mut open: BTreeSet<(RunId, Path)> = BTreeSet::new();
        for (run, seq) in stage.commits() {
            if !journals.contains_key(&run) {
                let entries = record::journal(store, &run, 0, usize::MAX).await;
                let entries = entries.map_err(EngineError::from)?.into_iter();
                let entries = entries.map(|entry| (entry.seq, entry.event));
                journals.insert(run.clone(), entries.collect());
            }
            let event = journals.get(&run).and_then(|journal| journal.get(&seq));
            let Some(Event::Step { path: at, event }) = event else {
                continue;
            };
            let name = Name::of(&stage.before(&run).await, at);
            let key = (run, at.clone());
            match event {
                StepEvent::Started(_) => {
                    *attempts.entry(name.short).or_default() += 1;
                    if open.insert(key) {
                        path.push(name.full);
                    }
                }
                StepEvent::Wait(WaitEvent::Started { .. }) => {
                    if open.insert(key) {
                        path.push(name.full);
                    }
                }
                StepEvent::Ends { .. } => path.push(name.full),
                // Another attempt follows: it is the same execution.
                StepEvent::AttemptFailed { .. }
                | StepEvent::Paused { .. }
                | StepEvent::Continued
                | StepEvent::Interrupted { .. }
                | StepEvent::DeadlineSet { .. }
                | StepEvent::Loop(_)
                | StepEvent::ForEach(_) => {}
                StepEvent::Wait(WaitEvent::SignalReceived { .. }) if calls(&definition, at) => {}
                StepEvent::Completed { .. }
                | StepEvent::Failed { .. }
                | StepEvent::Skipped(_)
                | StepEvent::Wait(_) => drop(open.remove(&key)),
            }
        }
        Ok(Self {
            report: RunReport::new(&definition, &recorded.state),
            path,
            attempts,
            state: recorded.state,
            definition,
        })
    }

    /// Under the names of expectations.
    pub(crate) fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("status".to_owned(), json!(self.report.status));
        let (end, value) = match (self.report.status, &self.report.stop) {
            (Status::Completed, _) => ("output", self.report.output.clone()),
            (Status::Failed, Some(stop)) => ("failed", stopped(stop)),
            (Status::Paused, Some(stop)) => ("paused", stopped(stop)),
            (Status::Cancelled, Some(stop)) => ("cancelled", stopped(stop)),
            (other, _) => ("status", json!(other)),
        };
        members.insert(end.to_owned(), value);
        members.insert("path".to_owned(), json!(self.path));
        members.insert("attempts".to_owned(), json!(self.attempts));
        members
    }

    fn where_holds(&self, text: &str, place: &Range<usize>) -> Option<Finding> {
        match ask(&self.definition, &self.state, None, text) {
            Ok(Value::Bool(true)) => None,
            Ok(Value::Bool(false)) => {
                let steps = self.report.steps.iter();
                let read = steps.filter(|step| text.contains(&format!("steps.{}", step.path)));
                let read = read.map(|step| {
                    let output = step.output.value();
                    format!("  steps.{}.output = {output}\n", step.path)
                });
                let read: String = read.collect();
                Some(Finding::new(format!("`{text}` does not hold"), place.clone()).with(read))
            }
            Ok(other) => {
                let message = format!("`{text}` is no condition: its value is {other}");
                Some(Finding::new(message, place.clone()))
            }
            Err(problems) => {
                let report = problems.report();
                let all: Vec<&str> = report
                    .diagnostics
                    .iter()
                    .map(|problem| problem.message.as_str())
                    .collect();
                let message = format!("`where` cannot be used: {}", all.join("; "));
                Some(Finding::new(message, place.clone()))
            }
        }
    }
}

/// Whether a component is called there, which a signal lets go on.
fn calls(definition: &Definition, path: &Path) -> bool {
    definition
        .step(path.step())
        .is_some_and(|step| step.call().is_some())
}

/// A stop, as expectations name it: the code of the error where there is one, else that of the stop.
pub(super) fn stopped(stop: &Stop) -> Value {
    let mut value = json!({ "code": stop.code().as_str(), "reason": stop.code().as_str() });
    let mut set = |name: &str, with: Value| {
        if !with.is_null() {
            value[name] = with;
        }
    };
    set("step", json!(stop.path));
    set("due_at", json!(stop.due_at));
    match &stop.why {
        Why::StepFailed { failures, .. } | Why::FinallyFailed { failures, .. } => {
            if let Some(first) = failures.first() {
                set("code", json!(first.code));
                set("step", json!(first.path));
                set("message", json!(first.message));
            }
        }
        Why::StepPaused(pausing) | Why::RetriesExhausted(pausing) => {
            set("code", json!(pausing.code));
            set("message", json!(pausing.reason));
            set("signal", json!(pausing.signal));
        }
        Why::CompensationFailed { code, message, .. } => {
            set("code", json!(code));
            set("message", json!(message));
        }
        Why::Ended { message, .. } => set("message", json!(message)),
        Why::Rejected { by, comment } => {
            set("by", json!(by));
            set("message", json!(comment));
        }
        Why::Cancelled { by } | Why::Interrupted { by, .. } => set("by", json!(by)),
        Why::WaitingForSignal { signal } => set("signal", json!(signal)),
        Why::WaitingForApproval { question, .. } => set("message", json!(question)),
        _ => set("message", json!(stop.why.error())),
    }
    set("compensated", json!(stop.compensated));
    value
}

impl WorkflowTest {
    /// What was expected and did not happen, in the order of the file. `after_crash`: attempts were lost, and are not counted.
    pub(crate) fn judge(
        &self,
        played: &Played,
        whole: &Range<usize>,
        after_crash: bool,
    ) -> Vec<Finding> {
        let mut findings = played.run.findings.clone();
        for finding in &mut findings {
            if finding.place.is_empty() {
                finding.place = whole.clone();
            }
        }
        if played.refused {
            return findings;
        }
        let mut actual = played.happened.members();
        let about = |check: &Check| match check {
            Check::Member { member, .. } => Some(*member),
            Check::Where { .. } => None,
        };
        let counted = |check: &&Check| !(after_crash && about(check) == Some("attempts"));
        let members = self.checks.iter().filter(|check| about(check).is_some());
        let mut members: Vec<Check> = members.filter(counted).cloned().collect();
        // What is not named was not called.
        for check in &mut members {
            if let Check::Member { member, how, .. } = check
                && *member == "attempts"
                && let Some(named) = how.value().as_object()
            {
                for name in named.keys() {
                    let counts = actual.get_mut("attempts").and_then(Value::as_object_mut);
                    counts.map(|counts| counts.entry(name.clone()).or_insert(json!(0)));
                }
            }
        }
        let ends = match self
            .checks
            .iter()
            .any(|check| about(check) == Some("status"))
        {
            // It is said how it ends.
            true => Vec::new(),
            false => [&["output"][..], ENDINGS].concat(),
        };
        let known = Known::default();
        findings.extend(compare(&members, &actual, &ends, &known, whole.clone()));
        for check in &self.checks {
            if let Check::Where { text, place } = check {
                findings.extend(played.happened.where_holds(text, place));
            }
        }
        findings.sort_by_key(|finding| finding.place.start);
        findings
    }
}

/// All steps by the names of their stubs, and whether a component is called there.
pub(super) fn steps(definition: &Definition) -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    let mut open = vec![(String::new(), definition)];
    while let Some((before, definition)) = open.pop() {
        for step in definition.steps() {
            let name = format!("{before}{}", step.id);
            if let Some(child) = step.child() {
                open.push((format!("{name}/"), child.definition.as_ref()));
            }
            let calls = step.call().is_some();
            if calls {
                all.insert(format!("{name}!compensate"), true);
            }
            all.insert(name, calls);
        }
    }
    all
}

/// What a step is called without items and iterations: in its run, what surrounds it does not count.
pub(super) fn id_of(name: &str, known: &BTreeMap<String, bool>) -> String {
    let bare = |part: &str| part.split(['[', '#']).next().unwrap_or(part).to_owned();
    let mut ids = vec![String::new()];
    let parts: Vec<&str> = name.split('/').collect();
    for (at, part) in parts.iter().enumerate() {
        // A loop is around what follows; an item may be, or start a child run.
        let around = at + 1 < parts.len() && part.contains(['#', '[']);
        let starts = !part.contains('#') || at + 1 == parts.len();
        let before = std::mem::take(&mut ids);
        for id in before {
            if around {
                ids.push(id.clone());
            }
            if starts {
                let slash = if id.is_empty() { "" } else { "/" };
                ids.push(format!("{id}{slash}{}", bare(part)));
            }
        }
    }
    let found = ids.iter().find(|id| known.contains_key(*id));
    found.or(ids.last()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_of_steps() {
        let known = ["a", "gate", "call/inner", "packages/numbers"];
        let known = known.map(|id| (id.to_owned(), true)).into();
        for (name, id) in [
            ("a", "a"),
            ("a[3]", "a"),
            ("fix#2/gate", "gate"),
            ("files[3]/gate", "gate"),
            ("files[3]/fix#2/gate", "gate"),
            ("packages[2]/numbers", "packages/numbers"),
            ("each#1/packages[2]/numbers", "packages/numbers"),
            ("call/inner[0]", "call/inner"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(id_of(name, &known), id, "{name}");
        }
    }
}
