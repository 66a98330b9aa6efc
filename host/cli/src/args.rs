//! The whole command line as one type.
//!
//! The parser's own exit code for a mistake is 2, which means "paused" here. [`parse`] is the only way in, so that code
//! cannot get out.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::error::{ContextKind, ContextValue};
use clap::{
    ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};

use milepost::core::shown;

use super::context::Reply;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::{
    approve, artifacts, call, completions, context, dev, diff, doctor, dry_run, eval, events,
    explain, export, fork, gc, go_on, graph, import, kv, logs, ls, metrics, narration, new, plugin,
    replay, run, schema, secrets, show, signal, stop, submit, symbolize, test, validate, work,
    workflows,
};

/// Durable workflows of WebAssembly steps
///
/// The flow is a TOML file, every step is a WebAssembly component, and the outcome of each step is saved before the next one
/// begins. Stop a run anywhere: `milepost resume` continues it from there.
#[derive(Debug, Parser)]
#[command(name = "milepost", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  milepost run hello/workflow.toml --input name=World
  milepost ls --status paused --status failed
  milepost resume 7k3m

Exit codes:
  0 completed   1 failed   2 paused   3 cancelled   4 replay differs
  64 usage   65 invalid definition or input   69 store or component unavailable
  70 internal error   75 already running, try again
  1 also: a test failed, `doctor` found damage, `diff` a difference, a second
  signal cut a run short";

/// Below the examples of every verb.
const EXIT_CODES: &str = "\
Exit codes:
  0 completed   1 failed   2 paused   3 cancelled   4 replay differs
  64 usage   65 invalid definition or input   69 store or component unavailable
  70 internal error   75 already running, try again";

/// What people type who know other tools, and the verbs to look at.
const OTHER_WORDS: &[(&[&str], &[&str])] = &[
    (
        &["status", "describe", "info", "get", "inspect-run", "view"],
        &["show"],
    ),
    (&["list", "ps", "runs", "top"], &["ls"]),
    (
        &["start", "exec", "execute", "trigger", "apply"],
        &["run", "submit"],
    ),
    (
        &["stop", "abort", "terminate", "halt"],
        &["pause", "cancel", "kill"],
    ),
    (&["suspend", "hold"], &["pause"]),
    (
        &["restart", "redo", "again", "resubmit"],
        &["rerun", "retry"],
    ),
    (&["continue", "unpause", "recover"], &["resume"]),
    (&["history", "journal", "trace", "log-events"], &["events"]),
    (&["log", "tail", "output"], &["logs"]),
    (
        &["delete", "rm", "remove", "clean", "prune", "purge"],
        &["gc"],
    ),
    (&["check", "lint", "verify"], &["validate"]),
    (&["plan", "simulate", "preview"], &["dry-run"]),
    (
        &["worker", "server", "serve", "daemon", "scheduler"],
        &["work"],
    ),
    (&["dag", "draw", "visualize", "viz", "plot"], &["graph"]),
    (&["compare"], &["diff"]),
    (&["invoke"], &["call"]),
    (&["init", "create", "generate"], &["new"]),
    (&["save", "dump"], &["export"]),
    (&["load", "restore"], &["import"]),
    (&["stats", "metric"], &["metrics"]),
    (&["rollback", "undo", "revert"], &["compensate"]),
    (&["accept", "allow"], &["approve"]),
    (&["deny", "decline"], &["reject"]),
    (&["send", "emit", "event"], &["signal"]),
    (&["secret"], &["secrets"]),
    (&["artifact", "files"], &["artifacts"]),
    (&["fsck", "repair"], &["doctor"]),
];

/// The whole command line, with what every verb's help ends in.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommands(|verb| {
        let examples = verb.get_after_help().map(ToString::to_string);
        let help = match examples {
            Some(examples) => format!("{examples}\n\n{EXIT_CODES}"),
            None => EXIT_CODES.to_owned(),
        };
        verb.after_help(help)
    })
}

/// What holds for every verb.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder of the store [default: $MILEPOST_STORE, or `.milepost` in the working directory or one above it]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        help_heading = "Global options"
    )]
    pub(crate) store: Option<PathBuf>,
    /// Print one JSON document instead of text, for errors too
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto, help_heading = "Global options")]
    pub(crate) color: Color,
    /// Report more on stderr; repeat for even more
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// In a pipe too
    Always,
    /// Never
    Never,
}

/// What can be asked of the program. Each verb's help stands on its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(run::RunArgs),
    Dev(dev::DevArgs),
    Submit(submit::SubmitArgs),
    Work(work::WorkArgs),
    Resume(go_on::ResumeArgs),
    Retry(go_on::RetryArgs),
    Fork(fork::ForkArgs),
    Rerun(fork::RerunArgs),
    Compensate(go_on::CompensateArgs),
    Signal(signal::SignalArgs),
    Approve(approve::ApproveArgs),
    Reject(approve::RejectArgs),
    Pause(stop::PauseArgs),
    Cancel(stop::CancelArgs),
    Kill(stop::KillArgs),
    Ls(ls::LsArgs),
    Show(show::ShowArgs),
    Events(events::EventsArgs),
    Logs(logs::LogsArgs),
    Artifacts(artifacts::ArtifactsArgs),
    Kv(kv::KvArgs),
    Metrics(metrics::MetricsArgs),
    Diff(diff::DiffArgs),
    Eval(eval::EvalArgs),
    Replay(replay::ReplayArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    New(new::NewArgs),
    Call(call::CallArgs),
    Test(test::TestArgs),
    Workflows(workflows::WorkflowsArgs),
    Validate(validate::ValidateArgs),
    DryRun(dry_run::DryRunArgs),
    Graph(graph::GraphArgs),
    Plugin(plugin::PluginArgs),
    // What `plugin inspect` and `plugin pack` were called.
    #[command(hide = true)]
    Inspect(plugin::inspect::InspectArgs),
    #[command(hide = true)]
    Pack(plugin::pack::PackArgs),
    Secrets(secrets::SecretsArgs),
    Symbolize(symbolize::SymbolizeArgs),
    Gc(gc::GcArgs),
    Doctor(doctor::DoctorArgs),
    Schema(schema::SchemaArgs),
    Explain(explain::ExplainArgs),
    Completions(completions::CompletionsArgs),
}

impl Verb {
    /// The collector that is to hear of the runs that the verb drives.
    pub(crate) fn otlp(&self) -> Option<&str> {
        let world = match self {
            Self::Run(args) => &args.world,
            Self::Dev(args) => &args.world,
            Self::Work(args) => &args.world,
            Self::Resume(args) => args.world(),
            Self::Retry(args) => args.world(),
            Self::Compensate(args) => args.world(),
            Self::Fork(args) => args.world(),
            Self::Rerun(args) => args.world(),
            Self::Call(args) => &args.world,
            Self::Signal(args) => &args.world,
            Self::Approve(args) => args.world(),
            Self::Reject(args) => args.world(),
            _ => return None,
        };
        world.otlp.as_deref()
    }
}

/// A command line that asks for nothing: a mistake, or `--help` and `--version`.
pub(crate) struct Refused {
    error: clap::Error,
    json: bool,
}

/// Reads a command line, the program's name first.
pub(crate) fn parse(line: Vec<OsString>) -> Result<Cli, Refused> {
    let json = wants_json(&line);
    let matches = command().try_get_matches_from(line);
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    cli.map_err(|error| Refused {
        error: error.format(&mut command()),
        json,
    })
}

/// Whether a document is wanted, also when the line cannot be parsed.
pub(crate) fn wants_json(line: &[OsString]) -> bool {
    let mut args = line.iter().skip(1).take_while(|arg| *arg != "--");
    args.any(|arg| arg == "--json")
}

impl Refused {
    /// What stands on the command line is how the program ends.
    fn exit(&self) -> Exit {
        match self.error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Completed,
            _ => Exit::Usage,
        }
    }

    /// The verbs that a word of another tool means.
    fn meant(&self) -> Option<String> {
        let Some(ContextValue::String(word)) = self.error.get(ContextKind::InvalidSubcommand)
        else {
            return None;
        };
        let word = word.to_lowercase();
        let (_, verbs) = OTHER_WORDS
            .iter()
            .find(|(words, _)| words.contains(&word.as_str()))?;
        let verbs: Vec<_> = verbs
            .iter()
            .map(|verb| format!("`milepost {verb}`"))
            .collect();
        Some(format!("  tip: here that is {}\n\n", verbs.join(" or ")))
    }

    /// What is wrong, for people. Before the usage, what was meant.
    fn text(&self) -> String {
        let text = self.error.render().to_string();
        match (self.meant(), text.find("Usage:")) {
            (Some(meant), Some(usage)) => {
                let (error, usage) = text.split_at(usage);
                let error = error.split("  tip:").next().unwrap_or(error).trim_end();
                format!("{error}\n\n{meant}{usage}")
            }
            _ => text,
        }
    }

    /// Prints help to stdout and mistakes to stderr.
    pub(crate) fn print(&self) -> Exit {
        match self.exit() {
            Exit::Completed => {
                Reply::text(Exit::Completed, self.error.render().to_string()).print()
            }
            _ if self.json => {
                let text = self.text();
                let message = text.trim_start_matches("error: ").trim_end();
                context::print_error(&Failure::new(Code::Usage, message))
            }
            exit => {
                let text = shown::message(self.text());
                narration::say(&text.into());
                exit
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn exit_of(line: &str) -> Exit {
        let line = std::iter::once("milepost")
            .chain(line.split(' '))
            .map(OsString::from)
            .collect();
        parse(line).map_or_else(|refused| refused.exit(), |_| panic!("it was accepted"))
    }

    #[test]
    fn b171_a_mistake_is_64_and_never_paused() {
        for line in [
            "nope",
            "run",
            "run a.toml b.toml",
            "run a.toml --inptu a=b",
            "run a.toml --id",
            "resume",
            "retry --from",
            "fork r",
            "ls -o table",
            "ls --status sleeping",
            "ls --limit many",
            "ls --watch 0",
            "ls --watch 61",
            "work --max-runs 0",
            "gc --older-than 30",
            "gc --older-than -1d",
            "gc --status paused",
            "signal",
            "approve",
            "events r --after -1",
            "export r",
            "export r -o f --redact token",
            "import",
            "graph a.toml --format png",
            "completions tcsh",
            "--color sometimes schema",
            "schema extra",
            "plugin",
            "plugin new words",
            "plugin new words --lang cobol",
            "plugin pack core.wasm",
            "plugin pack core.wasm -o w.wasm --encoding utf9",
            "--json",
        ] {
            assert_eq!(exit_of(line), Exit::Usage, "{line}");
        }
        let bare = parse(vec!["milepost".into()]).unwrap_err();
        assert_eq!(bare.exit(), Exit::Usage);
    }

    #[test]
    fn words_of_other_tools_name_verbs_that_exist() {
        let command = command();
        let verbs: Vec<&str> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        for (words, meant) in OTHER_WORDS {
            for word in *words {
                assert!(!verbs.contains(word), "{word} is a verb");
                let line = ["milepost", word].map(OsString::from).to_vec();
                let text = parse(line).map_or_else(|refused| refused.text(), |_| String::new());
                let tip = format!("tip: here that is `milepost {}`", meant[0]);
                assert!(text.contains(&tip), "{word}: {text}");
                assert!(text.starts_with("error: unrecognized subcommand"), "{text}");
            }
            for verb in *meant {
                assert!(verbs.contains(verb), "{verb} is no verb");
            }
        }
        let unknown = ["milepost", "shw"].map(OsString::from).to_vec();
        let text = parse(unknown).map_or_else(|refused| refused.text(), |_| String::new());
        assert!(
            text.contains("a similar subcommand exists: 'show'"),
            "{text}"
        );
    }

    #[test]
    fn help_and_version_are_no_mistakes() {
        for line in [
            "--help",
            "-h",
            "--version",
            "help",
            "help run",
            "run --help",
            "ls -h",
        ] {
            assert_eq!(exit_of(line), Exit::Completed, "{line}");
        }
    }

    #[test]
    fn examples_do_not_wrap_on_a_terminal_of_80_columns() {
        fn below(command: &clap::Command, name: &str, long: &mut Vec<String>) {
            let help = command.get_after_help().map(ToString::to_string);
            let lines = help.iter().flat_map(|help| help.lines());
            let lines = lines.filter(|line| line.chars().count() > 80);
            long.extend(lines.map(|line| format!("{name}: {line}")));
            for verb in command.get_subcommands() {
                below(verb, verb.get_name(), long);
            }
        }
        let mut long = Vec::new();
        below(&command(), "milepost", &mut long);
        assert!(long.is_empty(), "{}", long.join("\n"));
    }

    #[test]
    fn the_command_line_is_consistent_and_every_verb_has_examples() {
        let mut command = command();
        command.build();
        command.clone().debug_assert();
        for verb in command
            .get_subcommands()
            .filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
        {
            let name = verb.get_name();
            let help = verb
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains(&format!("milepost {name}")),
                "{name}: no example"
            );
            assert!(help.ends_with(EXIT_CODES), "{name}: no exit codes");
        }
    }
}
