//! Creating and changing runs: the compare-and-swap, and that a write is whole or nothing.

use super::words::Wait as _;
use crate::{Expect, Filter, Store, StoreError, Write};
use milepost_core::checkpoint::NOW;
use milepost_core::ids::{Digest, Epoch};
use milepost_core::state::Status;

use super::words::{ALL, Talk, With, at, change, conflict, create, entry, id, start, step};

pub(crate) fn create_makes_a_row_of_what_it_was_given(s: &dyn Store) {
    let mut write = create("r").workflow("ship it").at(5);
    write.head.stop_code = Some("code".to_owned());
    write.head.due_at = Some(at(77));
    write.head.recoveries = 4;
    let written = s.save(write);
    assert_eq!((written.epoch, written.request), (Epoch(0), None));
    let row = s.see("r");
    assert_eq!((row.id.as_str(), row.workflow.as_str()), ("r", "ship it"));
    assert_eq!(
        (row.status, row.seq, row.epoch),
        (Status::Pending, 0, Epoch(0))
    );
    assert_eq!((row.created_at, row.updated_at), (at(5), at(5)));
    assert_eq!(
        (row.stop_code.as_deref(), row.due_at),
        (Some("code"), Some(at(77)))
    );
    assert_eq!((row.recoveries, row.request), (4, None));
    assert_eq!((row.owner, row.lease_until), (None, None));
}

/// Whoever reads its journal says the same of it as a list.
pub(crate) fn a_run_is_created_with_its_first_entry(s: &dyn Store) {
    s.save(create("r").entry(1).entry(2).at(9));
    let row = s.see("r");
    assert_eq!((row.created_at, row.updated_at), (at(1), at(9)));
    s.save(step("r", 2, 0).at(20));
    assert_eq!(s.see("r").created_at, at(1));
}

pub(crate) fn a_second_create_is_refused_and_changes_nothing(s: &dyn Store) {
    s.save(create("r").part("p", "1"));
    let before = s.see("r");
    let second = create("r")
        .workflow("other")
        .at(9)
        .part("p", "2")
        .part("q", "2")
        .entry(1);
    assert!(matches!(s.try_save(second), Err(StoreError::Exists(run)) if run == id("r")));
    assert_eq!(s.see("r"), before);
    assert_eq!(s.parts("r"), [("p".into(), "1".into())]);
    assert!(s.entries("r").is_empty());
}

pub(crate) fn a_create_with_entries_stands_at_the_last_of_them(s: &dyn Store) {
    s.save(create("r").entry(1).entry(2));
    assert_eq!(s.see("r").seq, 2);
    assert_eq!(s.entries("r"), [1, 2]);
    s.save(step("r", 2, 0));
    assert_eq!(s.entries("r"), [1, 2, 3]);
}

pub(crate) fn a_write_to_an_unknown_run_is_refused(s: &dyn Store) {
    s.save(create("other"));
    let refused = s.try_save(step("r", 0, 0));
    assert!(matches!(refused, Err(StoreError::NotFound(run)) if run == id("r")));
    assert_eq!(s.row(&id("r")).wait().unwrap(), None);
}

pub(crate) fn a_write_from_another_sequence_number_is_refused(s: &dyn Store) {
    s.save(start("r").entry(1).entry(2));
    for seq in [0, 1, 3, u64::MAX] {
        let refused = conflict(s.try_save(change("r", seq, 1)));
        assert_eq!(refused, ("r".into(), Status::Running, 2, 1), "{seq}");
    }
    s.save(change("r", 2, 1));
}

pub(crate) fn a_write_from_another_epoch_is_refused(s: &dyn Store) {
    s.save(start("r").entry(1));
    for epoch in [0, 2, u64::MAX] {
        let refused = conflict(s.try_save(change("r", 1, epoch)));
        assert_eq!(refused, ("r".into(), Status::Running, 1, 1), "{epoch}");
    }
    s.save(change("r", 1, 1));
}

pub(crate) fn b237_a_conflict_names_the_present_status(s: &dyn Store) {
    for status in Status::ALL {
        let run = status.to_string();
        super::words::in_status(s, &run, status);
        assert_eq!(conflict(s.try_save(step(&run, 7, 7))), (run, status, 1, 1));
    }
}

pub(crate) fn b105_a_refused_write_leaves_nothing_behind(s: &dyn Store) {
    s.save(start("r").entry(1).part("p", "old").log("old").blob(b"old"));
    let before = s.checkpoint(&id("r")).wait().unwrap();
    for (seq, epoch) in [(0, 1), (1, 0), (2, 1), (1, 2)] {
        let refused = step("r", seq, epoch)
            .at(99)
            .status(Status::Paused)
            .part("p", "new")
            .part("q", "new")
            .log("new")
            .blob(b"new");
        conflict(s.try_save(refused));
    }
    assert_eq!(s.checkpoint(&id("r")).wait().unwrap(), before);
    assert_eq!(s.entries("r"), [1]);
    assert_eq!(s.lines("r"), ["old"]);
    assert_eq!(s.blob(&Digest::of(b"new")).wait().unwrap(), None);
}

pub(crate) fn a_write_that_names_a_blob_which_is_nowhere_is_refused(s: &dyn Store) {
    s.save(start("r").entry(1).part("p", "old").blob(b"there"));
    let before = s.checkpoint(&id("r")).wait().unwrap();
    let refused = |write: Write| match s.try_save(write) {
        Err(StoreError::Corrupt(text)) => {
            let digest = Digest::of(b"nowhere").to_string();
            assert!(text.what.contains(&digest), "{text}");
        }
        other => panic!("{other:?}"),
    };
    refused(
        step("r", 1, 1)
            .part("p", "new")
            .blob(b"new")
            .naming(b"nowhere"),
    );
    refused(step("r", 1, 1).naming(b"there").naming(b"nowhere"));
    refused(create("s").blob(b"new").naming(b"nowhere"));
    assert_eq!(s.checkpoint(&id("r")).wait().unwrap(), before);
    assert_eq!(s.entries("r"), [1]);
    assert_eq!(s.row(&id("s")).wait().unwrap(), None);
    assert_eq!(s.blob(&Digest::of(b"new")).wait().unwrap(), None);
    s.save(step("r", 1, 1).naming(b"there").blob(b"new").naming(b"new"));
    s.save(step("r", 2, 1).naming(b"new"));
}

pub(crate) fn a_write_without_entries_keeps_the_sequence_number(s: &dyn Store) {
    s.save(start("r").entry(1));
    s.save(change("r", 1, 1).part("p", "1"));
    s.save(change("r", 1, 1).part("p", "2"));
    assert_eq!(s.see("r").seq, 1);
    assert_eq!(s.parts("r"), [("p".into(), "2".into())]);
}

pub(crate) fn several_entries_go_into_one_write(s: &dyn Store) {
    s.save(start("r"));
    s.save(step("r", 0, 1).entry(2).entry(3));
    assert_eq!(s.see("r").seq, 3);
    assert_eq!(
        s.journal(&id("r"), 0, ALL).wait().unwrap(),
        [entry(1), entry(2), entry(3)]
    );
}

pub(crate) fn entries_that_do_not_continue_are_refused(s: &dyn Store) {
    s.save(start("r").entry(1).entry(2));
    let before = s.see("r");
    for seqs in [&[4][..], &[2], &[0], &[1_000], &[3, 3], &[3, 5], &[4, 3]] {
        let write = seqs
            .iter()
            .fold(change("r", 2, 1), |write, seq| write.entry(*seq));
        assert!(
            matches!(s.try_save(write), Err(StoreError::Corrupt(_))),
            "{seqs:?}"
        );
    }
    assert_eq!((s.see("r"), s.entries("r")), (before, vec![1, 2]));
}

pub(crate) fn a_create_whose_entries_do_not_start_at_1_creates_nothing(s: &dyn Store) {
    for seq in [0, 2] {
        let refused = s.try_save(create("r").entry(seq));
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{seq}");
        assert_eq!(s.row(&id("r")).wait().unwrap(), None);
    }
}

pub(crate) fn the_workflow_is_set_once(s: &dyn Store) {
    s.save(start("r").workflow("first"));
    s.save(step("r", 0, 1).workflow("second"));
    s.save(step("r", 1, 1).workflow("third").status(Status::Paused));
    assert_eq!(s.see("r").workflow, "first");
}

pub(crate) fn a_write_moves_the_update_time_only(s: &dyn Store) {
    s.save(start("r").at(3));
    s.save(step("r", 0, 1).at(8));
    assert_eq!(
        (s.see("r").created_at, s.see("r").updated_at),
        (at(3), at(8))
    );
    // A clock that was set back is written down as it is.
    s.save(step("r", 1, 1).at(2).status(Status::Failed));
    assert_eq!(
        (s.see("r").created_at, s.see("r").updated_at),
        (at(3), at(2))
    );
}

pub(crate) fn stop_code_due_time_and_recoveries_are_as_the_last_write_says(s: &dyn Store) {
    s.save(start("r"));
    for status in [
        Status::Running,
        Status::Paused,
        Status::Failed,
        Status::Pending,
    ] {
        let mut stop = change("r", 0, 1).status(status);
        stop.head.stop_code = Some("waiting".to_owned());
        stop.head.due_at = Some(at(50));
        stop.head.recoveries = 2;
        s.save(stop);
        let row = s.see("r");
        assert_eq!(
            (row.stop_code.as_deref(), row.due_at),
            (Some("waiting"), Some(at(50)))
        );
        assert_eq!((row.status, row.recoveries), (status, 2));
        s.save(change("r", 0, 1));
        let row = s.see("r");
        assert_eq!((row.stop_code, row.due_at, row.recoveries), (None, None, 0));
        assert_eq!(row.status, Status::Running);
    }
}

/// B210: what a scheduler looks at is in the row. Also for a running run, in whose writes most columns never change.
pub(crate) fn b210_every_column_of_the_head_is_as_the_last_write_says(s: &dyn Store) {
    s.save(start("r"));
    let names = [
        &[][..],
        &["approve"],
        &["a", "b \"quoted\"", "ü", ""],
        &["a", "a"],
    ];
    for status in Status::ALL.into_iter().filter(|s| !s.is_terminal()) {
        for (resumes, awaits) in (0_u32..).zip(names) {
            let mut write = change("r", 0, 1).status(status).awaits(awaits);
            write.head.auto_resumes = resumes;
            write.head.provider = (resumes > 1).then(|| format!("p{resumes}"));
            let head = write.head.clone();
            s.save(write);
            let row = s.see("r");
            assert_eq!((row.auto_resumes, row.provider), (resumes, head.provider));
            assert_eq!((row.awaits, row.status), (head.awaits, status));
        }
        s.save(change("r", 0, 1));
        let row = s.see("r");
        assert_eq!((row.auto_resumes, row.provider), (0, None), "{status}");
        assert!(row.awaits.is_empty(), "{status}");
    }
}

/// Nothing leaves an end: whoever was not told of it is refused, also where it stood last.
pub(crate) fn b289_a_run_that_is_over_takes_no_write(s: &dyn Store) {
    for status in [Status::Completed, Status::Cancelled] {
        let run = format!("r-{status}");
        s.save(start(&run));
        s.save(step(&run, 0, 1).status(status));
        let before = s.see(&run);
        for next in Status::ALL {
            let refused = s.try_save(step(&run, 1, 1).status(next));
            assert!(
                matches!(refused, Err(StoreError::Conflict { .. })),
                "{status} {next}"
            );
        }
        assert_eq!((s.see(&run), s.entries(&run)), (before, vec![1]));
    }
}

pub(crate) fn a_create_sets_every_column_of_the_head(s: &dyn Store) {
    let mut write = create("r").status(Status::Paused).awaits(&["a", "b"]);
    write.head.auto_resumes = u32::MAX;
    write.head.provider = Some("example".to_owned());
    s.save(write);
    let row = s.see("r");
    assert_eq!(row.auto_resumes, u32::MAX);
    assert_eq!(row.provider.as_deref(), Some("example"));
    assert_eq!(row.awaits, ["a", "b"]);
}

pub(crate) fn b104_parts_come_back_as_they_were_saved(s: &dyn Store) {
    let large = "ü".repeat(500_000);
    let bodies = [
        "",
        "{}",
        "ünï ☃ \u{10FFFF}",
        "{\"escaped\":\"\\u0000\"}",
        "quote ' \" \\",
        &large,
    ];
    let write = bodies
        .iter()
        .enumerate()
        .fold(create("r"), |write, (n, body)| {
            write.part(&format!("p{n}"), body)
        });
    s.save(write);
    let saved: Vec<_> = s.parts("r").into_iter().map(|(_, body)| body).collect();
    assert_eq!(saved, bodies);
}

pub(crate) fn b104_a_checkpoint_may_be_empty(s: &dyn Store) {
    s.save(create("r"));
    let stored = s.checkpoint(&id("r")).wait().unwrap().unwrap();
    assert_eq!((stored.row, stored.parts), (s.see("r"), Vec::new()));
}

pub(crate) fn b108_saving_twice_keeps_the_newest_state_and_the_history(s: &dyn Store) {
    s.save(start("r"));
    s.save(step("r", 0, 1).part("p", "first"));
    s.save(step("r", 1, 1).part("p", "second"));
    assert_eq!(s.parts("r"), [("p".into(), "second".into())]);
    assert_eq!(s.entries("r"), [1, 2]);
}

pub(crate) fn b113_what_was_handed_over_is_a_copy(s: &dyn Store) {
    let mut write = create("r").part("p", "1").entry(1);
    s.save(write.clone());
    write.parts[0].1 = Some("changed".to_owned());
    write.entries[0].body.clear();
    write.head.workflow.clear();
    assert_eq!(s.parts("r"), [("p".into(), "1".into())]);
    assert_eq!(s.journal(&id("r"), 0, ALL).wait().unwrap(), [entry(1)]);
    assert_eq!(s.see("r").workflow, "build");
}

pub(crate) fn b114_what_is_handed_out_is_a_copy(s: &dyn Store) {
    s.save(create("r").part("p", "1").entry(1).log("l").blob(b"b"));
    s.see("r").workflow.clear();
    s.parts("r").clear();
    s.journal(&id("r"), 0, ALL).wait().unwrap()[0].body.clear();
    s.logs(&id("r"), 0, ALL).wait().unwrap()[0]
        .line
        .body
        .clear();
    s.blob(&Digest::of(b"b")).wait().unwrap().unwrap().clear();
    assert_eq!(s.see("r").workflow, "build");
    assert_eq!(s.parts("r"), [("p".into(), "1".into())]);
    assert_eq!(s.journal(&id("r"), 0, ALL).wait().unwrap(), [entry(1)]);
    assert_eq!(s.lines("r"), ["l"]);
    assert_eq!(s.blob(&Digest::of(b"b")).wait().unwrap().unwrap(), b"b");
}

pub(crate) fn b115_a_known_part_is_replaced_in_place_and_a_new_one_added(s: &dyn Store) {
    s.save(create("r").part("a", "1").part("b", "1").part("c", "1"));
    s.save(change("r", 0, 0).part("b", "2").part("d", "2"));
    let names_and_bodies: Vec<_> = s.parts("r").into_iter().map(|(n, b)| n + &b).collect();
    assert_eq!(names_and_bodies, ["a1", "b2", "c1", "d2"]);
}

pub(crate) fn b118_removing_an_unknown_part_is_fine(s: &dyn Store) {
    s.save(create("r").part("a", "1"));
    s.save(change("r", 0, 0).without("zzz"));
    assert_eq!(s.parts("r"), [("a".into(), "1".into())]);
}

pub(crate) fn b118_removing_the_last_part_leaves_an_empty_checkpoint(s: &dyn Store) {
    s.save(create("r").part("a", "1").part("b", "1"));
    s.save(change("r", 0, 0).without("a").without("b"));
    assert_eq!(s.parts("r"), []);
}

pub(crate) fn parts_of_one_write_are_taken_in_order(s: &dyn Store) {
    s.save(
        create("r")
            .part("a", "1")
            .part("a", "2")
            .part("b", "1")
            .without("b"),
    );
    assert_eq!(s.parts("r"), [("a".into(), "2".into())]);
    s.save(change("r", 0, 0).without("a").part("a", "3"));
    assert_eq!(s.parts("r"), [("a".into(), "3".into())]);
}

pub(crate) fn parts_are_sorted_by_the_bytes_of_their_names(s: &dyn Store) {
    s.save(
        create("r")
            .part("b", "")
            .part("B", "")
            .part("ä", "")
            .part("a/2", "")
            .part("a/10", ""),
    );
    let names: Vec<_> = s.parts("r").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["B", "a/10", "a/2", "b", "ä"]);
}

pub(crate) fn the_part_that_every_write_changes_is_a_part_like_any_other(s: &dyn Store) {
    let now = |body: &str| (NOW.to_owned(), body.to_owned());
    let other = |name: &str| (name.to_owned(), String::new());
    let all = |body: &str| [other("a"), now(body), other("z")];
    s.save(create("r").part("z", "").part(NOW, "1").part("a", ""));
    assert_eq!(s.parts("r"), all("1"));
    s.save(change("r", 0, 0).claim("a", 30));
    assert_eq!(s.parts("r"), all("1"), "left alone");
    s.save(change("r", 0, 1).part(NOW, "2").part(NOW, "3"));
    assert_eq!(s.parts("r"), all("3"));
    s.save(change("r", 0, 1));
    assert_eq!(s.parts("r"), all("3"), "left alone");
    s.save(change("r", 0, 1).part(NOW, "4").without(NOW));
    assert_eq!(s.parts("r"), [other("a"), other("z")]);
    s.save(change("r", 0, 1).without(NOW).part(NOW, ""));
    assert_eq!(s.parts("r"), all(""), "empty is not absent");
    s.save(change("r", 0, 1).status(Status::Paused).part(NOW, "5"));
    assert_eq!(s.parts("r"), all("5"));
    s.save(change("r", 0, 1).status(Status::Paused).without(NOW));
    assert_eq!(s.parts("r"), [other("a"), other("z")]);
    s.save(create("other"));
    assert_eq!(s.parts("other"), []);
}

pub(crate) fn b119_all_parts_of_a_write_change_together_with_the_row(s: &dyn Store) {
    s.save(start("r").part("completed", "[]"));
    let mut failure = step("r", 0, 1)
        .status(Status::Failed)
        .part("completed", "[1]")
        .part("failure", "{}");
    failure.head.stop_code = Some("step_failed".to_owned());
    s.save(failure);
    let stored = s.checkpoint(&id("r")).wait().unwrap().unwrap();
    assert_eq!((stored.row.status, stored.row.seq), (Status::Failed, 1));
    assert_eq!(stored.row.stop_code.as_deref(), Some("step_failed"));
    assert_eq!(
        stored.parts,
        [
            ("completed".into(), "[1]".into()),
            ("failure".into(), "{}".into())
        ]
    );
}

pub(crate) fn b121_completion_may_drop_the_checkpoint_and_keeps_the_history(s: &dyn Store) {
    s.save(start("r").part("p", "1"));
    s.save(
        step("r", 0, 1)
            .status(Status::Completed)
            .without("p")
            .without("never"),
    );
    assert_eq!((s.parts("r"), s.entries("r")), (vec![], vec![1]));
    assert_eq!(s.see("r").status, Status::Completed);
}

pub(crate) fn b122_a_failed_run_keeps_its_checkpoint(s: &dyn Store) {
    s.save(start("r").part("p", "1"));
    s.save(step("r", 0, 1).status(Status::Failed));
    assert_eq!(s.parts("r"), [("p".into(), "1".into())]);
    s.save(step("r", 1, 1).claim("b", 60));
    assert_eq!(s.parts("r"), [("p".into(), "1".into())]);
}

pub(crate) fn runs_do_not_see_each_other(s: &dyn Store) {
    s.save(create("a").part("p", "a").entry(1).log("a"));
    s.save(create("b").part("p", "b").entry(1).entry(2).log("b"));
    s.save(change("a", 1, 0).part("p", "a2").without("q"));
    assert_eq!((s.see("a").seq, s.see("b").seq), (1, 2));
    assert_eq!((s.entries("a"), s.entries("b")), (vec![1], vec![1, 2]));
    assert_eq!(s.parts("a"), [("p".into(), "a2".into())]);
    assert_eq!(s.parts("b"), [("p".into(), "b".into())]);
    assert_eq!(
        (s.lines("a"), s.lines("b")),
        (vec!["a".into()], vec!["b".into()])
    );
}

pub(crate) fn b257_of_two_runs_only_the_unfinished_one_is_listed_as_such(s: &dyn Store) {
    s.save(start("done"));
    s.save(start("open"));
    s.save(step("done", 0, 1).status(Status::Completed));
    let unfinished = Filter {
        statuses: vec![Status::Running],
        ..Filter::default()
    };
    assert_eq!(s.listed(&unfinished), ["open"]);
}

pub(crate) fn ids_that_differ_in_case_are_different_runs(s: &dyn Store) {
    s.save(create("Run").part("p", "upper"));
    s.save(create("run").part("p", "lower"));
    assert_eq!(s.parts("Run"), [("p".into(), "upper".into())]);
    assert_eq!(s.parts("run"), [("p".into(), "lower".into())]);
}

pub(crate) fn a_write_that_is_never_awaited_is_not_made(s: &dyn Store) {
    drop(s.write(create("r")));
    assert_eq!(s.row(&id("r")).wait().unwrap(), None);
}

pub(crate) fn of_many_writers_from_one_place_exactly_one_wins(s: &dyn Store) {
    s.save(start("r"));
    let wins: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn(move || {
                    let write = step("r", 0, 1).part("winner", &n.to_string());
                    s.try_save(write).is_ok()
                })
            })
            .collect();
        writers
            .into_iter()
            .filter_map(|w| w.join().ok())
            .map(usize::from)
            .sum()
    });
    assert_eq!((wins, s.entries("r"), s.parts("r").len()), (1, vec![1], 1));
}

pub(crate) fn a_checkpoint_is_one_moment(s: &dyn Store) {
    const STEPS: u64 = 300;
    s.save(start("r").part("a", "0").part("b", "0"));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for seq in 0..STEPS {
                let body = (seq + 1).to_string();
                s.save(step("r", seq, 1).part("a", &body).part("b", &body));
            }
        });
        loop {
            let stored = s.checkpoint(&id("r")).wait().unwrap().unwrap();
            let seq = stored.row.seq.to_string();
            assert_eq!(stored.parts, [("a".into(), seq.clone()), ("b".into(), seq)]);
            if stored.row.seq == STEPS {
                break;
            }
        }
    });
}

pub(crate) fn the_whole_range_of_small_numbers_is_kept(s: &dyn Store) {
    let mut write = create("r").log("l");
    write.head.recoveries = u32::MAX;
    write.logs[0].attempt = u32::MAX;
    s.save(write);
    assert_eq!(s.see("r").recoveries, u32::MAX);
    assert_eq!(
        s.logs(&id("r"), 0, 1).wait().unwrap()[0].line.attempt,
        u32::MAX
    );
}

pub(crate) fn an_entry_keeps_the_epoch_that_it_was_given(s: &dyn Store) {
    s.save(start("r"));
    let write = change("r", 0, 1).claim("b", 60);
    let mut taken = entry(1);
    taken.epoch = Epoch(2);
    let written = s.save(Write {
        entries: vec![taken.clone()],
        ..write
    });
    assert_eq!(written.epoch, Epoch(2));
    assert_eq!(s.journal(&id("r"), 0, ALL).wait().unwrap(), [taken]);
}

pub(crate) fn the_same_write_again_is_told_apart(s: &dyn Store) {
    let first = start("r").entry(1);
    s.save(first.clone());
    assert!(matches!(s.try_save(first), Err(StoreError::Exists(_))));
    let second = step("r", 1, 1);
    assert!(matches!(second.expect, Expect::At { seq: 1, .. }));
    s.save(second.clone());
    assert_eq!(conflict(s.try_save(second)).2, 2);
}
