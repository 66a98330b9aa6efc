//! One attempt, executed again: with its recorded input, seed and tape, on whatever thread is free.

use std::sync::Arc;

use milepost_core::definition::Definition;
use milepost_core::event::Entry;
use milepost_core::ids::{Digest, Path, RunId};
use milepost_core::outcome::{ErrorClass, Outcome, codes};
use milepost_core::tape::Tape;
use serde_json::{Value, json};

use super::Unstable;
use crate::attempt::{AttemptHost, BoxFuture, Call, CallResult, Callable, Mode, TapeDivergence};
use crate::bundle::MARKER;
use crate::engine::attempt_host::read_artifact;
use crate::record;
use crate::store::Store;
use crate::wasm::HostError;

/// How much longer than its timeout an attempt may take when it is executed again.
const PATIENCE: u32 = 10;

/// An attempt that is to be executed again.
pub(super) struct Job {
    pub(super) store: Arc<dyn Store>,
    pub(super) run: RunId,
    /// The event that ended it.
    pub(super) entry: Entry,
    pub(super) path: Path,
    pub(super) attempt: u32,
    pub(super) outcome: Outcome,
    pub(super) tape: Tape,
    /// The definition that the run had then.
    pub(super) definition: Arc<Definition>,
    pub(super) callable: Arc<dyn Callable>,
    pub(super) call: Call,
    /// Name of the component, where another one takes its place.
    pub(super) replaced: Option<String>,
    /// Whether values of the run were replaced when it was exported.
    pub(super) redacted: bool,
    /// Whether it is executed twice, and what both consume is compared.
    pub(super) verify: bool,
}

/// What came of it.
pub(super) struct Done {
    pub(super) job: Job,
    pub(super) found: Found,
}

pub(super) enum Found {
    /// What is recorded.
    Same,
    /// Another outcome.
    Outcome(Outcome),
    /// A host call that the tape does not answer.
    Call(TapeDivergence),
    /// What it reads is damaged.
    Damaged(String),
    /// Two executions are not the same.
    Unstable(Unstable),
    /// It could not be executed to its end, or not be verified.
    Not(String),
}

impl Job {
    pub(super) async fn execute(mut self) -> Done {
        let found = match self.found().await {
            Ok(found) => found,
            Err(cause) => Found::Damaged(cause),
        };
        Done { job: self, found }
    }

    /// # Errors
    /// Why its tape cannot be read.
    async fn found(&mut self) -> Result<Found, String> {
        let mut full = self.tape.clone();
        if let Some(kept) = &self.tape.kept {
            let entries = record::tape(self.store.as_ref(), &self.run, kept.started).await;
            full.put_back(entries.map_err(|error| error.to_string())?)?;
        }
        if self.redacted && self.is_redacted(&full) {
            let why = "values of it were replaced when the run was exported";
            return Ok(Found::Not(why.to_owned()));
        }
        self.call.mode = Mode::Replay(Arc::new(full));
        self.call.host = Arc::new(Beside(Arc::clone(&self.store)));
        // What it came to in time then, a slower machine, or one that was asleep, may take longer for.
        self.call.timeout = self.call.timeout.saturating_mul(PATIENCE);
        self.call.idle_timeout = None;
        let result = self.callable.call(self.call.clone()).await;
        if let Outcome::Failed(error) = &result.outcome
            && error.class == ErrorClass::Timeout
        {
            let why = format!("it was not over after {PATIENCE} times its timeout");
            return Ok(Found::Not(why));
        }
        if self.verify {
            let again = self.callable.call(self.call.clone()).await;
            if let Some(found) = self.stable(&result, &again) {
                return Ok(found);
            }
        }
        if let Outcome::Failed(error) = &result.outcome
            && (error.class, &*error.code) == (ErrorClass::Host, codes::DAMAGED)
        {
            // The component did nothing else than then: what it reads is not there any more.
            let cause = error.message.lines().next().unwrap_or_default();
            return Ok(Found::Damaged(cause.to_owned()));
        }
        if let Some(divergence) = result.divergence {
            return Ok(Found::Call(divergence));
        }
        Ok(match result.outcome == self.outcome {
            true => Found::Same,
            false => Found::Outcome(result.outcome),
        })
    }

    /// Whether a value that it was given, or gave, was replaced when the run was exported.
    fn is_redacted(&self, tape: &Tape) -> bool {
        let call = &self.call;
        let texts = [
            call.input.to_string(),
            outcome_json(&self.outcome).to_string(),
            format!("{:?} {:?}", call.outputs, call.resume_state),
            format!("{:?} {:?}", call.resume_signal, tape.entries),
        ];
        texts.iter().any(|text| text.contains(MARKER))
    }

    /// Whether two executions of it differ, or could not be compared.
    fn stable(&self, first: &CallResult, second: &CallResult) -> Option<Found> {
        let (Some(a), Some(b)) = (first.fuel, second.fuel) else {
            let why = "its component counts no fuel".to_owned();
            return Some(Found::Not(why));
        };
        let same =
            a == b && first.outcome == second.outcome && first.divergence == second.divergence;
        (!same).then(|| {
            Found::Unstable(Unstable {
                path: self.path.clone(),
                attempt: self.attempt,
                fuel: [a, b],
                outcomes: [&first.outcome, &second.outcome].map(outcome_json),
            })
        })
    }
}

/// The host of an attempt that is executed again: it has the bodies that are kept beside the tape, and nothing else.
struct Beside(Arc<dyn Store>);

impl AttemptHost for Beside {
    fn read_artifact<'a>(
        &'a self,
        digest: &'a Digest,
        offset: u64,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        Box::pin(read_artifact(self.0.as_ref(), digest, offset, max))
    }

    fn blob<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move { self.0.blob(digest).await.ok().flatten() })
    }
}

/// Why an attempt cannot be executed again, if so.
pub(super) fn not_replayable(outcome: &Outcome, tape: &Tape) -> Option<String> {
    if let Some(reason) = &tape.not_replayable {
        return Some(reason.clone());
    }
    match outcome {
        Outcome::Failed(error) => match error.class {
            ErrorClass::Timeout => Some("a timeout depends on the machine".to_owned()),
            ErrorClass::Host => Some("the host failed, not the component".to_owned()),
            ErrorClass::Failed
            | ErrorClass::Retryable
            | ErrorClass::Trap
            | ErrorClass::Definition
            | ErrorClass::Cancelled => None,
        },
        Outcome::Completed(_) | Outcome::Paused(_) => None,
        Outcome::Cancelled(_) => Some("a cancellation has no outcome".to_owned()),
    }
}

/// Outcomes side by side, under the names of the journal's fields.
pub(super) fn outcome_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Completed(output) => json!({ "output": output }),
        Outcome::Failed(error) => json!({ "error": error }),
        Outcome::Paused(pause) => json!({ "pause": pause }),
        Outcome::Cancelled(message) => json!({ "cancelled": message }),
    }
}
