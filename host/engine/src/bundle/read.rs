//! A file, taken apart and held against itself. Nothing in it is believed: every part has the digest and the size that the manifest
//! says, every journal folds, and whatever it names is there, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use milepost_core::checkpoint;
use milepost_core::definition::{Around, Definition};
use milepost_core::effect::Artifact;
use milepost_core::event::{Entry, Event};
use milepost_core::ids::{Digest, Hasher, Path};
use milepost_core::json;
use milepost_core::limits;
use milepost_core::state::RunState;
use milepost_core::tape::{Tape, TapeEntry};

use super::error::{BundleError, Refused};
use super::fold::{Folded, beside};
use super::frame::Unpacker;
use super::lines::{self, Lines};
use super::manifest::{
    ArtifactEntry, FORMAT, Kind, MANIFEST, Manifest, Part, Record, SEAL, SEAL_BYTES, unseal,
};
use super::worked::Worked;
use crate::attempt::LogLine;
use crate::child_workflows;

/// Bytes that are unpacked at once.
const CHUNK: usize = 128 * 1024;

/// A file that was read and found whole. Its artifacts stay in it.
#[derive(Debug)]
pub struct Bundle {
    /// What is in it.
    pub manifest: Manifest,
    pub(super) runs: Vec<Run>,
    pub(super) blobs: BTreeMap<Digest, Arc<[u8]>>,
}

/// A run of it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) lines: Lines,
    pub(super) state: RunState,
    pub(super) worked: Worked,
    /// Blobs that it uses, all of them among those of the file.
    pub(super) named: BTreeSet<Digest>,
    pub(super) artifacts: Vec<ArtifactEntry>,
}

/// Reads a file to its end, and checks all of it.
///
/// # Errors
/// [`BundleError`] when anything is not as it must be.
pub fn read(file: impl Read, progress: &mut super::Progress<'_>) -> Result<Bundle, BundleError> {
    let mut unpacker = Unpacker::new(file, progress)?;
    let (manifest, kinds) = head(&mut unpacker)?;
    let mut records: BTreeMap<(usize, Record), Vec<u8>> = BTreeMap::new();
    let mut blobs: BTreeMap<Digest, (Kind, Arc<[u8]>)> = BTreeMap::new();
    for (part, kind) in manifest.parts.iter().zip(&kinds) {
        match *kind {
            Kind::Artifact => {
                let (mut entry, mut chunk) = (Piece::begin(&mut unpacker, part)?, vec![0; CHUNK]);
                while entry.next(&mut unpacker, &mut chunk)? > 0 {}
            }
            Kind::Record(run, record) => {
                records.insert((run, record), whole(&mut unpacker, part)?);
            }
            kind => {
                let bytes = whole(&mut unpacker, part)?;
                if blobs.insert(part.digest, (kind, bytes.into())).is_some() {
                    return Err(Refused::at(&part.name, "its bytes are there twice").into());
                }
            }
        }
    }
    unpacker.finish()?;
    let artifacts = manifest.parts.iter().zip(&kinds);
    let artifacts = artifacts.filter(|(_, kind)| **kind == Kind::Artifact);
    Checker {
        manifest: &manifest,
        blobs: &blobs,
        artifacts: artifacts
            .map(|(part, _)| (part.digest, part.size))
            .collect(),
        used: BTreeSet::new(),
    }
    .check(records)
    .map(|runs| Bundle {
        manifest: manifest.clone(),
        runs,
        blobs: blobs
            .iter()
            .map(|(digest, (_, bytes))| (*digest, Arc::clone(bytes)))
            .collect(),
    })
}

/// The first two entries.
pub(super) fn head<R: Read>(
    unpacker: &mut Unpacker<'_, R>,
) -> Result<(Manifest, Vec<Kind>), BundleError> {
    let size = unpacker.next(SEAL, SEAL_BYTES)?;
    let seal = all(unpacker, size)?;
    let digest = unseal(&seal)?;
    let size = unpacker.next(MANIFEST, limits::BUNDLE_MANIFEST_BYTES as u64)?;
    let text = all(unpacker, size)?;
    if Digest::of(&text) != digest {
        return Err(Refused::at(MANIFEST, "it does not match its digest").into());
    }
    Manifest::decode(&text)
}

fn all<R: Read>(unpacker: &mut Unpacker<'_, R>, size: u64) -> Result<Vec<u8>, BundleError> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; CHUNK];
    // Grows with what comes: a size is only what somebody says.
    while (bytes.len() as u64) < size {
        let read = unpacker.bytes(&mut chunk)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
    Ok(bytes)
}

fn whole<R: Read>(unpacker: &mut Unpacker<'_, R>, part: &Part) -> Result<Vec<u8>, BundleError> {
    has_its_size(unpacker, part)?;
    let bytes = all(unpacker, part.size)?;
    match Digest::of(&bytes) == part.digest {
        true => Ok(bytes),
        false => Err(mismatch(part)),
    }
}

fn has_its_size<R: Read>(unpacker: &mut Unpacker<'_, R>, part: &Part) -> Result<(), BundleError> {
    let size = unpacker.next(&part.name, part.size)?;
    if size != part.size {
        let what = format!("it has {size} bytes, and {} in the manifest", part.size);
        return Err(Refused::at(&part.name, what).into());
    }
    Ok(())
}

fn mismatch(part: &Part) -> BundleError {
    Refused::at(&part.name, "it does not match its digest").into()
}

/// A part on its way, a piece at a time.
pub(super) struct Piece<'a> {
    part: &'a Part,
    hasher: Option<Hasher>,
}

impl<'a> Piece<'a> {
    pub(super) fn begin<R: Read>(
        unpacker: &mut Unpacker<'_, R>,
        part: &'a Part,
    ) -> Result<Self, BundleError> {
        has_its_size(unpacker, part)?;
        let hasher = Some(Hasher::default());
        Ok(Self { part, hasher })
    }

    /// The next bytes; at their end, whether they were the right ones.
    pub(super) fn next<R: Read>(
        &mut self,
        unpacker: &mut Unpacker<'_, R>,
        chunk: &mut [u8],
    ) -> Result<usize, BundleError> {
        let read = unpacker.bytes(chunk)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&chunk[..read]);
        }
        let over = (read == 0).then(|| self.hasher.take()).flatten();
        match over.map(Hasher::finish) {
            Some(digest) if digest != self.part.digest => Err(mismatch(self.part)),
            _ => Ok(read),
        }
    }
}

struct Checker<'a> {
    manifest: &'a Manifest,
    blobs: &'a BTreeMap<Digest, (Kind, Arc<[u8]>)>,
    /// Artifacts that are there, with their sizes.
    artifacts: BTreeMap<Digest, u64>,
    /// Blobs that somebody names.
    used: BTreeSet<Digest>,
}

impl Checker<'_> {
    fn check(
        mut self,
        mut records: BTreeMap<(usize, Record), Vec<u8>>,
    ) -> Result<Vec<Run>, BundleError> {
        let mut runs: Vec<Run> = Vec::new();
        let mut started = BTreeMap::new();
        for number in 0..self.manifest.runs.len() {
            let mut record = |record| records.remove(&(number, record)).unwrap_or_default();
            let name = |record| Kind::Record(number, record).name(&Digest::of(&[]));
            let parts = Record::ALL.map(|part| (name(part), record(part)));
            let [journal, tapes, memos, logs] = &parts;
            let lines = Lines {
                entries: lines::entries(&journal.0, &journal.1)?,
                tapes: lines::tapes(&tapes.0, &tapes.1)?,
                memos: lines::memos(&memos.0, &memos.1)?,
                logs: lines::logs(&logs.0, &logs.1)?,
            };
            let folded = self.journal(number, &journal.0, &lines)?;
            for child in &folded.children {
                started.insert(child.clone(), number);
            }
            let run = self.run(number, lines, folded)?;
            let parent = run.state.created().parent.as_ref();
            let of_file = parent.filter(|_| number > 0).map(|parent| &parent.run);
            let is_child = || {
                let starter = started.get(&self.manifest.runs[number].id)?;
                Some(&self.manifest.runs[*starter].id)
            };
            if number > 0 && (of_file.is_none() || of_file != is_child()) {
                let what = "no run before it has started it";
                return Err(Refused::at(&journal.0, what).into());
            }
            runs.push(run);
        }
        let artifacts = self.manifest.runs.iter().flat_map(|run| &run.artifacts);
        let artifacts: BTreeMap<Digest, u64> = artifacts
            .map(|used| (used.artifact.digest, used.artifact.size))
            .collect();
        let kept = |part: &Part| {
            self.used.contains(&part.digest)
                || part.name.starts_with("runs/")
                || part.name.starts_with("artifacts/") && artifacts.contains_key(&part.digest)
        };
        match self.manifest.parts.iter().find(|part| !kept(part)) {
            None => Ok(runs),
            Some(part) => Err(Refused::at(&part.name, "nothing in the file names it").into()),
        }
    }

    /// Folds the journal of a run.
    fn journal(&self, number: usize, part: &str, lines: &Lines) -> Result<Folded, BundleError> {
        let entry = &self.manifest.runs[number];
        let wrong = |line: usize, what: String| {
            BundleError::from(Refused::at(lines::place(part, line), what))
        };
        let mut folded = Folded::default();
        for (at, stored) in lines.entries.iter().enumerate() {
            let line = at + 1;
            json::check_size(&stored.body).map_err(|error| wrong(line, error.to_string()))?;
            let find = |digest: &Digest| self.value(digest);
            let event = Event::decode(&stored.body, &find);
            let event = event.map_err(|error| wrong(line, error.to_string()))?;
            let decoded = Entry {
                seq: stored.seq,
                at: stored.at,
                epoch: stored.epoch,
                event,
            };
            folded.take(&decoded).map_err(|what| wrong(line, what))?;
        }
        let Some(state) = folded.state() else {
            return Err(Refused::at(part, "it is missing").into());
        };
        let says = (
            &state.created().run,
            state.created().workflow.as_str(),
            state.phase().status(),
            state.seq(),
        );
        if says != (&entry.id, &entry.workflow, entry.status, entry.events) {
            let what = format!(
                "it is of run `{}` of `{}`, {} after {} events; the manifest says otherwise",
                says.0, says.1, says.2, says.3
            );
            return Err(Refused::at(part, what).into());
        }
        Ok(folded)
    }

    /// The text of a value. One that would take too much in memory is none.
    fn value(&self, digest: &Digest) -> Option<Vec<u8>> {
        let (_, bytes) = self.blobs.get(digest)?;
        let text = std::str::from_utf8(bytes).ok()?;
        json::check_size(text).ok()?;
        Some(bytes.to_vec())
    }

    /// Checks what stands beside the journal of a run.
    fn run(&mut self, number: usize, mut lines: Lines, folded: Folded) -> Result<Run, BundleError> {
        let mut named = BTreeSet::new();
        for (kind, digest) in folded.named() {
            match self.blobs.get(&digest) {
                Some((found, _)) if *found <= kind => named.insert(digest),
                Some(_) | None => {
                    let what = "a journal names it, and it is missing";
                    return Err(Refused::at(kind.name(&digest), what).into());
                }
            };
        }
        let bodies = tapes(number, &mut lines, &folded)?;
        named.extend(
            bodies
                .into_iter()
                .filter(|digest| self.blobs.contains_key(digest)),
        );
        memos(number, &lines)?;
        logs(number, &lines)?;
        self.artifacts(number)?;
        self.used.extend(&named);
        let made = folded.made.clone();
        let worked = folded.worked.clone();
        let Some(state) = folded.into_state() else {
            return Err(Refused::file("it has a run without events").into());
        };
        let slots: Vec<_> = state.executions().slots().collect();
        for digest in checkpoint::changed_blobs(&state, &slots, true) {
            if !named.contains(&digest) && !made.contains_key(&digest) {
                let what = "a record names it, and it is missing";
                return Err(Refused::at(Kind::Value.name(&digest), what).into());
            }
        }
        self.definition(&state)?;
        Ok(Run {
            lines,
            state,
            worked,
            named,
            artifacts: self.manifest.runs[number].artifacts.clone(),
        })
    }

    fn artifacts(&self, number: usize) -> Result<(), BundleError> {
        for used in &self.manifest.runs[number].artifacts {
            let Artifact {
                digest,
                name,
                size,
                media_type,
            } = &used.artifact;
            let texts = [name, media_type, &used.path];
            let fits = |text: &&String| {
                !text.is_empty() && text.len() <= limits::NOTE_BYTES && !text.contains('\0')
            };
            if self.artifacts.get(digest) != Some(size) || !texts.iter().all(fits) {
                let what = format!("the artifact {digest} is not in the file as it is named");
                return Err(Refused::at(MANIFEST, what).into());
            }
        }
        Ok(())
    }

    /// Whether what the run executes can be read.
    fn definition(&self, state: &RunState) -> Result<(), BundleError> {
        let text = |digest: &Digest| {
            let found = self.blobs.get(digest).map(|(_, bytes)| bytes.to_vec());
            let name = Kind::Definition.name(digest);
            let text = String::from_utf8(found.unwrap_or_default());
            text.map_err(|_| Refused::at(name, "it is not text"))
        };
        let binding = state.binding();
        let mut texts = BTreeMap::new();
        for (file, carried) in &binding.children {
            texts.insert(file.clone(), text(&carried.definition)?);
        }
        let (file, own) = (&state.created().file, text(&binding.definition)?);
        let children = child_workflows::carried(file, &own, &texts);
        let around = Around {
            manifests: None,
            children: Some(&children),
        };
        match Definition::reread_with(file, &own, around) {
            Ok(_) => Ok(()),
            Err(invalid) => {
                let name = Kind::Definition.name(&binding.definition);
                Err(Refused::at(name, format!("it cannot be read: {invalid}")).into())
            }
        }
    }
}

/// Checks the tapes of a run: the bodies that they name.
fn tapes(
    number: usize,
    lines: &mut Lines,
    folded: &Folded,
) -> Result<BTreeSet<Digest>, BundleError> {
    let part = Kind::Record(number, Record::Tapes).name(&Digest::of(&[]));
    let wrong =
        |line: usize, what: String| BundleError::from(Refused::at(lines::place(&part, line), what));
    let mut all: BTreeMap<u64, Vec<TapeEntry>> = BTreeMap::new();
    let mut last = 0;
    for (at, (started, calls)) in lines.tapes.iter().enumerate() {
        let line = at + 1;
        if *started < last || !folded.tapes.contains_key(started) {
            return Err(wrong(
                line,
                "no attempt has such a tape, or not there".to_owned(),
            ));
        }
        last = *started;
        let so_far = all.entry(*started).or_default();
        if calls.first != so_far.len() as u64 {
            return Err(wrong(line, "host calls before it are missing".to_owned()));
        }
        let more: Vec<TapeEntry> =
            serde_json::from_str(&calls.body).map_err(|error| wrong(line, error.to_string()))?;
        if more.is_empty() {
            return Err(wrong(line, "it has no host call".to_owned()));
        }
        so_far.extend(more);
    }
    let mut bodies = BTreeSet::new();
    for (started, kept) in &folded.tapes {
        let calls = all.remove(started).unwrap_or_default();
        bodies.extend(beside(&calls));
        let mut tape = Tape {
            kept: kept.clone(),
            ..Tape::default()
        };
        let put_back = tape.put_back(calls);
        put_back.map_err(|what| Refused::at(&part, format!("event {started}: {what}")))?;
    }
    Ok(bodies)
}

fn memos(number: usize, lines: &Lines) -> Result<(), BundleError> {
    let part = Kind::Record(number, Record::Memos).name(&Digest::of(&[]));
    let mut of_path = 0;
    let mut before: Option<(&str, &str)> = None;
    for (at, (path, memo)) in lines.memos.iter().enumerate() {
        let place = (path.as_str(), memo.key.as_str());
        let same = before.is_some_and(|before| before.0 == place.0);
        of_path = if same { of_path + 1 } else { 1 };
        let fits = path.parse::<Path>().is_ok()
            && before.is_none_or(|before| before < place)
            && of_path <= limits::MEMO_KEYS
            && memo.key.len() <= limits::KEY_BYTES
            && memo.value.len() <= limits::MEMO_VALUE_BYTES
            && json::parse(&memo.value).is_ok();
        if !fits {
            let what = "nothing of a step is like that, or it is not in its place";
            return Err(Refused::at(lines::place(&part, at + 1), what).into());
        }
        before = Some(place);
    }
    Ok(())
}

fn logs(number: usize, lines: &Lines) -> Result<(), BundleError> {
    let part = Kind::Record(number, Record::Log).name(&Digest::of(&[]));
    for (at, log) in lines.logs.iter().enumerate() {
        let line: Result<LogLine, _> = serde_json::from_str(&log.body);
        if line.is_err() || log.path.parse::<Path>().is_err() {
            let what = "no step logs like that";
            return Err(Refused::at(lines::place(&part, at + 1), what).into());
        }
    }
    Ok(())
}

const _: () = assert!(FORMAT == 1, "a newer format is read beside the older ones");
