//! Files of tests, `*.test.toml`: read whole, with every problem at its place.

mod schema;
mod workflow;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use milepost_core::definition::nearest;
use milepost_core::diagnostic::{Diagnostic, Diagnostics};
use milepost_core::effect::{Artifact, KvItem};
use milepost_core::ids::{Digest, StepId};
use milepost_core::limits;
use milepost_core::time::{Timestamp, parse_duration};
use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use self::schema::json_schema;
use super::beside;
use super::compare::{Check, How};
use super::mock::{CALLS, Mock, taped};
use super::step::{ENDINGS, StepTest};
use super::workflow::WorkflowTest;
use crate::bounded_file;
use crate::workflow::OpenError;

/// The codes that problems of a definition have, too.
mod codes {
    pub(super) const SYNTAX: &str = "MP0001";
    pub(super) const SCHEMA_VERSION: &str = "MP0004";
    pub(super) const UNKNOWN_KEY: &str = "MP0101";
    pub(super) const MISSING_KEY: &str = "MP0102";
    pub(super) const WRONG_TYPE: &str = "MP0103";
    pub(super) const OUT_OF_RANGE: &str = "MP0104";
    pub(super) const UNKNOWN_CHOICE: &str = "MP0105";
    pub(super) const BAD_DURATION: &str = "MP0106";
    pub(super) const BAD_NAME: &str = "MP0108";
    pub(super) const NOT_JSON: &str = "MP0111";
    #[cfg(test)]
    pub(super) const ALL: [&str; 10] = [
        SYNTAX,
        SCHEMA_VERSION,
        UNKNOWN_KEY,
        MISSING_KEY,
        WRONG_TYPE,
        OUT_OF_RANGE,
        UNKNOWN_CHOICE,
        BAD_DURATION,
        BAD_NAME,
        NOT_JSON,
    ];
}

/// A file of tests.
#[derive(Debug)]
pub struct TestFile {
    /// Where it is.
    pub file: PathBuf,
    /// What it says.
    pub text: Arc<str>,
    /// Its tests, in order.
    pub cases: Vec<Case>,
}

/// One test of a file.
#[derive(Debug)]
pub struct Case {
    /// Its name, unique in the file.
    pub name: String,
    /// Bytes of the file where it begins.
    pub place: Range<usize>,
    pub(crate) subject: Subject,
    /// Where an expectation can be added.
    pub(crate) expect: Place,
    /// The keys of expectations, by the places of their values.
    pub(crate) keys: Vec<(Range<usize>, Range<usize>)>,
}

/// Where `expect` of a test stands, and what is added to it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A table of its own: behind its header.
    Header(usize),
    /// In one line: behind the brace.
    Inline(usize),
    /// There is none: the end of the test.
    Nowhere(usize),
}

impl Case {
    pub(crate) fn checks(&self) -> &[Check] {
        match &self.subject {
            Subject::Component { test, .. } | Subject::StepOf { test, .. } => &test.checks,
            Subject::Workflow { test, .. } => &test.checks,
        }
    }

    /// The members of what happened that say how it ended.
    pub(crate) fn ends(&self) -> &'static [&'static str] {
        match &self.subject {
            Subject::Component { .. } | Subject::StepOf { .. } => ENDINGS,
            Subject::Workflow { .. } => super::workflow::ENDINGS,
        }
    }

    /// The files that it depends on: the one that is tested.
    #[must_use]
    pub fn tests(&self) -> &Path {
        match &self.subject {
            Subject::Component { file, .. } => file,
            Subject::StepOf { workflow, .. } | Subject::Workflow { workflow, .. } => workflow,
        }
    }
}

/// What is tested.
#[derive(Debug)]
pub(crate) enum Subject {
    /// A step of a component.
    Component { file: PathBuf, test: Box<StepTest> },
    /// The component step of a workflow.
    StepOf {
        workflow: PathBuf,
        test: Box<StepTest>,
    },
    /// A workflow as a whole.
    Workflow {
        workflow: PathBuf,
        test: Box<WorkflowTest>,
    },
}

impl TestFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`OpenError::Unreadable`], or [`OpenError::Invalid`] with every problem.
    pub fn open(file: &Path) -> Result<Self, OpenError> {
        let text = bounded_file::read_text(file, limits::DEFINITION_BYTES).map_err(|error| {
            OpenError::Unreadable {
                file: file.to_owned(),
                cause: error.into(),
            }
        })?;
        Ok(Self::parse(file, &text)?)
    }

    /// Reads a text as if it stood in that file.
    ///
    /// # Errors
    /// Every problem, sorted by position.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Diagnostics> {
        let text: Arc<str> = text.into();
        let mut reader = Reader {
            file,
            out: Vec::new(),
        };
        let cases = reader.file(&text);
        let diagnostics =
            Diagnostics::new(&file.display().to_string(), Arc::clone(&text), reader.out);
        match diagnostics.has_errors() {
            true => Err(diagnostics),
            false => Ok(Self {
                file: file.to_owned(),
                text,
                cases,
            }),
        }
    }
}

const TOP: &[&str] = &["schema", "component", "workflow", "test"];
const TEST: &[&str] = &[
    "name",
    "component",
    "workflow",
    "step",
    "input",
    "config",
    "attempt",
    "state",
    "signal",
    "outputs",
    "seed",
    "now",
    "timeout",
    "secrets",
    "cancel_requested",
    "memo",
    "kv",
    "artifact",
    "any_order",
    "call",
    "expect",
];
const CALL: &[&str] = &["call", "request", "answer", "error", "times", "idempotent"];
const ERROR: &[&str] = &["code", "message", "transient"];
const EXPECT: &[&str] = &[
    "output",
    "output_has",
    "failed",
    "retryable",
    "paused",
    "trap",
    "timeout",
    "host",
    "cancelled",
    "logs",
    "logs_have",
    "where",
];
const ARTIFACT: &[&str] = &["name", "media_type", "text", "file"];

type Node<'a> = Spanned<DeValue<'a>>;

/// What messages call a test of a workflow as a whole.
const WHOLE: &str = "a test of a workflow";

/// What a test expects, and where that is written.
struct Expected<'a> {
    given: Option<Table<'a>>,
    place: Place,
    keys: Vec<(Range<usize>, Range<usize>)>,
}

/// A table with its place.
#[derive(Clone)]
struct Table<'a> {
    what: &'static str,
    table: &'a DeTable<'a>,
    span: Range<usize>,
}

/// The end of the last line that says something: comments behind it belong to what follows.
fn last_line(text: &str) -> usize {
    let mut end = text.trim_end().len();
    while let Some(start) = text[..end].rfind('\n')
        && text[start + 1..end].trim_start().starts_with('#')
    {
        end = text[..start].trim_end().len();
    }
    end
}

/// Where `expect` stands, whose value and key have these places.
fn place_of(text: &str, value: Range<usize>, key_end: usize) -> Place {
    match text.get(value.clone()) {
        Some(written) if written.starts_with('{') => Place::Inline(value.start + 1),
        _ => {
            // Behind the header, and a comment there.
            let rest = text.get(key_end..).unwrap_or_default();
            let line = rest.find('\n').unwrap_or(rest.len());
            Place::Header(key_end + line)
        }
    }
}

struct Reader<'f> {
    file: &'f Path,
    out: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn error(&mut self, code: &'static str, span: Range<usize>, message: impl Into<String>) {
        self.out.push(Diagnostic::error(code, span, message));
    }

    fn file(&mut self, text: &str) -> Vec<Case> {
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            self.error(codes::SYNTAX, span, error.message());
        }
        // After a syntax error every hole of the tree would be a mistake of its own.
        if !errors.is_empty() {
            return Vec::new();
        }
        if !root.get_ref().contains_key("test")
            && let Some((step, _)) = root.get_ref().get_key_value("step")
        {
            let message = "this is a workflow, not a file of tests";
            let problem = Diagnostic::error(codes::UNKNOWN_KEY, step.span(), message);
            let help = "its tests stand in a file of their own, such as `NAME.test.toml`, whose `workflow` names this one";
            self.out.push(problem.with_help(help));
            return Vec::new();
        }
        let top = self.table("the file", root.get_ref(), 0..0, TOP);
        match top
            .table
            .get("schema")
            .map(|node| (node.span(), node.get_ref().as_integer()))
        {
            Some((_, Some(version))) if version.as_str() == "1" => {}
            Some((span, _)) => {
                let help = "write `schema = 1`";
                let problem = Diagnostic::error(
                    codes::SCHEMA_VERSION,
                    span,
                    "this version of test files is not supported",
                );
                self.out.push(problem.with_help(help));
            }
            None => self.missing(&top, "schema", "1"),
        }
        let mut cases: Vec<Case> = Vec::new();
        let tables = self.tests(&top);
        let starts: Vec<_> = tables.iter().map(|table| table.span.start).collect();
        for (at, table) in tables.iter().enumerate() {
            let end = starts.get(at + 1).copied().unwrap_or(text.len());
            let end = last_line(&text[..end]);
            let Some(case) = self.case(&top, table, text, end) else {
                continue;
            };
            if let Some(other) = cases.iter().find(|other| other.name == case.name) {
                let message = format!("there is a test `{}` already", case.name);
                let problem = Diagnostic::error(codes::BAD_NAME, case.place.clone(), message);
                let problem = problem.with_related(other.place.clone(), "the first one");
                self.out
                    .push(problem.with_help("give each test of a file its own name"));
            }
            cases.push(case);
        }
        if top.table.get("test").is_none() {
            self.missing(&top, "test", "..");
        }
        cases
    }

    fn case(&mut self, top: &Table<'_>, table: &Table<'_>, text: &str, end: usize) -> Option<Case> {
        let name = self.needed_text(table, "name");
        let subject = self.subject(top, table);
        if table.what == WHOLE {
            let test = self.workflow_test(table);
            return self.whole(table, text, end, name?, subject?, test);
        }
        let step = self.needed_text(table, "step");
        let mut test = StepTest::new("step", Value::Object(Map::new()));
        if let Some(input) = self.json(table, "input") {
            test.input = input;
        }
        if let Some(config) = self.json_table(table, "config") {
            test.config = config.into_iter().collect();
        }
        test.attempt = self.number(table, "attempt", 1).unwrap_or(1);
        test.state = self.json(table, "state");
        test.signal = self.json(table, "signal");
        if let Some(seed) = self.seed(table) {
            test.seed = seed;
        }
        if let Some(now) = self.time(table, "now") {
            test.now = now;
        }
        if let Some(timeout) = self.duration(table, "timeout") {
            test.timeout = timeout;
        }
        test.cancelled = self.flag(table, "cancel_requested");
        test.any_order = self.flag(table, "any_order");
        test.secrets = self.secrets(table);
        self.kept(table, &mut test);
        for (id, output) in self.json_table(table, "outputs").unwrap_or_default() {
            if step.as_ref() == Some(&id) {
                let span = self.span(table, "outputs");
                let message =
                    format!("`{id}` is the step that is tested; `outputs` are those of others");
                let problem = Diagnostic::error(codes::BAD_NAME, span, message);
                self.out
                    .push(problem.with_help("what is expected of it: `expect = { output = .. }`"));
            }
            match StepId::new(&id) {
                Ok(id) => drop(test.outputs.insert(id, output)),
                Err(_) => {
                    let span = self.span(table, "outputs");
                    self.error(codes::BAD_NAME, span, format!("`{id}` is no id of a step"));
                }
            }
        }
        for call in self.tables(table, "call", "a call", CALL) {
            if let Some(mock) = self.mock(&call) {
                test.mocks.push(mock);
                test.places.push(call.span.clone());
            }
        }
        let Expected { given, place, keys } = self.expected(table, text, end, EXPECT);
        if let Some(given) = given {
            test.checks = self.checks(&given);
        }
        let (name, step) = (name?, step?);
        match StepId::new(&step) {
            Ok(id) => test.id = id,
            Err(error) => {
                let span = self.span(table, "step");
                self.error(
                    codes::BAD_NAME,
                    span,
                    format!("`{step}` is no step: {error}"),
                );
            }
        }
        test.step = step;
        let test = Box::new(test);
        let subject = match subject? {
            (true, file) => Subject::Component { file, test },
            (false, workflow) => Subject::StepOf { workflow, test },
        };
        Some(Case {
            name,
            place: self.span(table, "name"),
            subject,
            expect: place,
            keys,
        })
    }

    /// A test of a workflow as a whole.
    fn whole(
        &mut self,
        table: &Table<'_>,
        text: &str,
        end: usize,
        name: String,
        (of_component, workflow): (bool, PathBuf),
        mut test: WorkflowTest,
    ) -> Option<Case> {
        if of_component {
            self.missing(table, "step", "\"..\"");
            return None;
        }
        let Expected { given, place, keys } = self.expected(table, text, end, workflow::EXPECT);
        if let Some(given) = given {
            test.checks = self.workflow_checks(&given);
        }
        let test = Box::new(test);
        Some(Case {
            name,
            place: self.span(table, "name"),
            subject: Subject::Workflow { workflow, test },
            expect: place,
            keys,
        })
    }

    /// The tests; a test of a workflow without a step is one of all of it, and has other keys.
    fn tests<'a>(&mut self, top: &Table<'a>) -> Vec<Table<'a>> {
        let of_workflows = top.table.get("workflow").is_some();
        let Some(node) = top.table.get("test") else {
            return Vec::new();
        };
        let DeValue::Array(items) = node.get_ref() else {
            self.wrong_type("test", "a list of tables (`[[..]]`)", node);
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items.iter() {
            let DeValue::Table(inner) = item.get_ref() else {
                self.wrong_type("test", "a list of tables", item);
                continue;
            };
            let has = |key| inner.get(key).is_some();
            let whole = !has("step") && !has("component") && (of_workflows || has("workflow"));
            found.push(match whole {
                true => self.table(WHOLE, inner, item.span(), workflow::TEST),
                false => self.table("a test", inner, item.span(), TEST),
            });
        }
        found
    }

    fn expected<'a>(
        &mut self,
        table: &Table<'a>,
        text: &str,
        end: usize,
        known: &[&'static str],
    ) -> Expected<'a> {
        let given = self.record(table, "expect", "`expect`", known);
        let mut expected = Expected {
            given: None,
            place: Place::Nowhere(end),
            keys: Vec::new(),
        };
        if let Some(given) = given {
            let pairs = given.table.iter();
            expected.keys = pairs
                .map(|(name, node)| (node.span(), name.span()))
                .collect();
            expected.place = place_of(text, self.span(table, "expect"), given.span.end);
            expected.given = Some(given);
        }
        expected
    }

    fn secrets(&mut self, table: &Table<'_>) -> BTreeMap<String, String> {
        let mut secrets = BTreeMap::new();
        for (name, value) in self.json_table(table, "secrets").unwrap_or_default() {
            match value {
                Value::String(text) => drop(secrets.insert(name, text)),
                _ => {
                    let span = self.span(table, "secrets");
                    self.error(
                        codes::WRONG_TYPE,
                        span,
                        format!("the secret `{name}` is no text"),
                    );
                }
            }
        }
        secrets
    }

    fn time(&mut self, table: &Table<'_>, key: &str) -> Option<Timestamp> {
        let text = self.text(table, key)?;
        let time = text.parse::<Timestamp>().ok();
        if time.is_none() {
            let span = self.span(table, key);
            let problem = Diagnostic::error(codes::WRONG_TYPE, span, format!("`{key}` is no time"));
            let help = format!("write it as `{key} = \"2026-01-31T12:00:00Z\"`");
            self.out.push(problem.with_help(help));
        }
        time
    }

    /// Whether a component is tested, and the file.
    fn subject(&mut self, top: &Table<'_>, table: &Table<'_>) -> Option<(bool, PathBuf)> {
        for table in [table, top] {
            let found = ["component", "workflow"].map(|key| self.text(table, key));
            match found {
                [Some(_), Some(_)] => {
                    let span = self.span(table, "workflow");
                    let message = "`component` and `workflow` are both given";
                    let problem = Diagnostic::error(codes::UNKNOWN_CHOICE, span, message);
                    let help = "a test is of a component or of a workflow: leave one of them out";
                    self.out.push(problem.with_help(help));
                    return None;
                }
                [Some(component), None] => return Some((true, beside(self.file, &component))),
                [None, Some(workflow)] => return Some((false, beside(self.file, &workflow))),
                [None, None] => {}
            }
        }
        let message = "the test says neither `component` nor `workflow`";
        let problem = Diagnostic::error(codes::MISSING_KEY, table.span.clone(), message);
        let help =
            "add `component = \"..\"` or `workflow = \"..\"`, here or at the top of the file";
        self.out.push(problem.with_help(help));
        None
    }

    /// What is in buckets before, by bucket and key.
    fn buckets(&mut self, table: &Table<'_>) -> BTreeMap<(String, String), Arc<[u8]>> {
        let mut buckets = BTreeMap::new();
        for (bucket, items) in self.json_table(table, "kv").unwrap_or_default() {
            let Value::Object(items) = items else {
                let span = self.span(table, "kv");
                let message = format!("the bucket `{bucket}` is no table of keys");
                self.error(codes::WRONG_TYPE, span, message);
                continue;
            };
            for (key, value) in items {
                let bytes = match value {
                    Value::String(text) => text.into_bytes(),
                    other => other.to_string().into_bytes(),
                };
                buckets.insert((bucket.clone(), key), bytes.into());
            }
        }
        buckets
    }

    /// Memos, buckets and artifacts that are there before.
    fn kept(&mut self, table: &Table<'_>, test: &mut StepTest) {
        for (key, value) in self.json_table(table, "memo").unwrap_or_default() {
            test.kept.memos.insert(key, value.to_string());
        }
        for (key, value) in self.buckets(table) {
            let item = KvItem {
                revision: 1,
                value: Some(value),
            };
            test.kept.kv.insert(key, item);
        }
        for given in self.tables(table, "artifact", "an artifact", ARTIFACT) {
            let name = self.needed_text(&given, "name").unwrap_or_default();
            let media_type = self.text(&given, "media_type");
            let bytes = match (self.text(&given, "text"), self.text(&given, "file")) {
                (Some(text), None) => text.into_bytes(),
                (None, Some(file)) => {
                    let path = beside(self.file, &file);
                    match bounded_file::read(&path, limits::HTTP_BODY_BYTES) {
                        Ok(bytes) => bytes,
                        Err(error) => {
                            let span = self.span(&given, "file");
                            let message = format!("{} cannot be read: {error}", path.display());
                            self.error(codes::WRONG_TYPE, span, message);
                            continue;
                        }
                    }
                }
                _ => {
                    let message = "an artifact needs `text` or `file`, one of them";
                    self.error(codes::MISSING_KEY, given.span.clone(), message);
                    continue;
                }
            };
            let digest = Digest::of(&bytes);
            let artifact = Artifact {
                digest,
                name,
                size: bytes.len() as u64,
                media_type: media_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            };
            test.kept.artifacts.insert(digest, (artifact, bytes.into()));
        }
    }

    fn mock(&mut self, table: &Table<'_>) -> Option<Mock> {
        let call = self.needed_text(table, "call")?;
        let span = self.span(table, "call");
        if !CALLS.contains(&&*call) {
            let message = format!("there is no call `{call}`");
            let near = nearest(&call, CALLS);
            let problem = Diagnostic::error(codes::UNKNOWN_CHOICE, span, message);
            self.out.push(match near.is_empty() {
                true => problem.with_help(format!("calls are `{}`", CALLS.join("`, `"))),
                false => problem.with_candidates(near),
            });
            return None;
        }
        let mut mock = Mock::new(&*call);
        mock.request = self.json(table, "request").unwrap_or_default();
        mock.times = self.number(table, "times", 1).unwrap_or(1);
        if table.table.get("idempotent").is_some() {
            mock.idempotent = Some(self.flag(table, "idempotent"));
        }
        let answer = self.json(table, "answer");
        let error = self.record(table, "error", "`error`", ERROR);
        match (answer, error) {
            (Some(_), Some(_)) => {
                let span = self.span(table, "error");
                self.error(
                    codes::UNKNOWN_CHOICE,
                    span,
                    "`answer` and `error` are both given",
                );
            }
            (None, None) => {
                let message = format!("the call `{call}` has no `answer` and no `error`");
                self.error(codes::MISSING_KEY, table.span.clone(), message);
            }
            (Some(answer), None) => match taped(&call, answer) {
                Ok(answer) => mock.answer = json!({ "ok": answer }),
                Err(problem) => {
                    let span = self.span(table, "answer");
                    let message = format!("`answer` of `{call}`: {problem}");
                    self.error(codes::WRONG_TYPE, span, message);
                }
            },
            (None, Some(error)) => {
                let code = self.needed_text(&error, "code").unwrap_or_default();
                let message = self.text(&error, "message").unwrap_or_default();
                mock = mock.fails(&code, &message, self.flag(&error, "transient"));
            }
        }
        Some(mock)
    }

    fn checks(&mut self, table: &Table<'_>) -> Vec<Check> {
        let mut checks = Vec::new();
        for (name, node) in table.table {
            let place = node.span();
            let found = EXPECT.iter().find(|key| **key == *name.get_ref());
            let Some(key) = found.copied() else {
                // It has been reported.
                continue;
            };
            let value = self.value(node, 0);
            let (member, how) = match key {
                "where" => {
                    match value {
                        Value::String(text) => checks.push(Check::Where { text, place }),
                        _ => self.wrong_type(key, "an expression, as a text", node),
                    }
                    continue;
                }
                "output" => ("output", How::Exactly(value)),
                "output_has" => ("output", How::Has(value)),
                "logs" | "logs_have" => match value {
                    Value::Array(lines) if key == "logs" => ("logs", How::Lines(lines)),
                    Value::Array(lines) => ("logs", How::HasLines(lines)),
                    _ => {
                        self.wrong_type(key, "a list of log lines", node);
                        continue;
                    }
                },
                "cancelled" => ("cancelled", How::Exactly(value)),
                other => match value {
                    Value::String(code) => (other, How::Has(json!({ "code": code }))),
                    Value::Object(_) => (other, How::Has(value)),
                    _ => {
                        self.wrong_type(key, "a code, or a table", node);
                        continue;
                    }
                },
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

    fn table<'a>(
        &mut self,
        what: &'static str,
        table: &'a DeTable<'a>,
        span: Range<usize>,
        known: &[&'static str],
    ) -> Table<'a> {
        for (name, _) in table {
            let given: &Cow<'_, str> = name.get_ref();
            if known.contains(&given.as_ref()) {
                continue;
            }
            let message = format!("{what} has no key `{given}`");
            let problem = Diagnostic::error(codes::UNKNOWN_KEY, name.span(), message);
            let given = given.as_ref();
            let is_expected = EXPECT.contains(&given) || workflow::EXPECT.contains(&given);
            if known.contains(&"expect") && is_expected {
                let help = format!(
                    "what is expected has a table of its own: `expect = {{ {given} = .. }}`"
                );
                self.out.push(problem.with_help(help));
                continue;
            }
            let near = nearest(given, known.iter().copied());
            self.out.push(match near.is_empty() {
                true => problem.with_help(format!("its keys are `{}`", known.join("`, `"))),
                false => problem.with_candidates(near),
            });
        }
        Table { what, table, span }
    }

    fn record<'a>(
        &mut self,
        table: &Table<'a>,
        key: &str,
        what: &'static str,
        known: &[&'static str],
    ) -> Option<Table<'a>> {
        let (name, node) = table.table.get_key_value(key)?;
        match node.get_ref() {
            DeValue::Table(inner) => Some(self.table(what, inner, name.span(), known)),
            _ => {
                self.wrong_type(key, "a table", node);
                None
            }
        }
    }

    fn tables<'a>(
        &mut self,
        table: &Table<'a>,
        key: &str,
        what: &'static str,
        known: &[&'static str],
    ) -> Vec<Table<'a>> {
        let Some(node) = table.table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = node.get_ref() else {
            self.wrong_type(key, "a list of tables (`[[..]]`)", node);
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(inner) => found.push(self.table(what, inner, item.span(), known)),
                _ => self.wrong_type(key, "a list of tables", item),
            }
        }
        found
    }

    fn span(&self, table: &Table<'_>, key: &str) -> Range<usize> {
        let node = table.table.get(key);
        node.map_or_else(|| table.span.clone(), Spanned::span)
    }

    fn text(&mut self, table: &Table<'_>, key: &str) -> Option<String> {
        let node = table.table.get(key)?;
        match node.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                self.wrong_type(key, "a text", node);
                None
            }
        }
    }

    fn needed_text(&mut self, table: &Table<'_>, key: &str) -> Option<String> {
        if table.table.get(key).is_none() {
            self.missing(table, key, "\"..\"");
        }
        self.text(table, key)
    }

    fn flag(&mut self, table: &Table<'_>, key: &str) -> bool {
        let Some(node) = table.table.get(key) else {
            return false;
        };
        node.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong_type(key, "`true` or `false`", node);
            false
        })
    }

    fn number(&mut self, table: &Table<'_>, key: &str, least: u32) -> Option<u32> {
        let node = table.table.get(key)?;
        let Some(number) = node.get_ref().as_integer() else {
            self.wrong_type(key, "a whole number", node);
            return None;
        };
        let read = u32::from_str_radix(number.as_str(), number.radix()).ok();
        let fits = read.filter(|number| *number >= least);
        if fits.is_none() {
            let message = format!("`{key}` must be from {least} to {}", u32::MAX);
            self.error(codes::OUT_OF_RANGE, node.span(), message);
        }
        fits
    }

    /// A whole number, as a text where TOML has no such number.
    fn seed(&mut self, table: &Table<'_>) -> Option<u64> {
        let node = table.table.get("seed")?;
        let read = match node.get_ref() {
            DeValue::String(text) => text.parse().ok(),
            DeValue::Integer(integer) => {
                u64::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            _ => None,
        };
        if read.is_none() {
            self.wrong_type("seed", "a whole number from 0 on", node);
        }
        read
    }

    fn duration(&mut self, table: &Table<'_>, key: &str) -> Option<Duration> {
        let text = self.text(table, key)?;
        match parse_duration(&text) {
            Ok(duration) => Some(duration),
            Err(invalid) => {
                let span = self.span(table, key);
                self.error(codes::BAD_DURATION, span, invalid.to_string());
                None
            }
        }
    }

    fn json(&mut self, table: &Table<'_>, key: &str) -> Option<Value> {
        let node = table.table.get(key)?;
        Some(self.value(node, 0))
    }

    fn json_table(&mut self, table: &Table<'_>, key: &str) -> Option<BTreeMap<String, Value>> {
        let node = table.table.get(key)?;
        match self.value(node, 0) {
            Value::Object(members) => Some(members.into_iter().collect()),
            _ => {
                self.wrong_type(key, "a table", node);
                None
            }
        }
    }

    /// A value as JSON; `{ "$json" = ".." }` holds what TOML cannot.
    fn value(&mut self, node: &Node<'_>, depth: usize) -> Value {
        if depth > limits::JSON_DEPTH {
            self.error(
                codes::NOT_JSON,
                node.span(),
                "the value is nested too deeply",
            );
            return Value::Null;
        }
        match node.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Integer(integer) => {
                let read = i64::from_str_radix(integer.as_str(), integer.radix());
                read.map(Value::from).unwrap_or_else(|_| {
                    self.error(
                        codes::NOT_JSON,
                        node.span(),
                        "the number has more than 64 bits",
                    );
                    Value::Null
                })
            }
            DeValue::Float(float) => {
                let read = float.as_str().replace('_', "").parse::<f64>().ok();
                let number = read.and_then(serde_json::Number::from_f64);
                number.map(Value::Number).unwrap_or_else(|| {
                    self.error(codes::NOT_JSON, node.span(), "JSON has no such number");
                    Value::Null
                })
            }
            DeValue::Datetime(_) => {
                let problem = "JSON has no times: write it in quotes";
                self.error(codes::NOT_JSON, node.span(), problem);
                Value::Null
            }
            DeValue::Array(items) => items
                .iter()
                .map(|item| self.value(item, depth + 1))
                .collect(),
            DeValue::Table(table) => {
                if let (Some(given), 1) = (table.get("$json"), table.len()) {
                    let text = given.get_ref().as_str().unwrap_or_default();
                    return serde_json::from_str(text).unwrap_or_else(|error| {
                        let message = format!("`$json` holds no JSON: {error}");
                        self.error(codes::NOT_JSON, given.span(), message);
                        Value::Null
                    });
                }
                let members = table.iter().map(|(name, value)| {
                    (name.get_ref().to_string(), self.value(value, depth + 1))
                });
                Value::Object(members.collect())
            }
        }
    }

    fn wrong_type(&mut self, key: &str, wanted: &str, node: &Node<'_>) {
        let message = format!("`{key}` is not {wanted}");
        self.error(codes::WRONG_TYPE, node.span(), message);
    }

    fn missing(&mut self, table: &Table<'_>, key: &str, example: &str) {
        let message = format!("{} needs `{key}`", table.what);
        let problem = Diagnostic::error(codes::MISSING_KEY, table.span.clone(), message);
        let help = match key {
            "test" => "add a `[[test]]`".to_owned(),
            _ => format!("add `{key} = {example}`"),
        };
        self.out.push(problem.with_help(help));
    }
}

#[cfg(test)]
mod tests {
    use milepost_core::definition::explain;

    use super::*;

    fn problems(text: &str) -> Vec<(usize, usize, String)> {
        match TestFile::parse(Path::new("a.test.toml"), text) {
            Ok(_) => Vec::new(),
            Err(found) => {
                let items = found.report().diagnostics.into_iter();
                items
                    .map(|item| (item.line, item.column, item.message))
                    .collect()
            }
        }
    }

    #[test]
    fn every_code_is_explained() {
        for code in codes::ALL {
            assert!(explain(code).is_some(), "{code}");
        }
    }

    #[test]
    fn all_problems_are_told_with_their_places() {
        let text = "schema = 1\ncomponent = \"a.wasm\"\nworkflw = 1\n\n[[test]]\nname = \"a\"\nstep = \"x\"\natempt = 2\n\
                    timeout = \"5 parsecs\"\ninput = { at = 2026-01-01 }\n\n[[test.call]]\ncall = \"http.sent\"\n\n\
                    [[test.call]]\ncall = \"http.send\"\nanswer = { stat = 200 }\n\n[test.expect]\noutputs = 1\nlogs = 1\n";
        let found = problems(text);
        let places: Vec<_> = found
            .iter()
            .map(|(line, column, _)| (*line, *column))
            .collect();
        assert_eq!(
            places,
            [
                (3, 1),
                (8, 1),
                (9, 11),
                (10, 16),
                (13, 8),
                (17, 10),
                (20, 1),
                (21, 8)
            ],
            "{found:#?}"
        );
    }

    #[test]
    fn a_test_needs_its_subject_and_a_name_of_its_own() {
        let found = problems(
            "schema = 1\n[[test]]\nname = \"a\"\nstep = \"x\"\n[[test]]\nstep = \"y\"\ncomponent = \"a\"\n",
        );
        assert_eq!(found.len(), 2, "{found:#?}");
        let twice = "schema = 1\ncomponent = \"a\"\n[[test]]\nname = \"a\"\nstep = \"x\"\n[[test]]\nname = \"a\"\nstep = \"y\"\n";
        assert_eq!(problems(twice).len(), 1);
        assert_eq!(problems("schema = 2\n").len(), 2);
    }

    #[test]
    fn what_toml_cannot_hold_is_json() {
        let text = "schema = 1\ncomponent = \"a\"\n[[test]]\nname = \"a\"\nstep = \"x\"\ninput = { a = { \"$json\" = \"null\" }, b = 1.5 }\n";
        let file = TestFile::parse(Path::new("a.test.toml"), text).expect("it is right");
        let Subject::Component { test, .. } = &file.cases[0].subject else {
            panic!("it is of a component");
        };
        assert_eq!(test.input, json!({ "a": null, "b": 1.5 }));
    }
}
