//! Outcomes with their secrets masked.

use std::collections::BTreeSet;
use std::sync::Arc;

use milepost_core::limits::{MESSAGE_BYTES, NAME_BYTES};
use milepost_core::outcome::{Outcome, Pause, StepError};

use super::Secrets;

/// Bytes of the longest character.
const LONGEST_CHARACTER: usize = 4;

impl Secrets {
    /// The outcome with `***name***` in the place of values, and whose these were.
    #[must_use]
    pub fn mask_outcome(&self, outcome: Outcome) -> (Outcome, BTreeSet<Arc<str>>) {
        let mut found = BTreeSet::new();
        if self.is_empty() {
            return (outcome, found);
        }
        let note = &mut |name: &Arc<str>| {
            found.insert(Arc::clone(name));
        };
        let masked = match outcome {
            Outcome::Completed(output) => Outcome::Completed(self.mask_json(output, note)),
            Outcome::Failed(error) => Outcome::Failed(StepError {
                code: self.text(error.code, NAME_BYTES, note),
                message: self.text(error.message, MESSAGE_BYTES, note),
                detail: error.detail.map(|detail| self.mask_json(detail, note)),
                provider: error
                    .provider
                    .map(|provider| self.text(provider, NAME_BYTES, note)),
                ..error
            }),
            Outcome::Paused(pause) => Outcome::Paused(Pause {
                code: self.text(pause.code, NAME_BYTES, note),
                reason: self.text(pause.reason, MESSAGE_BYTES, note),
                provider: pause
                    .provider
                    .map(|provider| self.text(provider, NAME_BYTES, note)),
                signal: pause
                    .signal
                    .map(|signal| self.text(signal, NAME_BYTES, note)),
                state: pause.state.map(|state| self.mask_json(state, note)),
                until: pause.until,
            }),
            Outcome::Cancelled(message) => {
                Outcome::Cancelled(self.text(message, MESSAGE_BYTES, note))
            }
        };
        (masked, found)
    }

    /// A text of which no more than `most` bytes were kept.
    fn text(&self, text: String, most: usize, note: &mut dyn FnMut(&Arc<str>)) -> String {
        let cut = text.len() + LONGEST_CHARACTER > most;
        let masked = self.mask_noting(text.into(), note);
        // It may have been cut within a value.
        match cut {
            true => self.without_part(&masked).to_owned(),
            false => masked.into_owned(),
        }
    }
}
