//! What to do about what an examination of the store has found.

use milepost::engine::Remedy;

/// What to do.
pub(crate) fn of(remedy: Remedy, command: impl Fn(&str) -> String) -> String {
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
            "start a worker (`{}`), or continue the run with `{}`",
            command("work"),
            command("resume")
        ),
        Remedy::LookAtOwner => {
            "check that process: it may be stopped or starved; when it ends, its run is recovered".to_owned()
        }
        Remedy::TakeOver => format!(
            "a worker (`{}`) or `{}` takes the run over",
            command("work"),
            command("resume")
        ),
        Remedy::TryOnceMore => format!(
            "a worker fails the run with `process_lost`; `{}` tries it once more",
            command("resume")
        ),
        Remedy::MakeRoom => format!("free some space, or remove old runs with `{}`", command("gc")),
        Remedy::GiveBack => format!("`{}` returns the space to the disk", command("gc")),
        Remedy::Rewrite => format!(
            "`{}` rewrites the file and returns the space to the disk",
            command("gc --compact")
        ),
    }
}
