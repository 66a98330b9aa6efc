//! Deleting a run: when it may be, and what goes with it.

use super::words::Wait as _;
use crate::{Claimed, Filter, Store, StoreError};
use milepost_core::ids::{Digest, Epoch};
use milepost_core::state::Status;

use super::words::{ALL, Talk, With, at, change, conflict, create, id, in_status, start, step};

const OVER: [Status; 3] = [Status::Completed, Status::Failed, Status::Cancelled];

pub(crate) fn b296_a_run_that_is_over_goes_with_everything_it_had(s: &dyn Store) {
    for status in OVER {
        s.save(start("r").part("p", "1").log("l").blob(b"bytes"));
        s.post("r", "a");
        s.save(step("r", 0, 1).status(status));
        s.remove("r", 1).unwrap();
        assert_eq!(s.row(&id("r")).wait().unwrap(), None, "{status}");
        assert_eq!(s.checkpoint(&id("r")).wait().unwrap(), None);
        assert_eq!(s.journal(&id("r"), 0, ALL).wait().unwrap(), []);
        assert_eq!(s.logs(&id("r"), 0, ALL).wait().unwrap(), []);
        assert_eq!(s.inbox(&id("r"), ALL).wait().unwrap(), []);
        assert_eq!(s.blob(&Digest::of(b"bytes")).wait().unwrap(), None);
        assert_eq!(s.ids_with_prefix("", ALL).wait().unwrap(), []);
        assert!(s.listed(&Filter::default()).is_empty());
    }
}

pub(crate) fn b296_a_run_that_is_not_over_is_kept(s: &dyn Store) {
    for status in Status::ALL.into_iter().filter(|s| !OVER.contains(s)) {
        let run = status.to_string();
        in_status(s, &run, status);
        let before = s.checkpoint(&id(&run)).wait().unwrap();
        assert_eq!(conflict(s.remove(&run, 1)), (run.clone(), status, 1, 1));
        assert_eq!(s.checkpoint(&id(&run)).wait().unwrap(), before);
        assert_eq!(s.entries(&run), [1]);
    }
}

pub(crate) fn a_run_that_stands_elsewhere_is_kept(s: &dyn Store) {
    in_status(s, "r", Status::Failed);
    for seq in [0, 2, u64::MAX] {
        let refused = conflict(s.remove("r", seq));
        assert_eq!(refused, ("r".into(), Status::Failed, 1, 1), "{seq}");
    }
    assert_eq!(s.entries("r"), [1]);
}

pub(crate) fn b279_what_is_unknown_or_deleted_is_not_found(s: &dyn Store) {
    in_status(s, "r", Status::Completed);
    s.remove("r", 1).unwrap();
    for run in ["r", "never"] {
        let unknown =
            |refused: StoreError| matches!(refused, StoreError::NotFound(r) if r == id(run));
        assert!(unknown(s.remove(run, 1).unwrap_err()));
        assert!(unknown(s.try_save(change(run, 1, 1)).unwrap_err()));
        assert!(unknown(s.send(run, "a").unwrap_err()));
        assert_eq!(s.renew(run, 1, 60).unwrap(), Some(Claimed::Lost));
    }
}

pub(crate) fn other_runs_stay_as_they_were(s: &dyn Store) {
    for run in ["gone", "stays"] {
        s.save(start(run).part("p", "1").log("l").entry(1));
        s.post(run, "a");
        s.save(step(run, 1, 1).status(Status::Failed));
    }
    let seen = || {
        (
            s.checkpoint(&id("stays")).wait().unwrap(),
            s.waiting("stays"),
        )
    };
    let before = seen();
    s.remove("gone", 2).unwrap();
    assert_eq!(seen(), before);
    assert_eq!(
        (s.entries("stays"), s.lines("stays").len()),
        (vec![1, 2], 1)
    );
}

pub(crate) fn a_blob_stays_while_another_run_uses_it(s: &dyn Store) {
    let there = |bytes: &[u8]| s.blob(&Digest::of(bytes)).wait().unwrap().is_some();
    for run in ["a", "b"] {
        s.save(create(run).blob(b"shared").blob(run.as_bytes()));
        // Used twice by one run, it is still one use.
        s.save(step(run, 0, 0).status(Status::Failed).blob(b"shared"));
    }
    s.remove("a", 1).unwrap();
    assert_eq!(
        [there(b"shared"), there(b"a"), there(b"b")],
        [true, false, true]
    );
    s.remove("b", 1).unwrap();
    assert!(!there(b"shared") && !there(b"b"));
}

pub(crate) fn a_blob_stays_while_a_run_uses_it_that_only_named_it(s: &dyn Store) {
    s.save(create("a").blob(b"shared"));
    s.save(create("b"));
    s.save(step("b", 0, 0).status(Status::Failed).naming(b"shared"));
    s.save(step("a", 0, 0).status(Status::Failed));
    s.remove("a", 1).unwrap();
    assert!(s.blob(&Digest::of(b"shared")).wait().unwrap().is_some());
    s.remove("b", 1).unwrap();
    assert_eq!(s.blob(&Digest::of(b"shared")).wait().unwrap(), None);
}

pub(crate) fn an_id_may_be_used_again_for_a_new_run(s: &dyn Store) {
    s.save(start("r").part("p", "old").log("old").blob(b"old"));
    s.save(step("r", 0, 1).status(Status::Completed).part("q", "old"));
    s.remove("r", 1).unwrap();
    s.save(create("r").at(50));
    let row = s.see("r");
    assert_eq!((row.seq, row.epoch, row.created_at), (0, Epoch(0), at(50)));
    assert!(s.parts("r").is_empty() && s.entries("r").is_empty() && s.lines("r").is_empty());
}

/// A resume against a deletion: one of the two happens, and the other is told.
pub(crate) fn of_a_deletion_and_a_write_at_once_exactly_one_happens(s: &dyn Store) {
    for round in 0..20 {
        let run = &format!("r{round}");
        s.save(start(run).blob(b"b"));
        s.save(step(run, 0, 1).status(Status::Failed));
        let (resumed, removed) = std::thread::scope(|scope| {
            let resume = scope.spawn(|| s.try_save(step(run, 1, 1).claim("b", 60)));
            let remove = scope.spawn(|| s.remove(run, 1));
            (resume.join().unwrap(), remove.join().unwrap())
        });
        let row = s.row(&id(run)).wait().unwrap();
        match (resumed, removed) {
            (Ok(_), refused) => {
                assert_eq!(conflict(refused), (run.clone(), Status::Running, 2, 2));
                assert_eq!((row.unwrap().seq, s.entries(run)), (2, vec![1, 2]));
                assert!(s.blob(&Digest::of(b"b")).wait().unwrap().is_some());
            }
            (Err(StoreError::NotFound(_)), Ok(())) => {
                assert_eq!(row, None);
                assert!(s.entries(run).is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// B433: a claim on what is gone finds nothing, and does not bring it back.
pub(crate) fn b433_a_late_claim_does_not_bring_a_deleted_run_back(s: &dyn Store) {
    in_status(s, "r", Status::Failed);
    let late = step("r", 1, 1).claim("b", 60).part("p", "1").blob(b"b");
    s.remove("r", 1).unwrap();
    assert!(matches!(s.try_save(late), Err(StoreError::NotFound(_))));
    assert_eq!(s.row(&id("r")).wait().unwrap(), None);
    assert_eq!(s.blob(&Digest::of(b"b")).wait().unwrap(), None);
}
