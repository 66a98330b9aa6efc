//! The command line: one file per verb (twins share one), and what verbs share.
//!
//! | file | idea |
//! |---|---|
//! | [`args`] | the whole command line as one type; a mistake in it is exit code 64 |
//! | [`exit`] | the closed set of exit codes |
//! | [`failure`] | why a verb did nothing: its exit code, its stable code, and the hint for a person |
//! | [`context`] | the choices that hold for every verb, and how answers and notes get out |
//! | [`place`] | where the store and the code cache are |
//! | [`documents`] | what `--json` prints, and its JSON Schema |
//! | [`ids`], [`moment`] | from what a person typed to the id of a run, and to a point in its history |
//! | [`several`] | the same verb for each id on stdin |
//! | [`recorded`] | from what a person typed to a recorded run, in the store or in a file |
//! | [`start`], [`inputs`] | from a file and inputs to a run that can be recorded |
//! | [`drive`], [`signals`], [`progress`], [`ending`] | a run in the foreground, from its first step to what is printed last |
//! | [`completing`] | what a shell asks while a person types |
//! | [`words`] | sentences for people, made from what the library says as data |
//! | [`row`], [`watch`] | what a list says of a run; a list that is kept up to date |
//! | [`lock`] | which components the workflows of a folder may use |
//! | [`then`], [`follow`] | a run after a verb that moved it; a run that others drive |
//! | [`watched`] | files that a command waits for |
//! | [`text`] | what people may see: escaped, with colours beside it |
//! | [`stdin`] | the way in, bounded |
//! | [`narration`], [`stdout`], [`panics`] | the ways out, which hold no work up |
//! | [`patience`] | how long the end of the program waits for readers |
//! | [`otlp`] | spans for a collector, where a person named one |
//! | [`style`], [`format`], [`table`], [`differences`] | colours, times, columns, where two values differ |
//! | [`whole_folder`] | folders that nobody sees half of |
//!
//! # Invariants
//! - A verb prints nothing on stdout itself: it returns one [`Reply`](context::Reply), which is printed here. That makes
//!   `--json` exactly one document, whatever happens. The exceptions are [`watch`]: one per refresh, each on a line; and what waits for changes
//!   ([`dev`], `test --watch`): one each time.
//! - Progress, notes and errors for people go to stderr, through [`narration`].
//! - Nothing but [`text::Text`] and JSON gets out.

mod args;
mod completing;
mod component;
mod context;
mod differences;
mod documents;
mod drive;
mod ending;
mod exit;
mod failure;
mod format;
mod functions;
mod ids;
mod inputs;
mod named;
mod narration;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
#[path = "no_otlp.rs"]
mod otlp;
mod panics;
mod patience;
mod place;
mod progress;
mod recorded;
mod registry;
mod row;
mod several;
mod shell;
mod signals;
mod start;
mod stdin;
mod stdout;
mod style;
mod table;
mod text;
mod then;
mod watch;
mod watched;
mod whole_folder;
mod words;

mod approve;
mod artifacts;
mod backtrace;
mod call;
mod compiling;
mod completions;
mod dev;
mod diff;
mod doctor;
mod dry_run;
mod eval;
mod events;
mod explain;
mod export;
mod follow;
mod fork;
mod gc;
mod go_on;
mod graph;
mod import;
mod kv;
mod lock;
mod logs;
mod ls;
mod meant;
mod memory_args;
mod metrics;
mod moment;
mod new;
mod plugin;
mod replay;
mod run;
mod schema;
mod secrets;
mod show;
mod signal;
mod stop;
mod submit;
mod symbolize;
mod test;
mod validate;
mod work;
mod workflows;
mod world;
mod world_args;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use self::args::Verb;
use self::context::{Context, Reply};
use self::exit::Exit;
use self::failure::Failure;
use self::otlp::Exporter;

/// Many small values go from the threads that drive runs to the one that writes: with this allocator 64 runs make a third more
/// steps a second than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The program: parse, dispatch, exit code.
fn main() -> ExitCode {
    // Before anything starts: neither what steps run nor what compiles components has to do with them.
    #[cfg(target_os = "linux")]
    milepost::wasm::descriptors::keep_from_programs();
    if let Some(compiled) = compiling::child() {
        return compiled;
    }
    world_args::guard_environment();
    panics::tell();
    let line: Vec<_> = std::env::args_os().collect();
    match completing::answer(&line) {
        Ok(false) => {}
        Ok(true) => return Exit::Completed.into(),
        Err(error) => {
            narration::say(&format!("error: {error}").into());
            narration::settle();
            return Exit::Usage.into();
        }
    }
    let json = args::wants_json(&line);
    let answered = catch_unwind(AssertUnwindSafe(|| answer(line)));
    let exit = answered.unwrap_or_else(|_| match json && !stdout::is_used() {
        true => context::print_error(&panics::failure()),
        false => Exit::Internal,
    });
    narration::settle();
    exit.into()
}

fn answer(line: Vec<std::ffi::OsString>) -> Exit {
    let cli = match args::parse(line) {
        Ok(cli) => cli,
        Err(refused) => return refused.print(),
    };
    let exporter = cli.verb.otlp().map(Exporter::to).transpose();
    let listens = exporter.as_ref().ok().and_then(Option::as_ref);
    let context = Context::new(&cli.global, listens.map(Exporter::layer));
    // Dropped when everything is printed.
    let _exporter = match exporter {
        Ok(exporter) => exporter,
        Err(failure) => return context.fail(&failure),
    };
    panics::provoke();
    match dispatch(cli.verb, &context) {
        Ok(reply) => reply.print(),
        Err(failure) => context.fail(&failure.in_store(&context.store)),
    }
}

fn dispatch(verb: Verb, cx: &Context) -> Result<Reply, Failure> {
    match verb {
        Verb::Run(args) => run::run(args, cx),
        Verb::Dev(args) => dev::run(&args, cx),
        Verb::Submit(args) => submit::run(args, cx),
        Verb::Work(args) => work::run(&args, cx),
        Verb::Resume(args) => go_on::resume(&args, cx),
        Verb::Retry(args) => go_on::retry(&args, cx),
        Verb::Fork(args) => fork::fork(args, cx),
        Verb::Rerun(args) => fork::rerun(args, cx),
        Verb::Compensate(args) => go_on::compensate(&args, cx),
        Verb::Signal(args) => signal::run(&args, cx),
        Verb::Approve(args) => approve::approve(&args, cx),
        Verb::Reject(args) => approve::reject(&args, cx),
        Verb::Pause(args) => stop::pause(&args, cx),
        Verb::Cancel(args) => stop::cancel(&args, cx),
        Verb::Kill(args) => stop::kill(&args, cx),
        Verb::Ls(args) => ls::run(args, cx),
        Verb::Show(args) => show::run(&args, cx),
        Verb::Events(args) => events::run(&args, cx),
        Verb::Logs(args) => logs::run(&args, cx),
        Verb::Artifacts(args) => artifacts::run(&args, cx),
        Verb::Kv(args) => kv::run(&args, cx),
        Verb::Metrics(args) => metrics::run(&args, cx),
        Verb::Workflows(args) => workflows::run(&args, cx),
        Verb::Validate(args) => validate::run(&args, cx),
        Verb::DryRun(args) => dry_run::run(args, cx),
        Verb::Graph(args) => graph::run(&args, cx),
        Verb::Plugin(args) => plugin::run(&args, cx),
        Verb::Inspect(args) => plugin::inspect::run(&args, cx),
        Verb::Pack(args) => plugin::pack::run(&args, cx),
        Verb::Symbolize(args) => symbolize::run(&args, cx),
        Verb::Secrets(args) => secrets::run(&args, cx),
        Verb::Diff(args) => diff::run(&args, cx),
        Verb::Eval(args) => eval::run(&args, cx),
        Verb::Replay(args) => replay::run(&args, cx),
        Verb::Export(args) => export::run(&args, cx),
        Verb::Import(args) => import::run(&args, cx),
        Verb::New(args) => new::run(&args, cx),
        Verb::Call(args) => call::run(&args, cx),
        Verb::Test(args) => test::run(&args, cx),
        Verb::Gc(args) => gc::run(&args, cx),
        Verb::Doctor(args) => doctor::run(&args, cx),
        Verb::Schema(args) => schema::run(&args, cx),
        Verb::Explain(args) => explain::run(&args, cx),
        Verb::Completions(args) => completions::run(&args, cx),
    }
}
