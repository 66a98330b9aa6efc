//! Suggestions for a mistyped name.

use crate::diagnostic::Diagnostic;
use crate::limits;

/// Candidates in all; more would bury the right one.
const MOST: usize = 3;
/// Bytes of a name that is compared; a valid one is shorter, and the cost grows with both lengths.
const LONGEST: usize = 128;

/// The known names that `given` was probably meant to be, best first.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    if given.len() > LONGEST {
        return Vec::new();
    }
    let lower = given.to_lowercase();
    let letters = given.chars().count();
    // A third of the letters may differ; more than that is another word.
    let tolerance = (letters / 3).max(1);
    let comparable =
        |name: &str| name.len() <= LONGEST && name.chars().count().abs_diff(letters) <= tolerance;
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|name| comparable(name))
        .filter_map(|name| {
            let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
            (distance <= tolerance).then_some((distance, name))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(MOST);
    found.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Whether so many problems were found that nobody reads a suggestion for one more: what they cost then only adds up.
pub(super) fn enough(out: &[Diagnostic]) -> bool {
    out.len() >= 2 * limits::DIAGNOSTICS
}

/// Names in backticks, as many as can be read.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const READABLE: usize = 12;
    let mut names = names.into_iter();
    let first: Vec<_> = names
        .by_ref()
        .take(READABLE)
        .map(|name| format!("`{}`", excerpt(name, LONGEST)))
        .collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The beginning of a text that may be long.
pub(super) fn excerpt(text: &str, characters: usize) -> String {
    let mut out: String = text.chars().take(characters).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names_come_best_first() {
        let known = ["retry", "timeout", "until", "on"];
        assert_eq!(nearest("retyr", known), ["retry"]);
        assert_eq!(nearest("time_out", known), ["timeout"]);
        assert_eq!(nearest("RETRY", known), ["retry"]);
        assert_eq!(nearest("shell", known), Vec::<String>::new());
        assert_eq!(
            nearest("ab", ["aa", "b", "ab2", "abc"]),
            ["aa", "ab2", "abc"]
        );
    }
}
