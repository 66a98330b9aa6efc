//! What a replay found, for people.

use milepost::core::replay::Divergence;
use milepost::core::shown::{self, Shown};
use milepost::replay::{Change, Changed, Replayed, Unstable};
use serde_json::Value;

use crate::context::{Context, bare};
use crate::differences::lines;
use crate::format;
use crate::text::Text;

/// Changed attempts that are shown whole.
const CHANGED: usize = 20;

/// One run, and its children.
pub(super) fn one(cx: &Context, replayed: &Replayed) -> Text {
    let skipped = replayed.not_replayed.iter();
    let mut all: Vec<Text> = skipped
        .map(|it| {
            format!(
                "not replayed: {}, attempt {}: {}",
                it.path, it.attempt, it.reason
            )
            .into()
        })
        .collect();
    if let [first, ..] = replayed.not_compared.as_slice() {
        let what = format::count(replayed.not_compared.len() as u64, "decision");
        let (seq, event) = (first.seq, &first.event);
        all.push(
            format!(
                "not compared: {what}, the first at event {seq} ({event}): values were replaced when the run was exported"
            )
            .into(),
        );
    }
    for changed in replayed.changed.iter().take(CHANGED) {
        all.extend(change(cx, changed));
    }
    let more = replayed.changed.len().saturating_sub(CHANGED) as u64 + replayed.more_changed;
    if more > 0 {
        all.push(format!("and {} more", format::count(more, "attempt")).into());
    }
    all.extend(replayed.unstable.iter().flat_map(unstable));
    let counts = format!(
        "{}, {}",
        format::count(replayed.events, "event"),
        format::count(replayed.attempts, "attempt")
    );
    let differ = replayed.changed.len() as u64 + replayed.more_changed;
    match &replayed.divergence {
        Some(divergence) => {
            all.extend(difference(cx, divergence));
            all.push(cx.out.red("differs") + format!(" after {counts}"));
        }
        None if differ > 0 => {
            all.push(cx.out.red("differs") + format!(": {differ} of {counts}"));
        }
        None if !replayed.unstable.is_empty() => {
            let count = format::count(replayed.unstable.len(), "attempt");
            all.push(cx.out.red("not deterministic") + format!(": {count} of {counts}"));
        }
        None => all.push(cx.out.green("same as recorded") + format!(": {counts}")),
    }
    for child in &replayed.children {
        all.push(format!("child run {}:", child.run).into());
        all.push(one(cx, child));
    }
    Text::joined(all, "\n")
}

/// One line that says how a run differs.
pub(super) fn in_short(replayed: &Replayed) -> Option<String> {
    let own = match (&replayed.divergence, replayed.changed.first()) {
        (Some(divergence), _) => Some(format!(
            "event {} ({}{})",
            divergence.seq,
            divergence.event,
            at(divergence)
        )),
        (None, Some(changed)) => {
            let more = replayed.changed.len() as u64 - 1 + replayed.more_changed;
            let more = match more {
                0 => String::new(),
                more => format!(" and {}", format::count(more, "more attempt")),
            };
            let attempt = changed.attempt;
            Some(format!("{}, attempt {attempt}{more}", Shown(&changed.path)))
        }
        (None, None) => replayed.unstable.first().map(|unstable| {
            let attempt = unstable.attempt;
            format!(
                "{}, attempt {attempt}: not deterministic",
                Shown(&unstable.path)
            )
        }),
    };
    own.or_else(|| {
        let mut children = replayed.children.iter();
        children.find_map(|child| Some(format!("child run {}: {}", child.run, in_short(child)?)))
    })
}

fn change(cx: &Context, changed: &Changed) -> Vec<Text> {
    let attempt = changed.attempt;
    let head = format!(
        "{}, attempt {attempt} of `{}` (event {})",
        Shown(&changed.path),
        Shown(&changed.plugin),
        changed.seq
    );
    match &changed.how {
        Change::Outcome(places) => {
            let mut all = vec![Text::from(head)];
            all.extend(lines(cx.out, places, ["recorded:", "now:"]));
            all
        }
        Change::Unanswered {
            index,
            recorded,
            actual,
        } => {
            let show = |text: &str| shown::message(text);
            let recorded = recorded
                .as_deref()
                .map_or_else(|| "the end".to_owned(), show);
            vec![
                Text::from(format!(
                    "{head}: a host call that the history does not answer"
                )),
                Text::from(format!("    call {index}")),
                cx.out.red(format!("      recorded: {recorded}")),
                cx.out.green(format!("      now:      {}", show(actual))),
            ]
        }
    }
}

fn unstable(unstable: &Unstable) -> Vec<Text> {
    let [a, b] = unstable.fuel;
    let attempt = unstable.attempt;
    let head = format!(
        "not the same twice: {}, attempt {attempt}",
        Shown(&unstable.path)
    );
    let fuel = format!("  fuel: {a} and {b}");
    let [one, other] = &unstable.outcomes;
    let outcome = (one != other).then(|| Text::from("  outcome: different, too"));
    [head.into(), fuel.into()]
        .into_iter()
        .chain(outcome)
        .collect()
}

fn at(divergence: &Divergence) -> String {
    let path = divergence.path.as_ref();
    path.map(|path| format!(" {path}")).unwrap_or_default()
}

/// Recorded and actual, one under the other.
fn difference(cx: &Context, divergence: &Divergence) -> Vec<Text> {
    let field = if divergence.field.is_empty() {
        String::new()
    } else {
        format!(" at {}", divergence.field)
    };
    let show = |value: &Value| shown::message(bare(value));
    let mut all: Vec<Text> = vec![
        format!(
            "event {} ({}{}){field}",
            divergence.seq,
            divergence.event,
            at(divergence)
        )
        .into(),
        format!("  recorded: {}", show(&divergence.recorded)).into(),
        format!("  actual:   {}", show(&divergence.actual)).into(),
    ];
    if !divergence.differences.is_empty() {
        all.push("  all fields that differ:".into());
        all.extend(lines(
            cx.out,
            &divergence.differences,
            ["recorded:", "actual:"],
        ));
    }
    all
}
