//! Suggestions for a mistyped name.

/// Candidates in all; more would bury the right one.
const MOST: usize = 3;

/// The known names that `given` was probably meant to be, best first.
pub(super) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let lower = given.to_lowercase();
    // A third of the letters may differ; more than that is another word.
    let tolerance = (given.chars().count() / 3).max(1);
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
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
