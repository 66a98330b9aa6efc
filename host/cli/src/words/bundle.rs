//! Files of exported runs, in words.

use milepost::bundle::{Exported, Imported};
use milepost::core::shown;

use crate::format::count;

/// What was written.
pub(crate) fn holds(exported: &Exported) -> String {
    let children = match exported.runs {
        1 => String::new(),
        runs => format!(" with {}", count(runs as u64 - 1, "child run")),
    };
    let artifacts = match exported.artifacts {
        0 => String::new(),
        artifacts => format!(", {}", count(artifacts as u64, "artifact")),
    };
    format!(
        "run {}{children}, {}{artifacts}, {} unpacked,",
        exported.run,
        count(exported.events, "event"),
        shown::bytes(exported.bytes)
    )
}

/// What whoever hands the file on has to know.
pub(crate) fn warnings(exported: &Exported) -> Vec<String> {
    let mut found = Vec::new();
    if !exported.moving.is_empty() {
        let runs: Vec<_> = exported.moving.iter().map(ToString::to_string).collect();
        found.push(format!(
            "the file ends where {} stood when it was read (the run itself: event {}); what happened since is not in it",
            runs.join(", "),
            exported.seq
        ));
    }
    if exported.waiting_signals > 0 {
        found.push(format!(
            "{} that nobody has taken yet: not in the file",
            count(exported.waiting_signals, "signal")
        ));
    }
    for part in &exported.left_in {
        found.push(format!(
            "a redacted value stands in {part}, which is left as it is: what a run executes is not changed"
        ));
    }
    found
}

/// What became of a file.
pub(crate) fn imported(imported: &Imported, resume: &str) -> String {
    let Imported {
        run,
        status,
        runs,
        there,
        held,
        redacted,
    } = imported;
    if *runs == 0 {
        return format!("run {run} is there already: {status}");
    }
    let mut lines = vec![match runs + there {
        1 => format!("run {run} imported: {status}"),
        all => format!(
            "run {run} imported with {}: {status}",
            count(all as u64 - 1, "child run")
        ),
    }];
    if *there > 0 {
        lines.push(format!(
            "{} of them there already",
            count(*there as u64, "run")
        ));
    }
    if held.contains(run) {
        lines.push(format!("it goes on only when somebody says so: `{resume}`"));
    } else if !held.is_empty() {
        lines.push(format!(
            "{} of its family would have gone on: only `resume` lets them",
            count(held.len() as u64, "run")
        ));
    }
    if *redacted {
        lines.push("values were replaced in it: what depends on them is not replayed".to_owned());
    }
    lines.join("\n")
}
