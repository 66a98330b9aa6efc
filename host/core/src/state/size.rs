//! How much users and plugins left in a run's state: outputs, errors, what pauses and signals left, what people were asked.

use std::io;

use serde_json::Value;

use super::{Compensable, Items, RunState, Settled, StepPhase, StepRecord, StepResult};
use crate::ids::Path;
use crate::outcome::{Pause, StepError};
use crate::wait::Wait;

impl RunState {
    /// What the state would take if the execution at `path` ended with a result of so many bytes.
    #[must_use]
    pub fn bytes_with(&self, path: &Path, result: usize) -> usize {
        let record = self.executions.latest(path);
        let before = record.map_or(0, StepRecord::bytes);
        // Of an execution before this one, only how it ended stays.
        let kept = record.map_or(0, |record| {
            let own = record.items().filter(|_| record.path == *path);
            record.previous.as_ref().map_or(0, settled)
                + own.map_or(0, items)
                + record.compensable().map_or(0, compensable)
        });
        self.recorded_bytes - before + kept + result
    }
}

impl StepRecord {
    /// Bytes of everything in it that a user or a plugin chose.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let phase = match &self.phase {
            StepPhase::Settled(ending) => settled(ending),
            StepPhase::Waiting { error: failure, .. } => error(failure),
            StepPhase::Paused { pause: left, .. } => pause(left),
            StepPhase::Awaiting { wait } => match wait {
                Wait::Approval { message, .. } => message.len(),
                Wait::Signal { name, .. } => name.len(),
                Wait::Time { .. } | Wait::Child { .. } => 0,
            },
            StepPhase::Pending
            | StepPhase::InFlight { .. }
            | StepPhase::Looping { .. }
            | StepPhase::FannedOut
            | StepPhase::InItem => 0,
        };
        phase
            + self.items().map_or(0, items)
            + self.previous.as_ref().map_or(0, settled)
            + self.resume_state().map_or(0, json)
            + self.resume_signal().map_or(0, json)
            + self.compensable().map_or(0, compensable)
    }
}

fn compensable(undone: &Compensable) -> usize {
    undone.with.as_ref().map_or(0, |with| with.text().len())
}

fn items(items: &Items) -> usize {
    items.list().text().len()
}

fn settled(settled: &Settled) -> usize {
    match &settled.result {
        StepResult::Completed { output } => output.text().len(),
        StepResult::Failed { error: failure } => error(failure),
        StepResult::Skipped => 0,
    }
}

/// Bytes that an error takes in the record.
pub(crate) fn error(error: &StepError) -> usize {
    let provider = error.provider.as_ref().map_or(0, String::len);
    error.code.len() + error.message.len() + provider + error.detail.as_ref().map_or(0, json)
}

/// Bytes that a pause takes in the record, its state included.
pub(crate) fn pause(pause: &Pause) -> usize {
    let names = [&pause.provider, &pause.signal];
    let names: usize = names.into_iter().flatten().map(String::len).sum();
    pause.code.len() + pause.reason.len() + names + pause.state.as_ref().map_or(0, json)
}

/// Length of the compact text, without making it.
pub(crate) fn json(value: &Value) -> usize {
    struct Length(usize);
    impl io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value)
        .expect("a JSON value with string keys always has a text");
    length.0
}
