//! What a run takes in its store: every write adds what it brings, and says how much it is by now.

use super::words::Wait as _;
use std::collections::BTreeMap;

use crate::{Holdings, Store, Write};
use milepost_core::ids::Digest;
use milepost_core::state::Status;

use super::words::{Talk, With, change, conflict, create, id, start, step};

/// Bytes of the entries and the log lines of a write.
fn texts(write: &Write) -> u64 {
    let entries = write.entries.iter().map(|entry| entry.body.len());
    let logs = write.logs.iter().map(|l| l.path.len() + l.body.len());
    entries.chain(logs).sum::<usize>() as u64
}

pub(crate) fn every_write_adds_what_it_brings(s: &dyn Store) {
    let first = start("r").entry(1).log("a line").blob(&[7; 1_000]);
    let mut expected = texts(&first) + 1_000;
    assert!(expected > 1_000);
    assert_eq!(s.save(first).stored_bytes, expected);
    for write in [
        // As it runs, claimed anew, paused, and over: three statements of the store.
        step("r", 1, 1).log("ünï"),
        step("r", 2, 1).claim("b", 60),
        step("r", 3, 2).status(Status::Paused),
        step("r", 4, 2).status(Status::Completed),
    ] {
        expected += texts(&write);
        assert_eq!(s.save(write).stored_bytes, expected);
        assert_eq!(s.see("r").stored_bytes, expected);
        // An examination finds the same.
        assert_eq!(s.holdings(&id("r")).wait().unwrap().bytes(), expected);
    }
}

pub(crate) fn a_blob_counts_once_for_each_run_that_uses_it(s: &dyn Store) {
    assert_eq!(s.save(start("a").blob(b"shared")).stored_bytes, 6);
    // Whoever brings it, or names it only; again, it adds nothing.
    assert_eq!(s.save(start("b").blob(b"shared")).stored_bytes, 6);
    assert_eq!(s.save(start("c").naming(b"shared")).stored_bytes, 6);
    let again = change("c", 0, 1).naming(b"shared").naming(b"shared");
    assert_eq!(s.save(again.blob(b"shared")).stored_bytes, 6);
    let more = change("c", 0, 1).blob(b"own").naming(b"own").blob(b"own");
    assert_eq!(s.save(more).stored_bytes, 9);
    assert_eq!(s.see("a").stored_bytes, 6);
    let held = s.holdings(&id("c")).wait().unwrap().blobs;
    let all = [&b"shared"[..], b"own"].map(|bytes| (Digest::of(bytes), bytes.len() as u64));
    assert_eq!(held, BTreeMap::from(all));
    assert_eq!(
        s.holdings(&id("nobody")).wait().unwrap(),
        Holdings::default()
    );
}

pub(crate) fn what_is_not_kept_for_good_adds_nothing(s: &dyn Store) {
    s.save(start("r"));
    s.save(change("r", 0, 1).part("p", "1234").part("now", "5678"));
    s.post("r", "go");
    assert_eq!(s.see("r").stored_bytes, 0);
}

pub(crate) fn a_refused_write_adds_nothing(s: &dyn Store) {
    s.save(start("r").entry(1));
    let before = s.see("r");
    conflict(s.try_save(step("r", 7, 1).log("line").blob(b"blob")));
    conflict(s.try_save(step("r", 1, 1).blob(b"blob").consume(&[9])));
    assert!(s.try_save(create("r").entry(1)).is_err());
    assert_eq!(s.see("r"), before);
}
