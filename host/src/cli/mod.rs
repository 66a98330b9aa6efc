//! The command line: one file per verb, and what verbs share.
//!
//! | file | idea |
//! |---|---|
//! | [`args`] | the whole command line as one type; a mistake in it is exit code 64 |
//! | [`exit`] | the closed set of exit codes |
//! | [`failure`] | why a verb did nothing: its exit code, its stable code, and the hint for a person |
//! | [`context`] | the choices that hold for every verb, and how answers and notes get out |
//! | [`place`] | where the store and the code cache are |
//! | [`ids`] | from what a person typed to the id of a run |
//! | [`drive`], [`signals`], [`progress`], [`ending`] | a run in the foreground, from its first step to what is printed last |
//! | [`style`], [`format`], [`table`] | colours, times, columns |
//!
//! # Invariants
//! - A verb prints nothing on stdout itself: it returns one [`Reply`](context::Reply), which is printed here. That makes
//!   `--json` exactly one document, whatever happens.
//! - Progress, notes and errors for people go to stderr.

mod args;
mod component;
mod context;
mod drive;
mod ending;
mod exit;
mod failure;
mod format;
mod ids;
mod inputs;
mod place;
mod progress;
mod signals;
mod style;
mod table;

mod cancel;
mod completions;
mod events;
mod explain;
mod graph;
mod inspect;
mod logs;
mod ls;
mod pack;
mod replay;
mod resume;
mod retry;
mod run;
mod schema;
mod show;
mod validate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use self::args::Verb;
use self::context::{Context, Reply};
use self::exit::Exit;
use self::failure::Failure;

/// The program: parse, dispatch, exit code.
pub(crate) fn main() -> ExitCode {
    let exit = catch_unwind(AssertUnwindSafe(|| answer(std::env::args_os().collect())));
    // The panic's text is on stderr already.
    exit.unwrap_or(Exit::Internal).into()
}

fn answer(line: Vec<std::ffi::OsString>) -> Exit {
    let cli = match args::parse(line) {
        Ok(cli) => cli,
        Err(refused) => return refused.print(),
    };
    let context = Context::new(&cli.global);
    match dispatch(cli.verb, &context) {
        Ok(reply) => reply.print(),
        Err(failure) => context.fail(&failure),
    }
}

fn dispatch(verb: Verb, cx: &Context) -> Result<Reply, Failure> {
    match verb {
        Verb::Run(args) => run::run(args, cx),
        Verb::Resume(args) => resume::run(&args, cx),
        Verb::Retry(args) => retry::run(&args, cx),
        Verb::Cancel(args) => cancel::run(&args, cx),
        Verb::Ls(args) => ls::run(args, cx),
        Verb::Show(args) => show::run(&args, cx),
        Verb::Events(args) => events::run(&args, cx),
        Verb::Logs(args) => logs::run(&args, cx),
        Verb::Validate(args) => validate::run(&args, cx),
        Verb::Graph(args) => graph::run(&args, cx),
        Verb::Inspect(args) => inspect::run(&args, cx),
        Verb::Pack(args) => pack::run(&args, cx),
        Verb::Replay(args) => replay::run(&args, cx),
        Verb::Schema => schema::run(cx),
        Verb::Explain(args) => explain::run(&args, cx),
        Verb::Completions(args) => completions::run(&args, cx),
    }
}
