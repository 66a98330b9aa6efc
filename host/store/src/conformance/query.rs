//! Reading: rows, lists, pages, blobs.

use super::words::Wait as _;
use std::sync::Arc;

use crate::{BlobFault, CheckedBlob, Filter, Pages, StopKind, Store, StoreError, Write};
use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::state::Status;

use super::words::{ALL, Talk, With, at, change, create, entry, id, in_status, line, start, step};

fn of_status(statuses: &[Status]) -> Filter {
    Filter {
        statuses: statuses.to_vec(),
        ..Filter::default()
    }
}

fn first(limit: usize) -> Filter {
    Filter {
        limit,
        ..Filter::default()
    }
}

/// How many a list has that its first page does not show.
fn more(s: &dyn Store, filter: &Filter) -> usize {
    let page = s.list(filter).wait().unwrap();
    let more = s.count(filter).wait().unwrap() - page.rows.len();
    assert_eq!(page.next.is_some(), more > 0 && filter.limit > 0);
    more
}

pub(crate) fn b114_of_an_unknown_run_there_is_nothing(s: &dyn Store) {
    s.save(create("other").part("p", "1").entry(1).log("l"));
    assert_eq!(s.row(&id("r")).wait().unwrap(), None);
    assert_eq!(s.checkpoint(&id("r")).wait().unwrap(), None);
    assert_eq!(s.journal(&id("r"), 0, ALL).wait().unwrap(), []);
    assert_eq!(s.logs(&id("r"), 0, ALL).wait().unwrap(), []);
    assert_eq!(s.blob(&Digest::of(b"")).wait().unwrap(), None);
    assert_eq!(s.inbox(&id("r"), ALL).wait().unwrap(), []);
}

pub(crate) fn an_empty_store_lists_nothing(s: &dyn Store) {
    let listing = s.list(&Filter::default()).wait().unwrap();
    assert_eq!(
        (listing.rows, listing.unreadable, listing.next),
        (vec![], vec![], None)
    );
    assert_eq!(s.ids_with_prefix("", ALL).wait().unwrap(), []);
}

pub(crate) fn a_list_is_newest_first(s: &dyn Store) {
    for (run, seconds) in [("b", 2), ("c", 1), ("a", 3)] {
        s.save(create(run).at(seconds));
    }
    // A later write does not make a run newer.
    s.save(step("c", 0, 0).at(99));
    assert_eq!(s.listed(&Filter::default()), ["a", "b", "c"]);
}

pub(crate) fn runs_of_one_moment_are_listed_by_id_downwards(s: &dyn Store) {
    for run in ["b", "a", "B", "c-1", "c_1", "c"] {
        s.save(create(run));
    }
    assert_eq!(
        s.listed(&Filter::default()),
        ["c_1", "c-1", "c", "b", "a", "B"]
    );
}

pub(crate) fn a_listed_row_is_the_row(s: &dyn Store) {
    s.save(start("r").entry(1));
    s.ask("r", StopKind::Cancel, 9).unwrap();
    assert_eq!(
        s.list(&Filter::default()).wait().unwrap().rows,
        [s.see("r")]
    );
}

pub(crate) fn a_list_can_be_of_statuses(s: &dyn Store) {
    for status in Status::ALL {
        in_status(s, status.as_str(), status);
    }
    for status in Status::ALL {
        assert_eq!(s.listed(&of_status(&[status])), [status.as_str()]);
    }
    assert_eq!(s.listed(&of_status(&[])).len(), 6);
    let two = [Status::Failed, Status::Paused, Status::Failed];
    assert_eq!(s.listed(&of_status(&two)), ["paused", "failed"]);
}

pub(crate) fn a_list_follows_every_change_of_status(s: &dyn Store) {
    for status in Status::ALL {
        let run = format!("r-{status}");
        s.save(start(&run));
        s.save(change(&run, 0, 1).status(status));
        assert_eq!(s.listed(&of_status(&[status])), [run]);
        let others: Vec<_> = Status::ALL
            .into_iter()
            .filter(|other| *other != status)
            .collect();
        assert!(
            !s.listed(&of_status(&others))
                .contains(&format!("r-{status}"))
        );
    }
}

pub(crate) fn a_list_can_be_of_a_workflow(s: &dyn Store) {
    s.save(create("a").workflow("x"));
    s.save(create("b").workflow("X"));
    s.save(create("c").workflow("x").status(Status::Failed));
    let mut filter = Filter {
        workflow: Some("x".to_owned()),
        ..Filter::default()
    };
    assert_eq!(s.listed(&filter), ["c", "a"]);
    filter.statuses = vec![Status::Failed, Status::Running];
    assert_eq!(s.listed(&filter), ["c"]);
    filter.workflow = Some("' OR 1 --".to_owned());
    assert!(s.listed(&filter).is_empty());
}

pub(crate) fn a_list_can_be_of_what_was_written_later(s: &dyn Store) {
    for (run, created, written) in [("a", 1, 10), ("b", 2, 11), ("c", 3, 12)] {
        s.save(create(run).at(created));
        s.save(step(run, 0, 0).at(written));
    }
    for (after, limit, listed, rest) in [
        (9, 9, vec!["c", "b", "a"], 0),
        (10, 9, vec!["c", "b"], 0),
        (10, 1, vec!["c"], 1),
        (12, 9, vec![], 0),
    ] {
        let filter = Filter {
            updated_after: Some(at(after)),
            limit,
            ..Filter::default()
        };
        assert_eq!(s.listed(&filter), listed, "{after}");
        assert_eq!(more(s, &filter), rest, "{after}");
    }
}

pub(crate) fn a_limit_shows_the_newest_and_counts_the_rest(s: &dyn Store) {
    for n in 1..=5 {
        s.save(create(&format!("r{n}")).at(n));
    }
    for (limit, shown, rest) in [
        (0, 0, 5),
        (1, 1, 4),
        (4, 4, 1),
        (5, 5, 0),
        (usize::MAX, 5, 0),
    ] {
        let listing = s.list(&first(limit)).wait().unwrap();
        let seen = (listing.rows.len(), more(s, &first(limit)));
        assert_eq!(seen, (shown, rest), "{limit}");
    }
    assert_eq!(s.listed(&first(2)), ["r5", "r4"]);
}

pub(crate) fn what_a_filter_hides_is_not_counted_as_more(s: &dyn Store) {
    for n in 1..=4 {
        s.save(create(&format!("p{n}")));
        s.save(create(&format!("f{n}")).status(Status::Failed));
    }
    let filter = Filter {
        statuses: vec![Status::Failed],
        limit: 3,
        ..Filter::default()
    };
    let listing = s.list(&filter).wait().unwrap();
    assert_eq!((listing.rows.len(), more(s, &filter)), (3, 1));
}

pub(crate) fn pages_are_the_list_in_its_order_and_end(s: &dyn Store) {
    for n in 0..7 {
        let status = [Status::Pending, Status::Failed][n % 2];
        // Several of one moment, and of one page.
        let run = create(&format!("r{n}")).at(n as u64 / 3);
        s.save(run.status(status));
    }
    let all = s.listed(&Filter::default());
    assert_eq!(all, ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]);
    for limit in 1..=8 {
        let mut pages = Pages::of(first(limit));
        let mut listed: Vec<String> = Vec::new();
        while let Some(page) = pages.next(s).wait().unwrap() {
            assert!(page.rows.len() <= limit && !page.rows.is_empty());
            listed.extend(page.rows.iter().map(|row| row.id.to_string()));
            // What is begun meanwhile is newer than every page; what is gone is missed by nobody.
            if listed.len() == limit {
                s.save(create(&format!("later-{limit}")).at(99));
            }
        }
        assert_eq!(listed, all, "{limit}");
        for run in s.ids_with_prefix("later", ALL).wait().unwrap() {
            s.save(change(run.as_str(), 0, 0).status(Status::Failed));
            s.remove(run.as_str(), 0).unwrap();
        }
    }
    let failed = Filter {
        limit: 2,
        ..of_status(&[Status::Failed])
    };
    let page = s.list(&failed).wait().unwrap();
    s.remove("r3", 0).unwrap();
    let next = Filter {
        after: page.next,
        ..failed
    };
    assert_eq!(s.listed(&next), ["r1"], "where the last of a page is gone");
}

fn with_prefix(s: &dyn Store, prefix: &str, limit: usize) -> Vec<String> {
    let ids = s.ids_with_prefix(prefix, limit).wait().unwrap();
    ids.into_iter().map(|id| id.to_string()).collect()
}

pub(crate) fn ids_by_prefix_are_sorted_and_limited(s: &dyn Store) {
    for run in ["ab2", "ab1", "b", "a", "ab", "aB", "zz"] {
        s.save(create(run));
    }
    assert_eq!(with_prefix(s, "ab", ALL), ["ab", "ab1", "ab2"]);
    assert_eq!(with_prefix(s, "ab", 2), ["ab", "ab1"]);
    assert!(with_prefix(s, "ab", 0).is_empty());
    assert_eq!(with_prefix(s, "ab1", ALL), ["ab1"]);
    assert_eq!(with_prefix(s, "", ALL).len(), 7);
    assert_eq!(with_prefix(s, "zz", usize::MAX), ["zz"]);
    assert!(with_prefix(s, "zzz", ALL).is_empty());
}

pub(crate) fn nothing_in_a_prefix_is_a_wildcard(s: &dyn Store) {
    for run in ["a_1", "ab1", "a-1"] {
        s.save(create(run));
    }
    assert_eq!(with_prefix(s, "a_", ALL), ["a_1"]);
    for prefix in ["%", "a%", "*", "a?", "[a]", "'", "\0", "é", "\u{10FFFF}"] {
        assert!(with_prefix(s, prefix, ALL).is_empty(), "{prefix}");
    }
}

pub(crate) fn a_page_ends_before_it_takes_too_much_memory(s: &dyn Store) {
    // Three fit, the fourth does not; one alone may be larger than a page.
    let body = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let (quarter, whole) = (limits::PAGE_BYTES * 3 / 10, limits::PAGE_BYTES + 1);
    let sizes = [quarter, quarter, quarter, quarter, whole, quarter];
    let mut write = create("r");
    for (seq, bytes) in (1..).zip(sizes) {
        write = write.entry(seq).log(&body(bytes));
        write.entries.last_mut().unwrap().body = body(bytes);
    }
    s.save(write);
    let mut journal = Vec::new();
    let mut after = 0;
    loop {
        let page = s.journal(&id("r"), after, ALL).wait().unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        journal.push(page.len());
    }
    assert_eq!(journal, [3, 1, 1, 1]);
    let mut log = Vec::new();
    let mut after = 0;
    loop {
        let page = s.logs(&id("r"), after, ALL).wait().unwrap();
        let Some(last) = page.last() else { break };
        after = last.position;
        log.push(page.len());
    }
    assert_eq!(log, journal);
}

pub(crate) fn a_journal_is_read_in_pages(s: &dyn Store) {
    let write = (1..=10).fold(create("r"), |write, seq| write.entry(seq));
    s.save(write);
    s.save(create("other").entry(1));
    let page = |after, limit| -> Vec<u64> {
        let page = s.journal(&id("r"), after, limit).wait().unwrap();
        page.into_iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(page(0, 3), [1, 2, 3]);
    assert_eq!(page(3, 3), [4, 5, 6]);
    assert_eq!(page(9, 3), [10]);
    assert_eq!(page(7, usize::MAX), [8, 9, 10]);
    assert!(page(0, 0).is_empty() && page(10, 3).is_empty() && page(u64::MAX, 3).is_empty());
}

pub(crate) fn an_entry_comes_back_as_it_was_saved(s: &dyn Store) {
    let large = "é".repeat(300_000);
    let mut entries: Vec<_> = (1..=3).map(entry).collect();
    entries[0].body.clear();
    entries[1].body = large;
    s.save(Write {
        entries: entries.clone(),
        ..create("r")
    });
    assert_eq!(s.journal(&id("r"), 0, ALL).wait().unwrap(), entries);
}

pub(crate) fn logs_are_read_in_pages(s: &dyn Store) {
    s.save(create("r").log("1").log("2"));
    s.save(create("other").log("x"));
    s.save(change("r", 0, 0).log("3"));
    let all = s.logs(&id("r"), 0, ALL).wait().unwrap();
    assert_eq!(s.lines("r"), ["1", "2", "3"]);
    assert!(all.is_sorted_by(|a, b| a.position < b.position) && all[0].position > 0);
    assert_eq!(s.logs(&id("r"), 0, 2).wait().unwrap(), all[..2]);
    assert_eq!(
        s.logs(&id("r"), all[1].position, 2).wait().unwrap(),
        all[2..]
    );
    assert!(
        s.logs(&id("r"), all[2].position, 2)
            .wait()
            .unwrap()
            .is_empty()
    );
    assert!(s.logs(&id("r"), 0, 0).wait().unwrap().is_empty());
    assert!(s.logs(&id("r"), u64::MAX, ALL).wait().unwrap().is_empty());
}

pub(crate) fn a_log_line_comes_back_as_it_was_saved(s: &dyn Store) {
    s.save(create("r").log("{\"message\":\"ü\"}"));
    let logs = s.logs(&id("r"), 0, ALL).wait().unwrap();
    assert_eq!(logs[0].line, line("{\"message\":\"ü\"}"));
}

pub(crate) fn a_blob_comes_back_as_it_was_saved(s: &dyn Store) {
    let large: Vec<u8> = (0..4_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for bytes in [&b""[..], b"\0\xff", &large] {
        let run = format!("r{}", bytes.len());
        s.save(create(&run).blob(bytes));
        assert!(
            s.blob(&Digest::of(bytes))
                .wait()
                .unwrap()
                .is_some_and(|found| found == bytes)
        );
    }
}

pub(crate) fn a_blob_that_is_there_already_is_left_alone(s: &dyn Store) {
    s.save(create("a").blob(b"shared").blob(b"shared"));
    s.save(create("b").blob(b"shared"));
    let lie = Write {
        blobs: vec![(Digest::of(b"shared"), Arc::from(&b"other"[..]))],
        ..create("c")
    };
    s.save(lie);
    assert_eq!(
        s.blob(&Digest::of(b"shared")).wait().unwrap().unwrap(),
        b"shared"
    );
}

pub(crate) fn a_blob_that_does_not_match_its_digest_is_damage(s: &dyn Store) {
    s.save(Write {
        blobs: vec![(Digest::of(b"right"), Arc::from(&b"wrong"[..]))],
        ..create("r")
    });
    assert!(matches!(
        s.blob(&Digest::of(b"right")).wait(),
        Err(StoreError::Corrupt(_))
    ));
}

pub(crate) fn a_damaged_blob_is_mended_by_whoever_brings_it_again(s: &dyn Store) {
    let bringing = |run: &str, bytes: &[u8]| Write {
        blobs: vec![(Digest::of(b"right"), Arc::from(bytes))],
        ..create(run)
    };
    s.save(bringing("damaged", b"wrong"));
    s.save(bringing("liar", b"other"));
    let damaged = s.blob(&Digest::of(b"right")).wait();
    assert!(matches!(damaged, Err(StoreError::Corrupt(_))));
    s.save(bringing("whole", b"right"));
    assert_eq!(
        s.blob(&Digest::of(b"right")).wait().unwrap().unwrap(),
        b"right"
    );
}

/// Blobs that are kept or used, one by one: those that are not whole come with who uses them.
pub(crate) fn every_blob_is_looked_at_and_damage_names_its_users(s: &dyn Store) {
    assert_eq!(s.checked_blob(None).wait().unwrap(), None);
    let bad = Digest::of(b"other bytes");
    for run in ["a", "b"] {
        let mut write = create(run).blob(b"shared").blob(run.as_bytes());
        write.blobs.push((bad, Arc::from(&b"bytes"[..])));
        s.save(write);
    }
    let mut expected = [&b"shared"[..], b"a", b"b", b"other bytes"].map(Digest::of);
    expected.sort();
    let mut last = None;
    for digest in expected {
        let seen = s.checked_blob(last.as_ref()).wait().unwrap().unwrap();
        let (fault, users) = match digest == bad {
            true => (
                Some(BlobFault::Damaged),
                vec!["a".to_owned(), "b".to_owned()],
            ),
            false => (None, Vec::new()),
        };
        assert_eq!(
            seen,
            CheckedBlob {
                digest,
                fault,
                users
            }
        );
        last = Some(digest);
    }
    assert_eq!(s.checked_blob(last.as_ref()).wait().unwrap(), None);
}

pub(crate) fn a_checkpoint_holds_the_row(s: &dyn Store) {
    s.save(start("r").part("p", "1"));
    s.save(step("r", 0, 1));
    s.ask("r", StopKind::Cancel, 5).unwrap();
    assert_eq!(
        s.checkpoint(&id("r")).wait().unwrap().unwrap().row,
        s.see("r")
    );
}
