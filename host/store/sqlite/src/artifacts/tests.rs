//! What of an artifact is on the disk, whenever the power fails: a file that has its name is whole, and what was finished has its name.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use milepost_core::effect::{Applied, Artifact, Effect};
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_store::Note;
use milepost_store::conformance::words::{Talk as _, start, wait};
use milepost_store::prelude::*;

use super::sink::{Disk, Machine, Sink};
use super::{folder, place};
use crate::{Durability, SqliteStore};

/// What reached the disk's cache, in order.
#[derive(Debug, Clone, PartialEq)]
enum Event {
    Folder(PathBuf),
    Written(u64),
    Synced(u64),
    Named(PathBuf, u64),
    FolderSynced(PathBuf),
}

/// The machine's disk, with a record.
#[derive(Debug, Clone, Default)]
struct Recorded {
    events: Arc<Mutex<Vec<Event>>>,
    /// Fails where a folder is to be synced: the process ends there.
    ends_early: bool,
}

impl Recorded {
    fn note(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

impl Disk for Recorded {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let new: Vec<_> = path.ancestors().take_while(|path| !path.exists()).collect();
        Machine.make_folder(path)?;
        for path in new.into_iter().rev() {
            self.note(Event::Folder(path.to_owned()));
        }
        Ok(())
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.note(Event::Written(file.metadata()?.ino()));
        Machine.write(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        Machine.sync(file)?;
        self.note(Event::Synced(file.metadata()?.ino()));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let number = from.metadata()?.ino();
        Machine.rename(from, to)?;
        self.note(Event::Named(to.to_owned(), number));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if self.ends_early {
            return Err(io::Error::other("it ended"));
        }
        Machine.sync_folder(path)?;
        self.note(Event::FolderSynced(path.to_owned()));
        Ok(())
    }
}

/// What is there after the power failed behind these events.
#[derive(Default)]
struct Image {
    /// Names that are there for sure.
    lasting: BTreeSet<PathBuf>,
    /// Names that may be there.
    possible: BTreeSet<PathBuf>,
    /// Files, by name, of which a part may be missing.
    torn: BTreeSet<PathBuf>,
}

impl Image {
    fn after(events: &[Event]) -> Self {
        let mut image = Self::default();
        let mut dirty = BTreeSet::new();
        for event in events {
            match event {
                Event::Folder(path) => drop(image.possible.insert(path.clone())),
                Event::Written(file) => drop(dirty.insert(*file)),
                Event::Synced(file) => drop(dirty.remove(file)),
                Event::Named(path, file) => {
                    image.possible.insert(path.clone());
                    // Over one that was there for sure, one of the two is there.
                    if dirty.contains(file) {
                        image.torn.insert(path.clone());
                    }
                }
                Event::FolderSynced(folder) => {
                    let inside = |path: &&PathBuf| path.parent() == Some(folder);
                    let named: Vec<_> = image.possible.iter().filter(inside).cloned().collect();
                    image.lasting.extend(named);
                }
            }
        }
        image
    }

    /// Whether it is found for sure, below a folder that was there before.
    fn holds(&self, path: &Path, below: &Path) -> bool {
        let mut path = path.ancestors().take_while(|path| *path != below);
        path.all(|path| self.lasting.contains(path))
    }
}

/// Writes an artifact as far as the disk lets it.
fn write(disk: &Recorded, database: &Path, bytes: &[u8]) -> (Digest, io::Result<()>) {
    let digest = Digest::of(bytes);
    let mut sink = Sink::create(Arc::new(disk.clone()), folder(database)).unwrap();
    let filled = sink.fill(bytes);
    (digest, filled.and_then(|()| sink.keep(&digest)))
}

/// The run `r` comes to use it.
fn note(store: &SqliteStore, n: usize, digest: Digest) -> Applied {
    let effect = Effect {
        artifact: Some(Artifact {
            digest,
            name: n.to_string(),
            size: 1,
            media_type: "text/plain".to_owned(),
        }),
        ..Effect::default()
    };
    let note = Note {
        run: RunId::new("r").unwrap(),
        epoch: Epoch(1),
        started: 1,
        path: "a".to_owned(),
        effect,
    };
    wait(store.note(note)).unwrap()
}

#[test]
fn b106_an_artifact_that_a_committed_row_names_is_whole_whenever_the_power_fails() {
    let home = tempfile::tempdir().unwrap();
    let database = home.path().join("store.db");
    let disk = Recorded::default();
    let mut store = SqliteStore::open(&database, Durability::PowerLoss).unwrap();
    store.disk = Arc::new(disk.clone());
    store.save(start("r"));
    let events = || disk.events.lock().unwrap().clone();
    let mut named = Vec::new();
    for (n, bytes) in [&b"one"[..], b"two", b"one", b"", &[7; 100_000]]
        .into_iter()
        .enumerate()
    {
        let digest = Digest::of(bytes);
        let mut sink = wait(store.create_artifact()).unwrap();
        for chunk in bytes.chunks(40_000) {
            wait(sink.write(chunk)).unwrap();
        }
        wait(sink.finish(digest)).unwrap();
        // The row may be on the disk as soon as the transaction has begun.
        named.push((place(&folder(&database), &digest), events().len()));
        assert_eq!(note(&store, n, digest), Applied::Done);
        wait(store.sweep_artifacts(Duration::ZERO, false)).unwrap();
    }
    let events = events();
    for cut in 0..=events.len() {
        let image = Image::after(&events[..cut]);
        assert_eq!(image.torn, BTreeSet::new(), "{cut}: {events:?}");
        for (path, _) in named.iter().filter(|(_, at)| *at <= cut) {
            assert!(image.holds(path, home.path()), "{cut}: {events:?}");
        }
    }
}

#[test]
fn an_artifact_lasts_although_whoever_made_its_folders_was_cut_off() {
    let home = tempfile::tempdir().unwrap();
    let database = home.path().join("store.db");
    let disk = Recorded::default();
    let cut_off = Recorded {
        ends_early: true,
        ..disk.clone()
    };
    let (digest, cut) = write(&cut_off, &database, b"same");
    assert!(cut.is_err());
    let path = place(&folder(&database), &digest);
    assert!(path.exists());
    let image = Image::after(&disk.events.lock().unwrap());
    assert!(!image.holds(&path, home.path()));
    write(&disk, &database, b"same").1.unwrap();
    let image = Image::after(&disk.events.lock().unwrap());
    assert!(image.holds(&path, home.path()));
}
