//! From a store to a file.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use milepost_core::effect::TapePart;
use milepost_core::ids::{Digest, Hasher, RunId};
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_core::tape::{Tape, TapeEntry};

use super::error::BundleError;
use super::fold::{Folded, beside};
use super::frame::Packer;
use super::lines::Lines;
use super::manifest::{
    self, ArtifactEntry, Kind, MANIFEST, Manifest, Part, Record, RunEntry, SEAL, too_large,
};
use super::redact::{self, Field};
use crate::record;
use crate::store::{RunRow, Store, StoreError};

/// What is read of a record at once.
const PAGE: usize = 512;

/// How a run is exported.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// Values of the run that are replaced, wherever they are recorded.
    pub redact: Vec<Field>,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The run.
    pub run: RunId,
    /// Its last event in the file.
    pub seq: u64,
    /// Runs in the file: its children, and theirs, too.
    pub runs: usize,
    /// Events of all of them.
    pub events: u64,
    /// Artifacts.
    pub artifacts: usize,
    /// Bytes of all parts, unpacked.
    pub bytes: u64,
    /// Runs that may have moved on meanwhile: the file has them as they were seen first.
    pub moving: Vec<RunId>,
    /// Signals that wait for one of the runs: they are not in the file.
    pub waiting_signals: u64,
    /// Parts in which a replaced value stands still: what a run executes, and its artifacts, are never changed.
    pub left_in: Vec<String>,
}

/// A run, as it was read.
pub(super) struct Gathered {
    pub(super) row: RunRow,
    pub(super) lines: Lines,
    pub(super) folded: Folded,
    pub(super) artifacts: Vec<ArtifactEntry>,
    /// Bodies beside its tapes.
    pub(super) beside: Vec<Digest>,
}

/// What stands beside the lines, by the part that it becomes.
pub(super) type Blobs = BTreeMap<(Kind, Digest), Arc<[u8]>>;

/// Writes a run, the runs that it has started, and theirs. A run that moves is written as it is seen first.
///
/// # Errors
/// [`BundleError`]; what was written until then is no file.
pub async fn export<W: Write>(
    store: &dyn Store,
    run: &RunId,
    options: &ExportOptions,
    out: W,
    progress: &mut super::Progress<'_>,
) -> Result<(Exported, W), BundleError> {
    let mut held = 0;
    let mut gathered = vec![gather(store, run, &mut held).await?];
    let mut at = 0;
    while let Some(parent) = gathered.get(at) {
        at += 1;
        let id = parent.row.id.clone();
        for child in parent.folded.children.clone() {
            let row = store.row(&child).await?;
            if row.is_some_and(|row| row.parent.as_ref() == Some(&id)) {
                gathered.push(gather(store, &child, &mut held).await?);
                too_large(
                    "runs in the file",
                    gathered.len() as u64,
                    limits::BUNDLE_RUNS as u64,
                )?;
            }
        }
    }
    let mut blobs = blobs(store, &gathered, &mut held).await?;
    let mut left_in = Vec::new();
    if !options.redact.is_empty() {
        left_in = redact::redact(&options.redact, &mut gathered, &mut blobs)?;
    }
    let mut exported = Exported {
        run: run.clone(),
        seq: gathered[0].row.seq,
        runs: gathered.len(),
        events: gathered.iter().map(|run| run.row.seq).sum(),
        artifacts: 0,
        bytes: 0,
        moving: Vec::new(),
        waiting_signals: 0,
        left_in,
    };
    for run in &gathered {
        if matches!(run.row.status, Status::Running | Status::Pending) {
            exported.moving.push(run.row.id.clone());
        }
        exported.waiting_signals += store.inbox_size(&run.row.id).await?.signals;
    }
    let (manifest, records) = manifest_of(&gathered, &blobs, &options.redact)?;
    manifest.check()?;
    exported.bytes = manifest.parts.iter().map(|part| part.size).sum();
    drop(gathered);
    let mut packer = Packer::new(out)?;
    let text = manifest.encode();
    too_large(
        "bytes of the manifest",
        text.len() as u64,
        limits::BUNDLE_MANIFEST_BYTES as u64,
    )?;
    packer.entry(SEAL, manifest::seal(&text).as_bytes())?;
    packer.entry(MANIFEST, &text)?;
    let mut done = 0;
    let (mut records, mut blobs) = (records.into_iter(), blobs.into_values());
    for part in &manifest.parts {
        if part.name.starts_with("runs/") {
            packer.entry(&part.name, &records.next().unwrap_or_default())?;
        } else if part.name.starts_with("artifacts/") {
            exported.artifacts += 1;
            let mut told = |bytes| progress(done + bytes);
            artifact(store, run, part, &mut packer, &mut told).await?;
        } else {
            packer.entry(&part.name, &blobs.next().unwrap_or_default())?;
        }
        done += part.size;
        progress(done);
    }
    Ok((exported, packer.finish()?))
}

/// Reads the record of a run.
async fn gather(store: &dyn Store, run: &RunId, held: &mut u64) -> Result<Gathered, BundleError> {
    let damaged = |what: String| BundleError::Damaged {
        run: run.clone(),
        what,
    };
    let row = store.row(run).await?;
    let row = row.ok_or_else(|| StoreError::NotFound(run.clone()))?;
    let mut count = |bytes: usize| {
        *held += bytes as u64;
        too_large(
            "bytes of the file beside its artifacts",
            *held,
            limits::BUNDLE_HELD_BYTES as u64,
        )
    };
    let mut lines = Lines::default();
    let mut folded = Folded::default();
    let mut last = 0;
    while last < row.seq {
        let page = store.journal(run, last, PAGE).await?;
        if page.is_empty() {
            return Err(damaged(format!(
                "its journal ends after event {last}, the run has {}",
                row.seq
            )));
        }
        for stored in page.into_iter().take_while(|entry| entry.seq <= row.seq) {
            count(stored.body.len())?;
            last = stored.seq;
            let entry = record::decode(store, run, stored.clone()).await?;
            folded
                .take(&entry)
                .map_err(|what| damaged(format!("event {last}: {what}")))?;
            lines.entries.push(stored);
        }
    }
    let mut named = Vec::new();
    for (started, kept) in &folded.tapes {
        let calls = tape(store, run, *started, &mut lines, &mut count).await?;
        named.extend(beside(&calls));
        let mut tape = Tape {
            kept: kept.clone(),
            ..Tape::default()
        };
        tape.put_back(calls)
            .map_err(|what| damaged(format!("the attempt that event {started} started: {what}")))?;
    }
    loop {
        let last = lines.memos.last();
        let after = last.map(|(path, memo)| (path.as_str(), memo.key.as_str()));
        let page = store.memos(run, after).await?;
        if page.is_empty() {
            break;
        }
        for (path, memo) in page {
            count(path.len() + memo.key.len() + memo.value.len())?;
            lines.memos.push((path, memo));
        }
    }
    let mut after = 0;
    loop {
        let page = store.logs(run, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for stored in page {
            // What came since belongs to what happened since.
            if stored.line.at <= row.updated_at {
                count(stored.line.body.len())?;
                lines.logs.push(stored.line);
            }
        }
    }
    let mut artifacts = Vec::new();
    let mut after = 0;
    loop {
        let page = store.artifacts(run, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        artifacts.extend(page.into_iter().map(|used| ArtifactEntry {
            path: used.path,
            artifact: used.artifact,
        }));
    }
    // A guest may well have said something that looks like one.
    if !named.is_empty() {
        let holdings = store.holdings(run).await?;
        named.retain(|digest| holdings.blobs.contains_key(digest));
    }
    Ok(Gathered {
        row,
        lines,
        folded,
        artifacts,
        beside: named,
    })
}

/// Reads the tape of an attempt: its entries; its parts go to the lines.
async fn tape(
    store: &dyn Store,
    run: &RunId,
    started: u64,
    lines: &mut Lines,
    count: &mut impl FnMut(usize) -> Result<(), BundleError>,
) -> Result<Vec<TapeEntry>, BundleError> {
    let mut calls: Vec<TapeEntry> = Vec::new();
    loop {
        let parts = store.tape(run, started, calls.len() as u64).await?;
        if parts.is_empty() {
            return Ok(calls);
        }
        for part in parts {
            let damaged = |what: String| BundleError::Damaged {
                run: run.clone(),
                what: format!("the tape of the attempt that event {started} started: {what}"),
            };
            if part.first != calls.len() as u64 {
                return Err(damaged("host calls are missing".to_owned()));
            }
            count(part.body.len())?;
            let more: Vec<TapeEntry> =
                serde_json::from_str(&part.body).map_err(|error| damaged(error.to_string()))?;
            if more.is_empty() {
                return Ok(calls);
            }
            calls.extend(more);
            let part = TapePart {
                first: part.first,
                body: part.body,
                blobs: Vec::new(),
            };
            lines.tapes.push((started, part));
        }
    }
}

/// Reads what the runs name.
async fn blobs(
    store: &dyn Store,
    gathered: &[Gathered],
    held: &mut u64,
) -> Result<Blobs, BundleError> {
    let mut wanted: BTreeMap<Digest, (Kind, &RunId)> = BTreeMap::new();
    for run in gathered {
        let beside = run.beside.iter().map(|digest| (Kind::Value, *digest));
        for (kind, digest) in run.folded.named().chain(beside) {
            let known = wanted.entry(digest).or_insert((kind, &run.row.id));
            known.0 = known.0.min(kind);
        }
    }
    let mut blobs = Blobs::new();
    for (digest, (kind, run)) in wanted {
        let bytes = store.blob(&digest).await?;
        let bytes = bytes.ok_or_else(|| BundleError::Damaged {
            run: run.clone(),
            what: format!("the store does not hold {}", kind.name(&digest)),
        })?;
        *held += bytes.len() as u64;
        too_large(
            "bytes of the file beside its artifacts",
            *held,
            limits::BUNDLE_HELD_BYTES as u64,
        )?;
        blobs.insert((kind, digest), bytes.into());
    }
    Ok(blobs)
}

/// The manifest, and the parts with the records in its order.
fn manifest_of(
    gathered: &[Gathered],
    blobs: &Blobs,
    redacted: &[Field],
) -> Result<(Manifest, Vec<Vec<u8>>), BundleError> {
    let mut manifest = Manifest {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        runs: Vec::new(),
        redacted: redacted.to_vec(),
        parts: Vec::new(),
    };
    let part = |kind: Kind, digest: Digest, size: u64| Part {
        name: kind.name(&digest),
        digest,
        size,
    };
    let mut records = Vec::new();
    let mut artifacts: BTreeMap<Digest, u64> = BTreeMap::new();
    for (number, run) in gathered.iter().enumerate() {
        manifest.runs.push(RunEntry {
            id: run.row.id.clone(),
            workflow: run.row.workflow.clone(),
            status: run.row.status,
            events: run.row.seq,
            artifacts: run.artifacts.clone(),
        });
        let used = run.artifacts.iter().map(|used| &used.artifact);
        artifacts.extend(used.map(|artifact| (artifact.digest, artifact.size)));
        for record in Record::ALL {
            let bytes = match record {
                Record::Journal => run.lines.journal(),
                Record::Tapes => run.lines.tapes(),
                Record::Memos => run.lines.memos(),
                Record::Log => run.lines.log(),
            }?;
            if !bytes.is_empty() {
                let kind = Kind::Record(number, record);
                let digest = Digest::of(&bytes);
                manifest.parts.push(part(kind, digest, bytes.len() as u64));
                records.push(bytes);
            }
        }
    }
    let others = blobs.iter();
    let others = others.map(|((kind, digest), bytes)| part(*kind, *digest, bytes.len() as u64));
    manifest.parts.extend(others);
    let artifacts = artifacts.into_iter();
    let artifacts = artifacts.map(|(digest, size)| part(Kind::Artifact, digest, size));
    manifest.parts.extend(artifacts);
    Ok((manifest, records))
}

/// Copies an artifact, of which only a piece is in memory.
async fn artifact<W: Write>(
    store: &dyn Store,
    run: &RunId,
    part: &Part,
    packer: &mut Packer<W>,
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<(), BundleError> {
    let damaged = |what: &str| BundleError::Damaged {
        run: run.clone(),
        what: format!("the artifact {} {what}", part.digest),
    };
    packer.begin(&part.name, part.size)?;
    if part.size == 0 {
        return Ok(packer.bytes(&[])?);
    }
    let mut hasher = Hasher::default();
    let mut offset = 0;
    while offset < part.size {
        let left = usize::try_from(part.size - offset).unwrap_or(usize::MAX);
        let most = left.min(limits::ARTIFACT_CHUNK_BYTES);
        let bytes = store.read_artifact(&part.digest, offset, most).await?;
        let bytes = bytes.ok_or_else(|| damaged("is missing"))?;
        if bytes.is_empty() {
            return Err(damaged("is shorter than it was"));
        }
        hasher.update(&bytes);
        packer.bytes(&bytes)?;
        offset += bytes.len() as u64;
        told(offset);
    }
    match hasher.finish() == part.digest {
        true => Ok(()),
        false => Err(damaged("does not match its digest")),
    }
}
