//! A run at an earlier point of its history: the state that its journal folds to up to there. The store is only read.

use milepost_core::definition::Definition;
use milepost_core::event::{Entry, Event, ForEachEvent, LoopEvent, StepEvent, WaitEvent};
use milepost_core::ids::{Path, RunId};
use milepost_core::state::RunState;
use milepost_core::time::Timestamp;

use crate::carried;
use crate::engine::EngineError;
use crate::record::{self, RecordError};
use crate::report::{ChildReport, RunReport, StepReport};
use crate::store::{Family, Filter, Pages, Store, StoreError};

/// A point in the history of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// Right after the event at this position of the journal.
    Event(u64),
    /// Right after the last event with which the execution at this path, or an attempt of it, began.
    Step(Path),
}

/// A run as it was.
#[derive(Debug, Clone)]
pub struct Past {
    /// Its state.
    pub state: RunState,
    /// The last event that counts.
    pub event: u64,
    /// What it is called.
    pub name: &'static str,
    /// The execution that it is about, if it is about one.
    pub path: Option<Path>,
    /// When it was recorded.
    pub at: Timestamp,
}

/// Why a run cannot be shown as it was.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum HistoryError {
    /// The record cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Its journal is shorter.
    #[error("run `{run}` has no event {event}: its journal has events 1 to {last}")]
    NoEvent {
        /// The run.
        run: RunId,
        /// What was asked for.
        event: u64,
        /// Its last event.
        last: u64,
    },
    /// Nothing began at that path.
    #[error("nothing began at `{path}` in run `{run}`")]
    NotBegun {
        /// The run.
        run: RunId,
        /// What was asked for.
        path: Path,
    },
    /// An event cannot follow what stands before it.
    #[error(
        "run `{run}` cannot be read back: event {event} cannot follow what stands before it: {cause}"
    )]
    Contradicted {
        /// The run.
        run: RunId,
        /// The event.
        event: u64,
        /// Why not.
        cause: String,
    },
}

impl From<StoreError> for HistoryError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<RecordError> for HistoryError {
    fn from(error: RecordError) -> Self {
        Self::Engine(error.into())
    }
}

/// The run as it was at that moment. The cost grows with the number of events up to there.
///
/// # Errors
/// [`HistoryError`].
pub async fn at(store: &dyn Store, run: &RunId, moment: &Moment) -> Result<Past, HistoryError> {
    let row = store.row(run).await?;
    let last = row.ok_or_else(|| StoreError::NotFound(run.clone()))?.seq;
    let event = match moment {
        Moment::Event(event) if (1..=last).contains(event) => *event,
        Moment::Event(event) => {
            return Err(HistoryError::NoEvent {
                run: run.clone(),
                event: *event,
                last,
            });
        }
        Moment::Step(path) => began(store, run, path, last).await?,
    };
    let past = fold(store, run, |entry| entry.seq <= event).await?;
    past.ok_or_else(|| StoreError::NotFound(run.clone()).into())
}

/// The report of a run as it was, with its children as they were then; the definition, where it can be read.
///
/// # Errors
/// [`HistoryError`].
pub async fn report(
    store: &dyn Store,
    past: &Past,
) -> Result<(RunReport, Option<Definition>), HistoryError> {
    let definition = match carried::definition(store, &past.state).await {
        Ok(definition) => Ok(definition),
        Err(error @ (EngineError::Open(_) | EngineError::Store(StoreError::Corrupt(_)))) => {
            Err(error.to_string())
        }
        Err(error) => return Err(error.into()),
    };
    let mut report = match &definition {
        Ok(definition) => RunReport::new(definition, &past.state),
        Err(problem) => RunReport::without_definition(&past.state, problem),
    };
    for child in report.steps.iter_mut().flat_map(StepReport::children_mut) {
        look_at_child(store, child, past.at).await?;
    }
    let mut children = Pages::of(Filter {
        family: Family::ChildrenOf(report.id.clone()),
        ..Filter::default()
    });
    while let Some(page) = children.next(store).await? {
        for child in page.rows.iter().filter(|row| row.created_at <= past.at) {
            if let Some(then) = fold(store, &child.id, |entry| entry.at <= past.at).await? {
                let status = then.state.phase().status();
                *report.children.entry(status).or_default() += 1;
            }
        }
    }
    Ok((report, definition.ok()))
}

/// How a child stood then; one that was removed since is not there.
async fn look_at_child(
    store: &dyn Store,
    child: &mut ChildReport,
    then: Timestamp,
) -> Result<(), HistoryError> {
    if store.row(&child.run).await?.is_none() {
        return Ok(());
    }
    if let Some(past) = fold(store, &child.run, |entry| entry.at <= then).await? {
        child.status = Some(past.state.phase().status());
        child.stop = past.state.phase().stop();
    }
    Ok(())
}

/// Folds the journal as far as its entries count; `None` when the first one does not.
async fn fold(
    store: &dyn Store,
    run: &RunId,
    counts: impl Fn(&Entry) -> bool,
) -> Result<Option<Past>, HistoryError> {
    let mut entries = record::entries(store, run, 0);
    let mut past: Option<Past> = None;
    while let Some(entry) = entries.next().await.transpose()?.filter(&counts) {
        let rejected = |cause: &dyn ToString| HistoryError::Contradicted {
            run: run.clone(),
            event: entry.seq,
            cause: cause.to_string(),
        };
        let state = match past {
            None => RunState::create(&entry).map_err(|cause| rejected(&cause))?,
            Some(Past { mut state, .. }) => {
                state.apply(&entry).map_err(|cause| rejected(&cause))?;
                state
            }
        };
        past = Some(Past {
            state,
            event: entry.seq,
            name: entry.event.name(),
            path: entry.event.path().cloned(),
            at: entry.at,
        });
    }
    Ok(past)
}

/// Stored entries that are looked at together, from the end of a journal.
const WINDOW: u64 = 512;

/// Position of the last event with which something began at `path`.
async fn began(
    store: &dyn Store,
    run: &RunId,
    path: &Path,
    last: u64,
) -> Result<u64, HistoryError> {
    let named = path.to_string();
    let mut upper = last;
    while upper > 0 {
        let (mut after, mut found) = (upper.saturating_sub(WINDOW), None);
        let lower = after;
        'window: loop {
            let page = store.journal(run, after, WINDOW as usize).await?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                after = stored.seq;
                if stored.seq > upper {
                    break 'window;
                }
                // Most entries are about other steps: those are not read.
                if stored.body.contains(&named) {
                    let entry = record::decode(store, run, stored).await?;
                    if begins(&entry.event, path) {
                        found = Some(entry.seq);
                    }
                }
            }
        }
        if let Some(found) = found {
            return Ok(found);
        }
        upper = lower;
    }
    Err(HistoryError::NotBegun {
        run: run.clone(),
        path: path.clone(),
    })
}

fn begins(event: &Event, at: &Path) -> bool {
    let Event::Step { path, event } = event else {
        return false;
    };
    path == at
        && match event {
            StepEvent::Started(_)
            | StepEvent::Skipped(_)
            | StepEvent::Ends { .. }
            | StepEvent::Failed { attempt: None, .. }
            | StepEvent::Wait(WaitEvent::Started { .. })
            | StepEvent::Loop(LoopEvent::IterationStarted { .. })
            | StepEvent::ForEach(ForEachEvent::Started { .. } | ForEachEvent::ItemStarted) => true,
            StepEvent::Completed { .. }
            | StepEvent::AttemptFailed { .. }
            | StepEvent::Failed { .. }
            | StepEvent::Paused { .. }
            | StepEvent::Interrupted { .. }
            | StepEvent::Continued
            | StepEvent::DeadlineSet { .. }
            | StepEvent::Wait(
                WaitEvent::Ended { .. }
                | WaitEvent::SignalReceived { .. }
                | WaitEvent::ApprovalDecided { .. }
                | WaitEvent::ChildEnded { .. },
            )
            | StepEvent::Loop(LoopEvent::IterationEnded { .. } | LoopEvent::Completed { .. })
            | StepEvent::ForEach(
                ForEachEvent::ItemCompleted { .. }
                | ForEachEvent::ItemCancelled { .. }
                | ForEachEvent::Completed { .. },
            ) => false,
        }
}
