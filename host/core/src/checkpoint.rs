//! The stored form of a run's state: named parts, of which a step rewrites only its own.
//!
//! Part `created` never changes, `run` changes when the run starts or stops, `step/<id>` when that step ends an execution or
//! stops on the way. Part `now` changes with every checkpoint: it holds the steps in flight, so that a start costs no part of its
//! own, says how many steps there are, and after which event the parts stand.
//!
//! A run that stopped has a checkpoint that stands where its journal ends. While a run moves, a checkpoint is written once in
//! [`CHECKPOINT_EVENTS`] events: an outcome is recorded by its event, and whoever reads the run back applies the few events since.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::RunCreated;
use crate::ids::{Digest, Epoch};
use crate::limits::CHECKPOINT_EVENTS;
use crate::payload::{FindBlob, hydrate};
use crate::state::{
    Binding, Ending, Episode, Phase, RECORD_VALUES, Restored, RunState, Slot, Status, StepPhase,
    StepRecord,
};
use crate::stored::{DecodeError, Format};
use crate::time::Timestamp;

/// The version of the stored form of these parts.
const PARTS: Format = Format { version: 1 };

const CREATED: &str = "created";
const RUN: &str = "run";
/// The part that every checkpoint changes; a store keeps it where that is cheapest.
pub const NOW: &str = "now";
const STEP: &str = "step/";

#[derive(Serialize, Deserialize)]
struct CreatedPart {
    created: RunCreated,
    created_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct RunPart {
    binding: Binding,
    phase: Phase,
    started_at: Option<Timestamp>,
    recoveries: u32,
    #[serde(default)]
    episode: Episode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ending: Option<Ending>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finally_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    compensates: bool,
    /// How many steps there are. Only records without a part `now` say it here.
    #[serde(default, skip_serializing)]
    steps: Option<usize>,
}

/// Read and written with [`StepRecord`]s by value and by reference.
#[derive(Serialize, Deserialize)]
struct NowPart<R> {
    /// The last event that the parts hold. Those of programs that wrote all parts with every event stand where the run's row does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Position>,
    /// How many steps there are, those in flight included.
    steps: usize,
    /// These steps stand as they do here. A part of their own is of an execution before.
    in_flight: Vec<R>,
}

/// Whether a write after which the run stands like this writes a checkpoint.
#[must_use]
pub fn is_due(state: &RunState) -> bool {
    let few = |events| events < CHECKPOINT_EVENTS;
    state.phase().status() != Status::Running || !state.since_checkpoint().is_some_and(few)
}

/// The parts that have changed since the last checkpoint.
#[must_use]
pub fn next_parts(state: &RunState) -> Vec<Part> {
    let (slots, run) = state.unwritten();
    changed_parts(state, slots, run)
}

/// A part by name: put with a body, or removed.
pub type Part = (String, Option<String>);

/// The parts that change with these steps and, where `run` says so, with the run as a whole.
#[must_use]
pub fn changed_parts<'a>(
    state: &RunState,
    slots: impl IntoIterator<Item = &'a Slot>,
    run: bool,
) -> Vec<Part> {
    let mut parts = Vec::with_capacity(4);
    parts.push((NOW.to_owned(), Some(now_part(state))));
    if run {
        parts.push((RUN.to_owned(), Some(run_part(state))));
    }
    for slot in slots {
        if !state.is_in_flight(slot) {
            let record = state.executions().get(slot);
            let body = record.map(|record| PARTS.close(record));
            parts.push((format!("{STEP}{slot}"), body));
        }
    }
    parts
}

/// The blobs that [`changed_parts`] of the same arguments name.
#[must_use]
pub fn changed_blobs<'a>(
    state: &'a RunState,
    slots: impl IntoIterator<Item = &'a Slot>,
    run: bool,
) -> BTreeSet<Digest> {
    let records = slots
        .into_iter()
        .filter_map(|slot| state.executions().get(slot))
        .chain(state.in_flight());
    let values = records.flat_map(StepRecord::payloads);
    let returned = match &state.phase() {
        Phase::Completed { output, .. } if run => Some(output),
        _ => state.ending().and_then(Ending::output).filter(|_| run),
    };
    let inputs = state.binding().inputs.as_ref().filter(|_| run);
    values
        .chain(returned)
        .chain(inputs)
        .filter_map(|output| Some(output.blob()?.0))
        .collect()
}

/// Every part, for a new run.
#[must_use]
pub fn all_parts(state: &RunState) -> Vec<Part> {
    let created = PARTS.close(&CreatedPart {
        created: state.created().clone(),
        created_at: state.created_at(),
    });
    let slots: Vec<Slot> = state.executions().slots().collect();
    let mut parts = changed_parts(state, &slots, true);
    parts.push((CREATED.to_owned(), Some(created)));
    parts
}

fn run_part(state: &RunState) -> String {
    PARTS.close(&RunPart {
        binding: state.binding().clone(),
        phase: state.phase().clone(),
        started_at: state.started_at(),
        recoveries: state.recoveries(),
        episode: state.episode().clone(),
        ending: state.ending().cloned(),
        finally_since: state.finally_since(),
        compensates: state.compensates(),
        steps: None,
    })
}

fn now_part(state: &RunState) -> String {
    PARTS.close(&NowPart {
        at: Some(Position {
            seq: state.seq(),
            epoch: state.epoch(),
            updated_at: state.updated_at(),
        }),
        steps: state.executions().len(),
        in_flight: state.in_flight().collect(),
    })
}

/// Where a run stands in its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Position of the last event.
    pub seq: u64,
    /// The present fencing token.
    pub epoch: Epoch,
    /// Time of the last event.
    pub updated_at: Timestamp,
}

/// A checkpoint that cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DamagedCheckpoint {
    /// A part is missing.
    #[error("the checkpoint has no part `{0}`")]
    Missing(&'static str),
    /// Steps are missing, or too many.
    #[error("the checkpoint has {found} steps, it should have {expected}")]
    Steps {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A column of the run's row says something else than the checkpoint.
    #[error("the run's row has the {column} `{row}`, the checkpoint `{checkpoint}`")]
    Contradicted {
        /// The column.
        column: &'static str,
        /// What it holds.
        row: String,
        /// What the checkpoint holds.
        checkpoint: String,
    },
    /// The journal does not lead from the checkpoint to where the run's row says that the run stands.
    #[error(
        "the checkpoint stands at event {checkpoint}, and the journal does not lead from there to event {row}, where the run's row stands"
    )]
    Astray {
        /// Where the checkpoint stands, with the events after it that can follow.
        checkpoint: u64,
        /// Where the row stands.
        row: u64,
    },
    /// A part is not what it should be.
    #[error("part `{part}` of the checkpoint cannot be read: {cause}")]
    Part {
        /// Name of the part.
        part: String,
        /// What is wrong with it.
        cause: DecodeError,
    },
}

/// Reads the state of a run whose row stands at `row` back from its parts: as the run stood after the event that the checkpoint
/// holds last. The events from there to the row are yet to be applied.
///
/// # Errors
/// [`DamagedCheckpoint`] when a part is missing, damaged or of a newer format. Nothing is guessed or dropped (B111).
pub fn restore<'a>(
    row: Position,
    parts: impl IntoIterator<Item = (&'a str, &'a str)>,
    find: &FindBlob<'_>,
) -> Result<RunState, DamagedCheckpoint> {
    let mut created: Option<CreatedPart> = None;
    let mut run: Option<RunPart> = None;
    let mut now: Option<NowPart<StepRecord>> = None;
    let mut records = BTreeMap::new();
    for (name, body) in parts {
        let damaged = |cause| DamagedCheckpoint::Part {
            part: name.to_owned(),
            cause,
        };
        if name == CREATED {
            created = Some(read(body, &["/created/inputs"], find).map_err(damaged)?);
        } else if name == RUN {
            let pointers = ["/phase/output", "/binding/inputs", "/ending/output"];
            run = Some(read(body, &pointers, find).map_err(damaged)?);
        } else if name == NOW {
            now = Some(read_now(body, find).map_err(damaged)?);
        } else if let Some(id) = name.strip_prefix(STEP) {
            let slot: Slot = id.parse().map_err(|e| damaged(malformed(&e)))?;
            let record: StepRecord = read(body, &RECORD_VALUES, find).map_err(damaged)?;
            check(&slot, &record).map_err(damaged)?;
            records.insert(slot, record);
        } else {
            return Err(damaged(malformed(&"its name is unknown")));
        }
    }
    let created = created.ok_or(DamagedCheckpoint::Missing(CREATED))?;
    let run = run.ok_or(DamagedCheckpoint::Missing(RUN))?;
    let (mut position, mut written) = (row, None);
    let expected = match now {
        Some(now) => {
            written = now.at.map(|at| at.seq);
            match now.at {
                Some(at) if at.seq > row.seq => {
                    return Err(DamagedCheckpoint::Astray {
                        checkpoint: at.seq,
                        row: row.seq,
                    });
                }
                Some(at) if at.seq < row.seq => position = at,
                _ => {}
            }
            let in_flight = now.in_flight.into_iter();
            records.extend(in_flight.map(|record| (Slot::from(record.path()), record)));
            now.steps
        }
        None => run.steps.ok_or(DamagedCheckpoint::Missing(NOW))?,
    };
    // A missing part would let a completed step run again.
    if expected != records.len() {
        return Err(DamagedCheckpoint::Steps {
            expected,
            found: records.len(),
        });
    }
    Ok(Restored {
        created: created.created,
        created_at: created.created_at,
        binding: run.binding,
        phase: run.phase,
        started_at: run.started_at,
        updated_at: position.updated_at,
        written,
        seq: position.seq,
        epoch: position.epoch,
        recoveries: run.recoveries,
        episode: run.episode,
        ending: run.ending,
        finally_since: run.finally_since,
        compensates: run.compensates,
        executions: records.into_values().collect(),
    }
    .into())
}

/// What the shape alone cannot promise: the record is of this step, and iterations count from 1 (B110, B117).
fn check(slot: &Slot, record: &StepRecord) -> Result<(), DecodeError> {
    if Slot::from(record.path()) != *slot {
        return Err(malformed(&format_args!(
            "it is the record of `{}`",
            record.path
        )));
    }
    if let StepPhase::Looping { iteration: 0, .. } = record.phase {
        return Err(malformed(&"a loop is in iteration 0"));
    }
    if record.phase == StepPhase::FannedOut && record.items().is_none() {
        return Err(malformed(&"a fan-out has no items"));
    }
    Ok(())
}

fn read_now(text: &str, find: &FindBlob<'_>) -> Result<NowPart<StepRecord>, DecodeError> {
    let mut body = PARTS.open(text, &[], find)?;
    if let Some(records) = body.pointer_mut("/in_flight").and_then(Value::as_array_mut) {
        for record in records {
            let pointers = ["/previous/result/output", "/compensable/with"];
            hydrate(record, &pointers, find)?;
        }
    }
    let now: NowPart<StepRecord> = serde_json::from_value(body).map_err(|e| malformed(&e))?;
    match now.in_flight.iter().find(|record| !record.is_in_flight()) {
        Some(other) => Err(malformed(&format_args!(
            "`{}` is not in flight",
            other.path
        ))),
        None => Ok(now),
    }
}

fn read<T: serde::de::DeserializeOwned>(
    text: &str,
    pointers: &[&str],
    find: &FindBlob<'_>,
) -> Result<T, DecodeError> {
    let body = PARTS.open(text, pointers, find)?;
    serde_json::from_value(body).map_err(|e| malformed(&e))
}

fn malformed(cause: &dyn std::fmt::Display) -> DecodeError {
    DecodeError::Malformed(cause.to_string())
}
