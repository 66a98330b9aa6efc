//! What attempts leave behind while they are in flight: kept with the claim, whole or not at all; and buckets, which belong to no run.

use std::sync::Arc;

use milepost_core::effect::{
    Applied, Artifact, Effect, GroupChange, KvChange, KvItem, Memo, ProcessGroup, TapePart,
};
use milepost_core::ids::{Digest, Epoch};
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

use super::artifacts::write;
use super::words::Wait as _;
use super::words::{ALL, Talk, With, change, conflict, create, id, in_status, line, start, step};
use crate::{
    Bucket, Kin, Moved, NewLog, Note, Said, Store, StoreError, StoredProgress, StoredTape, Write,
};

fn note(run: &str, epoch: u64, effect: Effect) -> Note {
    Note {
        run: id(run),
        epoch: Epoch(epoch),
        started: 7,
        path: "fix#2/test".to_owned(),
        effect,
    }
}

fn part(first: u64, body: &str) -> TapePart {
    TapePart {
        first,
        body: body.to_owned(),
        blobs: Vec::new(),
    }
}

fn taped(first: u64, body: &str) -> Effect {
    Effect {
        tape: Some(part(first, body)),
        ..Effect::default()
    }
}

fn memo(key: &str, value: &str) -> Effect {
    Effect {
        memo: Some(Memo {
            key: key.to_owned(),
            value: value.to_owned(),
        }),
        ..Effect::default()
    }
}

fn put(bucket: &str, key: &str, over: u64, value: Option<&[u8]>) -> KvChange {
    KvChange {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        over,
        value: value.map(Arc::from),
    }
}

fn kv(change: KvChange) -> Effect {
    Effect {
        kv: Some(change),
        ..Effect::default()
    }
}

fn applied(s: &dyn Store, note: Note) -> Applied {
    s.note(note).wait().unwrap()
}

fn tape(s: &dyn Store, run: &str, started: u64) -> Vec<(u64, String)> {
    let parts = s.tape(&id(run), started, 0).wait().unwrap();
    parts
        .into_iter()
        .map(|StoredTape { first, body }| (first, body))
        .collect()
}

fn kept(s: &dyn Store, path: &str, key: &str) -> Option<String> {
    s.memo(&id("r"), path, key).wait().unwrap()
}

fn item(s: &dyn Store, bucket: &str, key: &str) -> Option<(u64, Option<Vec<u8>>)> {
    let found = s.kv(bucket, key).wait().unwrap();
    found.map(|KvItem { revision, value }| (revision, value.map(|value| value.to_vec())))
}

fn keys(s: &dyn Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    s.kv_keys("b", prefix, after, limit).wait().unwrap()
}

fn counts_what_it_holds(s: &dyn Store, run: &str) {
    let stored = s.row(&id(run)).wait().unwrap().unwrap().stored_bytes;
    let holdings = s.holdings(&id(run)).wait().unwrap();
    let blobs: u64 = holdings.blobs.values().sum();
    assert_eq!(stored, holdings.record_bytes + blobs);
}

pub(crate) fn only_the_owner_of_a_run_that_runs_notes_anything(s: &dyn Store) {
    let effect = || Effect {
        kv: Some(put("b", "k", 0, Some(b"v"))),
        ..memo("k", "1")
    };
    let refused = s.note(note("r", 1, effect())).wait();
    assert!(matches!(refused, Err(StoreError::NotFound(run)) if run == id("r")));
    for status in Status::ALL {
        let run = status.to_string();
        in_status(s, &run, status);
        let noted = s.note(note(&run, 1, taped(0, "[1]"))).wait();
        if status == Status::Running {
            assert_eq!(noted.unwrap(), Applied::Done);
            for epoch in [0, 2] {
                let noted = s.note(note(&run, epoch, effect())).wait();
                assert_eq!(conflict(noted), (run.clone(), status, 1, 1), "{epoch}");
            }
        } else {
            assert_eq!(conflict(noted).1, status);
            assert_eq!(tape(s, &run, 7), []);
        }
    }
    assert_eq!(item(s, "b", "k"), None);
}

pub(crate) fn a_tape_is_read_in_the_order_of_its_parts(s: &dyn Store) {
    s.save(start("r"));
    s.save(start("other"));
    applied(s, note("r", 1, taped(2, "[3]")));
    applied(s, note("r", 1, taped(0, "[1,\"ü\\u0000\"]")));
    applied(s, note("other", 1, taped(0, "[9]")));
    // The rest comes with the outcome, also that of another attempt.
    let mut outcome = step("r", 0, 1);
    outcome.tapes = vec![(7, part(3, "[4]")), (8, part(0, "[5]"))];
    s.save(outcome);
    let all: Vec<_> = [(0, "[1,\"ü\\u0000\"]"), (2, "[3]"), (3, "[4]")]
        .map(|(first, body)| (first, body.to_owned()))
        .to_vec();
    assert_eq!(tape(s, "r", 7), all);
    assert_eq!(tape(s, "r", 8), [(0, "[5]".to_owned())]);
    assert_eq!(tape(s, "r", 9), []);
    assert_eq!(tape(s, "never", 7), []);
    let rest = s.tape(&id("r"), 7, 3).wait().unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(s.tape(&id("r"), 7, 4).wait().unwrap(), []);
    counts_what_it_holds(s, "r");
}

pub(crate) fn a_page_of_a_tape_is_bounded(s: &dyn Store) {
    s.save(start("r"));
    let large = format!("[\"{}\"]", "x".repeat(limits::PAGE_BYTES / 2));
    for first in 0..3 {
        applied(s, note("r", 1, taped(first, &large)));
    }
    let (mut from, mut pages) = (0, Vec::new());
    loop {
        let page = s.tape(&id("r"), 7, from).wait().unwrap();
        let Some(last) = page.last() else {
            break;
        };
        from = last.first + 1;
        pages.push(page.len());
    }
    assert_eq!(pages, [1, 1, 1]);
}

pub(crate) fn the_same_part_twice_is_one(s: &dyn Store) {
    s.save(start("r"));
    for _ in 0..2 {
        assert_eq!(applied(s, note("r", 1, taped(0, "[1]"))), Applied::Done);
        counts_what_it_holds(s, "r");
    }
    assert_eq!(tape(s, "r", 7), [(0, "[1]".to_owned())]);
}

pub(crate) fn bodies_beside_a_tape_are_blobs_of_the_run(s: &dyn Store) {
    s.save(start("r").blob(b"mine"));
    let body: &[u8] = b"a body";
    let with = |bytes: &[u8]| TapePart {
        blobs: vec![(Digest::of(bytes), bytes.into())],
        ..part(0, "[1]")
    };
    let noted = Effect {
        tape: Some(with(body)),
        ..Effect::default()
    };
    applied(s, note("r", 1, noted));
    let mut outcome = step("r", 0, 1).status(Status::Completed);
    outcome.tapes = vec![(8, with(b"another")), (9, with(b"mine"))];
    s.save(outcome);
    counts_what_it_holds(s, "r");
    for bytes in [body, b"another", b"mine"] {
        let found = s.blob(&Digest::of(bytes)).wait().unwrap();
        assert_eq!(found.as_deref(), Some(bytes));
    }
    s.remove("r", 1).unwrap();
    for bytes in [body, b"another", b"mine"] {
        assert_eq!(s.blob(&Digest::of(bytes)).wait().unwrap(), None);
    }
    assert_eq!(tape(s, "r", 7), []);
}

pub(crate) fn a_memo_is_settled_once(s: &dyn Store) {
    s.save(start("r"));
    s.save(start("other"));
    let settle = |value| applied(s, note("r", 1, memo("a \"key\"", value)));
    assert_eq!(kept(s, "fix#2/test", "a \"key\""), None);
    assert_eq!(settle("{\"ü\": null}"), Applied::Done);
    // Its answer was lost, and it is settled again.
    assert_eq!(settle("{\"ü\": null}"), Applied::Done);
    assert_eq!(settle("2"), Applied::Conflict);
    let value = kept(s, "fix#2/test", "a \"key\"");
    assert_eq!(value.as_deref(), Some("{\"ü\": null}"));
    assert_eq!(kept(s, "fix#3/test", "a \"key\""), None);
    assert_eq!(
        s.memo(&id("other"), "fix#2/test", "a \"key\"")
            .wait()
            .unwrap(),
        None
    );
    counts_what_it_holds(s, "r");
}

pub(crate) fn an_execution_has_so_many_memos(s: &dyn Store) {
    s.save(start("r"));
    for n in 0..limits::MEMO_KEYS {
        let noted = applied(s, note("r", 1, memo(&n.to_string(), "1")));
        assert_eq!(noted, Applied::Done);
    }
    let one_more = Effect {
        tape: Some(part(0, "[1]")),
        kv: Some(put("b", "k", 0, Some(b"v"))),
        ..memo("more", "1")
    };
    assert_eq!(applied(s, note("r", 1, one_more)), Applied::Full);
    assert_eq!((tape(s, "r", 7), item(s, "b", "k")), (vec![], None));
    assert_eq!(applied(s, note("r", 1, memo("0", "1"))), Applied::Done);
    let elsewhere = Note {
        path: "fix#3/test".to_owned(),
        ..note("r", 1, memo("more", "1"))
    };
    assert_eq!(applied(s, elsewhere), Applied::Done);
    counts_what_it_holds(s, "r");
}

pub(crate) fn memos_go_with_the_execution_that_begins_anew(s: &dyn Store) {
    s.save(start("r"));
    let paths = [
        "fix",
        "fix#1/test",
        "fix#12/test",
        "fix[3]",
        "fix!compensate",
        "fixed",
        "files[3]",
        "files[3]/test",
        "files[33]/test",
        "files[3]#1/test",
    ];
    for path in paths {
        let noted = Note {
            path: path.to_owned(),
            ..note("r", 1, memo("k", "1"))
        };
        applied(s, noted);
    }
    let mut anew = change("r", 0, 1);
    anew.renewed = vec!["fix".to_owned(), "files[3]".to_owned(), "never".to_owned()];
    s.save(anew);
    let there: Vec<_> = paths
        .into_iter()
        .filter(|path| kept(s, path, "k").is_some())
        .collect();
    assert_eq!(there, ["fix!compensate", "fixed", "files[33]/test"]);
    counts_what_it_holds(s, "r");
}

pub(crate) fn a_key_changes_only_over_the_revision_that_was_read(s: &dyn Store) {
    s.save(start("r"));
    let put = |over, value| applied(s, note("r", 1, kv(put("b", "k \"1\"", over, value))));
    assert_eq!(item(s, "b", "k \"1\""), None);
    assert_eq!(put(1, Some(b"0".as_slice())), Applied::Conflict);
    assert_eq!(put(0, Some(b"\0\xff")), Applied::Done);
    assert_eq!(put(0, Some(b"2")), Applied::Conflict);
    assert_eq!(item(s, "b", "k \"1\""), Some((1, Some(b"\0\xff".to_vec()))));
    assert_eq!(put(1, Some(b"")), Applied::Done);
    assert_eq!(item(s, "b", "k \"1\""), Some((2, Some(Vec::new()))));
    // A key that comes back goes on with its revisions.
    assert_eq!(put(2, None), Applied::Done);
    assert_eq!(item(s, "b", "k \"1\""), Some((3, None)));
    assert_eq!(put(0, Some(b"4")), Applied::Conflict);
    assert_eq!(put(3, Some(b"4")), Applied::Done);
    assert_eq!(item(s, "b", "k \"1\""), Some((4, Some(b"4".to_vec()))));
    assert_eq!(item(s, "c", "k \"1\""), None);
}

pub(crate) fn a_deleted_key_leaves_nothing_behind(s: &dyn Store) {
    let change = |key: &str, over, value| s.kv_change(put("b", key, over, value)).wait().unwrap();
    // More names than a bucket has room for, one after the other.
    let name = |n: usize| format!("{n}{}", "x".repeat(limits::KEY_BYTES - 10));
    let mut over = 0;
    for n in 0..200 {
        assert_eq!(change(&name(n), over, Some(b"v")), Applied::Done, "{n}");
        assert_eq!(change(&name(n), over + 1, None), Applied::Done, "{n}");
        over = item(s, "b", &name(n)).unwrap().0;
    }
    let empty = Bucket {
        name: "b".to_owned(),
        keys: 0,
        bytes: 0,
    };
    assert_eq!(s.buckets(None, ALL).wait().unwrap(), [empty]);
    assert_eq!(keys(s, "", None, ALL), [""; 0]);
}

pub(crate) fn a_revision_of_a_deleted_key_never_comes_back(s: &dyn Store) {
    let change = |key: &str, over, value| s.kv_change(put("b", key, over, value)).wait().unwrap();
    let value = Some(b"v".as_slice());
    for over in 0..3 {
        assert_eq!(change("k", over, value), Applied::Done);
    }
    assert_eq!(change("stays", 0, value), Applied::Done);
    assert_eq!(change("k", 3, None), Applied::Done);
    // Whoever has read it before does not change what comes back.
    for over in 0..=3 {
        assert_eq!(change("k", over, value), Applied::Conflict, "{over}");
    }
    let absent = item(s, "b", "k").unwrap();
    assert_eq!(absent, (4, None));
    // It came and went since somebody saw that it is not there.
    assert_eq!(change("k", 4, value), Applied::Done);
    assert_eq!(change("k", 5, None), Applied::Done);
    assert_eq!(change("k", 4, value), Applied::Conflict);
    assert_eq!(change("k", 6, value), Applied::Done);
    for over in (0..=6).chain([8]) {
        assert_eq!(change("k", over, None), Applied::Conflict, "{over}");
    }
    // Other keys: what is there goes on by itself, what is not begins above; other buckets know nothing of it.
    assert_eq!(item(s, "b", "stays"), Some((1, Some(b"v".to_vec()))));
    assert_eq!(item(s, "b", "new"), Some((6, None)));
    assert_eq!(item(s, "c", "k"), None);
}

pub(crate) fn keys_of_a_prefix_end_where_it_ends(s: &dyn Store) {
    let all = [
        "a",
        "a\u{d7ff}",
        "a\u{d7ff}b",
        "a\u{e000}",
        "a\u{10ffff}",
        "a\u{10ffff}b",
        "b",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
    ];
    for key in all {
        let done = s.kv_change(put("b", key, 0, Some(b"v"))).wait().unwrap();
        assert_eq!(done, Applied::Done);
    }
    for prefix in [
        "",
        "a",
        "a\u{d7ff}",
        "a\u{e000}",
        "a\u{10ffff}",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
        "c",
    ] {
        let wanted: Vec<_> = all
            .into_iter()
            .filter(|key| key.starts_with(prefix))
            .collect();
        assert_eq!(keys(s, prefix, None, ALL), wanted, "{prefix:?}");
        // The same key by key.
        let mut paged: Vec<String> = Vec::new();
        while let Some(next) = keys(s, prefix, paged.last().map(String::as_str), 1).pop() {
            paged.push(next);
        }
        assert_eq!(paged, wanted, "{prefix:?}");
    }
}

pub(crate) fn a_change_that_is_refused_takes_the_rest_with_it(s: &dyn Store) {
    s.save(start("r"));
    write(s, &3_u64.to_le_bytes());
    let effect = Effect {
        tape: Some(part(0, "[1]")),
        memo: memo("k", "1").memo,
        kv: Some(put("b", "k", 4, Some(b"v"))),
        artifact: Some(artifact("report", 3)),
        processes: Some(GroupChange::Began(group(1))),
    };
    assert_eq!(applied(s, note("r", 1, effect)), Applied::Conflict);
    assert_eq!(tape(s, "r", 7), []);
    assert_eq!(s.artifacts(&id("r"), 0, ALL).wait().unwrap(), []);
    assert_eq!(kept(s, "fix#2/test", "k"), None);
    assert_eq!(s.groups(&id("r")).wait().unwrap(), []);
    counts_what_it_holds(s, "r");
}

pub(crate) fn keys_are_listed_by_their_bytes(s: &dyn Store) {
    for key in ["b", "a", "ab", "a%", "Z", "ü", "aé"] {
        let done = s.kv_change(put("b", key, 0, Some(b"v"))).wait().unwrap();
        assert_eq!(done, Applied::Done);
    }
    s.kv_change(put("b", "ac", 0, None)).wait().unwrap();
    s.kv_change(put("other", "aa", 0, Some(b"v")))
        .wait()
        .unwrap();
    assert_eq!(
        keys(s, "", None, ALL),
        ["Z", "a", "a%", "ab", "aé", "b", "ü"]
    );
    assert_eq!(keys(s, "a", None, ALL), ["a", "a%", "ab", "aé"]);
    assert_eq!(keys(s, "a", Some("a%"), 1), ["ab"]);
    assert_eq!(keys(s, "a", Some("Z"), ALL), ["a", "a%", "ab", "aé"]);
    assert_eq!(keys(s, "a", Some("b"), ALL), [""; 0]);
    assert_eq!(keys(s, "_", None, ALL), [""; 0]);
    assert_eq!(keys(s, "", None, 0), [""; 0]);
}

pub(crate) fn a_bucket_has_room_for_so_many_bytes(s: &dyn Store) {
    let large = vec![7; limits::KV_VALUE_BYTES];
    let most = limits::KV_BUCKET_BYTES / (limits::KV_VALUE_BYTES + 2);
    let change = |key: usize, over, value| {
        let change = put("b", &format!("{key:02}"), over, value);
        s.kv_change(change).wait().unwrap()
    };
    for key in 0..most {
        assert_eq!(change(key, 0, Some(&large)), Applied::Done, "{key}");
    }
    assert_eq!(change(most, 0, Some(&large)), Applied::Full);
    // What frees room is never refused.
    assert_eq!(change(0, 1, Some(b"1")), Applied::Done);
    assert_eq!(change(most, 0, Some(&large)), Applied::Done);
    assert_eq!(change(0, 2, Some(&large)), Applied::Full);
    assert_eq!(change(0, 2, None), Applied::Done);
    let bytes = (most * (limits::KV_VALUE_BYTES + 2)) as u64;
    let bucket = Bucket {
        name: "b".to_owned(),
        keys: most as u64,
        bytes,
    };
    assert_eq!(s.buckets(None, ALL).wait().unwrap(), [bucket]);
}

pub(crate) fn buckets_outlive_runs_and_are_listed_by_name(s: &dyn Store) {
    s.save(start("r"));
    for bucket in ["b", "a", "c"] {
        applied(s, note("r", 1, kv(put(bucket, "k", 0, Some(b"v")))));
    }
    s.save(step("r", 0, 1).status(Status::Failed));
    s.remove("r", 1).unwrap();
    let names = |after, limit| -> Vec<String> {
        let buckets = s.buckets(after, limit).wait().unwrap();
        buckets.into_iter().map(|bucket| bucket.name).collect()
    };
    assert_eq!(names(None, ALL), ["a", "b", "c"]);
    assert_eq!(names(Some("a"), 1), ["b"]);
    assert_eq!(item(s, "a", "k"), Some((1, Some(b"v".to_vec()))));
}

fn artifact(name: &str, size: u64) -> Artifact {
    Artifact {
        digest: Digest::of(&size.to_le_bytes()),
        name: name.to_owned(),
        size,
        media_type: "text/csv; charset=\"utf-8\"".to_owned(),
    }
}

pub(crate) fn artifacts_are_known_as_long_as_a_run_uses_them(s: &dyn Store) {
    for run in ["r", "other"] {
        s.save(start(run));
    }
    let uses = |run, path: &str, artifact: Artifact| {
        // What it is said to be is not asked: only that it is there.
        write(s, &artifact.size.to_le_bytes());
        let effect = Effect {
            artifact: Some(artifact),
            ..Effect::default()
        };
        let noted = Note {
            path: path.to_owned(),
            ..note(run, 1, effect)
        };
        applied(s, noted)
    };
    let listed = |run, after, limit| -> Vec<(String, Artifact)> {
        let used = s.artifacts(&id(run), after, limit).wait().unwrap();
        used.into_iter()
            .map(|used| (used.path, used.artifact))
            .collect()
    };
    let (a, b) = (artifact("a \"1\"", 1), artifact("b", 2));
    let renamed = Artifact {
        name: "c".to_owned(),
        ..a.clone()
    };
    for (run, path, used) in [
        ("r", "x", &a),
        ("r", "x", &a),
        ("r", "y", &b),
        ("other", "x", &renamed),
        ("r", "x", &renamed),
    ] {
        assert_eq!(uses(run, path, used.clone()), Applied::Done);
    }
    let all = [("x", &a), ("y", &b), ("x", &renamed)];
    let all = all.map(|(path, used)| (path.to_owned(), used.clone()));
    assert_eq!(listed("r", 0, ALL), all);
    let first = s.artifacts(&id("r"), 0, 1).wait().unwrap()[0].position;
    assert_eq!(listed("r", first, 1), all[1..2]);
    let known = |of: &Artifact| s.artifact(&of.digest).wait().unwrap();
    assert_eq!((known(&a), known(&b)), (Some(a.clone()), Some(b.clone())));
    assert_eq!(known(&artifact("never", 9)), None);
    s.save(step("r", 0, 1).status(Status::Failed));
    s.remove("r", 1).unwrap();
    assert_eq!((known(&a), known(&b)), (Some(renamed), None));
    let most = artifact("large", limits::ARTIFACTS_BYTES - 1);
    assert_eq!(uses("other", "x", most.clone()), Applied::Done);
    assert_eq!(uses("other", "x", artifact("more", 1)), Applied::Full);
    assert_eq!(uses("other", "x", most), Applied::Done);
}

fn group(number: u32) -> ProcessGroup {
    ProcessGroup {
        host: "host \"1\"".to_owned(),
        boot: "boot".to_owned(),
        group: number,
        started: 1 << 40,
    }
}

pub(crate) fn process_groups_stay_until_somebody_saw_their_end(s: &dyn Store) {
    s.save(start("r"));
    s.save(start("other"));
    let change = |run, change| {
        let effect = Effect {
            processes: Some(change),
            ..Effect::default()
        };
        applied(s, note(run, 1, effect))
    };
    let groups = |run| s.groups(&id(run)).wait().unwrap();
    for _ in 0..2 {
        change("r", GroupChange::Began(group(1)));
    }
    change("r", GroupChange::Began(group(u32::MAX)));
    assert_eq!(groups("r"), [group(1), group(u32::MAX)]);
    assert_eq!(groups("other"), []);
    // The number was used again, by another process.
    let later = ProcessGroup {
        started: 1,
        ..group(1)
    };
    change("r", GroupChange::Ended(later));
    assert_eq!(groups("r").len(), 2);
    change("r", GroupChange::Ended(group(1)));
    assert_eq!(groups("r"), [group(u32::MAX)]);
    s.save(step("r", 0, 1).status(Status::Failed));
    assert_eq!(groups("r"), [group(u32::MAX)]);
    s.remove("r", 1).unwrap();
    assert_eq!(groups("r"), []);
}

fn moved(run: &str) -> Write {
    let memo = |path: &str, key: &str| {
        let memo = Memo {
            key: key.to_owned(),
            value: "1".to_owned(),
        };
        (path.to_owned(), memo)
    };
    Write {
        moved: Some(Moved {
            epoch: Epoch(7),
            worked: std::time::Duration::from_secs(5),
            memos: vec![memo("b", "k"), memo("a", "z"), memo("a", "k")],
        }),
        tapes: vec![(2, part(0, "[1,2]")), (2, part(2, "[3]"))],
        ..create(run).status(Status::Completed).entry(1).log("said")
    }
}

pub(crate) fn a_run_from_another_store_is_here_as_it_was_there(s: &dyn Store) {
    let parent = Write {
        kin: Kin {
            children: vec![moved("child")],
            ..Kin::default()
        },
        ..moved("r")
    };
    let written = s.write(parent).wait().unwrap();
    assert_eq!(written.epoch, Epoch(7));
    for run in ["r", "child"] {
        let row = s.row(&id(run)).wait().unwrap().unwrap();
        assert_eq!((row.epoch, row.seq), (Epoch(7), 1));
        assert_eq!((row.owner, row.lease_until), (None, None));
        assert_eq!(
            tape(s, run, 2),
            [(0, "[1,2]".to_owned()), (2, "[3]".to_owned())]
        );
        let kept = s.memo(&id(run), "a", "z").wait().unwrap();
        assert_eq!(kept.as_deref(), Some("1"));
        counts_what_it_holds(s, run);
    }
}

pub(crate) fn only_a_run_that_is_not_here_comes_from_another_store(s: &dyn Store) {
    s.write(start("r").entry(1)).wait().unwrap();
    let over = Write {
        moved: Some(Moved::default()),
        ..step("r", 1, 1)
    };
    let refused = s.write(over).wait();
    assert!(matches!(refused, Err(StoreError::Corrupt(_))));
    assert!(matches!(
        s.write(moved("r")).wait(),
        Err(StoreError::Exists(_))
    ));
    assert_eq!(s.row(&id("r")).wait().unwrap().unwrap().seq, 1);
}

pub(crate) fn memos_are_listed_by_path_and_key(s: &dyn Store) {
    s.write(moved("r")).wait().unwrap();
    let mut found = Vec::new();
    loop {
        let last = found.last();
        let after = last.map(|(path, key): &(String, String)| (path.as_str(), key.as_str()));
        let page = s.memos(&id("r"), after).wait().unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|(path, memo)| (path, memo.key)));
    }
    let found: Vec<_> = found
        .iter()
        .map(|(p, k)| (p.as_str(), k.as_str()))
        .collect();
    assert_eq!(found, [("a", "k"), ("a", "z"), ("b", "k")]);
    let behind = s.memos(&id("r"), Some(("a", "k\u{1}"))).wait().unwrap();
    assert_eq!(behind.len(), 2);
    assert_eq!(s.memos(&id("nobody"), None).wait().unwrap(), []);
}

fn said(run: &str, epoch: u64, lines: &[&str]) -> Said {
    Said {
        run: id(run),
        epoch: Epoch(epoch),
        lines: lines.iter().copied().map(line).collect(),
        progress: None,
    }
}

pub(crate) fn the_latest_progress_of_each_execution_is_kept(s: &dyn Store) {
    let progress = |path: &str, attempt: u32, at: u64| StoredProgress {
        path: path.to_owned(),
        attempt,
        at: Timestamp::from_nanos(at),
        body: format!("{{\"done\":{at}}}"),
    };
    let say = |progress: StoredProgress| Said {
        progress: Some(progress),
        ..said("r", 1, &[])
    };
    let kept = || s.progress(&id("r")).wait().unwrap();
    assert_eq!(kept(), []);
    s.save(start("r"));
    s.say(say(progress("b", 1, 1))).wait().unwrap();
    s.say(say(progress("a", 1, 2))).wait().unwrap();
    s.say(say(progress("b", 2, 3))).wait().unwrap();
    s.say(said("r", 1, &["l"])).wait().unwrap();
    let refused = Said {
        epoch: Epoch(2),
        ..say(progress("a", 9, 9))
    };
    s.say(refused).wait().unwrap_err();
    assert_eq!(kept(), [progress("a", 1, 2), progress("b", 2, 3)]);
    counts_what_it_holds(s, "r");
    // However many executions there are, the latest ones are kept.
    for n in 0..limits::PROGRESS_KEPT as u64 {
        s.say(say(progress(&format!("n[{n}]"), 1, 10 + n)))
            .wait()
            .unwrap();
    }
    let kept = kept();
    assert_eq!(kept.len(), limits::PROGRESS_KEPT);
    assert!(kept.iter().all(|it| it.path.starts_with("n[")), "{kept:?}");
}

pub(crate) fn only_the_owner_of_a_run_that_runs_says_anything(s: &dyn Store) {
    let refused = s.say(said("r", 1, &["l"])).wait();
    assert!(matches!(refused, Err(StoreError::NotFound(run)) if run == id("r")));
    for status in Status::ALL {
        let run = status.to_string();
        in_status(s, &run, status);
        let before = s.lines(&run).len();
        let answer = s.say(said(&run, 1, &["l"])).wait();
        if status == Status::Running {
            answer.unwrap();
            for epoch in [0, 2] {
                let answer = s.say(said(&run, epoch, &["l"])).wait();
                assert_eq!(conflict(answer), (run.clone(), status, 1, 1), "{epoch}");
            }
        } else {
            assert_eq!(conflict(answer).1, status);
        }
        let more = usize::from(status == Status::Running);
        assert_eq!(s.lines(&run).len(), before + more, "{status}");
        counts_what_it_holds(s, &run);
    }
}

pub(crate) fn what_is_said_stands_before_what_is_written_later(s: &dyn Store) {
    s.save(start("r").log("0"));
    s.save(start("other").log("x"));
    s.say(said("r", 1, &["1", "2"])).wait().unwrap();
    s.say(said("r", 1, &[])).wait().unwrap();
    let row = s.row(&id("r")).wait().unwrap().unwrap();
    s.say(said("other", 1, &["y"])).wait().unwrap();
    s.save(step("r", 0, 1).log("3"));
    assert_eq!(s.lines("r"), ["0", "1", "2", "3"]);
    assert_eq!(s.lines("other"), ["x", "y"]);
    // What a run says is no step of it.
    assert_eq!((row.seq, row.epoch), (0, Epoch(1)));
    let all = s.logs(&id("r"), 0, ALL).wait().unwrap();
    let positions: Vec<u64> = all.iter().map(|stored| stored.position).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    let lines: Vec<NewLog> = all.into_iter().map(|stored| stored.line).collect();
    assert_eq!(lines[1], line("1"));
    counts_what_it_holds(s, "r");
}
