//! What a worker looks for, what may be collected, and what a store says of itself.

use super::words;
use super::words::Wait as _;
use crate::{Ask, Offer, RunRow, StopKind, Store};
use milepost_core::state::Status;

use super::words::{ALL, Found, Talk, With, at, create, id, in_status, look, start, step};

fn at_second(s: &dyn Store, now: u64) -> Found {
    s.find(now, ALL).unwrap()
}

fn ids(rows: &[RunRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

pub(crate) fn an_empty_store_needs_no_attention(s: &dyn Store) {
    assert_eq!(at_second(s, 99), Found::default());
}

pub(crate) fn what_is_over_or_merely_paused_needs_none(s: &dyn Store) {
    for status in Status::ALL {
        in_status(s, status.as_str(), status);
    }
    let attention = at_second(s, 99);
    assert_eq!(ids(&attention.pending), ["pending"]);
    assert_eq!(ids(&attention.running), ["running"]);
    assert_eq!(
        (ids(&attention.due), ids(&attention.signalled)),
        (vec![], vec![])
    );
    assert_eq!(
        (ids(&attention.requested), attention.next_due),
        (vec![], None)
    );
    assert!(attention.unreadable.is_empty());
}

pub(crate) fn the_rows_are_the_rows(s: &dyn Store) {
    s.save(create("pending"));
    s.save(start("running").entry(1));
    s.ask("running", StopKind::Pause, 3).unwrap();
    s.save(create("due").status(Status::Paused).due(5));
    let attention = at_second(s, 5);
    assert_eq!(attention.pending, [s.see("pending")]);
    assert_eq!(attention.running, [s.see("running")]);
    assert_eq!(attention.due, [s.see("due")]);
}

pub(crate) fn pending_are_the_oldest_up_to_the_limit_and_running_are_all(s: &dyn Store) {
    for status in [Status::Pending, Status::Running] {
        for (run, seconds) in [("d", 4), ("b", 1), ("a", 1), ("c", 2)] {
            s.save(
                create(&format!("{run}-{status}"))
                    .status(status)
                    .at(seconds),
            );
        }
    }
    for limit in 1..6 {
        // An hour later each time: what was offered may have been kept from others for a moment.
        let found = s.find(3_600 * limit as u64, limit).unwrap();
        let all = |status| ["a", "b", "c", "d"].map(|run| format!("{run}-{status}"));
        assert_eq!(ids(&found.pending), all(Status::Pending)[..limit.min(4)]);
        // An orphan must not hide behind runs that are well.
        assert_eq!(ids(&found.running), all(Status::Running), "{limit}");
        let page = s.look(&look(limit)).wait().unwrap();
        assert!(page.running.len() <= limit);
    }
    let none = Ask::default();
    assert_eq!(s.offer(&none).wait().unwrap(), Offer::default());
    assert_eq!(s.find(36_000, usize::MAX).unwrap().pending.len(), 4);
}

pub(crate) fn an_offer_is_for_so_many_and_due_runs_come_first(s: &dyn Store) {
    for run in ["new-1", "new-2"] {
        s.save(create(run).at(1));
    }
    for (run, due) in [("due-2", 20), ("due-1", 10), ("later", 99_999)] {
        s.save(create(run).status(Status::Paused).due(due));
    }
    let all = ["due-1", "due-2", "new-1", "new-2"];
    for room in 0..6 {
        let ask = Ask {
            room,
            ..Ask::default()
        };
        // An hour later each time: what was offered may have been kept from others for a moment.
        let offer = words::at_second(50 + room as u64 * 3_600, || s.offer(&ask).wait().unwrap());
        assert_eq!(ids(&offer.rows), all[..room.min(4)]);
    }
}

/// However many there are of them, they keep nobody else out.
pub(crate) fn an_offer_passes_over_what_the_asker_would_not_take(s: &dyn Store) {
    for n in 0..20 {
        s.save(create(&format!("new-{n:02}")).at(n));
        s.save(
            create(&format!("due-{n:02}"))
                .status(Status::Paused)
                .due(n + 1),
        );
    }
    let passed_over = (0..19).flat_map(|n| [format!("new-{n:02}"), format!("due-{n:02}")]);
    let ask = Ask {
        room: 2,
        except: passed_over.map(|run| id(&run)).collect(),
    };
    let offer = words::at_second(50, || s.offer(&ask).wait().unwrap());
    assert_eq!(ids(&offer.rows), ["due-19", "new-19"]);
}

/// Whoever cannot see a process goes by its lease; of his own host he sees them all. A lease that a clock far ahead wrote
/// speaks for nobody.
pub(crate) fn running_runs_of_other_hosts_are_listed_when_their_lease_is_over(s: &dyn Store) {
    s.save(start("here"));
    let year = 365 * 86_400;
    for (run, lease) in [
        ("holds", 30),
        ("over", 9),
        ("at-last", 10),
        ("ahead", 10 * year),
    ] {
        let mut write = start(run).claim("x", lease);
        if let Some(claim) = &mut write.claim {
            claim.owner.host = "elsewhere".to_owned();
        }
        s.save(write);
    }
    s.save(create("nobody").status(Status::Running));
    let mut found = ids(&at_second(s, 10).running)
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    found.sort_unstable();
    assert_eq!(found, ["ahead", "at-last", "here", "nobody", "over"]);
}

/// B210: the time of the next attempt is a column, and any process may ask who is due.
pub(crate) fn b210_due_are_paused_runs_whose_time_has_come_the_longest_first(s: &dyn Store) {
    for (run, due) in [
        ("late", 30),
        ("early", 10),
        ("exact", 20),
        ("same", 20),
        ("not-yet", 21),
    ] {
        s.save(create(run).status(Status::Paused).due(due));
    }
    // A time means nothing to a run that is not paused.
    for status in Status::ALL.into_iter().filter(|s| *s != Status::Paused) {
        s.save(create(status.as_str()).status(status).due(1));
    }
    s.save(create("no-time").status(Status::Paused));
    assert_eq!(at_second(s, 9).due, []);
    assert_eq!(at_second(s, 9).next_due, Some(at(10)));
    let attention = at_second(s, 20);
    assert_eq!(ids(&attention.due), ["early", "exact", "same"]);
    assert_eq!(attention.next_due, Some(at(21)));
    assert_eq!(at_second(s, 29).next_due, Some(at(30)));
    // Much later each time: what was offered may have been kept from others for a moment.
    let attention = at_second(s, 3_600);
    assert_eq!((attention.due.len(), attention.next_due), (5, None));
    assert_eq!(ids(&s.find(7_200, 2).unwrap().due), ["early", "exact"]);
}

/// B210, B281 and B431: a claim compares with the very row that was found. Of all that found it, one goes on with it.
pub(crate) fn b210_b281_b431_a_due_run_is_claimed_once(s: &dyn Store) {
    s.save(create("r").status(Status::Paused).due(10));
    let seen = at_second(s, 10).due;
    let claim = |nonce: &str| {
        let row = &seen[0];
        s.try_save(step("r", row.seq, row.epoch.0).claim(nonce, 60))
    };
    claim("a").unwrap();
    super::words::conflict(claim("b"));
    let attention = at_second(s, 10);
    assert_eq!((attention.due, attention.next_due), (vec![], None));
    assert_eq!(ids(&attention.running), ["r"]);
}

pub(crate) fn signalled_are_paused_runs_that_wait_for_what_is_there(s: &dyn Store) {
    let wait_for = |run: &str, seconds: u64, names: &[&str]| {
        let write = create(run).at(seconds).status(Status::Paused);
        s.save(write.awaits(names));
    };
    wait_for("second", 2, &["a", "b", "it's \"c\""]);
    wait_for("first", 1, &["a"]);
    wait_for("other-name", 3, &["a"]);
    wait_for("no-signal", 3, &["a"]);
    wait_for("no-name", 3, &[]);
    s.save(create("running").status(Status::Running).awaits(&["a"]));
    s.save(create("failed").status(Status::Failed).awaits(&["a"]));
    for (run, name) in [
        ("second", "it's \"c\""),
        ("second", "b"),
        ("first", "a"),
        ("other-name", "A"),
        ("no-name", "a"),
        ("running", "a"),
        ("failed", "a"),
    ] {
        s.post(run, name);
    }
    assert_eq!(ids(&at_second(s, 9).signalled), ["first", "second"]);
    assert_eq!(ids(&s.find(9, 1).unwrap().signalled), ["first"]);
    // One that is taken, and one that came before anybody waited.
    let taken = s.waiting("first")[0].0;
    s.save(
        step("first", 0, 0)
            .status(Status::Paused)
            .awaits(&["a"])
            .consume(&[taken]),
    );
    s.save(
        step("running", 0, 0)
            .status(Status::Paused)
            .awaits(&["b", "a"])
            .at(4),
    );
    assert_eq!(ids(&at_second(s, 9).signalled), ["running", "second"]);
}

pub(crate) fn requested_are_runs_that_stopped_before_they_met_a_request(s: &dyn Store) {
    for (seconds, status) in (1..).zip(Status::ALL) {
        for kind in StopKind::ALL {
            let run = &format!("{status}-{kind}");
            s.save(start(run).at(seconds));
            s.ask(run, kind, 40).unwrap();
            s.save(step(run, 0, 1).status(status));
        }
    }
    let all = [
        "pending-cancel",
        "pending-compensate",
        "pending-kill",
        "pending-pause",
        "pending-pause_now",
        "paused-cancel",
        "paused-compensate",
        "paused-kill",
        "failed-cancel",
        "failed-compensate",
        "failed-kill",
    ];
    let attention = at_second(s, 99);
    let mut requested = ids(&attention.requested);
    assert_eq!(requested[..5], all[..5], "the oldest first");
    requested.sort_unstable();
    let mut expected = all;
    expected.sort_unstable();
    assert_eq!(requested, expected);
    assert_eq!(ids(&s.find(99, 3).unwrap().requested), all[..3]);
}

pub(crate) fn old_are_runs_that_were_last_written_before(s: &dyn Store) {
    for (run, created, written) in [("b", 1, 10), ("a", 1, 11), ("c", 0, 12), ("d", 2, 20)] {
        s.save(start(run).at(created));
        s.save(step(run, 0, 1).at(written).status(Status::Completed));
    }
    let old = |before: u64, limit: usize| {
        let rows = s.written_before(at(before), &[Status::Completed], limit);
        let rows = rows.wait().unwrap();
        assert!(rows.iter().all(|row| *row == s.see(row.id.as_str())));
        ids(&rows).join(" ")
    };
    assert_eq!(old(10, ALL), "");
    assert_eq!(old(11, ALL), "b");
    assert_eq!(old(13, ALL), "c a b");
    assert_eq!(old(99, usize::MAX), "c a b d");
    assert_eq!(old(99, 2), "c a");
    assert_eq!(old(99, 0), "");
}

/// B296: of the asked statuses and of no others.
pub(crate) fn b296_old_are_runs_of_these_statuses_only(s: &dyn Store) {
    for status in Status::ALL {
        in_status(s, status.as_str(), status);
    }
    let old = |statuses: &[Status]| {
        let rows = s.written_before(at(99), statuses, ALL).wait().unwrap();
        let mut ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
        ids.sort_unstable();
        ids
    };
    assert!(old(&[]).is_empty());
    for status in Status::ALL {
        assert_eq!(old(&[status]), [status.as_str()]);
        assert_eq!(old(&[status, status]), [status.as_str()]);
    }
    assert_eq!(
        old(&[Status::Failed, Status::Cancelled]),
        ["cancelled", "failed"]
    );
    assert_eq!(old(&Status::ALL).len(), 6);
}

pub(crate) fn a_clean_store_is_healthy_and_counts_its_runs(s: &dyn Store) {
    assert!(s.health().wait().unwrap().runs.is_empty());
    for status in Status::ALL {
        in_status(s, status.as_str(), status);
    }
    s.save(
        create("r")
            .entry(1)
            .entry(2)
            .part("p", "1")
            .log("l")
            .blob(b"b"),
    );
    s.post("r", "a");
    in_status(s, "gone", Status::Failed);
    s.remove("gone", 1).unwrap();
    let health = s.health().wait().unwrap();
    assert_eq!(health.problems, Vec::<String>::new());
    for status in Status::ALL {
        let expected = 1 + u64::from(status == Status::Pending);
        assert_eq!(health.runs.get(&status), Some(&expected), "{status}");
    }
}
