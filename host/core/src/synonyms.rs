//! Words that people and other tools use for the words of a known set.

/// One of `choices` that means the same as `word`.
pub(crate) fn choice<'a>(word: &str, choices: &[&'a str]) -> Option<&'a str> {
    let plain = plain(word);
    SAME.iter()
        .filter(|same| same.contains(&plain.as_str()))
        .flat_map(|same| same.iter())
        .find_map(|same| choices.iter().find(|choice| *choice == same).copied())
}

/// Spellings do not count: `dependsOn`, `depends_on` and `depends-on` are one word.
pub(crate) fn plain(word: &str) -> String {
    let kept = word.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    kept.take(40).flat_map(char::to_lowercase).collect()
}

/// Words that mean the same .
const SAME: &[&[&str]] = &[
    &[
        "completed",
        "complete",
        "success",
        "succeeded",
        "successful",
        "ok",
        "done",
        "passed",
        "finished",
    ],
    &["failed", "failure", "error", "errored", "fail"],
    &["cancelled", "canceled", "aborted", "killed"],
    &["skipped", "skip", "omitted"],
    &["running", "inprogress", "active"],
    &["pending", "queued", "ready", "notstarted"],
    &[
        "string", "str", "text", "char", "secret", "uuid", "date", "datetime", "url", "select",
    ],
    &["int", "integer", "long", "int64", "i64"],
    &["float", "number", "double", "decimal"],
    &["bool", "boolean"],
    &[
        "json",
        "array",
        "list",
        "object",
        "map",
        "dict",
        "any",
        "multiselect",
        "yaml",
    ],
    &["file", "path", "blob"],
    &["sequence", "sequential", "chain", "serial", "linear"],
    &["graph", "dag", "parallel"],
    &[
        "all_success",
        "allsuccess",
        "all",
        "success",
        "allsucceeded",
    ],
    &["one_success", "onesuccess", "any", "one", "anysuccess"],
    &["all_done", "alldone", "always", "done", "settled", "any"],
    &["fail", "failed", "error", "abort"],
    &["continue", "ignore", "skip", "proceed"],
    &["pause", "suspend", "stop", "wait"],
    &["reject", "deny", "decline", "fail"],
    &["approve", "accept"],
    &["approved", "approve", "accepted", "yes", "ok"],
    &["rejected", "reject", "denied", "declined", "no"],
    &["cancel", "abort", "stop", "fail"],
    &["retryable", "transient", "temporary", "onfailure"],
    &["finish", "continue", "finishall"],
    &["stop", "failfast", "abort", "cancel"],
    &["compensate", "rollback", "undo"],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_found_by_what_they_mean() {
        for (word, choices, expected) in [
            (
                "success",
                &["completed", "failed", "cancelled"][..],
                Some("completed"),
            ),
            (
                "canceled",
                &["completed", "failed", "cancelled"],
                Some("cancelled"),
            ),
            (
                "Boolean",
                &["string", "int", "float", "bool", "json", "file"],
                Some("bool"),
            ),
            ("array", &["string", "json"], Some("json")),
            ("always", &["all_success", "all_done"], Some("all_done")),
            ("approve", &["approved", "rejected"], Some("approved")),
            // Nothing that nobody decided is called approved.
            ("continue", &["reject", "approve", "stay"], None),
            ("purple", &["completed"], None),
        ] {
            assert_eq!(choice(word, choices), expected, "{word}");
        }
    }
}
