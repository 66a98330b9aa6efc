//! What is expected against what happened: exactly, in part, or by an expression of the workflow language.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use milepost_core::expr::{Budget, Env, Expr, Reference, Scope, StepField, StepProblem, Type};
use milepost_core::limits;
use milepost_core::rules::Rules;
use serde_json::{Map, Value, json};
use similar::{ChangeTag, TextDiff};

/// How a member of what happened is compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum How {
    /// It is this.
    Exactly(Value),
    /// It contains this: tables may have more members.
    Has(Value),
    /// A list of log lines: each is a text, or a table that the line contains.
    Lines(Vec<Value>),
    /// These lines are among them, in this order.
    HasLines(Vec<Value>),
    /// These are among the items, in this order.
    InOrder(Vec<Value>),
}

impl How {
    /// What is written.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Exactly(value) | Self::Has(value) => value.clone(),
            Self::Lines(items) | Self::HasLines(items) | Self::InOrder(items) => {
                items.clone().into()
            }
        }
    }
}

/// One thing that is expected.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Check {
    /// Of a member of what happened.
    Member {
        /// The key of the expectation, such as `output_has`.
        key: &'static str,
        /// The member, such as `output`.
        member: &'static str,
        how: How,
        place: Range<usize>,
    },
    /// An expression that holds.
    Where { text: String, place: Range<usize> },
}

impl Check {
    /// Where it begins in its file.
    pub(super) fn start(&self) -> usize {
        match self {
            Self::Member { place, .. } | Self::Where { place, .. } => place.start,
        }
    }
}

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What was wrong, in one line.
    pub message: String,
    /// Expected and actual as a small diff, where both are values; or what to add to the file.
    pub detail: String,
    /// Bytes of the test's file where that is expected.
    pub place: Range<usize>,
}

impl Finding {
    pub(crate) fn new(message: impl Into<String>, place: Range<usize>) -> Self {
        Self {
            message: message.into(),
            detail: String::new(),
            place,
        }
    }

    pub(crate) fn with(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// Whether `actual` has all of `part`: tables may have more members, everything else is the same.
pub(crate) fn contains(actual: &Value, part: &Value) -> bool {
    match (actual, part) {
        (Value::Object(actual), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| actual.get(name).is_some_and(|value| contains(value, part))),
        (Value::Array(actual), Value::Array(part)) => {
            actual.len() == part.len() && actual.iter().zip(part).all(|(a, p)| contains(a, p))
        }
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.as_f64() == b.as_f64() && a.is_f64() != b.is_f64())
        }
        _ => actual == part,
    }
}

/// What of `actual` a comparison with `part` looks at.
pub(super) fn seen(actual: &Value, part: &Value) -> Value {
    match (actual, part) {
        (Value::Object(actual), Value::Object(part)) => actual
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), seen(value, part.get(name)?))))
            .collect::<Map<_, _>>()
            .into(),
        (Value::Array(actual), Value::Array(part)) => actual
            .iter()
            .enumerate()
            .map(|(at, value)| {
                part.get(at)
                    .map_or_else(|| value.clone(), |p| seen(value, p))
            })
            .collect(),
        _ => actual.clone(),
    }
}

/// Lines of two values beside each other: `-` is expected, `+` is actual, and what is far from a difference is left out.
pub(crate) fn diff(expected: &Value, actual: &Value) -> String {
    let (expected, actual) = (pretty(expected), pretty(actual));
    let diff = TextDiff::from_lines(&expected, &actual);
    let mut out = String::new();
    for (at, group) in diff.grouped_ops(2).iter().enumerate() {
        if at > 0 {
            out.push_str("  ...\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            out.push(sign);
            out.push(' ');
            out.push_str(change.value().trim_end_matches('\n'));
            out.push('\n');
        }
    }
    out
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Compares what happened with what is expected. `ends` are the members of which exactly one says how it ended, the first
/// of them the usual one.
pub(crate) fn compare(
    checks: &[Check],
    actual: &Map<String, Value>,
    ends: &[&str],
    scope: &Known,
    whole: Range<usize>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let checks_end = |check: &Check| match check {
        Check::Member { member, .. } => ends.contains(member),
        Check::Where { .. } => false,
    };
    if !ends.is_empty() && !checks.iter().any(checks_end) && !actual.contains_key(ends[0]) {
        findings.push(ended_otherwise(ends[0], actual, ends, whole));
    }
    for check in checks {
        match check {
            Check::Member {
                key,
                member,
                how,
                place,
            } => match actual.get(*member) {
                Some(actual) => findings.extend(member_differs(key, how, actual, place)),
                None => findings.push(ended_otherwise(member, actual, ends, place.clone())),
            },
            Check::Where { text, place } => findings.extend(unmet(text, scope, place)),
        }
    }
    findings
}

fn ended_otherwise(
    expected: &str,
    actual: &Map<String, Value>,
    ends: &[&str],
    place: Range<usize>,
) -> Finding {
    let found = ends.iter().find_map(|end| Some((*end, actual.get(*end)?)));
    match found {
        Some((end, value)) => {
            let message = format!("expected `{expected}`, but it ended with `{end}`");
            Finding::new(message, place).with(plus(value))
        }
        None => Finding::new(format!("there is no `{expected}`"), place),
    }
}

fn plus(value: &Value) -> String {
    pretty(value)
        .lines()
        .map(|line| format!("+ {line}\n"))
        .collect()
}

fn member_differs(key: &str, how: &How, actual: &Value, place: &Range<usize>) -> Option<Finding> {
    let differs = |expected: &Value, actual: &Value| {
        Finding::new(format!("`{key}` differs"), place.clone()).with(diff(expected, actual))
    };
    match how {
        How::Exactly(expected) if same(expected, actual) => None,
        How::Exactly(expected) => Some(differs(expected, actual)),
        How::Has(part) if contains(actual, part) => None,
        How::Has(part) => Some(differs(part, &seen(actual, part))),
        How::InOrder(expected) => {
            let mut items = actual.as_array().into_iter().flatten();
            let missing = expected
                .iter()
                .find(|want| !items.by_ref().any(|item| item == *want))?;
            let message = match actual.as_array().is_some_and(|all| all.contains(missing)) {
                true => format!("`{key}`: {missing} did not come in this order"),
                false => format!("`{key}`: {missing} did not come"),
            };
            Some(Finding::new(message, place.clone()).with(plus(actual)))
        }
        How::Lines(expected) => {
            let lines = actual.as_array().map_or(&[][..], Vec::as_slice);
            let fits = lines.len() == expected.len()
                && lines
                    .iter()
                    .zip(expected)
                    .all(|(line, want)| line_fits(line, want));
            (!fits).then(|| {
                let shown = lines.iter().enumerate();
                let shown = shown.map(|(at, line)| shown_line(line, expected.get(at)));
                differs(&Value::Array(expected.clone()), &shown.collect())
            })
        }
        How::HasLines(expected) => {
            let mut lines = actual.as_array().into_iter().flatten();
            let missing = expected
                .iter()
                .find(|want| !lines.by_ref().any(|line| line_fits(line, want)))?;
            let all = actual.as_array().into_iter().flatten();
            let all: Value = all.map(|line| shown_line(line, None)).collect();
            Some(Finding::new(format!("no log line is {missing}"), place.clone()).with(plus(&all)))
        }
    }
}

/// Equal, where a whole number in a file stands for the same number with a fraction.
fn same(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        _ => contains(actual, expected),
    }
}

fn line_fits(line: &Value, want: &Value) -> bool {
    match want {
        Value::String(_) => line["message"] == *want,
        _ => contains(line, want),
    }
}

fn shown_line(line: &Value, want: Option<&Value>) -> Value {
    match want {
        Some(want @ Value::Object(_)) => seen(line, want),
        _ => line["message"].clone(),
    }
}

/// What an expression of an expectation can read.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) inputs: BTreeMap<String, Value>,
    /// By id: `status`, `output`, `error`, `attempts`, as they are known.
    pub(crate) steps: BTreeMap<String, Value>,
    pub(crate) run: Value,
}

impl Env for Known {
    fn input(&self, name: &str) -> Option<Type> {
        self.inputs.get(name).map(|_| Type::Dyn)
    }

    fn input_names(&self) -> Vec<String> {
        self.inputs.keys().cloned().collect()
    }

    fn step(&self, id: &str, _: StepField) -> Result<Type, StepProblem> {
        match self.steps.contains_key(id) {
            true => Ok(Type::Dyn),
            false => Err(StepProblem::Unknown),
        }
    }

    fn step_names(&self) -> Vec<String> {
        self.steps.keys().cloned().collect()
    }

    fn in_loop(&self) -> bool {
        false
    }

    fn in_foreach(&self) -> bool {
        false
    }

    fn at_the_end(&self) -> bool {
        true
    }
}

impl Scope for Known {
    fn lookup(&self, reference: &Reference) -> Option<Cow<'_, Value>> {
        let found = match reference {
            Reference::Input(name) => self.inputs.get(name),
            Reference::Step { id, field } => self.steps.get(id.as_str())?.get(field.name()),
            Reference::RunId => self.run.get("id"),
            Reference::RunStartedAt => self.run.get("started_at"),
            Reference::RunStatus => self.run.get("status"),
            Reference::LoopIteration
            | Reference::LoopPrevious
            | Reference::Item
            | Reference::ItemIndex => None,
        };
        found.filter(|value| !value.is_null()).map(Cow::Borrowed)
    }

    fn rules(&self) -> Rules {
        Rules::PRESENT
    }
}

fn unmet(text: &str, scope: &Known, place: &Range<usize>) -> Option<Finding> {
    let expr = match Expr::compile(text, scope) {
        Ok(expr) => expr,
        Err(problems) => {
            let problems = problems.iter().map(|problem| problem.message.as_str());
            let all: Vec<_> = problems.collect();
            return Some(Finding::new(
                format!("`where` cannot be used: {}", all.join("; ")),
                place.clone(),
            ));
        }
    };
    let mut budget = Budget::new(limits::STEP_OUTPUT_BYTES);
    match expr.eval_bool(scope, &mut budget) {
        Ok(true) => None,
        Ok(false) => {
            let read = expr.references().map(|reference| {
                let value = scope.lookup(reference).map_or(json!(null), Cow::into_owned);
                format!("  {reference} = {value}\n")
            });
            let read: String = read.collect();
            Some(Finding::new(format!("`{text}` does not hold"), place.clone()).with(read))
        }
        Err(error) => Some(Finding::new(
            format!("`{text}` has no value: {error}"),
            place.clone(),
        )),
    }
}
