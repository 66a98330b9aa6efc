//! `milepost diff`: what two runs do not share.

use clap::Args;
use milepost::comparison::{Comparison, compare};
use milepost::core::ids::Digest;
use milepost::core::shown::{self, Shown};

use super::context::{Context, Reply};
use super::differences::lines;
use super::documents::Compared;
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::text::Text;
use super::{format, ids, place};

/// Compare two runs
///
/// Compares two runs: inputs, definitions, components, what their steps were given and came to, and how they ended.
///
/// Each iteration, item and execution of a step counts with its last attempt, under its path; times and the ids of runs do not
/// count. Exit code 1 means that something differs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost diff 7k3m 9x2p
  milepost diff 7k3m 9x2p --json | jq .first")]
pub(crate) struct DiffArgs {
    /// Id of one run, or a unique prefix
    a: String,
    /// Id of the other one
    b: String,
}

pub(super) fn run(args: &DiffArgs, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_to_read(&cx.store)?;
    let a = ids::resolve(store.as_ref(), &args.a)?;
    let b = ids::resolve(store.as_ref(), &args.b)?;
    let found = wait(compare(store.as_ref(), &a, &b))?;
    let exit = match found.is_same() {
        true => Exit::Completed,
        false => Exit::Failed,
    };
    Ok(cx.reply(exit, || Compared::from(&found), || text(cx, &found)))
}

fn text(cx: &Context, found: &Comparison) -> Text {
    let names = [found.a.as_str(), found.b.as_str()];
    let mut all: Vec<Text> = Vec::new();
    if let Some(first) = found.steps.first() {
        let path = Shown(&first.path).to_string();
        all.push(Text::from("first differing step: ") + cx.out.bold(path));
    }
    let mut part = |head: &str, lines: Vec<Text>| {
        if !lines.is_empty() {
            all.push(cx.out.bold(head));
            all.extend(lines);
        }
    };
    part("inputs", lines(cx.out, &found.inputs, names));
    if let Some(definition) = &found.definition {
        let text = definition.text.lines();
        let text = text.map(|line| Text::from(format!("    {}", shown::message(line))));
        part("definition", text.collect());
    }
    let components = found.components.iter().map(|component| {
        let name = Shown(&component.name);
        let [a, b] = [component.a, component.b].map(digest);
        Text::from(format!("    {name}: {a} / {b}"))
    });
    part("components", components.collect());
    for step in &found.steps {
        let head = format!("step {}", Shown(&step.path));
        part(&head, lines(cx.out, &step.places, names));
    }
    if found.more_steps > 0 {
        let more = format::count(found.more_steps, "more step");
        part("and", vec![Text::from(format!("    {more}"))]);
    }
    part("ending", lines(cx.out, &found.endings, names));
    let same = format::count(found.same_steps, "step");
    all.push(match found.is_same() {
        true => cx.out.green("same") + format!(": {same}"),
        false => cx.out.red("different") + format!("; the same in {same}"),
    });
    Text::joined(all, "\n")
}

fn digest(digest: Option<Digest>) -> String {
    digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string())
}
