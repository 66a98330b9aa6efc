//! From the typed errors of the library: which exit code and which help each kind has.

use std::path::Path;

use milepost::bundle::BundleError;
use milepost::core::definition::UnknownSignal;
use milepost::core::definition::input::InputProblem;
use milepost::core::diagnostic::Diagnostics;
use milepost::core::ids::StepId;
use milepost::core::limits;
use milepost::core::request::deadline::Holds;
use milepost::core::request::fork::NotForked;
use milepost::core::shown::{self, Shown};
use milepost::core::state::Status;
use milepost::engine::{EngineError, Wanted};
use milepost::history::HistoryError;
use milepost::plugin::PluginError;
use milepost::store::{Cause, StoreError};
use milepost::wasm::{DescribeError, Rejection};
use milepost::workflow::OpenError;

use super::{Code, Details, Failure};
use crate::words::advice::{Advice, command};
use crate::words::script;
use crate::{meant, shell};

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        let message = error.to_string();
        match error {
            BundleError::Io(_) => Self::new(Code::File, message),
            BundleError::Engine(error) => error.into(),
            BundleError::Refused(_) => Self::new(Code::BundleRefused, message)
                .help("nothing of it was taken; export the run again, and copy the file as it is"),
            BundleError::TooNew { .. } => {
                Self::new(Code::BundleTooNew, message).help("use that version of milepost")
            }
            BundleError::Exists { run, .. } => Self::new(Code::RunDiffers, message).help(
                Advice::from("").command(format!("show {run}")).text(
                    " shows the one that is there; `--store` names another store for the file",
                ),
            ),
            BundleError::Behind { .. } => Self::new(Code::RunDiffers, message).help(
                "import the newer file into another store, with `--store`; where nobody resumed the run, `milepost cancel` and \
                 `milepost gc` remove it from this one",
            ),
            BundleError::Damaged { .. } => Self::new(Code::DamagedRecord, message)
                .help(command("doctor").text(" lists all damage")),
            BundleError::TooLarge { .. } => Self::new(Code::TooLarge, message),
            BundleError::NothingThere { run, .. } => Self::new(Code::NotRedacted, message)
                .help(command(format!("show {run}")).text(" shows what is recorded")),
            BundleError::NotReplaceable { .. } => {
                Self::new(Code::NotRedacted, message).help("name fewer values, or those around it")
            }
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::Open(error) => error.into(),
            EngineError::Record(_) => Self::new(Code::DamagedRecord, message)
                .help(command("doctor").text(" lists all damage; the record is left as it is: restore the store from a backup, or start a new run")),
            EngineError::Store(error) => error.into(),
            EngineError::IdTaken(taken) => Self::new(Code::IdTaken, message)
                .help(command(format!("show {}", taken.run)).text(" shows that run")),
            EngineError::NotResumable {
                run,
                status: Status::Running,
                ..
            } => Self::new(Code::NotResumable, message)
                .help(command(format!("resume {run}")).text(" takes it over when its process is gone")),
            EngineError::NotResumable { run, status, .. } if status.is_terminal() => {
                let help = command(format!("show {run}")).text(" shows how it ended, ")
                    .command(format!("rerun {run}"))
                    .text(" runs the same again as a new run");
                Self::new(Code::NotResumable, message).help(help)
            }
            EngineError::NotResumable { run, .. } => Self::new(Code::NotResumable, message)
                .help(command(format!("show {run}")).text(" shows its status")),
            EngineError::AlreadyRunning { run, .. } => Self::new(Code::AlreadyRunning, message)
                .help(command(format!("show {run}")).text(" shows how far it is")),
            EngineError::ClaimLost { run, .. } => Self::new(Code::ClaimLost, message)
                .help(command(format!("show {run}")).text(" shows its status")),
            EngineError::NotBegun { run, error, .. } => Self {
                message: shown::message(message),
                ..Self::from(*error).help(command(format!("show {run}")).text(" shows what happens next"))
            },
            EngineError::Changed { .. } => Self::new(Code::DefinitionChanged, message).help(
                "`--as-started` continues with the version that the run was started with, `--accept-changes` with the one on disk",
            ),
            EngineError::StartedOtherwise { run, status, .. } => {
                Self::new(Code::IdTaken, message).help(match status {
                    Status::Completed | Status::Cancelled => Advice::from("choose another id"),
                    Status::Pending | Status::Running | Status::Paused | Status::Failed => {
                        Advice::from("choose another id, or continue that run: ")
                            .command(format!("resume {run} --as-started"))
                            .text(", or ")
                            .command(format!("resume {run} --accept-changes"))
                    }
                })
            }
            EngineError::Inputs(problems) => Self::inputs(problems),
            EngineError::NotForked { run, reason } => {
                let failure = Self::new(Code::NotForked, message);
                match reason {
                    NotForked::Moves(_) => failure.help(
                        command(format!("show {run}"))
                            .text(" shows how far it is, ")
                            .command(format!("pause {run}"))
                            .text(" stops a running one"),
                    ),
                    NotForked::UnknownStep(_) => failure
                        .help(command(format!("show {run}")).text(" shows its steps")),
                    NotForked::ReadsInput { step, .. } => failure.help(format!(
                        "add `--from {step}`, so that this step runs again, or leave the input as it was"
                    )),
                }
            }
            EngineError::InputsUnfit { problems, .. } => {
                Self::new(Code::InvalidInput, message).help(unfit(&problems))
            }
            EngineError::NotWaiting { run, .. } => Self::new(Code::NotWaiting, message)
                .help(command(format!("show {run}")).text(" shows what it waits for")),
            EngineError::AtChild { child, wanted, .. } => {
                let help = match wanted {
                    Wanted::Decision => command(format!("approve {child}"))
                        .text(" or ")
                        .command(format!("reject {child}"))
                        .text(" decides there"),
                    Wanted::Signal(name) => {
                        let name = shell::word(&name);
                        command(format!("signal {child} {name}")).text(" sends it there")
                    }
                };
                Self::new(Code::AtChild, message).help(help)
            }
            EngineError::AlreadyDecided(earlier) => Self::new(Code::AlreadyDecided, message)
                .help(command(format!("show {}", earlier.run)).text(" shows its status")),
            EngineError::TimedOut(over) => {
                let shows = command(format!("show {}", over.run)).text(" shows its status");
                let step = over.path.to_string().parse::<StepId>();
                Self::new(Code::TimedOut, message).help(match (over.holds, step) {
                    (Holds::Failed, Ok(step)) => shows
                        .text(", ")
                        .command(format!("retry {} --from {step}", over.run))
                        .text(" waits again"),
                    _ => shows,
                })
            }
            EngineError::NoteTooLong { .. } => Self::new(Code::NoteTooLong, message),
            EngineError::NoteWithNul { .. } => {
                Self::new(Code::NoteWithNul, message)
            }
            EngineError::Signal { .. } => Self::new(Code::SignalRefused, message),
            EngineError::InboxFull { run, .. } => Self::new(Code::InboxFull, message)
                .help(Advice::from("it was not sent; send it again after the run has taken some: ")
                    .command(format!("show {run}"))
                    .text(" shows what it waits for")),
            EngineError::UnknownSignal { name, unknown, .. } => {
                let help = match name.len() > limits::NAME_BYTES {
                    true => format!("the name of a signal that a step waits for can have up to {} bytes", limits::NAME_BYTES),
                    false => signals(&unknown),
                };
                Self::new(Code::UnknownSignal, message).help(help)
            }
            EngineError::NotCancellable { run, .. } => Self::new(Code::NotCancellable, message)
                .help(command(format!("show {run}")).text(" shows the items")),
            EngineError::NotPausable { run, .. } => Self::new(Code::NotPausable, message)
                .help(command(format!("cancel {run}")).text(" ends it")),
            EngineError::InputsTooLarge(_) | EngineError::InputsDoNotFit { .. } => {
                Self::new(Code::InvalidInput, message)
                    .help("inputs are stored with the run; give large data as an input of type `file`")
            }
            EngineError::FileNotKept { .. } => Self::new(Code::InvalidInput, message)
                .help("`--input NAME=@FILE` reads the file again"),
            EngineError::FilesTooLarge(_) => Self::new(Code::InvalidInput, message),
            EngineError::Refused(_) => Self::new(Code::Refused, message),
            EngineError::Panicked(_) | EngineError::Internal(_) => Self::internal(message),
        }
    }
}

/// What to write so that the inputs of a run fit a changed definition.
fn unfit(problems: &[InputProblem]) -> String {
    let (new, kept) = (
        "give new inputs a `default` or `required = false`",
        "leave the types and allowed values of inputs as they were: a run keeps those that it was started with",
    );
    let missing = problems.iter().filter(|problem| problem.is_missing());
    let all = match missing.count() {
        0 => kept.to_owned(),
        n if n == problems.len() => new.to_owned(),
        _ => format!("{new}, and {kept}"),
    };
    format!("{all}; or start a new run")
}

/// What was probably meant, else what there is.
fn signals(unknown: &UnknownSignal) -> String {
    match (unknown.nearest.as_slice(), unknown.known.as_slice()) {
        ([], []) => "none of its steps waits for a signal".to_owned(),
        ([], known) => {
            let known = known
                .iter()
                .take(SIGNALS_NAMED)
                .map(|name| format!("`{}`", Shown(name)));
            format!("it waits for {}", known.collect::<Vec<_>>().join(", "))
        }
        (nearest, _) => meant::ask(nearest.iter().take(SIGNALS_NAMED)),
    }
}

/// How many signals a message lists.
const SIGNALS_NAMED: usize = 10;

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let message = error.to_string();
        match error {
            OpenError::Unreadable { file, cause } => {
                let failure = Self::new(Code::UnreadableDefinition, message);
                let gone = cause.kind() == std::io::ErrorKind::NotFound;
                let help = match gone {
                    true => meant::file(&file),
                    false => meant::instead(&file),
                };
                match help {
                    Some(help) => failure.help(help),
                    None => failure,
                }
            }
            OpenError::Invalid(diagnostics) => Self::from(*diagnostics),
            OpenError::Plugin(error) => error.into(),
            OpenError::Plugins(errors) => {
                let any = |is: fn(&PluginError) -> bool| errors.iter().any(is);
                let missing = any(|error| {
                    matches!(
                        error,
                        PluginError::Unavailable { .. } | PluginError::Missing { .. }
                    )
                });
                let code = if missing {
                    Code::PluginUnavailable
                } else if any(|error| matches!(error, PluginError::Incompatible { .. })) {
                    Code::PluginIncompatible
                } else {
                    Code::PluginNotLocked
                };
                Self::new(code, message)
            }
            OpenError::Unusable { cause, file, text } => {
                let found = meant::components(Path::new(&file), &text, cause.plugins());
                let failure = Self::from(*cause);
                match found.is_empty() {
                    true => failure,
                    false => Self {
                        details: Details::Definition(Box::new(Diagnostics::new(
                            &file,
                            text.into(),
                            found,
                        ))),
                        ..failure
                    },
                }
            }
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        let count = diagnostics.items.len();
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("{} has {count} problem{plural}", diagnostics.file);
        Self {
            details: Details::Definition(Box::new(diagnostics)),
            ..Self::new(Code::InvalidDefinition, message)
        }
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        let message = error.to_string();
        let lists = |run| command(format!("events {run}")).text(" lists its events");
        match error {
            HistoryError::Engine(error) => error.into(),
            HistoryError::NoEvent { run, .. } => Self::new(Code::NoEvent, message).help(lists(run)),
            HistoryError::NotBegun { run, .. } => {
                Self::new(Code::NotBegun, message).help(lists(run))
            }
            HistoryError::Contradicted { .. } => Self::new(Code::DamagedRecord, message)
                .help(command("doctor").text(" lists all damage")),
        }
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        let message = error.to_string();
        match error {
            PluginError::Unavailable { .. } | PluginError::Missing { .. } => {
                Self::new(Code::PluginUnavailable, message)
            }
            PluginError::Incompatible { reason, .. } => {
                let failure = Self::new(Code::PluginIncompatible, message);
                match script::instead(&reason) {
                    Some(help) => failure.help(help),
                    None => failure,
                }
            }
            PluginError::Refused { .. } => Self::new(Code::PluginNotLocked, message),
        }
    }
}

/// What to do about a store that this user may not use.
pub(crate) const DENIED: &str = "a store is its owner's: use it as that user, or name another folder with `--store` or MILEPOST_STORE";

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotFound(_) => Self::new(Code::RunNotFound, message)
                .help(command("ls").text(" lists the runs")),
            StoreError::Exists(_) => Self::new(Code::IdTaken, message),
            StoreError::Conflict { .. } => Self::new(Code::AlreadyRunning, message),
            StoreError::TooNew { .. } => Self::new(Code::StoreTooNew, message)
                .help("use a newer version of milepost"),
            StoreError::TooOld { .. } => Self::new(Code::StoreTooOld, message)
                .help(command("doctor --migrate").text(" migrates it, where it can be written to")),
            StoreError::ReadOnly(_) => Self::new(Code::StoreReadOnly, message)
                .help(Advice::from("commands that only read, such as ")
                    .command("ls")
                    .text(" and ")
                    .command("show")
                    .text(", can use it")),
            StoreError::Corrupt(_) => Self::new(Code::StoreDamaged, message)
                .help(command("doctor").text(" lists all damage; restore the store from a backup, or name another one with `--store`")),
            StoreError::Gone(_) => Self::store_gone(message),
            StoreError::Unavailable(unavailable) => match unavailable.cause {
                Cause::Locked => Self::new(Code::StoreLocked, message).help(
                    "another process has kept it locked for too long: try again, or end or continue (`kill -CONT`) that process",
                ),
                Cause::Full => Self::new(Code::StoreFull, message).help(
                    Advice::from("its disk is full: make room; ")
                        .command("gc")
                        .text(" removes old runs"),
                ),
                Cause::Denied => Self::new(Code::StoreDenied, message).help(DENIED),
                Cause::Other => Self::new(Code::StoreUnavailable, message),
            },
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        let failure = Self::new(
            Code::PluginIncompatible,
            format!("cannot use the component: {rejection}"),
        );
        match rejection.help() {
            _ if matches!(rejection, Rejection::CoreModule) => failure.help(
                command("plugin pack CORE.wasm -o PLUGIN.wasm").text(" makes a component of it"),
            ),
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

impl From<DescribeError> for Failure {
    fn from(error: DescribeError) -> Self {
        match error {
            DescribeError::Rejected(rejection) => rejection.into(),
            DescribeError::Stopped(_) => Self::new(Code::DescribeFailed, error.to_string())
                .help("`describe` must return its manifest without calling the host"),
        }
    }
}

#[cfg(test)]
mod tests {
    use milepost::core::ids::RunId;

    use super::*;
    use crate::exit::Exit;
    use crate::style::Style;
    use crate::words;

    #[test]
    fn every_kind_of_error_has_its_exit_code() {
        let Ok(run) = RunId::new("r") else {
            panic!("a valid id");
        };
        let unavailable = || StoreError::unavailable("disk full");
        let cases: Vec<(Failure, Exit, &str)> = vec![
            (
                StoreError::NotFound(run.clone()).into(),
                Exit::Invalid,
                "run_not_found",
            ),
            (unavailable().into(), Exit::Unavailable, "store_unavailable"),
            (
                StoreError::met(Cause::Full, "no room").into(),
                Exit::Unavailable,
                "store_full",
            ),
            (
                StoreError::met(Cause::Denied, "not yours").into(),
                Exit::Unavailable,
                "store_denied",
            ),
            (
                StoreError::met(Cause::Locked, "busy").into(),
                Exit::Unavailable,
                "store_locked",
            ),
            (
                EngineError::Store(unavailable()).into(),
                Exit::Unavailable,
                "store_unavailable",
            ),
            (
                EngineError::NoteWithNul {
                    what: "the comment",
                }
                .into(),
                Exit::Invalid,
                "note_with_nul",
            ),
            (
                EngineError::NoteTooLong {
                    what: "the comment",
                    bytes: 20_000,
                }
                .into(),
                Exit::Invalid,
                "note_too_long",
            ),
            (
                EngineError::AlreadyRunning {
                    run: run.clone(),
                    status: Status::Running,
                    owner: None,
                }
                .into(),
                Exit::TryAgain,
                "already_running",
            ),
            (
                EngineError::NotResumable {
                    run,
                    status: Status::Completed,
                    reason: "it has ended".into(),
                }
                .into(),
                Exit::Invalid,
                "not_resumable",
            ),
            (
                PluginError::Unavailable {
                    name: "p".into(),
                    reason: "gone".into(),
                }
                .into(),
                Exit::Unavailable,
                "plugin_unavailable",
            ),
            (
                Rejection::NotWasm.into(),
                Exit::Invalid,
                "plugin_incompatible",
            ),
        ];
        for (failure, exit, code) in cases {
            assert_eq!(failure.exit, exit, "{code}");
            assert_eq!(failure.document().error.code, code);
            assert!(
                failure
                    .render(Style::new(false), words::plain)
                    .plain()
                    .starts_with("error: "),
                "{code}"
            );
        }
    }
}
