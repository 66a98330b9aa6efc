//! The stored form of events: flat, each with its name as `type`. Journals are read for good, so this only ever grows by
//! fields that may be absent; what the program works with is free of that.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::tagged::{self, TypeFirst};
use super::{
    AttemptStarted, CarriedWorkflow, ChildEnding, ClaimCause, DefinitionChanged, Event,
    ForEachEvent, LoopEvent, RunCreated, RunEvent, RunResumed, Skip, StepEvent, Undo, WaitEvent,
};
use crate::definition::EndStatus;
use crate::ids::{Digest, Path, RunId, StepId};
use crate::outcome::{ErrorClass, Pause, StepError, codes};
use crate::payload::{FindBlob, Payload, hydrate};
use crate::state::{Ending, RECORD_VALUES};
use crate::stop::Stop;
use crate::stored::{DecodeError, Format};
use crate::tape::Tape;
use crate::time::Timestamp;
use crate::wait::{Verdict, Wait};

/// The version of the stored form of events.
const EVENTS: Format = Format { version: 1 };

/// The shape of a stored event, as two types with the same variants. They differ in what serde makes of them: `Stored` is written with
/// `type` inside, `Read` is read once that was taken off (see [`tagged`]).
macro_rules! shape {
    ($variants:tt) => {
        /// An event as it is stored. It borrows what is written.
        #[derive(Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(
            feature = "schema",
            schemars(rename = "Event", description = "What happened: `type` says what.")
        )]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum Stored<'a> $variants

        /// The same as it is read: `type` was taken off, and says which variant it is.
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Read<'a> $variants
    };
}

shape!({
    RunCreated(Cow<'a, RunCreated>),
    RunClaimed {
        owner: Cow<'a, str>,
        cause: ClaimCause,
    },
    RunReleased {
        reason: Cow<'a, str>,
    },
    RunResumed(Cow<'a, RunResumed>),
    DefinitionChanged {
        definition: Digest,
        plugins: Cow<'a, BTreeMap<String, Digest>>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        children: Cow<'a, BTreeMap<String, CarriedWorkflow>>,
        dropped: Cow<'a, [StepId]>,
        #[serde(default, skip_serializing_if = "<[StepId]>::is_empty")]
        reset: Cow<'a, [StepId]>,
        #[serde(
            default,
            deserialize_with = "kept_if_any",
            skip_serializing_if = "Option::is_none"
        )]
        inputs: Option<Cow<'a, Payload>>,
    },
    StepStarted {
        path: Cow<'a, Path>,
        attempt: u32,
        input: Cow<'a, Payload>,
        seed: u64,
        timeout_millis: u64,
    },
    StepCompleted {
        path: Cow<'a, Path>,
        attempt: u32,
        output: Cow<'a, Payload>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo: Option<Cow<'a, Undo>>,
        #[serde(default, skip_serializing_if = "Tape::is_empty")]
        tape: Cow<'a, Tape>,
    },
    AttemptFailed {
        path: Cow<'a, Path>,
        attempt: u32,
        error: Cow<'a, StepError>,
        retry_at: Timestamp,
        #[serde(default, skip_serializing_if = "Tape::is_empty")]
        tape: Cow<'a, Tape>,
    },
    StepFailed {
        path: Cow<'a, Path>,
        attempt: Option<u32>,
        error: Cow<'a, StepError>,
        #[serde(default, skip_serializing_if = "Tape::is_empty")]
        tape: Cow<'a, Tape>,
    },
    StepPaused {
        path: Cow<'a, Path>,
        attempt: u32,
        pause: Cow<'a, Pause>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Cow<'a, StepError>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Tape::is_empty")]
        tape: Cow<'a, Tape>,
    },
    StepInterrupted {
        path: Cow<'a, Path>,
        attempt: u32,
    },
    StepContinued {
        path: Cow<'a, Path>,
    },
    RunEnding {
        path: Cow<'a, Path>,
        status: EndStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Cow<'a, str>>,
        output: Cow<'a, Payload>,
    },
    DeadlineSet {
        path: Cow<'a, Path>,
        deadline: Timestamp,
    },
    StepSkipped {
        path: Cow<'a, Path>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        condition: Option<Cow<'a, str>>,
        /// Instead of a condition.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        needs: Option<Cow<'a, [StepId]>>,
    },
    WaitStarted {
        path: Cow<'a, Path>,
        wait: Cow<'a, Wait>,
    },
    WaitEnded {
        path: Cow<'a, Path>,
        output: Cow<'a, Payload>,
    },
    SignalReceived {
        path: Cow<'a, Path>,
        signal: Cow<'a, str>,
        data: Cow<'a, Payload>,
        sent_at: Timestamp,
    },
    ApprovalDecided {
        path: Cow<'a, Path>,
        decision: Verdict,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "<[StepId]>::is_empty")]
        rework: Cow<'a, [StepId]>,
    },
    ChildEnded {
        path: Cow<'a, Path>,
        run: Cow<'a, RunId>,
        seq: u64,
        status: ChildStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Cow<'a, Payload>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Cow<'a, StepError>>,
    },
    LoopIterationStarted {
        path: Cow<'a, Path>,
        iteration: u32,
    },
    LoopIterationEnded {
        path: Cow<'a, Path>,
        iteration: u32,
        condition_met: bool,
    },
    LoopCompleted {
        path: Cow<'a, Path>,
        iterations: u32,
        condition_met: bool,
    },
    FanOutStarted {
        path: Cow<'a, Path>,
        items: Cow<'a, Payload>,
        #[serde(default, skip_serializing_if = "is_zero")]
        kept: u32,
    },
    ItemStarted {
        path: Cow<'a, Path>,
    },
    ItemCompleted {
        path: Cow<'a, Path>,
        output: Cow<'a, Payload>,
    },
    ItemCancelled {
        path: Cow<'a, Path>,
        by: Cow<'a, str>,
    },
    FanOutCompleted {
        path: Cow<'a, Path>,
        output: Cow<'a, Payload>,
    },
    RunPostponed {
        reason: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        waited: bool,
    },
    RunHeld {
        by: Cow<'a, str>,
    },
    ClockCorrected {
        back_millis: u64,
        steps: Cow<'a, [StepId]>,
    },
    RunFinishing {
        ending: Cow<'a, Ending>,
    },
    FinallyStarted {},
    RunPaused {
        stop: Cow<'a, Stop>,
    },
    RunCompleted {
        output: Cow<'a, Payload>,
    },
    RunFailed {
        stop: Cow<'a, Stop>,
    },
    RunCancelled {
        stop: Cow<'a, Stop>,
    },
    RunCompensating {
        /// Whether it ends as cancelled, not as failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cancels: bool,
        stop: Cow<'a, Stop>,
        by: Cow<'a, str>,
    },
});

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How a child run ended.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ChildStatus"))]
#[serde(rename_all = "snake_case")]
enum ChildStatus {
    Completed,
    Failed,
    Cancelled,
}

fn kept_if_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'static, Payload>>, D::Error> {
    crate::payload::kept(deserializer).map(|payload| Some(Cow::Owned(payload)))
}

impl<'a> From<&'a Event> for Stored<'a> {
    fn from(event: &'a Event) -> Self {
        match event {
            Event::Run(event) => of_run(event),
            Event::Step { path, event } => of_step(Cow::Borrowed(path), event),
        }
    }
}

fn of_run(event: &RunEvent) -> Stored<'_> {
    match event {
        RunEvent::Created(created) => Stored::RunCreated(Cow::Borrowed(created)),
        RunEvent::Claimed { owner, cause } => Stored::RunClaimed {
            owner: owner.into(),
            cause: *cause,
        },
        RunEvent::Released { reason } => Stored::RunReleased {
            reason: reason.into(),
        },
        RunEvent::Resumed(resumed) => Stored::RunResumed(Cow::Borrowed(resumed)),
        RunEvent::DefinitionChanged(changed) => Stored::DefinitionChanged {
            definition: changed.definition,
            plugins: Cow::Borrowed(&changed.plugins),
            children: Cow::Borrowed(&changed.children),
            dropped: (&changed.dropped).into(),
            reset: (&changed.reset).into(),
            inputs: changed.inputs.as_ref().map(Cow::Borrowed),
        },
        RunEvent::Postponed {
            reason,
            due_at,
            waited,
        } => Stored::RunPostponed {
            reason: reason.into(),
            due_at: *due_at,
            waited: *waited,
        },
        RunEvent::Held { by } => Stored::RunHeld { by: by.into() },
        RunEvent::ClockCorrected { back_millis, steps } => Stored::ClockCorrected {
            back_millis: *back_millis,
            steps: steps.into(),
        },
        RunEvent::Finishing { ending } => Stored::RunFinishing {
            ending: Cow::Borrowed(ending),
        },
        RunEvent::FinallyStarted => Stored::FinallyStarted {},
        RunEvent::Paused { stop } => Stored::RunPaused {
            stop: Cow::Borrowed(stop),
        },
        RunEvent::Completed { output } => Stored::RunCompleted {
            output: Cow::Borrowed(output),
        },
        RunEvent::Failed { stop } => Stored::RunFailed {
            stop: Cow::Borrowed(stop),
        },
        RunEvent::Cancelled { stop } => Stored::RunCancelled {
            stop: Cow::Borrowed(stop),
        },
        RunEvent::Compensating { cancels, stop, by } => Stored::RunCompensating {
            cancels: *cancels,
            stop: Cow::Borrowed(stop),
            by: by.into(),
        },
    }
}

fn of_step<'a>(path: Cow<'a, Path>, event: &'a StepEvent) -> Stored<'a> {
    match event {
        StepEvent::Started(started) => Stored::StepStarted {
            path,
            attempt: started.attempt,
            input: Cow::Borrowed(&started.input),
            seed: started.seed,
            timeout_millis: started.timeout_millis,
        },
        StepEvent::Completed {
            attempt,
            output,
            undo,
            tape,
        } => Stored::StepCompleted {
            path,
            attempt: *attempt,
            output: Cow::Borrowed(output),
            undo: undo.as_ref().map(Cow::Borrowed),
            tape: Cow::Borrowed(tape),
        },
        StepEvent::AttemptFailed {
            attempt,
            error,
            retry_at,
            tape,
        } => Stored::AttemptFailed {
            path,
            attempt: *attempt,
            error: Cow::Borrowed(error),
            retry_at: *retry_at,
            tape: Cow::Borrowed(tape),
        },
        StepEvent::Failed {
            attempt,
            error,
            tape,
        } => Stored::StepFailed {
            path,
            attempt: *attempt,
            error: Cow::Borrowed(error),
            tape: Cow::Borrowed(tape),
        },
        StepEvent::Paused {
            attempt,
            pause,
            error,
            due_at,
            tape,
        } => Stored::StepPaused {
            path,
            attempt: *attempt,
            pause: Cow::Borrowed(pause),
            error: error.as_ref().map(Cow::Borrowed),
            due_at: *due_at,
            tape: Cow::Borrowed(tape),
        },
        StepEvent::Interrupted { attempt } => Stored::StepInterrupted {
            path,
            attempt: *attempt,
        },
        StepEvent::Ends {
            status,
            message,
            output,
        } => Stored::RunEnding {
            path,
            status: *status,
            message: message.as_deref().map(Cow::Borrowed),
            output: Cow::Borrowed(output),
        },
        StepEvent::Continued => Stored::StepContinued { path },
        StepEvent::DeadlineSet { deadline } => Stored::DeadlineSet {
            path,
            deadline: *deadline,
        },
        StepEvent::Skipped(skip) => {
            let (condition, needs) = match skip {
                Skip::Condition(condition) => (Some(condition.into()), None),
                Skip::Join { needs } => (None, Some(needs.into())),
            };
            Stored::StepSkipped {
                path,
                condition,
                needs,
            }
        }
        StepEvent::Wait(event) => of_wait(path, event),
        StepEvent::Loop(event) => of_loop(path, event),
        StepEvent::ForEach(event) => of_for_each(path, event),
    }
}

fn of_wait<'a>(path: Cow<'a, Path>, event: &'a WaitEvent) -> Stored<'a> {
    match event {
        WaitEvent::Started { wait } => Stored::WaitStarted {
            path,
            wait: Cow::Borrowed(wait),
        },
        WaitEvent::Ended { output } => Stored::WaitEnded {
            path,
            output: Cow::Borrowed(output),
        },
        WaitEvent::SignalReceived {
            signal,
            data,
            sent_at,
        } => Stored::SignalReceived {
            path,
            signal: signal.into(),
            data: Cow::Borrowed(data),
            sent_at: *sent_at,
        },
        WaitEvent::ApprovalDecided {
            decision,
            comment,
            by,
            rework,
        } => Stored::ApprovalDecided {
            path,
            decision: *decision,
            comment: comment.as_deref().map(Cow::Borrowed),
            by: by.as_deref().map(Cow::Borrowed),
            rework: rework.into(),
        },
        WaitEvent::ChildEnded { run, seq, ending } => {
            let (status, output, error) = match ending {
                ChildEnding::Completed(output) => (ChildStatus::Completed, Some(output), None),
                ChildEnding::Failed(error) => (ChildStatus::Failed, None, Some(error)),
                ChildEnding::Cancelled(error) => (ChildStatus::Cancelled, None, Some(error)),
            };
            Stored::ChildEnded {
                path,
                run: Cow::Borrowed(run),
                seq: *seq,
                status,
                output: output.map(Cow::Borrowed),
                error: error.map(Cow::Borrowed),
            }
        }
    }
}

fn of_loop<'a>(path: Cow<'a, Path>, event: &'a LoopEvent) -> Stored<'a> {
    match *event {
        LoopEvent::IterationStarted { iteration } => {
            Stored::LoopIterationStarted { path, iteration }
        }
        LoopEvent::IterationEnded {
            iteration,
            condition_met,
        } => Stored::LoopIterationEnded {
            path,
            iteration,
            condition_met,
        },
        LoopEvent::Completed {
            iterations,
            condition_met,
        } => Stored::LoopCompleted {
            path,
            iterations,
            condition_met,
        },
    }
}

fn of_for_each<'a>(path: Cow<'a, Path>, event: &'a ForEachEvent) -> Stored<'a> {
    match event {
        ForEachEvent::Started { items, kept } => Stored::FanOutStarted {
            path,
            items: Cow::Borrowed(items),
            kept: *kept,
        },
        ForEachEvent::ItemStarted => Stored::ItemStarted { path },
        ForEachEvent::ItemCompleted { output } => Stored::ItemCompleted {
            path,
            output: Cow::Borrowed(output),
        },
        ForEachEvent::ItemCancelled { by } => Stored::ItemCancelled {
            path,
            by: by.into(),
        },
        ForEachEvent::Completed { output } => Stored::FanOutCompleted {
            path,
            output: Cow::Borrowed(output),
        },
    }
}

impl TryFrom<Read<'_>> for Event {
    type Error = serde_json::Error;

    fn try_from(stored: Read<'_>) -> Result<Self, serde_json::Error> {
        let step = |path: Cow<'_, Path>, event: StepEvent| event.at(path.into_owned());
        Ok(match stored {
            Read::RunCreated(created) => RunEvent::Created(created.into_owned()).into(),
            Read::RunClaimed { owner, cause } => RunEvent::Claimed {
                owner: owner.into_owned(),
                cause,
            }
            .into(),
            Read::RunReleased { reason } => RunEvent::Released {
                reason: reason.into_owned(),
            }
            .into(),
            Read::RunResumed(resumed) => RunEvent::Resumed(resumed.into_owned()).into(),
            Read::DefinitionChanged {
                definition,
                plugins,
                children,
                dropped,
                reset,
                inputs,
            } => RunEvent::DefinitionChanged(DefinitionChanged {
                definition,
                plugins: plugins.into_owned(),
                children: children.into_owned(),
                dropped: dropped.into_owned(),
                reset: reset.into_owned(),
                inputs: inputs.map(Cow::into_owned),
            })
            .into(),
            Read::RunPostponed {
                reason,
                due_at,
                waited,
            } => RunEvent::Postponed {
                reason: reason.into_owned(),
                due_at,
                waited,
            }
            .into(),
            Read::RunHeld { by } => RunEvent::Held {
                by: by.into_owned(),
            }
            .into(),
            Read::ClockCorrected { back_millis, steps } => RunEvent::ClockCorrected {
                back_millis,
                steps: steps.into_owned(),
            }
            .into(),
            Read::RunPaused { stop } => RunEvent::Paused {
                stop: stop.into_owned(),
            }
            .into(),
            Read::RunFinishing { ending } => RunEvent::Finishing {
                ending: ending.into_owned(),
            }
            .into(),
            Read::FinallyStarted {} => RunEvent::FinallyStarted.into(),
            Read::RunCompleted { output } => RunEvent::Completed {
                output: output.into_owned(),
            }
            .into(),
            Read::RunFailed { stop } => RunEvent::Failed {
                stop: stop.into_owned(),
            }
            .into(),
            Read::RunCancelled { stop } => RunEvent::Cancelled {
                stop: stop.into_owned(),
            }
            .into(),
            Read::RunCompensating { cancels, stop, by } => RunEvent::Compensating {
                cancels,
                stop: stop.into_owned(),
                by: by.into_owned(),
            }
            .into(),
            Read::StepStarted {
                path,
                attempt,
                input,
                seed,
                timeout_millis,
            } => step(
                path,
                StepEvent::Started(AttemptStarted {
                    attempt,
                    input: input.into_owned(),
                    seed,
                    timeout_millis,
                }),
            ),
            Read::StepCompleted {
                path,
                attempt,
                output,
                undo,
                tape,
            } => step(
                path,
                StepEvent::Completed {
                    attempt,
                    output: output.into_owned(),
                    undo: undo.map(Cow::into_owned),
                    tape: tape.into_owned(),
                },
            ),
            Read::AttemptFailed {
                path,
                attempt,
                error,
                retry_at,
                tape,
            } => step(
                path,
                StepEvent::AttemptFailed {
                    attempt,
                    error: error.into_owned(),
                    retry_at,
                    tape: tape.into_owned(),
                },
            ),
            Read::StepFailed {
                path,
                attempt,
                error,
                tape,
            } => step(
                path,
                StepEvent::Failed {
                    attempt,
                    error: error.into_owned(),
                    tape: tape.into_owned(),
                },
            ),
            Read::StepPaused {
                path,
                attempt,
                pause,
                error,
                due_at,
                tape,
            } => step(
                path,
                StepEvent::Paused {
                    attempt,
                    pause: pause.into_owned(),
                    error: error.map(Cow::into_owned),
                    due_at,
                    tape: tape.into_owned(),
                },
            ),
            Read::StepInterrupted { path, attempt } => {
                step(path, StepEvent::Interrupted { attempt })
            }
            Read::RunEnding {
                path,
                status,
                message,
                output,
            } => step(
                path,
                StepEvent::Ends {
                    status,
                    message: message.map(Cow::into_owned),
                    output: output.into_owned(),
                },
            ),
            Read::StepContinued { path } => step(path, StepEvent::Continued),
            Read::DeadlineSet { path, deadline } => step(path, StepEvent::DeadlineSet { deadline }),
            Read::StepSkipped {
                path,
                condition,
                needs,
            } => {
                let skip = match (condition, needs) {
                    (_, Some(needs)) => Skip::Join {
                        needs: needs.into_owned(),
                    },
                    (Some(condition), None) => Skip::Condition(condition.into_owned()),
                    (None, None) => return Err(serde::de::Error::missing_field("condition")),
                };
                step(path, StepEvent::Skipped(skip))
            }
            Read::WaitStarted { path, wait } => {
                let wait = wait.into_owned();
                step(path, WaitEvent::Started { wait }.into())
            }
            Read::WaitEnded { path, output } => {
                let output = output.into_owned();
                step(path, WaitEvent::Ended { output }.into())
            }
            Read::SignalReceived {
                path,
                signal,
                data,
                sent_at,
            } => step(
                path,
                StepEvent::Wait(WaitEvent::SignalReceived {
                    signal: signal.into_owned(),
                    data: data.into_owned(),
                    sent_at,
                }),
            ),
            Read::ApprovalDecided {
                path,
                decision,
                comment,
                by,
                rework,
            } => step(
                path,
                StepEvent::Wait(WaitEvent::ApprovalDecided {
                    decision,
                    comment: comment.map(Cow::into_owned),
                    by: by.map(Cow::into_owned),
                    rework: rework.into_owned(),
                }),
            ),
            Read::ChildEnded {
                path,
                run,
                seq,
                status,
                output,
                error,
            } => {
                let error = || {
                    let unknown = || StepError::new(ErrorClass::Failed, codes::CHILD_FAILED, "");
                    error.map_or_else(unknown, Cow::into_owned)
                };
                let ending = match status {
                    // An output that is null is not told from none.
                    ChildStatus::Completed => ChildEnding::Completed(
                        output.map_or_else(|| Payload::new(Value::Null), Cow::into_owned),
                    ),
                    ChildStatus::Failed => ChildEnding::Failed(error()),
                    ChildStatus::Cancelled => ChildEnding::Cancelled(error()),
                };
                let run = run.into_owned();
                step(path, WaitEvent::ChildEnded { run, seq, ending }.into())
            }
            Read::LoopIterationStarted { path, iteration } => {
                step(path, LoopEvent::IterationStarted { iteration }.into())
            }
            Read::LoopIterationEnded {
                path,
                iteration,
                condition_met,
            } => step(
                path,
                StepEvent::Loop(LoopEvent::IterationEnded {
                    iteration,
                    condition_met,
                }),
            ),
            Read::LoopCompleted {
                path,
                iterations,
                condition_met,
            } => step(
                path,
                StepEvent::Loop(LoopEvent::Completed {
                    iterations,
                    condition_met,
                }),
            ),
            Read::FanOutStarted { path, items, kept } => {
                let items = items.into_owned();
                step(path, ForEachEvent::Started { items, kept }.into())
            }
            Read::ItemStarted { path } => step(path, ForEachEvent::ItemStarted.into()),
            Read::ItemCompleted { path, output } => {
                let output = output.into_owned();
                step(path, ForEachEvent::ItemCompleted { output }.into())
            }
            Read::ItemCancelled { path, by } => {
                let by = by.into_owned();
                step(path, ForEachEvent::ItemCancelled { by }.into())
            }
            Read::FanOutCompleted { path, output } => {
                let output = output.into_owned();
                step(path, ForEachEvent::Completed { output }.into())
            }
        })
    }
}

/// As it is stored, without the version; documents of the program show it so.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::from(self).serialize(serializer)
    }
}

/// That of the stored form, which is how it is serialized.
#[cfg(feature = "schema")]
impl schemars::JsonSchema for Event {
    fn schema_name() -> Cow<'static, str> {
        Stored::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Stored::json_schema(generator)
    }
}

impl Event {
    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> String {
        EVENTS.close(self)
    }

    /// Reads the stored form back.
    ///
    /// # Errors
    /// [`DecodeError`] when the text is damaged, too new, or names a missing blob.
    pub fn decode(text: &str, find: &FindBlob<'_>) -> Result<Self, DecodeError> {
        if let Some(TypeFirst(event)) = EVENTS.read::<TypeFirst<Read<'_>>>(text) {
            return event.try_into().map_err(|e| DecodeError::malformed(&e));
        }
        let mut body = EVENTS.open(
            text,
            &[
                "/inputs",
                "/input",
                "/output",
                "/undo/with",
                "/data",
                "/items",
                "/ending/output",
            ],
            find,
        )?;
        let kept = body.pointer_mut("/fork/kept").and_then(Value::as_array_mut);
        for record in kept.into_iter().flatten() {
            hydrate(record, &RECORD_VALUES, find)?;
        }
        let event = tagged::read::<Read<'static>>(body);
        let event = event.and_then(Self::try_from);
        event.map_err(|e| DecodeError::malformed(&e))
    }
}
