//! What is wrong with one cell, and what it should say instead. Pure: text and rule in, at most one finding out.
//!
//! One finding at a time: as long as ` 12,50` has its space, nobody can say what else is wrong with it.

use crate::model::{CellType, ProblemKind, Rule};

/// What is wrong with a cell.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) kind: ProblemKind,
    /// For a person.
    pub(crate) reason: String,
    /// What the cell should say; `None` when nobody but a person can tell.
    pub(crate) fix: Option<String>,
}

impl Finding {
    fn fixable(kind: ProblemKind, reason: &str, fix: String) -> Option<Self> {
        Some(Self {
            kind,
            reason: reason.to_owned(),
            fix: Some(fix),
        })
    }

    fn unresolved(kind: ProblemKind, reason: String) -> Option<Self> {
        Some(Self {
            kind,
            reason,
            fix: None,
        })
    }
}

/// Checks one cell against the rule of its column.
pub(crate) fn check(rule: &Rule, text: &str) -> Option<Finding> {
    let tidy = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if tidy != text {
        return Finding::fixable(ProblemKind::Space, "stray white space", tidy);
    }
    if text.is_empty() {
        return if rule.required {
            Finding::unresolved(ProblemKind::Missing, "a value is required".to_owned())
        } else {
            None
        };
    }
    match rule.kind {
        CellType::Text => check_spelling(rule, text),
        CellType::Int | CellType::Float => check_number(rule, text),
        CellType::Date => check_date(text),
    }
}

fn check_number(rule: &Rule, text: &str) -> Option<Finding> {
    use ProblemKind::{NotANumber, NumberFormat, OutOfRange};
    let Some(number) = plain_number(text) else {
        return match normal_number(text) {
            Some(fix) => Finding::fixable(NumberFormat, "not written as a plain number", fix),
            None if text.contains(',') && text.chars().any(|c| c.is_ascii_digit()) => {
                Finding::unresolved(
                    NotANumber,
                    "can be read as two different numbers".to_owned(),
                )
            }
            None => Finding::unresolved(NotANumber, "not a number".to_owned()),
        };
    };
    if rule.kind == CellType::Int && number.fract() != 0.0 {
        return Finding::unresolved(NotANumber, "not a whole number".to_owned());
    }
    match (rule.min, rule.max) {
        (Some(min), _) if number < min => {
            Finding::unresolved(OutOfRange, format!("less than {min}"))
        }
        (_, Some(max)) if number > max => {
            Finding::unresolved(OutOfRange, format!("more than {max}"))
        }
        _ => None,
    }
}

/// The number that a text is, when it is written plainly: digits, one point, a sign.
pub(crate) fn plain_number(text: &str) -> Option<f64> {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    if !text.chars().all(plain) {
        return None;
    }
    text.parse().ok()
}

/// A number without its currency, thousands separators and decimal comma; `None` when it is none, or could be two.
fn normal_number(text: &str) -> Option<String> {
    let bare = text
        .trim_start_matches(['€', '$', '£'])
        .trim_end_matches(['€', '$', '£'])
        .trim_start_matches("EUR")
        .trim_end_matches("EUR")
        .trim();
    let digits: String = bare.chars().filter(|c| *c != ' ' && *c != '\'').collect();
    let last_comma = digits.rfind(',');
    let last_point = digits.rfind('.');
    let decimal = match (last_comma, last_point) {
        (None, None) => None,
        // Both: the last one separates the decimals.
        (Some(comma), Some(point)) => Some(comma.max(point)),
        (None, Some(point)) => (digits.matches('.').count() == 1).then_some(point),
        (Some(comma), None) => {
            let groups_of_three = digits.len() - comma - 1 == 3;
            match (digits.matches(',').count(), groups_of_three) {
                // `1,234`: a thousand and some, or one and some.
                (1, true) => return None,
                (1, false) => Some(comma),
                (_, true) => None,
                (_, false) => return None,
            }
        }
    };
    let mut number = String::with_capacity(digits.len());
    for (at, c) in digits.char_indices() {
        if Some(at) == decimal {
            number.push('.');
        } else if c != ',' && c != '.' {
            number.push(c);
        }
    }
    plain_number(&number).map(|_| number)
}

fn check_date(text: &str) -> Option<Finding> {
    use ProblemKind::{DateFormat, NotADate};
    let Some((year, month, day)) = split_date(text) else {
        return Finding::unresolved(NotADate, "not a date".to_owned());
    };
    if day == 0 || day > days_in(year, month) {
        return Finding::unresolved(NotADate, "there is no such day".to_owned());
    }
    let iso = format!("{year:04}-{month:02}-{day:02}");
    if iso == text {
        return None;
    }
    Finding::fixable(DateFormat, "not written as year-month-day", iso)
}

/// Year, month and day of `2026-01-31`, `2026/1/31`, `31.01.2026`, `31/1/2026`, `31 Jan 2026` or `Jan 31, 2026`.
fn split_date(text: &str) -> Option<(u32, u32, u32)> {
    let parts: Vec<&str> = text
        .split(['-', '/', '.', ' ', ','])
        .filter(|part| !part.is_empty())
        .collect();
    let &[first, second, third] = parts.as_slice() else {
        return None;
    };
    let number = |part: &str| match part.len() {
        1 | 2 | 4 => part.parse::<u32>().ok(),
        _ => None,
    };
    if let Some(month) = month_name(first) {
        return Some((number(third)?, month, number(second)?));
    }
    if let Some(month) = month_name(second) {
        return Some((number(third)?, month, number(first)?));
    }
    if first.len() == 4 {
        return Some((number(first)?, number(second)?, number(third)?));
    }
    (third.len() == 4).then_some((number(third)?, number(second)?, number(first)?))
}

fn month_name(text: &str) -> Option<u32> {
    const NAMES: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let text = text.to_ascii_lowercase();
    let at = NAMES.iter().position(|name| text.starts_with(name))?;
    u32::try_from(at + 1).ok()
}

/// Days of a month; 0 when there is no such month.
fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    }
}

fn check_spelling(rule: &Rule, text: &str) -> Option<Finding> {
    let allowed = &rule.allowed;
    if allowed.is_empty() || allowed.iter().any(|value| value == text) {
        return None;
    }
    let letters = |s: &str| -> Vec<char> {
        s.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect()
    };
    let wanted = letters(text);
    // A slip of one letter, or of two in a longer word; never a guess between two values.
    let near: Vec<&String> = allowed
        .iter()
        .filter(|value| {
            let known = letters(value);
            distance(&wanted, &known) <= usize::min(2, known.len() / 4)
        })
        .collect();
    match near.as_slice() {
        [value] => Finding::fixable(
            ProblemKind::Spelling,
            "a known value in another spelling",
            (*value).clone(),
        ),
        _ => Finding::unresolved(
            ProblemKind::NotAllowed,
            format!("none of: {}", allowed.join(", ")),
        ),
    }
}

/// Edit distance: letters to insert, remove or replace.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(kind: CellType) -> Rule {
        Rule {
            column: "c".to_owned(),
            required: true,
            kind,
            min: Some(0.0),
            max: Some(10_000.0),
            allowed: vec!["Books".to_owned(), "Garden".to_owned(), "Home".to_owned()],
        }
    }

    fn table(kind: CellType, cases: &[(&str, Option<ProblemKind>, Option<&str>)]) {
        for (text, problem, fix) in cases {
            let found = check(&rule(kind), text);
            assert_eq!(found.as_ref().map(|f| f.kind), *problem, "{text:?}");
            assert_eq!(found.and_then(|f| f.fix).as_deref(), *fix, "{text:?}");
        }
    }

    #[test]
    fn numbers() {
        use ProblemKind::{Missing, NotANumber, NumberFormat, OutOfRange, Space};
        table(
            CellType::Float,
            &[
                ("12.50", None, None),
                ("", Some(Missing), None),
                (" € 12,50", Some(Space), Some("€ 12,50")),
                ("€ 12,50", Some(NumberFormat), Some("12.50")),
                ("12,5 €", Some(NumberFormat), Some("12.5")),
                ("12.50 EUR", Some(NumberFormat), Some("12.50")),
                ("1.234,50", Some(NumberFormat), Some("1234.50")),
                ("1,234.50", Some(NumberFormat), Some("1234.50")),
                ("1 234,5", Some(NumberFormat), Some("1234.5")),
                ("1,234,567", Some(NumberFormat), Some("1234567")),
                ("1,234", Some(NotANumber), None),
                ("1,23,4", Some(NotANumber), None),
                ("ten", Some(NotANumber), None),
                ("€", Some(NotANumber), None),
                ("1e3", Some(NotANumber), None),
                ("NaN", Some(NotANumber), None),
                ("1-2", Some(NotANumber), None),
                ("-1", Some(OutOfRange), None),
                ("10000.01", Some(OutOfRange), None),
            ],
        );
        table(
            CellType::Int,
            &[
                ("3", None, None),
                ("3.0", None, None),
                ("3.5", Some(NotANumber), None),
                ("3 000", Some(NumberFormat), Some("3000")),
            ],
        );
    }

    #[test]
    fn dates() {
        use ProblemKind::{DateFormat, NotADate};
        table(
            CellType::Date,
            &[
                ("2026-01-31", None, None),
                ("2024-02-29", None, None),
                ("2026/1/31", Some(DateFormat), Some("2026-01-31")),
                ("31.01.2026", Some(DateFormat), Some("2026-01-31")),
                ("31/1/2026", Some(DateFormat), Some("2026-01-31")),
                ("31 Jan 2026", Some(DateFormat), Some("2026-01-31")),
                ("January 31, 2026", Some(DateFormat), Some("2026-01-31")),
                ("2026-02-29", Some(NotADate), None),
                ("2100-02-29", Some(NotADate), None),
                ("31.11.2026", Some(NotADate), None),
                ("2026-13-01", Some(NotADate), None),
                ("2026-00-01", Some(NotADate), None),
                ("2026-01-00", Some(NotADate), None),
                ("1.1.26", Some(NotADate), None),
                ("soon", Some(NotADate), None),
                ("2026-01", Some(NotADate), None),
            ],
        );
    }

    #[test]
    fn values_of_a_list() {
        use ProblemKind::{NotAllowed, Space, Spelling};
        table(
            CellType::Text,
            &[
                ("Books", None, None),
                ("books ", Some(Space), Some("books")),
                ("BOOKS", Some(Spelling), Some("Books")),
                ("bo-oks", Some(Spelling), Some("Books")),
                ("Boks", Some(Spelling), Some("Books")),
                ("Gardn", Some(Spelling), Some("Garden")),
                ("Bks", Some(NotAllowed), None),
                ("Food", Some(NotAllowed), None),
            ],
        );
    }
}
