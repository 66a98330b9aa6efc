//! One step of one component, once, in a mocked world.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use milepost_core::definition::{Manifest, PluginSpec};
use milepost_core::grants::Grants;
use milepost_core::ids::{Path, RunId, StepId};
use milepost_core::limits::CallLimits;
use milepost_core::outcome::{ErrorClass, Outcome, StepError};
use milepost_core::payload::Payload;
use milepost_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::compare::{Check, Finding, Known, compare, diff};
use super::mock::Mock;
use super::world::{Kept, MockedHost, MockedWorld, Order, Seen};
use super::{Component, TestError};
use crate::attempt::{Call, CallResult, LogLevel, LogLine, Mode};
use crate::clock::VirtualClock;
use crate::wasm::secrets::{SecretValue, Secrets};

/// When it is for a test that does not say: 2026-01-01.
pub(crate) const NOW: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

/// How long a step may take, by the clock of the machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A step of a component, and the world that it is called in.
#[derive(Debug, Clone)]
pub struct StepTest {
    pub(crate) step: String,
    pub(crate) id: StepId,
    pub(crate) input: Value,
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) attempt: u32,
    pub(crate) state: Option<Value>,
    pub(crate) signal: Option<Value>,
    pub(crate) outputs: BTreeMap<StepId, Value>,
    pub(crate) seed: u64,
    pub(crate) now: Timestamp,
    pub(crate) timeout: Duration,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) cancelled: bool,
    pub(crate) mocks: Vec<Mock>,
    pub(crate) places: Vec<Range<usize>>,
    pub(crate) any_order: bool,
    pub(crate) kept: Kept,
    pub(crate) grants: Option<Arc<Grants>>,
    pub(crate) limits: CallLimits,
    pub(crate) checks: Vec<Check>,
}

impl StepTest {
    /// A step with an input.
    ///
    /// # Panics
    /// When no step can have this name.
    #[must_use]
    pub fn new(step: impl Into<String>, input: Value) -> Self {
        let step = step.into();
        Self {
            id: StepId::new(&step).expect("the name of a step"),
            step,
            input,
            config: BTreeMap::new(),
            attempt: 1,
            state: None,
            signal: None,
            outputs: BTreeMap::new(),
            seed: 1,
            now: NOW,
            timeout: TIMEOUT,
            secrets: BTreeMap::new(),
            cancelled: false,
            mocks: Vec::new(),
            places: Vec::new(),
            any_order: false,
            kept: Kept::default(),
            grants: None,
            limits: CallLimits::MOST,
            checks: Vec::new(),
        }
    }

    /// Settings of the plugin.
    #[must_use]
    pub fn config(mut self, name: &str, value: Value) -> Self {
        self.config.insert(name.to_owned(), value);
        self
    }

    /// Which attempt of the step it is, from 1.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// What the last pause of the step saved.
    #[must_use]
    pub fn resumes_with(mut self, state: Value) -> Self {
        self.state = Some(state);
        self
    }

    /// What came with the signal that ended the last pause.
    #[must_use]
    pub fn signalled_with(mut self, data: Value) -> Self {
        self.signal = Some(data);
        self
    }

    /// The seed of all random numbers.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What time it is. Only sleeping moves it.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// The value of a secret.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// What the work under a key came to in an earlier attempt.
    #[must_use]
    pub fn memo(mut self, key: &str, value: &Value) -> Self {
        self.kept.memos.insert(key.to_owned(), value.to_string());
        self
    }

    /// Somebody has asked the run to stop.
    #[must_use]
    pub fn cancel_requested(mut self) -> Self {
        self.cancelled = true;
        self
    }

    /// Answers a host call. Mocks answer in the order in which they were added.
    #[must_use]
    pub fn mock(mut self, mock: Mock) -> Self {
        self.mocks.push(mock);
        self
    }

    /// Mocks answer whatever fits them, in any order.
    #[must_use]
    pub fn any_order(mut self) -> Self {
        self.any_order = true;
        self
    }

    /// Calls the step.
    ///
    /// # Errors
    /// [`TestError`] when it cannot be called.
    pub fn run(&self, component: &Component) -> Result<StepRun, TestError> {
        super::block_on(self.call(component))
    }

    pub(crate) async fn call(&self, component: &Component) -> Result<StepRun, TestError> {
        let order = match self.any_order {
            true => Order::Any,
            false => Order::Strict,
        };
        let world = self.world(component, order, self.kept.clone(), None, 0)?;
        let result = component.callable().call(self.prepared(&world, 0)?).await;
        Ok(self.ran(&world, result))
    }

    /// The world of the attempt, or of one `again` attempts later; it stops in front of a call where that is asked for.
    pub(super) fn world(
        &self,
        component: &Component,
        order: Order,
        kept: Kept,
        dies_at: Option<usize>,
        again: u32,
    ) -> Result<Arc<MockedWorld>, TestError> {
        let clock = VirtualClock::jumping(self.now);
        let path = self.id.to_string();
        let world = MockedWorld::new(self.mocks.clone(), order, clock, kept)
            .at(path.clone(), path)
            .secrets(self.known_secrets(again)?)
            .grants(self.grants.clone())
            .cancelled(self.cancelled)
            .native(component.is_native())
            .dies_at(dies_at);
        Ok(Arc::new(world))
    }

    fn known_secrets(&self, again: u32) -> Result<Secrets, TestError> {
        let mut values = BTreeMap::new();
        for (name, value) in &self.secrets {
            let value = SecretValue::new(value.as_str())
                .map_err(|error| TestError::Secret(name.clone(), error.to_string()))?;
            values.insert(Arc::from(name.as_str()), Some(value));
        }
        Ok(Secrets::new(self.seed_of(again), values))
    }

    /// Every attempt has a seed of its own.
    fn seed_of(&self, again: u32) -> u64 {
        self.seed
            .wrapping_add(u64::from(again).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The call of the attempt, or of one `again` attempts later.
    pub(super) fn prepared(&self, world: &Arc<MockedWorld>, again: u32) -> Result<Call, TestError> {
        let secrets = self.known_secrets(again)?;
        let grants = match &self.grants {
            Some(grants) => Arc::clone(grants),
            None => {
                let names = || self.secrets.keys().map(|name| Arc::from(name.as_str()));
                Arc::new(Grants {
                    plugin: "test".into(),
                    artifacts: true,
                    secrets: names().collect(),
                    secrets_reveal: names().collect(),
                    ..Grants::default()
                })
            }
        };
        let outputs = self.outputs.iter();
        Ok(Call {
            run: RunId::new("test").expect("an id of a run"),
            workflow: "test".into(),
            step: self.step.as_str().into(),
            path: Path::top(self.id.clone()),
            attempt: self.attempt + again,
            input: Arc::new(self.input.clone()),
            config: Arc::new(self.config.clone()),
            grants,
            secrets,
            outputs: Arc::new(
                outputs
                    .map(|(id, value)| (id.clone(), Payload::kept(value.clone())))
                    .collect(),
            ),
            resume_state: self.state.clone().map(Arc::new),
            resume_signal: self.signal.clone().map(Arc::new),
            seed: self.seed_of(again),
            deadline: Some(self.now.after(self.timeout)),
            timeout: self.timeout,
            idle_timeout: None,
            limits: self.limits.clone(),
            host: Arc::new(MockedHost(Arc::clone(world))),
            mode: Mode::Mocked(Arc::clone(world) as _),
        })
    }

    pub(super) fn ran(&self, world: &MockedWorld, result: CallResult) -> StepRun {
        let mut findings = Vec::new();
        let refused = result.divergence.is_some();
        if let Some((_, unknown)) = world.answers().unknown() {
            let (message, add) = unknown.split_once('\n').unwrap_or((&unknown, ""));
            findings.push(Finding::new(message, 0..0).with(add));
        } else if let Some(divergence) = &result.divergence {
            findings.push(Finding::new(divergence.actual.clone(), 0..0));
        }
        if !refused {
            for (at, left) in world.answers().unused() {
                let place = self.places.get(at).cloned().unwrap_or(0..0);
                let mock = &self.mocks[at];
                let message = match left == mock.times {
                    true => format!("`{}` was not called", mock.call),
                    false => format!("`{}` was called {} times less", mock.call, left),
                };
                findings.push(Finding::new(message, place));
            }
        }
        StepRun {
            outcome: result.outcome,
            logs: result.logs,
            calls: world.seen(),
            findings,
            refused,
        }
    }

    /// What was expected and did not happen, in the order of the file.
    pub(crate) fn judge(&self, ran: &StepRun, whole: &Range<usize>) -> Vec<Finding> {
        let mut findings = ran.findings.clone();
        for finding in &mut findings {
            if finding.place.is_empty() {
                finding.place = whole.clone();
            }
        }
        if ran.refused {
            return findings;
        }
        let actual = ran.happened();
        let mut known = Known {
            inputs: self
                .input
                .as_object()
                .cloned()
                .unwrap_or_default()
                .into_iter()
                .collect(),
            run: json!({ "id": "test", "started_at": self.now.to_string() }),
            ..Known::default()
        };
        let status = if actual.contains_key("output") {
            "completed"
        } else if actual.contains_key("paused") {
            "paused"
        } else {
            "failed"
        };
        let step = json!({
            "status": status,
            "output": actual.get("output"),
            "error": match &ran.outcome { Outcome::Failed(error) => json!(error), _ => Value::Null },
            "attempts": self.attempt,
        });
        known.steps.insert(self.id.to_string(), step);
        let ends = [&["output"][..], ENDINGS].concat();
        findings.extend(compare(&self.checks, &actual, &ends, &known, whole.clone()));
        findings
    }
}

/// How a step can end beside an output.
pub(crate) const ENDINGS: &[&str] = &[
    "failed",
    "retryable",
    "paused",
    "trap",
    "timeout",
    "host",
    "cancelled",
];

/// What came of a step.
#[derive(Debug, Clone)]
pub struct StepRun {
    /// How it ended.
    pub outcome: Outcome,
    /// What it logged.
    pub logs: Vec<LogLine>,
    /// The host calls that it made, in order.
    pub calls: Vec<Seen>,
    /// Calls that no mock answers, and mocks that were not asked.
    pub findings: Vec<Finding>,
    pub(crate) refused: bool,
}

impl StepRun {
    /// It completed with this output, and asked what the mocks answer and nothing else.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn assert_output(&self, expected: &Value) {
        self.assert_answered();
        match &self.outcome {
            Outcome::Completed(actual) if actual == expected => {}
            Outcome::Completed(actual) => panic!("the output differs:\n{}", diff(expected, actual)),
            other => panic!("expected an output, but it ended with {other:?}"),
        }
    }

    /// It failed, retryable or not, with this code, and asked what the mocks answer and nothing else.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn assert_error(&self, class: ErrorClass, code: &str) -> &StepError {
        self.assert_answered();
        match &self.outcome {
            Outcome::Failed(error) if error.class == class && error.code == code => error,
            other => panic!("expected {class:?} with `{code}`, but it ended with {other:?}"),
        }
    }

    /// It asked what the mocks answer and nothing else.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn assert_answered(&self) {
        if let Some(finding) = self.findings.first() {
            panic!("{}\n{}", finding.message, finding.detail);
        }
    }

    /// What happened, under the names of expectations.
    pub(crate) fn happened(&self) -> Map<String, Value> {
        let (name, value) = ending(&self.outcome);
        let logs = self.logs.iter().map(log_line).collect();
        Map::from_iter([(name.to_owned(), value), ("logs".to_owned(), logs)])
    }
}

/// How it ended, under the name of its expectation.
pub(crate) fn ending(outcome: &Outcome) -> (&'static str, Value) {
    match outcome {
        Outcome::Completed(output) => ("output", output.clone()),
        Outcome::Paused(pause) => ("paused", json!(pause)),
        Outcome::Cancelled(message) => ("cancelled", json!(message)),
        Outcome::Failed(error) => {
            let name = match error.class {
                ErrorClass::Retryable => "retryable",
                ErrorClass::Failed => "failed",
                ErrorClass::Trap => "trap",
                ErrorClass::Timeout => "timeout",
                ErrorClass::Host | ErrorClass::Definition => "host",
                ErrorClass::Cancelled => "cancelled",
            };
            let mut value = json!(error);
            if let Some(members) = value.as_object_mut() {
                members.remove("class");
            }
            (name, value)
        }
    }
}

fn log_line(line: &LogLine) -> Value {
    let level = match line.level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let fields: Map<String, Value> = line
        .fields
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    json!({ "level": level, "message": line.message, "fields": fields })
}

/// What a definition says of the plugin of a step, for a test of that step.
pub(crate) fn under(mut test: StepTest, spec: &PluginSpec, grants: Grants) -> StepTest {
    test.grants = Some(Arc::new(grants));
    for (name, value) in spec.config.iter() {
        test.config
            .entry(name.clone())
            .or_insert_with(|| value.clone());
    }
    test
}

/// Whether the component has the step, as far as its manifest says.
pub(crate) fn missing(manifest: Option<&Manifest>, step: &str, file: &FilePath) -> Option<String> {
    let manifest = manifest?;
    if manifest.steps.contains_key(step) {
        return None;
    }
    let known: Vec<_> = manifest
        .steps
        .keys()
        .map(|name| format!("`{name}`"))
        .collect();
    Some(format!(
        "{} has no step `{step}`; it has {}",
        file.display(),
        known.join(", ")
    ))
}
