//! Comparisons of a step's status with a word that no step ever has: such a condition would be quietly false.

use std::ops::Range;

/// Every status of a step that an expression can meet.
pub(super) const STATUSES: &[&str] = &[
    "completed",
    "failed",
    "skipped",
    "pending",
    "running",
    "waiting",
    "paused",
];

/// Every status that a run is about to get.
pub(super) const ENDS: &[&str] = &["completed", "failed", "cancelled"];

/// A literal that a status is compared with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Its range in the expression, quotes included.
    pub(super) range: Range<usize>,
    /// Those that it could be.
    pub(super) statuses: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    /// A string literal without escapes, and where it stands.
    Text(&'a str, usize),
    Compare,
    Mark(u8),
}

/// The impossible words of an expression that has compiled.
pub(super) fn impossible(expression: &str) -> Vec<Word> {
    let tokens = tokens(expression);
    let words = (0..tokens.len()).filter_map(|at| {
        let (length, statuses) = status_at(&tokens[at..])?;
        let (before, after) = (&tokens[..at], &tokens[at + length..]);
        match (before, after) {
            (_, [Token::Compare, Token::Text(text, start), ..])
            | ([.., Token::Text(text, start), Token::Compare], _) => {
                let range = *start..*start + text.len() + 2;
                (!statuses.contains(text)).then(|| Word {
                    text: (*text).to_owned(),
                    range,
                    statuses,
                })
            }
            (_, _) => None,
        }
    });
    words.collect()
}

/// How many tokens of `steps.x.status`, `steps['x'].status` or `run.status` stand at the start, and what that can be.
fn status_at(tokens: &[Token<'_>]) -> Option<(usize, &'static [&'static str])> {
    const DOT: Token<'_> = Token::Mark(b'.');
    match tokens {
        [
            Token::Name("steps"),
            DOT,
            Token::Name(_),
            DOT,
            Token::Name("status"),
            ..,
        ] => Some((5, STATUSES)),
        [
            Token::Name("steps"),
            Token::Mark(b'['),
            Token::Text(..),
            Token::Mark(b']'),
            DOT,
            Token::Name("status"),
            ..,
        ] => Some((6, STATUSES)),
        [Token::Name("run"), DOT, Token::Name("status"), ..] => Some((3, ENDS)),
        _ => None,
    }
}

fn tokens(expression: &str) -> Vec<Token<'_>> {
    let bytes = expression.as_bytes();
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let length = match byte {
            b'"' | b'\'' => {
                let length = text_length(&bytes[at..]);
                found.push(
                    match expression.get(at + 1..(at + length).saturating_sub(1)) {
                        Some(inner) if !inner.contains('\\') => Token::Text(inner, at),
                        _ => Token::Mark(byte),
                    },
                );
                length
            }
            b'=' | b'!' if bytes.get(at + 1) == Some(&b'=') => {
                found.push(Token::Compare);
                2
            }
            _ if is_name(&byte) => {
                let length = bytes[at..].iter().take_while(|b| is_name(b)).count();
                found.push(Token::Name(&expression[at..at + length]));
                length
            }
            _ => {
                if !byte.is_ascii_whitespace() {
                    found.push(Token::Mark(byte));
                }
                1
            }
        };
        at += length;
    }
    found
}

/// Length of the string literal at the start, quotes included.
fn text_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != bytes[0] {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_no_status_is_are_found() {
        for (expression, expected) in [
            ("steps.a.status == 'complete'", vec!["complete"]),
            ("\"done\" != steps['a-b'].status", vec!["done"]),
            ("steps.a.status=='x'||steps.b.status!=\"y\"", vec!["x", "y"]),
            ("steps.a.status == 'completed'", vec![]),
            ("run.status == 'canceled'", vec!["canceled"]),
            ("run.status == 'cancelled' || run.state == 'x'", vec![]),
            ("steps.a.output.status == 'x'", vec![]),
            ("inputs.status == 'x'", vec![]),
            ("'steps.a.status == \"x\"' == steps.a.output", vec![]),
            ("steps.a.status == inputs.x", vec![]),
            ("steps.a.status", vec![]),
            ("'é' == steps.a.status", vec!["é"]),
        ] {
            let words = impossible(expression);
            let texts: Vec<_> = words.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(texts, expected, "{expression}");
            for word in &words {
                assert!(
                    expression[word.range.clone()].contains(&word.text),
                    "{expression}"
                );
            }
        }
    }
}
