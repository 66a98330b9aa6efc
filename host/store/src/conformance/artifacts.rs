//! Artifacts: kept whole under their digest, read in pieces, and gone when no run uses them.

use std::time::Duration;

use milepost_core::effect::{Applied, Artifact, Effect};
use milepost_core::ids::{Digest, Epoch};
use milepost_core::limits;
use milepost_core::state::Status;

use super::words::Wait as _;
use super::words::{Talk, With, id, start, step};
use crate::{Note, Store, Swept};

fn write(s: &dyn Store, bytes: &[u8]) -> Digest {
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

pub(crate) fn a_sweep_takes_what_no_run_uses(s: &dyn Store) {
    let used = write(s, b"used");
    let unused = write(s, b"unused");
    s.save(start("r"));
    let effect = Effect {
        artifact: Some(Artifact {
            digest: used,
            name: "used".to_owned(),
            size: 4,
            media_type: "text/plain".to_owned(),
        }),
        ..Effect::default()
    };
    let noted = s.note(Note {
        run: id("r"),
        epoch: Epoch(1),
        started: 1,
        path: "a".to_owned(),
        effect,
    });
    assert_eq!(noted.wait().unwrap(), Applied::Done);
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
