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
    /// Something of CEL that this subset leaves out.
    UnsupportedFeature,
    /// `${ }` where the text already is an expression.
    TemplateInExpression,
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
        let candidates = nearest(name, &known);
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
        let inner = text
            .trim()
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
            .map(str::trim)
            .filter(|inner| !inner.contains("${"));
        let help = match inner {
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

/// Those of `known` that a person may have meant by `name`, the nearest first.
fn nearest(name: &str, known: &[String]) -> Vec<String> {
    // A third of the letters may differ; beyond that a suggestion misleads more than it helps.
    let limit = 1 + name.chars().count() / 3;
    let lower = name.to_lowercase();
    let mut scored: Vec<(usize, &String)> = known
        .iter()
        .map(|k| (strsim::osa_distance(&lower, &k.to_lowercase()), k))
        .filter(|(distance, k)| *distance <= limit && *distance < k.chars().count())
        .collect();
    scored.sort();
    scored.into_iter().take(3).map(|(_, k)| k.clone()).collect()
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
