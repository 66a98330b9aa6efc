//! Programs that steps of a run had started when its owner died (B400).

use milepost_core::effect::{Effect, GroupChange};
use milepost_core::state::Status;

use super::Engine;
use crate::store::{Note, RunRow};
use crate::wasm::process_group::{Orphans, kill_orphans};

impl Engine {
    /// Kills what is left of them: nothing that they do counts any more, and the step that started them is about to start them again.
    ///
    /// The owner must be gone. A group is killed only if it is the very one that was written down, and only on its own host.
    pub(super) async fn end_orphans(&self, row: &RunRow) {
        if row.status != Status::Running {
            return;
        }
        let store = self.shared.store.as_ref();
        let groups = match store.groups(&row.id).await {
            Ok(groups) => groups,
            Err(error) => {
                tracing::warn!(run = %row.id, %error, "it is not known what its steps left running");
                return;
            }
        };
        for group in groups {
            match kill_orphans(&group) {
                // Whoever takes the run over on that host finds it.
                Orphans::OutOfSight => continue,
                Orphans::Killed(processes) => tracing::warn!(
                    run = %row.id,
                    group = group.group,
                    processes,
                    "killed what a step had started and a lost process had left running"
                ),
                Orphans::None => {}
            }
            let note = Note {
                run: row.id.clone(),
                epoch: row.epoch,
                started: 0,
                path: String::new(),
                effect: Effect {
                    processes: Some(GroupChange::Ended(group)),
                    ..Effect::default()
                },
            };
            // What stays in the store is looked for again, and not found.
            let _ = store.note(note).await;
        }
    }
}
