//! Child runs: created with the write that starts them, found by their parent, and what their end tells it.

use milepost_core::ids::Digest;
use milepost_core::state::Status;

use super::words::Wait as _;
use super::words::{
    ALL, Talk, With, change, conflict, create, id, in_status, signal, start, step, wait,
};
use crate::{Family, Filter, Store, StoreError, Write};

fn of(family: Family) -> Filter {
    Filter {
        family,
        ..Filter::default()
    }
}

fn children(s: &dyn Store, run: &str) -> Vec<String> {
    s.listed(&of(Family::ChildrenOf(id(run))))
}

/// A child of `run`.
fn child(name: &str, run: &str) -> Write {
    create(name).entry(1).child_of(run)
}

pub(crate) fn a_child_comes_into_being_with_the_write_that_starts_it(s: &dyn Store) {
    s.save(start("p"));
    let bears = step("p", 0, 1).bears(child("c", "p").part("a", "1").blob(b"inputs"));
    s.save(bears);
    let row = s.see("c");
    assert_eq!((row.parent, row.status), (Some(id("p")), Status::Pending));
    assert_eq!((row.seq, s.entries("c")), (1, vec![1]));
    assert_eq!(s.parts("c"), [("a".to_owned(), "1".to_owned())]);
    assert!(s.blob(&Digest::of(b"inputs")).wait().unwrap().is_some());
    assert_eq!((s.see("p").seq, s.see("p").parent), (1, None));
    assert_eq!(children(s, "p"), ["c"]);
}

pub(crate) fn a_child_comes_with_the_run_that_is_created_too(s: &dyn Store) {
    s.save(start("p").entry(1).bears(child("c", "p")));
    assert_eq!(children(s, "p"), ["c"]);
}

pub(crate) fn a_refused_write_bears_no_child(s: &dyn Store) {
    s.save(start("p"));
    let refused = s.try_save(step("p", 7, 1).bears(child("c", "p")));
    assert_eq!(conflict(refused), ("p".to_owned(), Status::Running, 0, 1));
    let nowhere = child("c", "p").naming(b"nowhere");
    let refused = s.try_save(step("p", 0, 1).bears(nowhere));
    assert!(matches!(refused, Err(StoreError::Corrupt(_))));
    assert!(s.row(&id("c")).wait().unwrap().is_none());
    assert_eq!(s.see("p").seq, 0);
}

pub(crate) fn a_child_that_is_there_stays_as_it_is(s: &dyn Store) {
    s.save(start("p"));
    s.save(step("p", 0, 1).bears(child("c", "p")));
    s.save(change("c", 1, 0).entry(2).claim("w", 30));
    let before = s.see("c");
    s.save(step("p", 1, 1).bears(child("c", "p").workflow("other")));
    assert_eq!(s.see("c"), before);
    assert_eq!(s.entries("c"), [1, 2]);
    assert_eq!(s.see("p").seq, 2);
}

pub(crate) fn what_a_child_names_may_come_with_its_parent(s: &dyn Store) {
    let bears = start("p")
        .blob(b"text")
        .bears(child("c", "p").naming(b"text"));
    s.save(bears);
    // It uses it from then on.
    s.save(change("p", 0, 1).status(Status::Completed));
    s.remove("p", 0).unwrap();
    assert!(s.blob(&Digest::of(b"text")).wait().unwrap().is_some());
    assert!(s.see("c").stored_bytes >= 4);
}

pub(crate) fn only_a_new_run_comes_with_the_write_of_another(s: &dyn Store) {
    s.save(start("p"));
    s.save(start("c"));
    for no_child in [
        step("c", 0, 1),
        create("d").bears(create("e")),
        create("d").entry(2),
    ] {
        let refused = s.try_save(step("p", 0, 1).bears(no_child));
        assert!(matches!(refused, Err(StoreError::Corrupt(_))));
    }
    assert_eq!((s.see("p").seq, s.see("c").seq), (0, 0));
    assert!(s.row(&id("d")).wait().unwrap().is_none());
}

pub(crate) fn the_parent_is_set_once(s: &dyn Store) {
    s.save(child("c", "p"));
    s.save(step("c", 1, 0).claim("w", 30).child_of("q"));
    assert_eq!(s.see("c").parent, Some(id("p")));
}

pub(crate) fn lists_show_roots_or_the_children_of_a_run(s: &dyn Store) {
    for (run, parent) in [
        ("p", None),
        ("q", None),
        ("c1", Some("p")),
        ("c2", Some("p")),
    ] {
        let write = create(run).status(Status::Failed);
        s.save(match parent {
            Some(parent) => write.child_of(parent),
            None => write,
        });
    }
    s.save(create("g").child_of("c1"));
    assert_eq!(s.listed(&of(Family::Roots)), ["q", "p"]);
    assert_eq!(s.count(&of(Family::Roots)).wait().unwrap(), 2);
    assert_eq!(children(s, "p"), ["c2", "c1"]);
    assert_eq!(children(s, "c1"), ["g"]);
    assert!(children(s, "g").is_empty());
    assert_eq!(s.listed(&of(Family::All)).len(), 5);
    let first = Filter {
        limit: 1,
        ..of(Family::ChildrenOf(id("p")))
    };
    let page = s.list(&first).wait().unwrap();
    let rest = Filter {
        after: page.next,
        ..first
    };
    assert_eq!(
        (page.rows[0].id.clone(), s.listed(&rest)),
        (id("c2"), vec!["c1".to_owned()])
    );
    // Whose parent is gone is a root: else nobody would find it.
    s.remove("p", 0).unwrap();
    assert_eq!(s.listed(&of(Family::Roots)), ["q", "c2", "c1"]);
}

pub(crate) fn the_end_of_a_run_tells_another_one_in_the_same_write(s: &dyn Store) {
    s.save(start("p"));
    s.save(step("p", 0, 1).bears(child("c", "p")));
    let told = signal("ended", "null", 3);
    s.save(
        change("c", 1, 0)
            .status(Status::Failed)
            .tells("p", told.clone()),
    );
    let inbox = s.inbox(&id("p"), ALL).wait().unwrap();
    assert_eq!(
        (inbox.len(), &*inbox[0].name, inbox[0].at),
        (1, "ended", told.at)
    );
    // Told again while it waits, it is one.
    s.save(step("c", 1, 0).tells("p", told.clone()));
    assert_eq!(s.waiting("p").len(), 1);
    s.save(step("p", 1, 1).consume(&[inbox[0].number]));
    s.save(step("c", 2, 0).tells("p", told.clone()));
    assert_eq!(s.waiting("p").len(), 1);
    // A write that is refused tells nothing.
    s.save(start("q"));
    assert!(s.try_save(step("c", 9, 9).tells("q", told)).is_err());
    assert!(s.waiting("q").is_empty());
}

pub(crate) fn a_run_that_is_over_or_gone_is_told_nothing(s: &dyn Store) {
    s.save(start("c"));
    for (seq, status) in (0..).zip([Status::Completed, Status::Cancelled, Status::Failed]) {
        let run = status.to_string();
        in_status(s, &run, status);
        s.save(step("c", seq, 1).tells(&run, signal("ended", "null", 3)));
        assert_eq!(s.waiting(&run).len(), usize::from(status == Status::Failed));
    }
    s.save(step("c", 3, 1).tells("nobody", signal("ended", "null", 3)));
    assert_eq!(s.see("c").seq, 4);
}

pub(crate) fn what_is_told_needs_no_room_in_the_inbox(s: &dyn Store) {
    s.save(start("p"));
    s.save(start("c"));
    for _ in 0..milepost_core::limits::SIGNALS {
        wait(s.send_signal(&id("p"), signal("go", "null", 1))).unwrap();
    }
    s.save(step("c", 0, 1).tells("p", signal("ended", "null", 3)));
    assert_eq!(s.waiting("p").len(), milepost_core::limits::SIGNALS + 1);
}

pub(crate) fn a_write_may_tell_several_runs_and_its_own(s: &dyn Store) {
    s.save(start("p"));
    s.save(start("q"));
    let told = signal("note", "null", 3);
    s.save(step("p", 0, 1).tells("p", told.clone()).tells("q", told));
    assert_eq!((s.waiting("p").len(), s.waiting("q").len()), (1, 1));
    s.save(change("p", 1, 1).consume(&[s.waiting("p")[0].0]));
    assert!(s.waiting("p").is_empty());
}

pub(crate) fn a_paused_run_that_was_told_is_found(s: &dyn Store) {
    in_status(s, "p", Status::Paused);
    s.save(step("p", 1, 1).status(Status::Paused).awaits(&["ended"]));
    s.save(start("c"));
    s.save(step("c", 0, 1).tells("p", signal("ended", "null", 3)));
    let found = s.find(5, 10).unwrap();
    assert_eq!(found.signalled.len(), 1);
    assert_eq!(found.signalled[0].id, id("p"));
}
