//! What a run has of the store: every blob that it names must be held for it, or the removal of another run takes it away; and
//! its row must not count more than there is.

use std::collections::BTreeSet;

use milepost_core::checkpoint;
use milepost_core::event::CarriedWorkflow;
use milepost_core::ids::Digest;
use milepost_core::state::RunState;

use super::{Audit, Fault};
use crate::store::{Holdings, RunRow, StoreError};

/// The blobs that a state names.
pub(super) fn named(state: &RunState) -> BTreeSet<Digest> {
    let slots: Vec<_> = state.executions().slots().collect();
    let mut named = checkpoint::changed_blobs(state, &slots, true);
    let (created, binding) = (&state.created(), &state.binding());
    named.extend([created.definition, binding.definition]);
    named.extend(created.plugins.values().chain(binding.plugins.values()));
    let children = created.children.values().chain(binding.children.values());
    named.extend(children.flat_map(CarriedWorkflow::blobs));
    named
}

impl Audit<'_, '_> {
    /// `row` and `named` were read before: what is held for a run only grows.
    pub(super) async fn holdings(
        &mut self,
        row: &RunRow,
        named: &BTreeSet<Digest>,
        state: Option<&RunState>,
    ) -> Result<(), StoreError> {
        let held = match self.auditor.store.holdings(self.run).await {
            Ok(held) => held,
            Err(StoreError::Corrupt(text)) => {
                self.fault("row", text.what);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let counted = held.bytes();
        for digest in named {
            if held.blobs.contains_key(digest) || !self.auditor.carries(*digest).await? {
                continue;
            }
            let part = super::part(*digest, state);
            let is_component = part.starts_with(super::COMPONENT);
            let message = format!(
                "{digest} is not held for this run: it is removed with the last run that holds it"
            );
            self.faults.push(Fault {
                is_component,
                // Runs of older versions, which did not count, have named components that they do not hold.
                is_minor: is_component && row.stored_bytes < counted,
                ..Fault::of(part, message)
            });
        }
        self.count(row, &held);
        Ok(())
    }

    /// What is damaged otherwise has another size than was counted; and runs of older versions were not counted from their
    /// beginning, so less may be right.
    fn count(&mut self, row: &RunRow, held: &Holdings) {
        let counted = held.bytes();
        if self.faults.is_empty() && row.stored_bytes > counted {
            self.fault(
                "column stored_bytes",
                format_args!("it is {}, the run takes {counted}", row.stored_bytes),
            );
        }
    }
}
