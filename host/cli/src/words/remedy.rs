//! What to do about what an examination of the store has found.

use milepost::engine::Remedy;

/// What to do.
pub(crate) fn of(remedy: Remedy, command: impl Fn(&str) -> String) -> String {
    match remedy {
        Remedy::KeepCopy => "keep a copy of the file; restore a backup, or remove the run".to_owned(),
        Remedy::RestoreOrStartAgain => {
            "the other runs are not affected; keep a copy of the store and restore a backup of it, or start the workflow again in \
             a new run"
                .to_owned()
        }
        Remedy::KeepComponent => {
            "keep the component file with that digest where the definition names it".to_owned()
        }
        Remedy::RestoreComponent => {
            "the other runs are not affected; put the component file with that digest where the definition names it, or restore a \
             backup of the store"
                .to_owned()
        }
        Remedy::WorkerMeets => format!("a worker (`{}`) meets it", command("work")),
        Remedy::StartWorker => format!(
            "start a worker (`{}`), or `{}` it",
            command("work"),
            command("resume")
        ),
        Remedy::LookAtOwner => {
            "look at that process: it may be stopped or starved; ended, its run is recovered".to_owned()
        }
        Remedy::TakeOver => format!(
            "a worker (`{}`) takes it over, or `{}` does",
            command("work"),
            command("resume")
        ),
        Remedy::TryOnceMore => format!(
            "a worker fails it with `process_lost`; `{}` tries it once more",
            command("resume")
        ),
        Remedy::MakeRoom => format!("make room, or remove old runs with `{}`", command("gc")),
        Remedy::GiveBack => format!("`{}` gives it back to the disk", command("gc")),
        Remedy::Rewrite => format!(
            "`{}` rewrites the file and gives it back to the disk",
            command("gc --compact")
        ),
    }
}
