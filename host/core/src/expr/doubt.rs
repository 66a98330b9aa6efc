//! Text of a template that stands for itself and looks as if a value were meant.

use super::names::{OF_FOREACH, ROOTS};
use super::problem::{Problem, ProblemKind};
use super::template::closing;

/// Everything of that sort in `text`, in order. What is wrong with the template itself is told elsewhere.
pub(super) fn doubts(text: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = text[at..].find('{') {
        let brace = at + offset;
        let dollars = text[at..brace].bytes().rev().take_while(|b| *b == b'$');
        match dollars.count() {
            0 if text[brace..].starts_with("{{") => {
                if let Some(inner) = value(&text[brace + 2..]) {
                    let close = brace + 2 + text[brace + 2..].find('}').unwrap_or(0) + 1;
                    let end = close + usize::from(text[close..].starts_with('}'));
                    let problem = literal(brace..end, "`{{ }}` is not replaced: this is text");
                    found.push(problem.help(format!("for the value write `${{ {inner} }}`")));
                }
                at = brace + 2;
            }
            0 => at = brace + 1,
            // An expression, whose own braces are no text.
            1 => match closing(text, brace + 1) {
                Ok(close) => at = close + 1,
                Err(_) => return found,
            },
            _ => {
                if let Some(inner) = value(&text[brace + 1..]) {
                    let end = brace + 1 + text[brace + 1..].find('}').unwrap_or(0) + 1;
                    let problem = literal(brace - 2..end, "`$${` is a literal `${`: this is text");
                    found.push(problem.help(format!(
                        "for a `$` before the value write `${{ '$' }}${{ {inner} }}`; for the text itself, without this \
                         warning, `${{ '$' }}{{ {inner} }}`"
                    )));
                }
                at = brace + 1;
            }
        }
    }
    found
}

/// What to say of a text that is nothing but a path, as an `if` has it, if that is a value where it stands; and the path.
pub(super) fn bare(text: &str) -> Option<(&str, Problem)> {
    let whole = text.trim();
    let path = whole.strip_prefix('$').unwrap_or(whole);
    let in_path = |c: char| c.is_ascii_alphanumeric() || "_-.?[]'".contains(c);
    let (root, _) = path.split_once(['.', '['])?;
    if !ROOTS.contains(&root) || !path.chars().all(in_path) {
        return None;
    }
    let message = format!("`{whole}` is not replaced: this is text");
    let itself = match whole.contains('\'') {
        true => String::new(),
        false => format!("; for the text itself, without this warning, `${{ '{whole}' }}`"),
    };
    let help = format!("for the value write `${{ {path} }}`{itself}");
    Some((path, literal(0..text.len(), &message).help(help)))
}

fn literal(range: std::ops::Range<usize>, message: &str) -> Problem {
    Problem::new(ProblemKind::Literal, range, message)
}

/// What stands before the next `}`, when it reads like a value of the context.
fn value(rest: &str) -> Option<&str> {
    let inner = rest[..rest.find(['}', '\n'])?].trim();
    let end = inner
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(inner.len());
    let (root, more) = inner.split_at(end);
    let member = more.starts_with(['.', '[']);
    // Where nothing fans out, `${ item }` would be the next mistake.
    let reads = ROOTS.contains(&root) && !OF_FOREACH.contains(&root);
    (reads && member).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_a_path_is_doubted_as_a_whole() {
        for (text, path) in [
            ("inputs.n", Some("inputs.n")),
            (" steps['a-b'].output.n ", Some("steps['a-b'].output.n")),
            ("$steps.a.?output.n", Some("steps.a.?output.n")),
            ("inputs", None),
            ("see inputs.n", None),
            ("inputs.n and more", None),
            ("${ inputs.n }", None),
            ("files.n", None),
            ("", None),
        ] {
            assert_eq!(bare(text).map(|(path, _)| path), path, "{text}");
        }
    }

    #[test]
    fn only_what_reads_like_a_value_is_doubted() {
        for (text, doubted) in [
            ("{{ inputs.n }}", &["{{ inputs.n }}"][..]),
            (
                "a {{inputs.n}} b {{ steps['x'].output }}",
                &["{{inputs.n}}", "{{ steps['x'].output }}"],
            ),
            ("costs $${ inputs.n }", &["$${ inputs.n }"]),
            ("$$${ inputs.n }", &["$${ inputs.n }"]),
            ("{{ item }} {{ item.name }}", &[]),
            ("{{ inputs.n } }", &["{{ inputs.n }"]),
            ("{{ name }} {{inputs}} {{ inputs_of.n }}", &[]),
            ("$${HOME} $${ x } { inputs.n } {}", &[]),
            ("${ inputs.n } ${ '{{ inputs.n }}' }", &[]),
            ("${ '$' }${ inputs.n } ${ '$' }{ inputs.n }", &[]),
            ("{{ inputs.n", &[]),
            ("${ inputs.n", &[]),
            ("{{", &[]),
        ] {
            let found = doubts(text);
            let found: Vec<&str> = found.iter().map(|p| &text[p.range.clone()]).collect();
            assert_eq!(found, doubted, "{text}");
        }
    }
}
