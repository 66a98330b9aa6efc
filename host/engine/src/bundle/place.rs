//! From a file into a store: all of it, or nothing.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};

use milepost_core::checkpoint;
use milepost_core::decide::interrupt;
use milepost_core::event::{ClaimCause, Entry, Event, RunEvent, StepEvent};
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::limits;
use milepost_core::payload::Payload;
use milepost_core::state::{RunState, Status};
use milepost_core::stop::{Stop, Why};
use milepost_core::time::Timestamp;

use super::error::BundleError;
use super::frame::Unpacker;
use super::manifest::{Kind, too_large};
use super::read::{Bundle, Piece, Run, head, read};
use crate::record;
use crate::store::memory::MemoryStore;
use crate::store::{Expect, Kin, Moved, Store, StoreError, StoredEntry, Write};

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The run.
    pub run: RunId,
    /// Where it stands here.
    pub status: Status,
    /// Runs that came into the store.
    pub runs: usize,
    /// Runs of the file that were there already, with the same record.
    pub there: usize,
    /// Runs that would have gone on by themselves, and were brought to a stand: only a person lets them go on.
    pub held: Vec<RunId>,
    /// Whether values were replaced in the file.
    pub redacted: bool,
}

/// What runs are that are brought into a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Exactly as they were recorded, for whoever only reads them.
    AsRecorded,
    /// Such that nothing goes on by itself: what would is paused, or held where it stands.
    Still {
        /// Who imports, for people.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// Reads a file and puts its runs into a store, unless they are there.
///
/// # Errors
/// [`BundleError`]: the store is as it was.
pub async fn import(
    store: &dyn Store,
    file: &mut (impl Read + Seek),
    standing: &Standing,
    progress: &mut super::Progress<'_>,
) -> Result<Imported, BundleError> {
    file.seek(SeekFrom::Start(0))?;
    let bundle = read(&mut *file, progress)?;
    place(store, file, bundle, standing, progress).await
}

/// The runs of a file in a store of their own, as they were recorded, and the first of them.
///
/// # Errors
/// [`BundleError`]; also when the artifacts are more than can be held in memory.
pub async fn unpack(
    file: &mut (impl Read + Seek),
    progress: &mut super::Progress<'_>,
) -> Result<(MemoryStore, RunId), BundleError> {
    // Before they are read, which takes a while.
    file.seek(SeekFrom::Start(0))?;
    let (manifest, kinds) = head(&mut Unpacker::new(&mut *file, progress)?)?;
    let parts = manifest.parts.iter().zip(&kinds);
    let artifacts = parts.filter(|(_, kind)| **kind == Kind::Artifact);
    too_large(
        "bytes of artifacts that are held in memory",
        artifacts.map(|(part, _)| part.size).sum(),
        limits::BUNDLE_REPLAY_ARTIFACTS_BYTES,
    )?;
    file.seek(SeekFrom::Start(0))?;
    let bundle = read(&mut *file, progress)?;
    let store = MemoryStore::new();
    let imported = place(&store, file, bundle, &Standing::AsRecorded, progress).await?;
    Ok((store, imported.run))
}

/// Puts the runs of a file that was read into a store, unless they are there; artifacts are read once more, and checked as before.
///
/// # Errors
/// [`BundleError`]: the store is as it was.
pub async fn place(
    store: &dyn Store,
    file: &mut (impl Read + Seek),
    bundle: Bundle,
    standing: &Standing,
    progress: &mut super::Progress<'_>,
) -> Result<Imported, BundleError> {
    let mut imported = Imported {
        run: bundle.manifest.runs[0].id.clone(),
        status: bundle.manifest.runs[0].status,
        runs: 0,
        there: 0,
        held: Vec::new(),
        redacted: !bundle.manifest.redacted.is_empty(),
    };
    let mut writes = Vec::new();
    let mut artifacts = BTreeSet::new();
    for run in &bundle.runs {
        if is_there(store, run, standing).await? {
            imported.there += 1;
            continue;
        }
        artifacts.extend(run.artifacts.iter().map(|used| used.artifact.digest));
        let (write, held) = created(&bundle, run, standing)?;
        if held {
            imported.held.push(write.run.clone());
        }
        writes.push(write);
    }
    imported.runs = writes.len();
    let mut placed = Vec::new();
    if !artifacts.is_empty() {
        let copied = copy(store, file, &artifacts, &mut placed, progress).await;
        if let Err(error) = copied {
            return Err(undone(store, &placed, error).await);
        }
    }
    let mut writes = writes.into_iter();
    if let Some(mut first) = writes.next() {
        first.kin.children = writes.collect();
        let others: Vec<(RunId, u64)> = {
            let all = first.kin.children.iter();
            all.map(|write| Ok((write.run.clone(), write.seq_after()?)))
                .collect::<Result<_, StoreError>>()?
        };
        if let Err(error) = store.write(first).await {
            return Err(undone(store, &placed, error.into()).await);
        }
        // One that came into being in this very moment stays as it is.
        for (run, seq) in others {
            let there = store.row(&run).await?.map_or(0, |row| row.seq);
            if there != seq {
                return Err(BundleError::Exists { run, seq: 1 });
            }
        }
    }
    if let Some(row) = store.row(&imported.run).await? {
        imported.status = row.status;
    }
    Ok(imported)
}

/// Takes artifacts back that nobody uses yet.
async fn undone(store: &dyn Store, placed: &[Digest], error: BundleError) -> BundleError {
    for digest in placed {
        // A sweep takes what cannot be removed now.
        let _ = store.discard_artifact(digest).await;
    }
    error
}

/// Whether the run is there with all that the file has of it.
async fn is_there(store: &dyn Store, run: &Run, standing: &Standing) -> Result<bool, BundleError> {
    let id = &run.state.created().run;
    let Some(row) = store.row(id).await? else {
        return Ok(false);
    };
    let entries = &run.lines.entries;
    let mut same = 0;
    let beyond = loop {
        let page = store.journal(id, same as u64, 512).await?;
        let both = entries[same..].iter().zip(&page);
        let alike = both.take_while(|(wanted, found)| wanted == found).count();
        same += alike;
        if same == entries.len() {
            return Ok(true);
        }
        if alike < page.len() || page.is_empty() {
            break page.into_iter().skip(alike).collect::<Vec<_>>();
        }
    };
    let there = same as u64;
    let untouched = beyond.iter().all(|entry| is_stand(entry, standing));
    if untouched && there + beyond.len() as u64 == row.seq {
        return Err(BundleError::Behind {
            run: id.clone(),
            there,
            file: entries.len() as u64,
        });
    }
    Err(BundleError::Exists {
        run: id.clone(),
        seq: there + 1,
    })
}

/// Whether an import recorded this, so that the run stands: see [`to_a_stand`].
fn is_stand(entry: &StoredEntry, standing: &Standing) -> bool {
    let Standing::Still { by, .. } = standing else {
        return false;
    };
    match Event::decode(&entry.body, &|_| None) {
        Ok(Event::Run(RunEvent::Claimed { owner: who, .. } | RunEvent::Held { by: who })) => {
            who == *by
        }
        Ok(Event::Run(RunEvent::Paused { stop })) => {
            matches!(&stop.why, Why::Interrupted { by: who, .. } if who == by)
        }
        Ok(Event::Step { event, .. }) => matches!(event, StepEvent::Interrupted { .. }),
        Ok(Event::Run(_)) | Err(_) => false,
    }
}

/// The write that makes a run, and whether it would go on by itself otherwise.
fn created(bundle: &Bundle, run: &Run, standing: &Standing) -> Result<(Write, bool), BundleError> {
    let (mut state, mut worked) = (run.state.clone(), run.worked.clone());
    let mut entries = run.lines.entries.clone();
    let mut held = false;
    if let Standing::Still { by, at } = standing {
        for event in to_a_stand(&state, by) {
            held = true;
            let raises = u64::from(matches!(event, Event::Run(RunEvent::Claimed { .. })));
            let entry = Entry {
                seq: state.seq() + 1,
                at: (*at).max(state.updated_at()),
                epoch: Epoch(state.epoch().0 + raises),
                event,
            };
            let rejected =
                |error: milepost_core::state::Rejected| BundleError::Engine(error.into());
            state.apply(&entry).map_err(rejected)?;
            worked.take(&entry, state.phase().status());
            entries.push(StoredEntry {
                seq: entry.seq,
                at: entry.at,
                epoch: entry.epoch,
                body: entry.event.encode(),
            });
        }
    }
    let mut blobs: Vec<_> = run
        .named
        .iter()
        .filter_map(|digest| Some((*digest, bundle.blobs.get(digest)?.clone())))
        .collect();
    // What the core makes of what came from outside stands in no event.
    for record in state.executions().iter() {
        let made = record.visible().and_then(|visible| visible.output());
        if let Some((digest, bytes)) = made.and_then(Payload::blob)
            && !run.named.contains(&digest)
        {
            blobs.push((digest, bytes.into()));
        }
    }
    let slots: Vec<_> = state.executions().slots().collect();
    let mut named = checkpoint::changed_blobs(&state, &slots, true);
    named.extend(&run.named);
    let write = Write {
        run: state.created().run.clone(),
        expect: Expect::Absent,
        claim: None,
        head: record::head(&state),
        entries,
        parts: checkpoint::all_parts(&state),
        logs: run.lines.logs.clone(),
        tapes: run.lines.tapes.clone(),
        renewed: Vec::new(),
        blobs,
        named: named.into_iter().collect(),
        artifacts: run
            .artifacts
            .iter()
            .map(|used| (used.path.clone(), used.artifact.clone()))
            .collect(),
        consumed: Vec::new(),
        kin: Kin {
            parent: state
                .created()
                .parent
                .as_ref()
                .map(|parent| parent.run.clone()),
            forked_from: state.created().fork.as_ref().map(|f| f.run.clone()),
            ..Kin::default()
        },
        moved: Some(Moved {
            epoch: state.epoch(),
            worked: worked.time(),
            memos: run.lines.memos.clone(),
        }),
    };
    Ok((write, held))
}

/// What is recorded of a run that would go on by itself, so that it does not. Nothing of one that stands still.
fn to_a_stand(state: &RunState, by: &str) -> Vec<Event> {
    let paused = || {
        let why = Why::Interrupted {
            by: by.to_owned(),
            lost: false,
        };
        RunEvent::Paused {
            stop: Stop::new(why),
        }
    };
    match state.phase().status() {
        Status::Running => interrupt(state, paused().into()),
        Status::Pending => {
            let claimed = RunEvent::Claimed {
                owner: by.to_owned(),
                cause: ClaimCause::Start,
            };
            let mut events = vec![claimed.into()];
            events.extend(interrupt(state, paused().into()));
            events
        }
        Status::Paused if state.moves_by_itself() => {
            vec![RunEvent::Held { by: by.to_owned() }.into()]
        }
        Status::Paused | Status::Completed | Status::Failed | Status::Cancelled => Vec::new(),
    }
}

/// Copies artifacts out of the file, which is read, and checked, once more.
async fn copy(
    store: &dyn Store,
    file: &mut (impl Read + Seek),
    wanted: &BTreeSet<Digest>,
    placed: &mut Vec<Digest>,
    progress: &mut super::Progress<'_>,
) -> Result<(), BundleError> {
    file.seek(SeekFrom::Start(0))?;
    let mut unpacker = Unpacker::new(file, progress)?;
    let (manifest, kinds) = head(&mut unpacker)?;
    let mut chunk = vec![0; limits::ARTIFACT_CHUNK_BYTES];
    for (part, kind) in manifest.parts.iter().zip(&kinds) {
        let mut piece = Piece::begin(&mut unpacker, part)?;
        let keeps = *kind == Kind::Artifact && wanted.contains(&part.digest);
        let mut sink = match keeps {
            true => Some(store.create_artifact().await?),
            false => None,
        };
        loop {
            let read = piece.next(&mut unpacker, &mut chunk)?;
            if read == 0 {
                break;
            }
            if let Some(sink) = &mut sink {
                sink.write(&chunk[..read]).await?;
            }
        }
        if let Some(sink) = sink {
            let there = store.read_artifact(&part.digest, 0, 1).await?.is_some();
            sink.finish(part.digest).await?;
            if !there {
                placed.push(part.digest);
            }
        }
    }
    Ok(())
}
