//! Artifacts in files: what a sweep leaves alone, whenever it comes.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use milepost_core::effect::{Applied, Artifact, Effect};
use milepost_core::ids::{Digest, Epoch};
use milepost_core::limits;
use milepost_store::prelude::*;
use milepost_store::{ArtifactSink, Note, Store, Swept};

use super::Place;
use super::store::{ALL, Now as _, Talk, id, start, wait};

fn begin(store: &dyn Store, bytes: &[u8]) -> Box<dyn ArtifactSink> {
    let mut sink = wait(store.create_artifact()).unwrap();
    wait(sink.write(bytes)).unwrap();
    sink
}

fn finish(sink: Box<dyn ArtifactSink>, bytes: &[u8]) {
    wait(sink.finish(Digest::of(bytes))).unwrap();
}

fn uses(store: &dyn Store, name: &str, bytes: &[u8]) -> Applied {
    let effect = Effect {
        artifact: Some(Artifact {
            digest: Digest::of(bytes),
            name: name.to_owned(),
            size: bytes.len() as u64,
            media_type: "text/plain".to_owned(),
        }),
        ..Effect::default()
    };
    wait(store.note(Note {
        run: id("r"),
        epoch: Epoch(1),
        started: 1,
        path: "a".to_owned(),
        effect,
    }))
    .unwrap()
}

fn sweep(store: &dyn Store) -> Swept {
    wait(store.sweep_artifacts(Duration::ZERO, false)).unwrap()
}

/// Every artifact that the run uses is there, whole.
fn assert_whole(store: &dyn Store) -> usize {
    let used = store.artifacts(&id("r"), 0, ALL).now().unwrap();
    for used in &used {
        let digest = used.artifact.digest;
        let bytes = store.read_artifact(&digest, 0, usize::MAX).now().unwrap();
        assert_eq!(bytes.map(|bytes| Digest::of(&bytes)), Some(digest));
    }
    used.len()
}

#[test]
fn a_sweep_of_another_process_at_any_moment_leaves_no_run_without_its_bytes() {
    for moment in 0..5 {
        let place = Place::new();
        let (store, other) = (place.open(), place.open());
        store.save(start("r"));
        let swept_at = |now| {
            if now == moment {
                sweep(&other);
            }
        };
        swept_at(0);
        let sink = begin(&store, b"bytes");
        swept_at(1);
        finish(sink, b"bytes");
        swept_at(2);
        let used = uses(&store, "one", b"bytes");
        swept_at(3);
        // With a grace, as everybody sweeps, it would still be there: here the note is refused.
        assert_eq!(used == Applied::Gone, moment == 2, "{moment}");
        assert_eq!(assert_whole(&store), usize::from(used == Applied::Done));
        // The same bytes of somebody else, written over those of the first.
        let sink = begin(&other, b"bytes");
        finish(sink, b"bytes");
        swept_at(4);
        assert_eq!(
            uses(&other, "two", b"bytes") == Applied::Gone,
            moment == 4 && used == Applied::Gone
        );
        assert_whole(&store);
    }
}

#[test]
fn sweeps_beside_many_writers_leave_no_run_without_its_bytes() {
    const WRITERS: usize = 3;
    const EACH: usize = 40;
    let place = Place::new();
    place.open().save(start("r"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let place = &place;
                scope.spawn(move || {
                    let store = place.open();
                    let mut done = 0;
                    for n in 0..EACH {
                        // Some are those of the others, too.
                        let bytes = format!("{}", n % 7 + writer * (n % 2) * 100);
                        let sink = begin(&store, bytes.as_bytes());
                        finish(sink, bytes.as_bytes());
                        let name = format!("{writer}-{n}");
                        done += usize::from(uses(&store, &name, bytes.as_bytes()) == Applied::Done);
                        if n % 5 == 0 {
                            let digest = Digest::of(bytes.as_bytes());
                            wait(store.discard_artifact(&digest)).unwrap();
                        }
                    }
                    done
                })
            })
            .collect();
        let sweeper = scope.spawn(|| {
            let store = place.open();
            while !over.load(Ordering::Relaxed) {
                sweep(&store);
            }
        });
        let done: usize = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum();
        over.store(true, Ordering::Relaxed);
        sweeper.join().unwrap();
        assert!(done > 0);
        assert_eq!(assert_whole(&place.open()), done);
    });
}

fn unfinished(place: &Place) -> Vec<PathBuf> {
    let folder = place.path().with_extension("artifacts").join("unfinished");
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn what_a_process_left_unfinished_is_swept_and_what_one_still_writes_is_not() {
    let place = Place::new();
    let store = place.open();
    let sink = begin(&store, b"slowly");
    let [path] = &unfinished(&place)[..] else {
        panic!("one");
    };
    // As that of a process that was killed: nobody holds it.
    let left = path.with_file_name("1-1-1");
    fs::write(&left, b"left over").unwrap();
    assert_eq!(
        sweep(&store),
        Swept::default(),
        "it may have begun just now"
    );
    for path in [path, &left] {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH).unwrap();
    }
    let swept = wait(store.sweep_artifacts(limits::ARTIFACT_GRACE, true)).unwrap();
    assert_eq!((swept.artifacts, swept.bytes), (1, 9));
    assert_eq!(sweep(&place.open()), swept);
    assert_eq!(unfinished(&place), std::slice::from_ref(path));
    finish(sink, b"slowly");
    assert!(unfinished(&place).is_empty());
    store.save(start("r"));
    assert_eq!(uses(&store, "one", b"slowly"), Applied::Done);
}
