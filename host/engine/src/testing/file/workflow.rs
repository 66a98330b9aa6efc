//! Tests of workflows as a whole: what stands in a test without `step`.

use std::ops::Range;
use std::time::Duration;

use milepost_core::definition::nearest;
use milepost_core::diagnostic::Diagnostic;
use milepost_core::ids::RunId;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError};
use milepost_core::state::Status;
use milepost_core::time::{Timestamp, parse_duration};
use milepost_core::wait::Verdict;
use serde_json::{Map, Value, json};

use super::{Node, Reader, Table, codes};
use crate::testing::compare::{Check, How};
use crate::testing::workflow::{Act, Ask, Stub, What, WorkflowTest};

/// The keys of such a test.
pub(super) const TEST: &[&str] = &[
    "name",
    "workflow",
    "inputs",
    "run",
    "seed",
    "now",
    "until",
    "timeout",
    "secrets",
    "memo",
    "kv",
    "steps",
    "signal",
    "decision",
    "request",
    "any_order",
    "call",
    "expect",
];
pub(super) const STUB: &[&str] = &[
    "output",
    "failed",
    "retryable",
    "trap",
    "timed_out",
    "host",
    "paused",
    "takes",
];
pub(super) const SIGNAL: &[&str] = &["name", "at", "payload", "step"];
pub(super) const DECISION: &[&str] = &["step", "decision", "at", "comment", "by"];
pub(super) const REQUEST: &[&str] = &["do", "at", "step", "by"];
pub(super) const EXPECT: &[&str] = &[
    "status",
    "output",
    "output_has",
    "failed",
    "paused",
    "cancelled",
    "path",
    "path_has",
    "attempts",
    "where",
];

impl Reader<'_> {
    pub(super) fn workflow_test(&mut self, table: &Table<'_>) -> WorkflowTest {
        let inputs = self.json_table(table, "inputs").unwrap_or_default();
        let mut test = WorkflowTest::new(Value::Object(inputs.into_iter().collect()));
        if let Some(run) = self.text(table, "run") {
            match RunId::new(&run) {
                Ok(run) => test.run = run,
                Err(error) => {
                    let span = self.span(table, "run");
                    self.error(codes::BAD_NAME, span, format!("`{run}`: {error}"));
                }
            }
        }
        if let Some(seed) = self.seed(table) {
            test.seed = seed;
        }
        if let Some(now) = self.time(table, "now") {
            test.now = now;
        }
        test.until = self.duration(table, "until");
        if let Some(timeout) = self.duration(table, "timeout") {
            test.timeout = timeout;
        }
        test.any_order = self.flag(table, "any_order");
        test.secrets = self.secrets(table);
        test.kv = self.buckets(table);
        for (step, memos) in self.json_table(table, "memo").unwrap_or_default() {
            test.memos_place = self.span(table, "memo");
            match memos {
                Value::Object(memos) => {
                    test.memos.insert(step, memos.into_iter().collect());
                }
                _ => {
                    let message = format!("the memos of the step `{step}` are no table of keys");
                    self.error(codes::WRONG_TYPE, test.memos_place.clone(), message);
                }
            }
        }
        self.stubs(table, &mut test);
        for call in self.tables(table, "call", "a call", &[super::CALL, &["step"]].concat()) {
            if let Some(mut mock) = self.mock(&call) {
                mock.step = self.text(&call, "step");
                test.mocks.push(mock);
                test.places.push(call.span.clone());
            }
        }
        self.acts(table, &mut test);
        test
    }

    fn stubs(&mut self, table: &Table<'_>, test: &mut WorkflowTest) {
        let Some(steps) = table.table.get("steps") else {
            return;
        };
        let Some(steps) = steps.get_ref().as_table() else {
            self.wrong_type("steps", "a table of steps", steps);
            return;
        };
        for (name, node) in steps {
            let mut stubs = Vec::new();
            match node.get_ref() {
                toml::de::DeValue::Table(one) => {
                    let stub = self.table("a stub", one, name.span(), STUB);
                    stubs.extend(self.stub(&stub));
                }
                toml::de::DeValue::Array(several) => {
                    for node in several.iter() {
                        match node.get_ref().as_table() {
                            Some(one) => {
                                let stub = self.table("a stub", one, node.span(), STUB);
                                stubs.extend(self.stub(&stub));
                            }
                            None => self.wrong_type(name.get_ref(), "a list of stubs", node),
                        }
                    }
                }
                _ => self.wrong_type(name.get_ref(), "a stub, such as `{ output = {} }`", node),
            }
            if !stubs.is_empty() {
                test.stubs.0.insert(name.get_ref().to_string(), stubs);
            }
        }
    }

    fn stub(&mut self, table: &Table<'_>) -> Option<Stub> {
        let takes = self.duration(table, "takes").unwrap_or_default();
        let ends = &STUB[..STUB.len() - 1];
        let given: Vec<&str> = ends
            .iter()
            .copied()
            .filter(|key| table.table.get(*key).is_some())
            .collect();
        let [key] = given[..] else {
            let message = match given.is_empty() {
                true => "a stub has to say how the step ends".to_owned(),
                false => format!("`{}` cannot stand together", given.join("` and `")),
            };
            let problem = Diagnostic::error(codes::MISSING_KEY, table.span.clone(), message);
            let help = format!("a stub has one of `{}`", ends.join("`, `"));
            self.out.push(problem.with_help(help));
            return None;
        };
        let node = table.table.get(key)?;
        let mut pauses_for = None;
        let outcome = match key {
            "output" => Outcome::Completed(self.value(node, 0)),
            "paused" => {
                let (pause, time) = self.pause(node)?;
                pauses_for = time;
                Outcome::Paused(pause)
            }
            class => Outcome::Failed(self.step_error(class, node)?),
        };
        Some(Stub {
            outcome,
            pauses_for,
            takes,
            place: table.span.clone(),
        })
    }

    fn step_error(&mut self, key: &str, node: &Node<'_>) -> Option<StepError> {
        let class = match key {
            "retryable" => ErrorClass::Retryable,
            "trap" => ErrorClass::Trap,
            "timed_out" => ErrorClass::Timeout,
            "host" => ErrorClass::Host,
            _ => ErrorClass::Failed,
        };
        let members = self.coded(key, node)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let code = text("code").unwrap_or(key);
        let message = text("message").unwrap_or("a test says so");
        Some(StepError {
            detail: members.get("detail").cloned(),
            provider: text("provider").map(str::to_owned),
            retry_after_millis: members.get("retry_after_millis").and_then(Value::as_u64),
            ..StepError::new(class, code, message)
        })
    }

    fn pause(&mut self, node: &Node<'_>) -> Option<(Pause, Option<Duration>)> {
        let members = self.coded("paused", node)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut until = None;
        let mut time = None;
        if let Some(text) = text("until") {
            match (text.parse::<Timestamp>(), parse_duration(&text)) {
                (Ok(at), _) => until = Some(at),
                (Err(_), Ok(duration)) => time = Some(duration),
                (Err(_), Err(_)) => {
                    let message = "`until` is no time, such as `2026-01-31T12:00:00Z`, and no duration, such as `30m`";
                    self.error(codes::WRONG_TYPE, node.span(), message);
                }
            }
        }
        let pause = Pause {
            code: text("code").unwrap_or_else(|| "paused".to_owned()),
            reason: text("reason").unwrap_or_else(|| "a test says so".to_owned()),
            provider: text("provider"),
            until,
            signal: text("signal"),
            state: members.get("state").cloned(),
        };
        Some((pause, time))
    }

    /// A code, or a table with one.
    fn coded(&mut self, key: &str, node: &Node<'_>) -> Option<Map<String, Value>> {
        const ERROR: &[&str] = &[
            "code",
            "message",
            "detail",
            "provider",
            "retry_after_millis",
        ];
        const PAUSE: &[&str] = &["code", "reason", "provider", "until", "signal", "state"];
        match self.value(node, 0) {
            Value::String(code) => Some(Map::from_iter([("code".to_owned(), code.into())])),
            Value::Object(members) => {
                let known = if key == "paused" { PAUSE } else { ERROR };
                if let Some(table) = node.get_ref().as_table() {
                    let _ = self.table("it", table, node.span(), known);
                }
                Some(members)
            }
            _ => {
                self.wrong_type(key, "a code, or a table", node);
                None
            }
        }
    }

    /// In the order of the file.
    fn acts(&mut self, table: &Table<'_>, test: &mut WorkflowTest) {
        let mut acts = Vec::new();
        for signal in self.tables(table, "signal", "a signal", SIGNAL) {
            let Some(name) = self.needed_text(&signal, "name") else {
                continue;
            };
            let what = What::Signal {
                name,
                payload: self.json(&signal, "payload").unwrap_or_default(),
                to: self.text(&signal, "step"),
            };
            acts.push(Act::of(
                what,
                self.duration(&signal, "at"),
                signal.span.clone(),
            ));
        }
        for decision in self.tables(table, "decision", "a decision", DECISION) {
            let Some(verdict) = self.choice(&decision, "decision", &VERDICTS) else {
                continue;
            };
            let what = What::Decision {
                step: self.text(&decision, "step"),
                verdict,
                comment: self.text(&decision, "comment"),
                by: self.text(&decision, "by"),
            };
            acts.push(Act::of(
                what,
                self.duration(&decision, "at"),
                decision.span.clone(),
            ));
        }
        for request in self.tables(table, "request", "a request", REQUEST) {
            let Some(what) = self.choice(&request, "do", &Ask::ALL) else {
                continue;
            };
            let step = self.text(&request, "step");
            if step.is_some() && what != Ask::Retry {
                let span = self.span(&request, "step");
                self.error(codes::UNKNOWN_KEY, span, "only `retry` names a step");
            }
            let by = self
                .text(&request, "by")
                .unwrap_or_else(|| "a test".to_owned());
            let what = What::Request { what, step, by };
            acts.push(Act::of(
                what,
                self.duration(&request, "at"),
                request.span.clone(),
            ));
        }
        acts.sort_by_key(|act| act.place.start);
        test.acts = acts;
    }

    fn choice<T: Copy>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let given = self.needed_text(table, key)?;
        let found = choices.iter().find(|(name, _)| *name == given);
        if found.is_none() {
            let span = self.span(table, key);
            let message = format!("`{given}` is no `{key}`");
            let problem = Diagnostic::error(codes::UNKNOWN_CHOICE, span, message);
            let names = choices.iter().map(|(name, _)| *name);
            let near = nearest(&given, names.clone());
            self.out.push(match near.is_empty() {
                true => {
                    let names: Vec<_> = names.collect();
                    problem.with_help(format!("write one of `{}`", names.join("`, `")))
                }
                false => problem.with_candidates(near),
            });
        }
        found.map(|(_, choice)| *choice)
    }

    pub(super) fn workflow_checks(&mut self, table: &Table<'_>) -> Vec<Check> {
        let mut checks = Vec::new();
        for (name, node) in table.table {
            let Some(key) = EXPECT.iter().copied().find(|key| **key == *name.get_ref()) else {
                // It has been reported.
                continue;
            };
            let place = node.span();
            let value = self.value(node, 0);
            let (member, how) = match (key, value) {
                ("where", Value::String(text)) => {
                    checks.push(Check::Where { text, place });
                    continue;
                }
                ("status", Value::String(status)) => {
                    self.known_status(&status, node);
                    ("status", How::Exactly(status.into()))
                }
                ("output", value) => ("output", How::Exactly(value)),
                ("output_has", value) => ("output", How::Has(value)),
                ("path", Value::Array(items)) => ("path", How::Exactly(items.into())),
                ("path_has", Value::Array(items)) => ("path", How::InOrder(items)),
                ("attempts", Value::Object(counts)) => ("attempts", How::Has(counts.into())),
                ("failed" | "paused" | "cancelled", Value::String(code)) => {
                    (key, How::Has(json!({ "code": code })))
                }
                ("failed" | "paused" | "cancelled", part @ Value::Object(_)) => {
                    (key, How::Has(part))
                }
                (key, _) => {
                    let wanted = match key {
                        "where" => "an expression, as a text",
                        "status" => "a status, as a text",
                        "path" | "path_has" => "a list of steps",
                        "attempts" => "a table of numbers",
                        _ => "a code, or a table",
                    };
                    self.wrong_type(key, wanted, node);
                    continue;
                }
            };
            checks.push(Check::Member {
                key,
                member,
                how,
                place,
            });
        }
        checks.sort_by_key(Check::start);
        checks
    }

    fn known_status(&mut self, given: &str, node: &Node<'_>) {
        let all = Status::ALL.map(|status| status.to_string());
        if !all.iter().any(|status| status == given) {
            let message = format!("`{given}` is no status");
            let span: Range<usize> = node.span();
            let problem = Diagnostic::error(codes::UNKNOWN_CHOICE, span, message);
            let help = format!("write one of `{}`", all.join("`, `"));
            self.out.push(problem.with_help(help));
        }
    }
}

pub(super) const VERDICTS: [(&str, Verdict); 2] = [
    ("approve", Verdict::Approved),
    ("reject", Verdict::Rejected),
];
