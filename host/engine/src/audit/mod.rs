//! One run held against itself: its journal must fold to its checkpoint and to its row, and everything that it names must be
//! there. Nothing is changed.

mod artifacts;
mod holdings;
mod inbox;
mod log;
mod tape;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use milepost_core::checkpoint::DamagedCheckpoint;
use milepost_core::event::{AttemptStarted, DefinitionChanged, Entry, Event, RunEvent, StepEvent};
use milepost_core::ids::{Digest, RunId, StepId};
use milepost_core::limits;
use milepost_core::request::posted;
use milepost_core::shown;
use milepost_core::state::{RunState, Status};
use milepost_core::stored::DecodeError;
use milepost_core::time::Timestamp;

use self::log::Begun;
use crate::record::{self, RecordError, Recorded};
use crate::replay::checkpoint_differs;
use crate::store::{BlobFault, RunRow, Store, StoreError};

/// Faults of one run that are told; whoever has so many needs no more.
const FAULTS: usize = 100;
/// How often a run that is written to meanwhile is looked at again.
const LOOKS: usize = 3;
/// How the part of a fault of a component begins.
const COMPONENT: &str = "component ";

/// Something of a run that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What is damaged: `event 3`, `checkpoint`, `component text`.
    pub(crate) part: String,
    /// What is wrong with it.
    pub(crate) message: String,
    /// Whether a file with the right digest mends it.
    pub(crate) is_component: bool,
    /// Whether the run can go on all the same, and nothing was lost that it ever had.
    pub(crate) is_minor: bool,
}

impl Fault {
    pub(crate) fn of(part: impl Into<String>, message: impl Display) -> Self {
        Self {
            part: part.into(),
            message: message.to_string(),
            is_component: false,
            is_minor: false,
        }
    }
}

/// Blobs of one run that have a fault.
pub(crate) type BadBlobs = BTreeMap<Digest, BlobFault>;

/// Looks at runs, and remembers what they share.
pub(crate) struct Auditor<'a> {
    store: &'a dyn Store,
    /// Blobs that many runs carry, and whether they are there.
    carried: BTreeMap<Digest, bool>,
    /// Whether artifacts are read.
    reads_artifacts: bool,
    /// Artifacts that were read, and whether they match their digest.
    artifacts: BTreeMap<Digest, bool>,
}

impl<'a> Auditor<'a> {
    pub(crate) fn new(store: &'a dyn Store, reads_artifacts: bool) -> Self {
        Self {
            store,
            carried: BTreeMap::new(),
            reads_artifacts,
            artifacts: BTreeMap::new(),
        }
    }

    /// What is wrong with a run; nothing, when it was removed meanwhile. `bad` are its blobs that are known to be damaged.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be asked just now.
    pub(crate) async fn faults(
        &mut self,
        run: &RunId,
        bad: &BadBlobs,
    ) -> Result<Vec<Fault>, StoreError> {
        let mut stood = self.stands(run).await?;
        let mut look = 1;
        loop {
            let mut audit = Audit {
                auditor: self,
                run,
                bad,
                faults: Vec::new(),
            };
            audit.look().await?;
            let mut faults = audit.faults;
            if faults.is_empty() {
                return Ok(faults);
            }
            // A run that was removed, or removed and made anew, looks damaged to whoever reads it piece by piece.
            let stands = self.stands(run).await?;
            if stands == Standing::Gone {
                return Ok(Vec::new());
            }
            if stands == stood || look == LOOKS {
                faults.truncate(FAULTS);
                return Ok(faults);
            }
            stood = stands;
            look += 1;
        }
    }

    async fn stands(&self, run: &RunId) -> Result<Standing, StoreError> {
        match self.store.row(run).await {
            Ok(None) => Ok(Standing::Gone),
            Ok(Some(row)) => Ok(Standing::At {
                created: row.created_at,
                seq: row.seq,
                epoch: row.epoch.0,
            }),
            Err(StoreError::Corrupt(_)) => Ok(Standing::Unreadable),
            Err(error) => Err(error),
        }
    }

    /// Whether a blob that many runs carry is in the store; damaged, it is.
    async fn carries(&mut self, digest: Digest) -> Result<bool, StoreError> {
        if let Some(there) = self.carried.get(&digest) {
            return Ok(*there);
        }
        let there = match self.store.blob(&digest).await {
            Ok(bytes) => bytes.is_some(),
            Err(StoreError::Corrupt(_)) => true,
            Err(error) => return Err(error),
        };
        self.carried.insert(digest, there);
        Ok(there)
    }
}

#[derive(PartialEq, Eq)]
enum Standing {
    Gone,
    Unreadable,
    At {
        created: Timestamp,
        seq: u64,
        epoch: u64,
    },
}

/// One look at one run.
struct Audit<'a, 'b> {
    auditor: &'b mut Auditor<'a>,
    run: &'b RunId,
    bad: &'b BadBlobs,
    faults: Vec<Fault>,
}

impl Audit<'_, '_> {
    async fn look(&mut self) -> Result<(), StoreError> {
        let Some((row, checkpoint)) = self.checkpoint().await? else {
            return Ok(());
        };
        let mut told = Told::default();
        let folded = self.journal(&row, &mut told).await?;
        let state = folded.as_ref().or(checkpoint.as_ref());
        self.blobs(state);
        if let Some(state) = state {
            self.carried(state).await?;
        }
        if let Some(folded) = &folded {
            let columns = self.columns(&row, folded);
            if let Some(checkpoint) = &checkpoint
&& let Some(differs) = checkpoint_differs(folded, checkpoint)
// Position, epoch and time of a checkpoint are columns of the row.
                && !(columns && differs.field.is_empty())
            {
                let place = match differs.field.as_str() {
                    "" => String::new(),
                    field => format!(" at {field}"),
                };
                let (stored, folds) = (
                    excerpt(&differs.recorded.to_string()),
                    excerpt(&differs.actual.to_string()),
                );
                self.fault(
                    "checkpoint",
                    format_args!("it has {stored}{place}, the journal leads to {folds}"),
                );
            }
        }
        let begun = folded.is_some().then_some(Begun {
            attempts: &told.begun,
            until: row.updated_at,
        });
        self.logs(begun.as_ref()).await?;
        self.inbox().await?;
        self.artifacts().await?;
        self.owner(&row);
        let mut named = told.named;
        named.extend(checkpoint.iter().flat_map(holdings::named));
        self.holdings(&row, &named, state).await
    }

    fn fault(&mut self, part: impl Into<String>, message: impl Display) {
        self.faults.push(Fault::of(part, message));
    }

    /// The row, and the checkpoint where it can be read.
    async fn checkpoint(&mut self) -> Result<Option<(RunRow, Option<RunState>)>, StoreError> {
        let store = self.auditor.store;
        let told = match record::read(store, self.run).await {
            Ok(Recorded { row, state }) => return Ok(Some((row, Some(state)))),
            Err(RecordError::Store(StoreError::NotFound(_))) => return Ok(None),
            Err(RecordError::Checkpoint { cause, .. }) => match &cause {
                DamagedCheckpoint::Part { cause, .. } if self.is_told(cause) => None,
                cause => Some(cause.to_string()),
            },
            // Who reads the journal tells of it.
            Err(RecordError::Entry { .. }) => None,
            Err(RecordError::Store(StoreError::Corrupt(text))) => Some(text.what),
            Err(RecordError::Store(error)) => return Err(error),
        };
        if let Some(told) = told {
            self.fault("checkpoint", told);
        }
        match store.row(self.run).await {
            Ok(row) => Ok(row.map(|row| (row, None))),
            // That is what was told.
            Err(StoreError::Corrupt(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a record cannot be read because of a blob that is told of by itself.
    fn is_told(&self, cause: &DecodeError) -> bool {
        let DecodeError::MissingBlob(missing) = cause else {
            return false;
        };
        let digest = missing.0.parse::<Digest>();
        digest.is_ok_and(|digest| self.bad.contains_key(&digest))
    }

    /// Reads the whole journal, and folds it up to where the row stood: what came later is not of that moment.
    async fn journal(
        &mut self,
        row: &RunRow,
        told: &mut Told,
    ) -> Result<Option<RunState>, StoreError> {
        let store = self.auditor.store;
        let mut fold = Fold::Empty;
        let mut is_born = false;
        let mut texts = BTreeSet::new();
        let mut after = 0;
        let mut beyond = None;
        'journal: while self.faults.len() < FAULTS {
            let mut entries = record::entries(store, self.run, after);
            while let Some(entry) = entries.next().await {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(RecordError::Entry { seq, cause, .. }) => {
                        if !self.is_told(&cause) {
                            self.fault(format!("event {seq}"), cause);
                        }
                        (after, fold) = (seq, Fold::Broken);
                        continue 'journal;
                    }
                    Err(RecordError::Store(StoreError::Corrupt(text))) => {
                        self.fault("journal", text.what);
                        fold = Fold::Broken;
                        break 'journal;
                    }
                    Err(RecordError::Store(error)) => return Err(error),
                    Err(error @ RecordError::Checkpoint { .. }) => {
                        self.fault("journal", error);
                        break 'journal;
                    }
                };
                if entry.seq > row.seq {
                    beyond = Some(entry.seq);
                    break 'journal;
                }
                // A run is created with its first write, which has the time of the last of its events.
                is_born |= moment(Some(entry.at)) == moment(Some(row.created_at));
                told.named.extend(entry.event.blobs());
                if let Some(tape) = entry.event.tape() {
                    self.tape(entry.seq, tape).await?;
                }
                if let Event::Step {
                    path,
                    event: StepEvent::Started(AttemptStarted { attempt, .. }),
                } = &entry.event
                {
                    let highest = told.begun.entry(path.step().clone()).or_default();
                    *highest = (*highest).max(*attempt);
                }
                if let Event::Run(RunEvent::Created(created)) = &entry.event {
                    texts.insert(created.definition);
                } else if let Event::Run(RunEvent::DefinitionChanged(DefinitionChanged {
                    definition,
                    ..
                })) = &entry.event
                {
                    texts.insert(*definition);
                }
                fold = self.follow(fold, &entry);
            }
            break;
        }
        for text in texts {
            self.definition(text).await?;
        }
        if let Some(seq) = beyond
            && let Some(now) = store.row(self.run).await?
            && now.seq < seq
        {
            self.fault(
                "row",
                format_args!("its last event is {}, but the journal continues", now.seq),
            );
        }
        let Fold::At(state) = fold else {
            if matches!(fold, Fold::Empty) {
                self.fault("journal", "it has no events");
            }
            return Ok(None);
        };
        if state.seq() < row.seq {
            let message = format!(
                "it ends after event {}, but the run has {}",
                state.seq(),
                row.seq
            );
            self.fault("journal", message);
            return Ok(None);
        }
        if !is_born {
            self.fault(
                "column created_at",
                format_args!("it is {}, when nothing was recorded", row.created_at),
            );
        }
        Ok(Some(*state))
    }

    fn follow(&mut self, fold: Fold, entry: &Entry) -> Fold {
        let columns = match &fold {
            Fold::At(state) => epoch_and_time(state, entry),
            Fold::Empty | Fold::Broken => None,
        };
        let (expected, followed) = match fold {
            Fold::Broken => return Fold::Broken,
            Fold::Empty => (1, RunState::create(entry)),
            Fold::At(mut state) => (
                state.seq() + 1,
                state.apply(entry).map(drop).map(|()| *state),
            ),
        };
        if entry.seq != expected {
            self.fault(format!("event {expected}"), "it is missing");
            return Fold::Broken;
        }
        if let Some(wrong) = columns {
            self.fault(format!("event {}", entry.seq), wrong);
            return Fold::Broken;
        }
        match followed {
            Ok(state) => Fold::At(Box::new(state)),
            Err(rejected) => {
                self.fault(
                    format!("event {}", entry.seq),
                    format_args!("it cannot follow what is recorded before it: {rejected}"),
                );
                Fold::Broken
            }
        }
    }

    /// The definitions under which it ran: all versions of this program have kept them.
    async fn definition(&mut self, text: Digest) -> Result<(), StoreError> {
        if !self.bad.contains_key(&text) && !self.auditor.carries(text).await? {
            self.fault("definition", format_args!("{text} is missing"));
        }
        Ok(())
    }

    /// What is known to be wrong with its blobs, in words.
    fn blobs(&mut self, state: Option<&RunState>) {
        for (digest, fault) in self.bad {
            let part = part(*digest, state);
            self.faults.push(Fault {
                is_component: part.starts_with(COMPONENT),
                ..Fault::of(part, format_args!("{digest} {fault}"))
            });
        }
    }

    /// Components that the store never held: runs of older versions carry digests only, and need the files.
    async fn carried(&mut self, state: &RunState) -> Result<(), StoreError> {
        if state.phase().status().is_terminal() {
            return Ok(());
        }
        for (name, digest) in &state.binding().plugins {
            if !self.bad.contains_key(digest) && !self.auditor.carries(*digest).await? {
                let message = format!("the store does not hold {digest}");
                self.faults.push(Fault {
                    is_component: true,
                    is_minor: true,
                    ..Fault::of(format!("{COMPONENT}{name}"), message)
                });
            }
        }
        Ok(())
    }

    /// Compares the row with what the journal folds to. Returns whether they differ.
    fn columns(&mut self, row: &RunRow, state: &RunState) -> bool {
        let head = record::head(state);
        let before = self.faults.len();
        let mut same = |column: &str, stored: String, folds: String| {
            if stored != folds {
                self.fault(
                    format!("column {column}"),
                    format_args!("it is {stored}, but {folds} according to the journal"),
                );
            }
        };
        same("id", row.id.to_string(), state.created().run.to_string());
        same("workflow", row.workflow.clone(), head.workflow);
        same("status", row.status.to_string(), head.status.to_string());
        same(
            "epoch",
            row.epoch.0.to_string(),
            state.epoch().0.to_string(),
        );
        same(
            "updated_at",
            moment(Some(row.updated_at)),
            moment(Some(state.updated_at())),
        );
        same(
            "stop_code",
            word(row.stop_code.as_ref()),
            word(head.stop_code.as_ref()),
        );
        same("due_at", moment(row.due_at), moment(head.due_at));
        same(
            "recoveries",
            row.recoveries.to_string(),
            head.recoveries.to_string(),
        );
        same(
            "auto_resumes",
            row.auto_resumes.to_string(),
            head.auto_resumes.to_string(),
        );
        same(
            "provider",
            word(row.provider.as_ref()),
            word(head.provider.as_ref()),
        );
        // Older versions did not look there for requests.
        let listed = row.awaits.iter().any(|name| name == posted::NAME);
        let mut awaits = head.awaits;
        awaits.retain(|name| listed || name != posted::NAME);
        same("awaits", format!("{:?}", row.awaits), format!("{awaits:?}"));
        self.faults.len() > before
    }

    /// What does not run is owned by nobody, and what nobody owns has no lease.
    fn owner(&mut self, row: &RunRow) {
        let running = row.status == Status::Running;
        let owned = row.owner.is_some();
        let leases = [
            ("lease_until", row.lease_until),
            ("detached_at", row.detached_at),
        ];
        let stray = leases.into_iter().filter(|(_, at)| !owned && at.is_some());
        let stray = stray.map(|(column, _)| (column, "nobody owns the run"));
        let owner = (owned && !running).then_some(("owner", "the run is not running"));
        for (column, why) in stray.chain(owner).collect::<Vec<_>>() {
            self.fault(
                format!("column {column}"),
                format_args!("it is set, and {why}"),
            );
        }
    }
}

/// What the events of a run tell beside what they fold to.
#[derive(Default)]
struct Told {
    /// The blobs that they name.
    named: BTreeSet<Digest>,
    /// The steps that they begin, each with its highest attempt.
    begun: BTreeMap<StepId, u32>,
}

/// How far the journal was folded.
enum Fold {
    Empty,
    At(Box<RunState>),
    /// What follows is read, and not folded any more.
    Broken,
}

/// What is wrong with the columns of an entry that follows `state`: claims alone raise the epoch, and time does not go back,
/// except where that is what is recorded.
fn epoch_and_time(state: &RunState, entry: &Entry) -> Option<String> {
    let claims = matches!(entry.event, Event::Run(RunEvent::Claimed { .. }));
    let epoch = state.epoch().0 + u64::from(claims);
    if entry.epoch.0 != epoch {
        return Some(format!("its epoch is {}, not {epoch}", entry.epoch.0));
    }
    let goes_back = matches!(entry.event, Event::Run(RunEvent::ClockCorrected { .. }));
    (entry.at < state.updated_at() && !goes_back).then(|| {
        format!(
            "its time, {}, is earlier than that of the previous event, {}",
            entry.at,
            state.updated_at()
        )
    })
}

/// What a blob is to a run.
fn part(digest: Digest, state: Option<&RunState>) -> String {
    let component = state.and_then(|state| {
        let named = state.binding().plugins.iter();
        let mut named = named.chain(&state.created().plugins);
        named.find(|(_, plugin)| **plugin == digest)
    });
    let definition = state.is_some_and(|state| {
        [state.binding().definition, state.created().definition].contains(&digest)
    });
    match component {
        Some((name, _)) => format!("{COMPONENT}{name}"),
        None if definition => "definition".to_owned(),
        None => "blob".to_owned(),
    }
}

/// A column of time, as every store can hold it.
fn moment(at: Option<Timestamp>) -> String {
    let last = Timestamp::from_nanos(i64::MAX.unsigned_abs());
    at.map_or_else(|| "empty".to_owned(), |at| at.min(last).to_string())
}

fn word(text: Option<&String>) -> String {
    text.map_or_else(|| "empty".to_owned(), |text| format!("{text:?}"))
}

fn excerpt(text: &str) -> String {
    shown::excerpt(text, limits::EXCERPT_BYTES)
}
