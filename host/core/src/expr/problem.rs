//! What is wrong with an expression, found before anything runs.

use std::fmt::Write as _;
use std::ops::Range;

/// One mistake in the text of an expression or a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which family of mistakes; the loader gives each a stable code.
    pub kind: ProblemKind,
    /// The bytes of the text that it is about.
    pub range: Range<usize>,
    /// What is wrong, lower case and without a full stop.
    pub message: String,
    /// How to put it right.
    pub help: Option<String>,
    /// Names that may have been meant, the nearest first.
    pub candidates: Vec<String>,
}

/// The families of mistakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The text is not an expression.
    Syntax,
    /// The text is longer, deeper or has more parts than an expression may have.
    TooLarge,
    /// A name that nothing has: a step, an input, a field, a function.
    UnknownName,
    /// The name exists, and cannot have a value where the expression stands.
    NotReadable,
    /// An operation on types that it does not take.
    TypeMismatch,
    /// A comparison with a value that the other side never has.
    NeverEqual,
    /// Something of CEL that this subset leaves out.
    UnsupportedFeature,
    /// `${ }` where the text already is an expression.
    TemplateInExpression,
    /// Text of a template that looks like a value: no mistake.
    Literal,
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            kind,
            range,
            message: message.into(),
            help: None,
            candidates: Vec::new(),
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// An unknown `name`, with those of `known` that look like it.
    pub(super) fn unknown(
        what: &str,
        name: &str,
        range: Range<usize>,
        known: impl IntoIterator<Item = String>,
    ) -> Self {
        let known: Vec<String> = known.into_iter().collect();
        let candidates = nearest(name, known.iter().map(String::as_str));
        let help = match candidates.first() {
            Some(best) => Some(format!("did you mean `{best}`?")),
            None => listed(&known),
        };
        Self {
            kind: ProblemKind::UnknownName,
            range,
            message: format!("unknown {what} `{name}`"),
            help,
            candidates,
        }
    }

    /// `${` in `text`, which is an expression already.
    pub(super) fn template_in_expression(range: Range<usize>, text: &str) -> Self {
        let help = match without_braces(text.trim()) {
            Some(inner) => format!("write `{inner}`"),
            None => "leave out `${` and `}`".to_owned(),
        };
        Self::new(
            ProblemKind::TemplateInExpression,
            range,
            "an expression here is written without `${ }`",
        )
        .help(help)
    }

    /// `${{ inner }}` in a template.
    pub(super) fn doubled_braces(range: Range<usize>, inner: &str) -> Self {
        let message = "a value takes one pair of braces";
        Self::new(ProblemKind::Syntax, range, message)
            .help(format!("write `${{ {} }}`", inner.trim()))
    }

    /// `${` in a string literal: nothing would replace it.
    pub(super) fn template_in_string(range: Range<usize>) -> Self {
        Self::new(
            ProblemKind::TemplateInExpression,
            range,
            "`${ }` is not replaced inside a string of an expression",
        )
        .help("join the parts with `+`; a literal `${` is written `$\\x7b`")
    }
}

/// What stands in `${ .. }`, `${{ .. }}` or `{{ .. }}`, when the whole text is that.
fn without_braces(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('$').unwrap_or(text);
    let inner = inner.strip_prefix('{')?.strip_suffix('}')?;
    let inner = inner
        .strip_prefix('{')
        .and_then(|inner| inner.strip_suffix('}'))
        .unwrap_or(inner)
        .trim();
    (!inner.is_empty() && !inner.contains(['{', '}'])).then_some(inner)
}

/// Those of `known` that a person may have meant by `name`, the nearest first.
pub(super) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Vec<String> {
    // The cost grows with both lengths, and what an object holds may be called anything.
    const LONGEST: usize = 128;
    if name.len() > LONGEST {
        return Vec::new();
    }
    let letters = name.chars().count();
    // A third of the letters may differ; beyond that a suggestion misleads more than it helps.
    let limit = 1 + letters / 3;
    let lower = name.to_lowercase();
    let mut scored: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|k| k.len() <= LONGEST && k.chars().count().abs_diff(letters) <= limit)
        .map(|k| (strsim::osa_distance(&lower, &k.to_lowercase()), k))
        .filter(|(distance, k)| *distance <= limit && *distance < k.chars().count())
        .collect();
    scored.sort_unstable();
    scored
        .into_iter()
        .take(3)
        .map(|(_, k)| k.to_owned())
        .collect()
}

/// The known names as a sentence, when they are few enough to read.
fn listed(known: &[String]) -> Option<String> {
    const READABLE: usize = 12;
    let (first, rest) = known.split_first()?;
    if known.len() > READABLE {
        return None;
    }
    let mut out = format!("there is `{first}`");
    for name in rest {
        let _ = write!(out, ", `{name}`");
    }
    Some(out)
}
