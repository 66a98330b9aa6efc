//! Artifacts: kept whole under their digest, read in pieces, and gone when no run uses them.

use std::time::Duration;

use milepost_core::effect::{Applied, Artifact, Effect, Memo};
use milepost_core::ids::{Digest, Epoch};
use milepost_core::limits;
use milepost_core::state::Status;

use super::words::Wait as _;
use super::words::{ALL, Talk, With, conflict, create, id, start, step};
use crate::{Note, Store, Swept};

/// Writes an artifact that no run uses yet.
pub(super) fn write(s: &dyn Store, bytes: &[u8]) -> Digest {
    let mut sink = s.create_artifact().wait().unwrap();
    for chunk in bytes.chunks(7) {
        sink.write(chunk).wait().unwrap();
    }
    let digest = Digest::of(bytes);
    sink.finish(digest).wait().unwrap();
    digest
}

fn read(s: &dyn Store, digest: &Digest, offset: u64, max: usize) -> Option<Vec<u8>> {
    s.read_artifact(digest, offset, max).wait().unwrap()
}

fn whole(s: &dyn Store, digest: &Digest) -> Option<Vec<u8>> {
    read(s, digest, 0, limits::ARTIFACT_CHUNK_BYTES)
}

pub(crate) fn an_artifact_is_read_in_pieces(s: &dyn Store) {
    let bytes: Vec<u8> = (0..=255).collect();
    let digest = write(s, &bytes);
    for (offset, max, expected) in [
        (0, 256, &bytes[..]),
        (0, usize::MAX, &bytes),
        (250, 3, &bytes[250..253]),
        (250, 100, &bytes[250..]),
        (256, 1, &[]),
        (u64::from(u32::MAX), 1, &[]),
        (3, 0, &[]),
    ] {
        assert_eq!(read(s, &digest, offset, max).as_deref(), Some(expected));
    }
    assert_eq!(whole(s, &Digest::of(b"never")), None);
    assert_eq!(whole(s, &write(s, b"")), Some(Vec::new()));
    assert_eq!(write(s, &bytes), digest);
    assert_eq!(whole(s, &digest), Some(bytes));
}

pub(crate) fn an_artifact_is_there_when_it_is_finished(s: &dyn Store) {
    let mut sink = s.create_artifact().wait().unwrap();
    sink.write(b"half").wait().unwrap();
    assert_eq!(whole(s, &Digest::of(b"half")), None);
    drop(sink);
    assert_eq!(whole(s, &Digest::of(b"half")), None);
    // Nobody waits for it any more.
    let mut sink = s.create_artifact().wait().unwrap();
    sink.write(b"whole").wait().unwrap();
    drop(sink.finish(Digest::of(b"whole")));
    let found = whole(s, &Digest::of(b"whole"));
    assert!(found.is_none_or(|bytes| bytes == b"whole"));
}

/// The run `r` comes to use it.
fn uses(s: &dyn Store, digest: Digest) -> Applied {
    let effect = Effect {
        artifact: Some(Artifact {
            digest,
            name: "used".to_owned(),
            size: 4,
            media_type: "text/plain".to_owned(),
        }),
        memo: Some(Memo {
            key: digest.to_string(),
            value: "1".to_owned(),
        }),
        ..Effect::default()
    };
    let note = Note {
        run: id("r"),
        epoch: Epoch(1),
        started: 1,
        path: "a".to_owned(),
        effect,
    };
    s.note(note).wait().unwrap()
}

pub(crate) fn a_run_comes_to_use_only_what_is_there(s: &dyn Store) {
    s.save(start("r"));
    let sweep = || s.sweep_artifacts(Duration::ZERO, false).wait().unwrap();
    let settled = |digest: &Digest| {
        let key = digest.to_string();
        s.memo(&id("r"), "a", &key).wait().unwrap().is_some()
    };
    let never = Digest::of(b"never");
    assert_eq!(uses(s, never), Applied::Gone);
    assert!(!settled(&never));
    // A sweep comes between the last byte and the word that a run uses it.
    let swept = write(s, b"swept");
    sweep();
    assert_eq!(uses(s, swept), Applied::Gone);
    assert_eq!(s.artifacts(&id("r"), 0, ALL).wait().unwrap(), []);
    assert!(!settled(&swept));
    // Written again, it is there; and from then on it stays.
    assert_eq!(write(s, b"swept"), swept);
    assert_eq!(uses(s, swept), Applied::Done);
    sweep();
    assert!(settled(&swept) && whole(s, &swept).is_some());
    assert_eq!(uses(s, swept), Applied::Done);
}

pub(crate) fn what_is_discarded_goes_unless_a_run_uses_it(s: &dyn Store) {
    s.save(start("r"));
    let (used, unused) = (write(s, b"used"), write(s, b"unused"));
    assert_eq!(uses(s, used), Applied::Done);
    for digest in [used, unused, Digest::of(b"never")] {
        s.discard_artifact(&digest).wait().unwrap();
    }
    assert_eq!(whole(s, &used).as_deref(), Some(b"used".as_slice()));
    assert_eq!(whole(s, &unused), None);
}

pub(crate) fn a_sweep_takes_what_no_run_uses(s: &dyn Store) {
    let used = write(s, b"used");
    let unused = write(s, b"unused");
    s.save(start("r"));
    assert_eq!(uses(s, used), Applied::Done);
    let sweep = |grace, pretend| s.sweep_artifacts(grace, pretend).wait().unwrap();
    let found = |bytes| Swept {
        artifacts: 1,
        bytes,
    };
    assert_eq!(sweep(limits::ARTIFACT_GRACE, false), Swept::default());
    assert_eq!(sweep(Duration::ZERO, true), found(6));
    assert!(whole(s, &unused).is_some());
    assert_eq!(sweep(Duration::ZERO, false), found(6));
    assert_eq!(whole(s, &unused), None);
    assert_eq!(sweep(Duration::ZERO, false), Swept::default());
    assert_eq!(whole(s, &used).as_deref(), Some(b"used".as_slice()));
    s.save(step("r", 0, 1).status(Status::Failed));
    s.remove("r", 1).unwrap();
    assert_eq!(sweep(Duration::ZERO, false), found(4));
    assert_eq!(whole(s, &used), None);
}

/// Paths and digests of what a run uses.
fn used(s: &dyn Store, run: &str) -> Vec<(String, Digest)> {
    let used = s.artifacts(&id(run), 0, 100).wait().unwrap();
    let used = used.into_iter();
    used.map(|used| (used.path, used.artifact.digest)).collect()
}

pub(crate) fn a_run_may_use_artifacts_from_its_beginning(s: &dyn Store) {
    let [one, two, three] = [b"1", b"2", b"3"].map(|bytes| write(s, bytes));
    let sweep = || {
        let swept = s.sweep_artifacts(Duration::ZERO, false).wait().unwrap();
        swept.artifacts
    };
    s.save(
        start("p")
            .entry(1)
            .using("inputs.a", b"1")
            .using("inputs.b", b"1"),
    );
    let uses = |path: &str, digest| (path.to_owned(), digest);
    let of_p = [uses("inputs.a", one), uses("inputs.b", one)];
    assert_eq!(used(s, "p"), of_p);
    assert!(s.artifact(&one).wait().unwrap().is_some());
    // What is refused uses nothing, and what comes twice is one.
    let refused = s.try_save(step("p", 7, 1).using("inputs.c", b"3"));
    assert_eq!(conflict(refused).2, 1);
    assert!(s.try_save(create("p").using("inputs.c", b"3")).is_err());
    let child = create("c").entry(1).child_of("p").using("inputs.x", b"2");
    s.save(step("p", 1, 1).using("inputs.a", b"1").bears(child.clone()));
    assert_eq!(used(s, "p"), of_p);
    assert_eq!(used(s, "c"), [uses("inputs.x", two)]);
    assert_eq!(sweep(), 1);
    assert_eq!(whole(s, &three), None);
    // A child that is there stays as it is.
    let again = create("c").entry(1).child_of("p").using("inputs.y", b"2");
    s.save(step("p", 2, 1).bears(again).status(Status::Failed));
    assert_eq!(used(s, "c"), [uses("inputs.x", two)]);
    s.remove("p", 3).unwrap();
    assert_eq!(sweep(), 1);
    assert_eq!(whole(s, &two).as_deref(), Some(b"2".as_slice()));
}
