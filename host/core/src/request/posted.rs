//! Requests to a run that somebody drives: they are kept with its signals, and whoever drives it takes them.

use serde::{Deserialize, Serialize};

use super::approve::{self, Answer, Asking};
use super::cancel_item::cancel_item;
use crate::definition::Definition;
use crate::event::Event;
use crate::ids::Path;
use crate::state::RunState;
use crate::time::Timestamp;
use crate::wait::Verdict;

/// The name under which they are kept. No definition can wait for it, and nobody can send it: it has a colon.
pub const NAME: &str = "request:";

/// A request that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Posted {
    /// A decision at an approval.
    Decision {
        /// The approval.
        path: Path,
        /// Which of its askings.
        attempt: u32,
        /// What.
        decision: Verdict,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// Who decides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// An item of a fan-out is not to be worked at any more.
    CancelItem {
        /// The item.
        path: Path,
        /// Who asks.
        by: String,
    },
}

impl Posted {
    /// A decision.
    #[must_use]
    pub fn decision(asking: &Asking, answer: Answer<'_>) -> Self {
        Self::Decision {
            path: asking.path().clone(),
            attempt: asking.attempt(),
            decision: answer.verdict,
            comment: answer.comment.map(str::to_owned),
            by: answer.by.map(str::to_owned),
        }
    }

    /// What is recorded when it is taken. Nothing where it does not hold any more: its question was answered before, the item has
    /// ended, or the time of the wait was over when it was `sent_at`.
    #[must_use]
    pub fn events(
        &self,
        definition: &Definition,
        state: &RunState,
        sent_at: Timestamp,
    ) -> Vec<Event> {
        match self {
            Self::Decision {
                path,
                attempt,
                decision,
                comment,
                by,
            } => {
                let answer = Answer {
                    verdict: *decision,
                    comment: comment.as_deref(),
                    by: by.as_deref(),
                };
                let asking = Asking::new(path.clone(), *attempt);
                approve::posted(definition, state, &asking, answer, sent_at).unwrap_or_default()
            }
            Self::CancelItem { path, by } => {
                cancel_item(state, &path.to_string(), by).unwrap_or_default()
            }
        }
    }
}
