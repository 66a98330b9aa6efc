//! What to do about what an examination of the store has found.

use milepost::core::ids::RunId;
use milepost::engine::Remedy;

/// What to do, about this run if it is about one.
pub(crate) fn of(remedy: Remedy, run: Option<&str>, command: impl Fn(&str) -> String) -> String {
    // A damaged row may have an id that nobody can type.
    let resume = match run.filter(|run| RunId::new(run).is_ok()) {
        Some(run) => format!("{} {run}", command("resume")),
        None => command("resume"),
    };
    match remedy {
        Remedy::KeepCopy => "keep a copy of the file, then restore a backup or remove the run".to_owned(),
        Remedy::RestoreOrStartAgain => {
            "other runs are not affected; keep a copy of the store, then restore a backup, or start the workflow again as a new \
             run"
                .to_owned()
        }
        Remedy::KeepComponent => {
            "make sure that the component file with that digest stays where the definition names it".to_owned()
        }
        Remedy::RestoreComponent => {
            "other runs are not affected; put the component file with that digest where the definition names it, or restore a \
             backup of the store"
                .to_owned()
        }
        Remedy::WorkerMeets => format!("a worker (`{}`) carries it out", command("work")),
        Remedy::StartWorker => format!(
            "start a worker (`{}`), or continue the run with `{resume}`",
            command("work")
        ),
        Remedy::LookAtOwner => {
            "check that process: it may be stopped or starved; when it ends, its run is recovered".to_owned()
        }
        Remedy::TakeOver => format!(
            "a worker (`{}`) or `{resume}` takes the run over",
            command("work")
        ),
        Remedy::TryOnceMore => format!(
            "a worker fails the run with `process_lost`; `{resume}` tries it once more"
        ),
        Remedy::MakeRoom => format!("free some space, or remove old runs with `{}`", command("gc")),
        Remedy::GiveBack => format!("`{}` returns the space to the disk", command("gc")),
        Remedy::Rewrite => format!(
            "`{}` rewrites the file and returns the space to the disk",
            command("gc --compact")
        ),
    }
}
