//! Between the core and the store: reads runs back, and gathers what one transaction will hold.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use milepost_core::checkpoint::{self, DamagedCheckpoint, Position};
use milepost_core::decide::interrupt;
use milepost_core::effect::{Artifact, TapePart};
use milepost_core::event::{Entry, Event, RunEvent, RunResumed, StepEvent, WaitEvent};
use milepost_core::ids::{Digest, Epoch, Path, RunId};
use milepost_core::payload::{FindBlob, Payload};
use milepost_core::request::posted;
use milepost_core::state::{Rejected, RunState, Slot, Status, StepRecord, Touched};
use milepost_core::stored::DecodeError;
use milepost_core::tape::TapeEntry;
use milepost_core::time::Timestamp;
use milepost_core::wait::{child_reminder, child_signal};

use crate::store::{
    Claim, Expect, Head, Kin, NewLog, NewSignal, RunRow, Store, StoreError, StoredCheckpoint,
    StoredEntry, Write,
};
use crate::workflow::Workflow;

/// Why a recorded run cannot be read.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum RecordError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The checkpoint is damaged.
    #[error("run `{run}` cannot be read back: {cause}")]
    Checkpoint {
        /// The run.
        run: RunId,
        /// What is wrong.
        cause: DamagedCheckpoint,
    },
    /// A journal entry is damaged.
    #[error("event {seq} of run `{run}` cannot be read back: {cause}")]
    Entry {
        /// The run.
        run: RunId,
        /// Position of the event.
        seq: u64,
        /// What is wrong.
        cause: DecodeError,
    },
}

/// A run as it stands in the store.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its row.
    pub row: RunRow,
    /// Its state.
    pub state: RunState,
}

impl Recorded {
    /// What no write can follow: every change names the run and expects its row as the checkpoint has them.
    fn contradiction(&self) -> Option<DamagedCheckpoint> {
        let Self { row, state } = self;
        let (id, status) = (&state.created().run, state.phase().status());
        let (column, row, checkpoint) = if row.id != *id {
            ("id", row.id.to_string(), id.to_string())
        } else if row.status != status {
            ("status", row.status.to_string(), status.to_string())
        } else {
            return None;
        };
        Some(DamagedCheckpoint::Contradicted {
            column,
            row,
            checkpoint,
        })
    }
}

/// Reads the state of a run from its checkpoint and the few events since: the cost does not depend on how long the run is.
///
/// # Errors
/// [`RecordError`]; an unknown run is [`StoreError::NotFound`].
pub async fn load(store: &dyn Store, run: &RunId) -> Result<Recorded, RecordError> {
    // Boxed: whoever drives the children of children of a run has many of these futures inside of each other.
    let recorded = Box::pin(read(store, run)).await?;
    match recorded.contradiction() {
        None => Ok(recorded),
        Some(cause) => Err(RecordError::Checkpoint {
            run: run.clone(),
            cause,
        }),
    }
}

/// The same for whoever is about to change the run: its journal must end where its row says, or what follows would not fit.
///
/// # Errors
/// As [`load`]; [`StoreError::Corrupt`] when the two contradict each other.
pub async fn load_to_change(store: &dyn Store, run: &RunId) -> Result<Recorded, RecordError> {
    let recorded = load(store, run).await?;
    let seq = recorded.row.seq;
    let last = store.journal(run, seq.saturating_sub(1), 2).await?;
    match last.as_slice() {
        [entry] if entry.seq == seq => Ok(recorded),
        // Somebody has written since: whoever changes the run now is told so.
        [entry, _] if entry.seq == seq && has_moved(store, run, seq).await? => Ok(recorded),
        _ => Err(StoreError::corrupt(format!(
            "run `{run}`: its row says that its journal ends at event {seq}, and it does not"
        ))
        .into()),
    }
}

async fn has_moved(store: &dyn Store, run: &RunId, seq: u64) -> Result<bool, StoreError> {
    Ok(store.row(run).await?.is_some_and(|row| row.seq != seq))
}

/// The same for who examines a record: also of a run whose row contradicts its checkpoint.
///
/// # Errors
/// [`RecordError`]; an unknown run is [`StoreError::NotFound`].
pub(crate) async fn read(store: &dyn Store, run: &RunId) -> Result<Recorded, RecordError> {
    let mut tries = 0;
    loop {
        let stored = store.checkpoint(run).await?;
        let stored = stored.ok_or_else(|| StoreError::NotFound(run.clone()))?;
        let seq = stored.row.seq;
        match read_back(store, run, stored).await {
            Err(RecordError::Checkpoint { .. } | RecordError::Entry { .. })
                if tries < READS && store.row(run).await?.map(|row| row.seq) != Some(seq) =>
            {
                // Between the reads, the run moved on, perhaps to its end, and was removed.
                tries += 1;
            }
            read => return read,
        }
    }
}

/// How often a run that moves while it is read is read again.
const READS: u32 = 8;

/// A run as it stood when its checkpoint was read: the events since are applied.
async fn read_back(
    store: &dyn Store,
    run: &RunId,
    stored: StoredCheckpoint,
) -> Result<Recorded, RecordError> {
    let damaged = |cause| RecordError::Checkpoint {
        run: run.clone(),
        cause,
    };
    let row = stored.row;
    let position = Position {
        seq: row.seq,
        epoch: row.epoch,
        updated_at: row.updated_at,
    };
    let restored = with_blobs(store, |find| {
        let parts = stored.parts.iter().map(|(n, b)| (n.as_str(), b.as_str()));
        checkpoint::restore(position, parts, find)
    });
    let mut state = restored.await?.map_err(damaged)?;
    let mut since = entries(store, run, state.seq());
    while state.seq() < row.seq {
        let entry = since.next().await.transpose()?;
        if entry.is_none_or(|entry| state.apply(&entry).is_err()) {
            return Err(damaged(DamagedCheckpoint::Astray {
                checkpoint: state.seq(),
                row: row.seq,
            }));
        }
    }
    Ok(Recorded { row, state })
}

/// Counts how often the approval at `path` was rejected, where a program that did not count began it: the journal tells. A
/// decision there is the only thing that goes by the number, and writes it.
///
/// # Errors
/// [`RecordError`] when the store fails.
pub(crate) async fn count_rejections(
    store: &dyn Store,
    state: &mut RunState,
    path: &Path,
) -> Result<(), RecordError> {
    let record = state.executions().at(path);
    let Some(record) = record.filter(|record| record.rejections().is_none()) else {
        return Ok(());
    };
    let found = if record.attempts() == 1 {
        0
    } else {
        let folded = folded(store, &state.created().run, state.seq()).await?;
        let folded = folded.as_ref().and_then(|f| f.executions().latest(path));
        folded.and_then(StepRecord::rejections).unwrap_or(0)
    };
    state.count_rejections(path, Some(found));
    Ok(())
}

/// What the journal folds to; `None` when it is damaged.
async fn folded(
    store: &dyn Store,
    run: &RunId,
    last: u64,
) -> Result<Option<RunState>, RecordError> {
    let mut state: Option<RunState> = None;
    loop {
        let after = state.as_ref().map_or(0, |state| state.seq());
        if after >= last {
            return Ok(state);
        }
        let entries = match journal(store, run, after, JOURNAL_PAGE).await {
            Ok(entries) if entries.first().is_none_or(|entry| entry.seq > last) => return Ok(None),
            Ok(entries) => entries,
            Err(RecordError::Store(error)) => return Err(error.into()),
            Err(_) => return Ok(None),
        };
        for entry in entries.iter().filter(|entry| entry.seq <= last) {
            let applied = match &mut state {
                Some(state) => state.apply(entry).map(drop),
                None => RunState::create(entry).map(|created| state = Some(created)),
            };
            if applied.is_err() {
                return Ok(None);
            }
        }
    }
}

/// Journal entries that are read at once.
const JOURNAL_PAGE: usize = 512;

/// The text of the definition that a run carries.
///
/// # Errors
/// [`StoreError`] when the text is gone, damaged, or cannot be read now.
pub async fn definition_text(store: &dyn Store, state: &RunState) -> Result<String, StoreError> {
    text(store, &state.binding().definition).await
}

async fn text(store: &dyn Store, digest: &Digest) -> Result<String, StoreError> {
    let bytes = store.blob(digest).await?.ok_or_else(|| {
        StoreError::corrupt(format!("the definition {digest} of the run is missing"))
    })?;
    String::from_utf8(bytes)
        .map_err(|_| StoreError::corrupt(format!("the definition {digest} is not text")))
}

/// The texts of the child workflows that a run carries, by file.
///
/// # Errors
/// [`StoreError`] when one is gone, damaged, or cannot be read now.
pub async fn child_texts(
    store: &dyn Store,
    state: &RunState,
) -> Result<BTreeMap<String, String>, StoreError> {
    let mut texts = BTreeMap::new();
    for (file, carried) in &state.binding().children {
        texts.insert(file.clone(), text(store, &carried.definition).await?);
    }
    Ok(texts)
}

/// Reads up to `limit` journal entries after position `after` into memory, whatever they take.
///
/// # Errors
/// [`RecordError`] when the store fails or an entry is damaged.
pub async fn journal(
    store: &dyn Store,
    run: &RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<Entry>, RecordError> {
    let mut entries = entries(store, run, after);
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(entry) = entries.next().await
    {
        found.push(entry?);
    }
    Ok(found)
}

/// Reads the journal after position `after`, entry by entry. `store` is a reference or an `Arc`.
pub fn entries<S>(store: S, run: &RunId, after: u64) -> Entries<S> {
    Entries {
        store,
        run: run.clone(),
        after,
        page: Vec::new().into_iter(),
        is_over: false,
    }
}

/// A journal on its way from the store: one page of stored text and one event are in memory, however long it is and however
/// large its values are. Ends after the first error.
#[derive(Debug)]
pub struct Entries<S> {
    store: S,
    run: RunId,
    after: u64,
    page: std::vec::IntoIter<StoredEntry>,
    is_over: bool,
}

/// Entries of a page at most: small ones are many.
const PAGE: usize = 512;

impl<'s, S: Deref<Target = dyn Store + 's>> Entries<S> {
    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// [`RecordError`] when the store fails or the entry is damaged.
    pub async fn next(&mut self) -> Option<Result<Entry, RecordError>> {
        if self.is_over {
            return None;
        }
        let found = self.read().await;
        self.is_over = !matches!(found, Ok(Some(_)));
        found.transpose()
    }

    async fn read(&mut self) -> Result<Option<Entry>, RecordError> {
        if self.page.len() == 0 {
            // The page before is gone when the next one comes.
            self.page = Vec::new().into_iter();
            let page = self.store.journal(&self.run, self.after, PAGE).await?;
            self.page = page.into_iter();
        }
        let Some(stored) = self.page.next() else {
            return Ok(None);
        };
        self.after = stored.seq;
        decode(&*self.store, &self.run, stored).await.map(Some)
    }
}

/// An entry as it is stored.
///
/// # Errors
/// [`RecordError`] when the store fails or the entry is damaged.
pub(crate) async fn decode(
    store: &dyn Store,
    run: &RunId,
    stored: StoredEntry,
) -> Result<Entry, RecordError> {
    let decoded = with_blobs(store, |find| Event::decode(&stored.body, find));
    let event = decoded.await?.map_err(|cause| RecordError::Entry {
        run: run.clone(),
        seq: stored.seq,
        cause,
    })?;
    Ok(Entry {
        seq: stored.seq,
        at: stored.at,
        epoch: stored.epoch,
        event,
    })
}

/// The recorded host calls of the attempt that `started` with that event.
///
/// # Errors
/// [`RecordError`] when the store fails, or they cannot be read or have a gap.
pub async fn tape(
    store: &dyn Store,
    run: &RunId,
    started: u64,
) -> Result<Vec<TapeEntry>, RecordError> {
    let mut entries = Vec::new();
    loop {
        let parts = store.tape(run, started, entries.len() as u64).await?;
        if parts.is_empty() {
            return Ok(entries);
        }
        for part in parts {
            if part.first != entries.len() as u64 {
                return Err(StoreError::corrupt(format!(
                    "run `{run}`: the tape of the attempt that event {started} started has {} host calls where number {} should follow",
                    entries.len(),
                    part.first
                ))
                .into());
            }
            let more: Vec<TapeEntry> = serde_json::from_str(&part.body).map_err(|error| {
                StoreError::corrupt(format!(
                    "run `{run}`: the tape of the attempt that event {started} started cannot be read: {error}"
                ))
            })?;
            if more.is_empty() {
                return Ok(entries);
            }
            entries.extend(more);
        }
    }
}

/// Decodes a record that may name blobs. Which ones it names is known when it is decoded: a first pass, to which each is JSON
/// that says nothing, tells; they are fetched, and then it is decoded for good. A record without blobs takes one pass.
///
/// # Errors
/// [`StoreError`] when the store could not be asked: that is no damage of the record, as a blob that is damaged or gone is.
async fn with_blobs<T, E>(
    store: &dyn Store,
    decode: impl Fn(&FindBlob<'_>) -> Result<T, E>,
) -> Result<Result<T, E>, StoreError> {
    let mut known = BTreeMap::<Digest, Option<Vec<u8>>>::new();
    loop {
        let (decoded, wanted) = {
            let wanted = RefCell::new(BTreeSet::new());
            let decoded = decode(&|digest| match known.get(digest) {
                Some(bytes) => bytes.clone(),
                None => {
                    wanted.borrow_mut().insert(*digest);
                    Some(b"null".to_vec())
                }
            });
            (decoded, wanted.into_inner())
        };
        if wanted.is_empty() {
            return Ok(decoded);
        }
        drop(decoded);
        for digest in wanted {
            let bytes = match store.blob(&digest).await {
                Ok(bytes) => bytes,
                Err(StoreError::Corrupt(_)) => None,
                Err(error) => return Err(error),
            };
            known.insert(digest, bytes);
        }
    }
}

/// The columns of a run's row that follow from its state.
#[must_use]
pub fn head(state: &RunState) -> Head {
    let stop = state.phase().stop();
    Head {
        workflow: state.created().workflow.clone(),
        labels: state.created().labels.clone(),
        status: state.phase().status(),
        moves_by_itself: state.moves_by_itself(),
        cancelling: state.is_being_cancelled(),
        at: state.updated_at(),
        stop_code: state
            .phase()
            .stop_code()
            .map(|code| code.as_str().to_owned()),
        due_at: stop.as_ref().and_then(|stop| stop.due_at),
        recoveries: state.recoveries(),
        auto_resumes: state.episode().in_a_row(),
        provider: stop.and_then(|stop| stop.provider.as_deref().map(without_nul)),
        awaits: match state.phase().status() {
            Status::Paused => {
                let names: BTreeSet<&str> = state.awaited().map(|(_, name)| name).collect();
                let children = state.awaited_children();
                // What was left for its driver as it paused is found by a sweep.
                let fans_out = || {
                    state
                        .executions()
                        .iter()
                        .any(|record| record.items().is_some())
                };
                let posted = state.approvals().next().is_some() || fans_out();
                names
                    .into_iter()
                    .map(without_nul)
                    .chain(posted.then(|| posted::NAME.to_owned()))
                    .chain(children.flat_map(|(_, child)| {
                        let again = (child.failed_at > 0).then(|| child_reminder(&child.run));
                        std::iter::once(child_signal(&child.run)).chain(again)
                    }))
                    .collect()
            }
            _ => Vec::new(),
        },
    }
}

/// A word that a component chose, as a column: in a body it is escaped, and not every store keeps a NUL in a text.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// Events that were applied to the state and wait for their transaction.
#[derive(Debug)]
pub struct Batch {
    expect: Expect,
    claim: Option<Claim>,
    entries: Vec<Entry>,
    touched: BTreeSet<Slot>,
    run_touched: bool,
    logs: Vec<NewLog>,
    tapes: Vec<(u64, TapePart)>,
    renewed: BTreeSet<String>,
    blobs: BTreeMap<Digest, Arc<[u8]>>,
    artifacts: Vec<(String, Artifact)>,
    consumed: Vec<u64>,
    children: Vec<Write>,
    reminders: Vec<RunId>,
}

impl Batch {
    /// For a run that does not exist yet.
    #[must_use]
    pub fn for_new_run() -> Self {
        Self::expecting(Expect::Absent)
    }

    /// For a run that stands at `seq` in `epoch`.
    #[must_use]
    pub fn after(seq: u64, epoch: Epoch) -> Self {
        Self::expecting(Expect::At { seq, epoch })
    }

    fn expecting(expect: Expect) -> Self {
        Self {
            expect,
            claim: None,
            entries: Vec::new(),
            touched: BTreeSet::new(),
            run_touched: false,
            logs: Vec::new(),
            tapes: Vec::new(),
            renewed: BTreeSet::new(),
            blobs: BTreeMap::new(),
            artifacts: Vec::new(),
            consumed: Vec::new(),
            children: Vec::new(),
            reminders: Vec::new(),
        }
    }

    /// Starts a run with its first event.
    ///
    /// # Errors
    /// [`Rejected`] when it is not a first event.
    pub fn create(&mut self, event: Event, at: Timestamp) -> Result<RunState, Rejected> {
        let entry = Entry {
            seq: 1,
            at,
            epoch: Epoch(0),
            event,
        };
        let state = RunState::create(&entry)?;
        self.run_touched = true;
        self.keep(entry);
        Ok(state)
    }

    /// Applies an event to the state and keeps it for the transaction.
    ///
    /// # Errors
    /// [`Rejected`]; nothing was kept then.
    pub fn record(
        &mut self,
        state: &mut RunState,
        event: Event,
        now: Timestamp,
    ) -> Result<(), Rejected> {
        let raises = u64::from(matches!(event, Event::Run(RunEvent::Claimed { .. })));
        let at = match event {
            Event::Run(RunEvent::ClockCorrected { .. }) => now,
            // The wall clock may step back; the journal's times do not.
            _ => now.max(state.updated_at()),
        };
        let entry = Entry {
            seq: state.seq() + 1,
            at,
            epoch: Epoch(state.epoch().0 + raises),
            event,
        };
        let touched: Touched = state.apply(&entry)?;
        self.touched.extend(touched.slots);
        self.renew(&touched.renewed);
        self.run_touched |= touched.run;
        if let Event::Step {
            path,
            event:
                StepEvent::Wait(WaitEvent::SignalReceived { .. } | WaitEvent::ApprovalDecided { .. }),
        } = &entry.event
        {
            // What the core makes of them is the step's output, and stands in no event.
            let record = state.executions().latest(path);
            let made = record.and_then(|record| record.visible()?.output());
            made.into_iter().for_each(|output| self.keep_value(output));
        }
        self.keep(entry);
        Ok(())
    }

    /// Records the last event of a run that stops from outside; its attempts in flight are interrupted first.
    ///
    /// # Errors
    /// [`Rejected`] when it cannot follow.
    pub fn stop(
        &mut self,
        state: &mut RunState,
        last: Event,
        now: Timestamp,
    ) -> Result<(), Rejected> {
        for event in interrupt(state, last) {
            self.record(state, event, now)?;
        }
        Ok(())
    }

    /// Takes ownership in the same transaction; goes with a `run_claimed` event.
    pub fn claim(&mut self, claim: Claim) {
        self.claim = Some(claim);
    }

    /// Adds log lines.
    pub fn logs(&mut self, logs: impl IntoIterator<Item = NewLog>) {
        self.logs.extend(logs);
    }

    /// Adds what was not saved yet of the tape of an attempt that `started` with that event.
    pub fn tape(&mut self, started: u64, part: TapePart) {
        self.tapes.push((started, part));
    }

    /// Work of these executions, and of all that stands in them, is done anew: their memos go.
    pub fn renew<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) {
        self.renewed
            .extend(paths.into_iter().map(ToString::to_string));
    }

    /// Whoever names a step to run again wants all of its work done again, and that of what depends on it.
    pub fn renew_reset(&mut self, state: &RunState, resumed: &RunResumed) {
        let executions = state.executions();
        let steps = resumed.reset.iter().flat_map(|id| executions.of_step(id));
        self.renew(steps.map(StepRecord::path));
        self.renew(&resumed.items.reset);
    }

    /// Adds a blob.
    pub fn blob(&mut self, bytes: &[u8]) {
        self.blobs.insert(Digest::of(bytes), bytes.into());
    }

    /// Adds what a run carries of its workflow: the text, and the components that were read for it.
    pub fn workflow(&mut self, workflow: &Workflow) {
        self.blob(workflow.definition.source.text.as_bytes());
        self.components(workflow);
    }

    /// Adds the components of a workflow that were read from files.
    pub(crate) fn components(&mut self, workflow: &Workflow) {
        let components = workflow.bytes();
        self.blobs
            .extend(components.map(|(digest, bytes)| (digest, Arc::clone(bytes))));
    }

    /// Artifacts that the run uses from now on, though no attempt of it has opened them.
    pub(crate) fn artifacts(&mut self, used: Vec<(String, Artifact)>) {
        self.artifacts.extend(used);
    }

    /// Creates a child run in the same transaction, unless it is there; goes with the event that starts it.
    pub(crate) fn child(&mut self, created: Write) {
        self.children.push(created);
    }

    /// Reminds whoever looks after the run that a child run, which had failed, is yet to go on.
    pub(crate) fn remind(&mut self, child: RunId) {
        self.reminders.push(child);
    }

    /// Takes a signal out of the run's inbox; goes with a `signal_received` event.
    pub fn consume(&mut self, signal: u64) {
        self.consumed.push(signal);
    }

    /// Signals taken so far.
    #[must_use]
    pub fn consumed(&self) -> &[u64] {
        &self.consumed
    }

    /// Events so far.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.logs.is_empty()
            && self.tapes.is_empty()
            && self.consumed.is_empty()
    }

    fn keep(&mut self, entry: Entry) {
        for value in entry.event.payloads() {
            self.keep_value(value);
        }
        self.entries.push(entry);
    }

    fn keep_value(&mut self, value: &Payload) {
        if let Some((digest, bytes)) = value.blob() {
            self.blobs.entry(digest).or_insert_with(|| bytes.into());
        }
    }

    /// The transaction, with the state as it stands after all events.
    #[must_use]
    pub fn to_write(&self, state: &RunState) -> Write {
        let parts = match self.expect {
            Expect::Absent => checkpoint::all_parts(state),
            Expect::At { .. } if checkpoint::is_due(state) => checkpoint::next_parts(state),
            Expect::At { .. } => Vec::new(),
        };
        let mut named = checkpoint::changed_blobs(state, &self.touched, self.run_touched);
        named.extend(self.entries.iter().flat_map(|entry| entry.event.blobs()));
        Write {
            run: state.created().run.clone(),
            expect: self.expect,
            claim: self.claim.clone(),
            head: head(state),
            entries: self
                .entries
                .iter()
                .map(|entry| StoredEntry {
                    seq: entry.seq,
                    at: entry.at,
                    epoch: entry.epoch,
                    body: entry.event.encode(),
                })
                .collect(),
            parts,
            logs: self.logs.clone(),
            tapes: self.tapes.clone(),
            renewed: self.renewed.iter().cloned().collect(),
            blobs: self.blobs.clone().into_iter().collect(),
            named: named.into_iter().collect(),
            artifacts: self.artifacts.clone(),
            consumed: self.consumed.clone(),
            kin: Kin {
                parent: state.created().parent.as_ref().map(|p| p.run.clone()),
                forked_from: state.created().fork.as_ref().map(|f| f.run.clone()),
                children: self.children.clone(),
                tells: self.told(state),
            },
            moved: None,
        }
    }

    /// What the end of a child run tells its parent, and what the run reminds of.
    fn told(&self, state: &RunState) -> Vec<(RunId, NewSignal)> {
        let created = state.created();
        let note = |to: &RunId, name| {
            let signal = NewSignal {
                name,
                data: "null".to_owned(),
                at: state.updated_at(),
                token: None,
            };
            (to.clone(), signal)
        };
        let ends = |entry: &Entry| {
            matches!(
                entry.event,
                Event::Run(
                    RunEvent::Completed { .. }
                        | RunEvent::Failed { .. }
                        | RunEvent::Cancelled { .. }
                )
            )
        };
        let parent = created.parent.as_ref();
        let parent = parent.filter(|_| self.entries.iter().any(ends));
        let ended = parent.map(|parent| note(&parent.run, child_signal(&created.run)));
        let reminders = self.reminders.iter();
        let reminders = reminders.map(|child| note(&created.run, child_reminder(child)));
        ended.into_iter().chain(reminders).collect()
    }
}
