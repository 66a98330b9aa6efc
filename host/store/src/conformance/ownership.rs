//! Claims, epochs, leases, and the mark of an owner that does not renew.

use std::time::Duration;

use super::words::Wait as _;
use crate::{Claimed, Held, StopKind, Store, StoreError};
use milepost_core::ids::Epoch;
use milepost_core::state::Status;

use super::words::{
    ALL, Talk, With, at, at_second, change, conflict, create, id, in_status, owner, request, start,
    step, wait,
};

pub(crate) fn a_create_with_a_claim_is_owned_in_epoch_1(s: &dyn Store) {
    let written = s.save(start("r"));
    assert_eq!((written.epoch, written.request), (Epoch(1), None));
    let row = s.see("r");
    assert_eq!((row.epoch, row.status), (Epoch(1), Status::Running));
    assert_eq!(
        (row.owner, row.lease_until),
        (Some(owner("a")), Some(at(30)))
    );
}

pub(crate) fn a_create_without_a_claim_is_owned_by_nobody_in_epoch_0(s: &dyn Store) {
    for (run, status) in [("a", Status::Pending), ("b", Status::Running)] {
        assert_eq!(s.save(create(run).status(status)).epoch, Epoch(0));
        let row = s.see(run);
        assert_eq!(
            (row.epoch, row.owner, row.lease_until),
            (Epoch(0), None, None)
        );
    }
}

pub(crate) fn b182_b274_a_claim_raises_the_epoch_and_sets_owner_and_lease(s: &dyn Store) {
    s.save(create("r"));
    let written = s.save(step("r", 0, 0).claim("b", 44));
    assert_eq!(written.epoch, Epoch(1));
    let row = s.see("r");
    assert_eq!(
        (row.epoch, row.seq, row.status),
        (Epoch(1), 1, Status::Running)
    );
    assert_eq!(
        (row.owner, row.lease_until),
        (Some(owner("b")), Some(at(44)))
    );
}

pub(crate) fn a_claim_replaces_the_owner(s: &dyn Store) {
    s.save(start("r"));
    assert_eq!(s.save(change("r", 0, 1).claim("b", 60)).epoch, Epoch(2));
    let row = s.see("r");
    assert_eq!(
        (row.owner, row.lease_until),
        (Some(owner("b")), Some(at(60)))
    );
}

pub(crate) fn after_a_claim_the_former_owner_is_refused(s: &dyn Store) {
    s.save(start("r"));
    s.save(change("r", 0, 1).claim("b", 60));
    assert_eq!(
        conflict(s.try_save(step("r", 0, 1))),
        ("r".into(), Status::Running, 0, 2)
    );
    assert_eq!(s.renew("r", 1, 99).unwrap(), Some(Claimed::Lost));
    s.save(step("r", 0, 2));
}

pub(crate) fn of_two_claims_from_one_place_the_second_is_refused(s: &dyn Store) {
    in_status(s, "r", Status::Paused);
    s.save(change("r", 1, 1).claim("b", 60));
    let loser = conflict(s.try_save(change("r", 1, 1).claim("c", 60)));
    assert_eq!(loser, ("r".into(), Status::Running, 1, 2));
    assert_eq!(s.see("r").owner, Some(owner("b")));
}

pub(crate) fn b172_b276_of_many_claims_at_once_exactly_one_wins(s: &dyn Store) {
    in_status(s, "r", Status::Failed);
    let winners: Vec<String> = std::thread::scope(|scope| {
        let claims: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn(move || {
                    let nonce = n.to_string();
                    let claimed = s.try_save(step("r", 1, 1).claim(&nonce, 60));
                    claimed.is_ok().then_some(nonce)
                })
            })
            .collect();
        claims
            .into_iter()
            .filter_map(|c| c.join().unwrap())
            .collect()
    });
    assert_eq!(winners.len(), 1);
    assert_eq!(s.see("r").owner, Some(owner(&winners[0])));
    assert_eq!((s.see("r").epoch, s.entries("r")), (Epoch(2), vec![1, 2]));
}

pub(crate) fn a_step_keeps_owner_and_lease(s: &dyn Store) {
    s.save(start("r"));
    s.save(step("r", 0, 1));
    let mut due = step("r", 1, 1);
    due.head.due_at = Some(at(9));
    s.save(due);
    let row = s.see("r");
    assert_eq!(
        (row.owner, row.lease_until),
        (Some(owner("a")), Some(at(30)))
    );
}

pub(crate) fn b179_a_status_other_than_running_clears_owner_and_lease(s: &dyn Store) {
    for status in Status::ALL {
        let run = status.to_string();
        in_status(s, &run, status);
        let row = s.see(&run);
        let owned = status == Status::Running;
        assert_eq!(
            (row.owner.is_some(), row.lease_until.is_some()),
            (owned, owned),
            "{status}"
        );
        assert_eq!(row.epoch, Epoch(1));
    }
}

pub(crate) fn a_claim_that_does_not_run_raises_the_epoch_only(s: &dyn Store) {
    let written = s.save(create("r").status(Status::Paused).claim("a", 30));
    assert_eq!(written.epoch, Epoch(1));
    let written = s.save(change("r", 0, 1).status(Status::Failed).claim("b", 30));
    assert_eq!(written.epoch, Epoch(2));
    let row = s.see("r");
    assert_eq!(
        (row.epoch, row.owner, row.lease_until),
        (Epoch(2), None, None)
    );
}

pub(crate) fn running_again_without_a_claim_is_owned_by_nobody(s: &dyn Store) {
    in_status(s, "r", Status::Paused);
    s.save(change("r", 1, 1));
    assert_eq!(
        (s.see("r").status, s.see("r").owner),
        (Status::Running, None)
    );
}

pub(crate) fn the_epoch_goes_on_after_a_stop(s: &dyn Store) {
    s.save(start("r"));
    for epoch in 1..5 {
        s.save(change("r", 0, epoch).status(Status::Paused));
        assert_eq!(
            s.save(change("r", 0, epoch).claim("b", 60)).epoch,
            Epoch(epoch + 1)
        );
    }
}

pub(crate) fn a_renewal_moves_the_lease_and_nothing_else(s: &dyn Store) {
    s.save(start("r").entry(1));
    let mut expected = s.see("r");
    // It may also shorten it.
    for seconds in [90, 60] {
        assert_eq!(s.renew("r", 1, seconds).unwrap(), None);
        expected.lease_until = Some(at(seconds));
        assert_eq!(s.see("r"), expected);
    }
    s.save(step("r", 1, 1));
}

pub(crate) fn a_renewal_in_another_epoch_is_refused(s: &dyn Store) {
    s.save(start("r"));
    for epoch in [0, 2, u64::MAX] {
        let news = s.renew("r", epoch, 90).unwrap();
        assert_eq!(news, Some(Claimed::Lost), "{epoch}");
    }
    assert_eq!(s.see("r").lease_until, Some(at(30)));
}

pub(crate) fn a_renewal_of_what_nobody_owns_is_refused(s: &dyn Store) {
    for status in Status::ALL.into_iter().filter(|s| *s != Status::Running) {
        let run = status.to_string();
        in_status(s, &run, status);
        let news = s.renew(&run, 1, 90).unwrap();
        assert_eq!(news, Some(Claimed::Lost), "{status}");
        assert_eq!(s.see(&run).lease_until, None);
    }
    s.save(create("r").status(Status::Running));
    assert_eq!(s.renew("r", 0, 90).unwrap(), Some(Claimed::Lost));
}

pub(crate) fn a_renewal_of_an_unknown_run_is_refused(s: &dyn Store) {
    assert_eq!(s.renew("r", 0, 90).unwrap(), Some(Claimed::Lost));
}

fn held(run: &str, epoch: u64) -> Held {
    Held {
        run: id(run),
        epoch: Epoch(epoch),
    }
}

pub(crate) fn many_claims_are_kept_by_one_question(s: &dyn Store) {
    for run in ["asked", "ended", "held", "taken"] {
        s.save(start(run));
    }
    s.ask("asked", StopKind::Cancel, 7).unwrap();
    s.save(step("ended", 0, 1).status(Status::Completed));
    s.save(change("taken", 0, 1).claim("b", 60));
    let claims = ["asked", "ended", "held", "never", "taken"].map(|run| held(run, 1));
    let expected = [
        ("asked", Claimed::Asked(request(StopKind::Cancel, 7))),
        ("ended", Claimed::Lost),
        ("never", Claimed::Lost),
        ("taken", Claimed::Lost),
    ];
    for renew in [None, Some(Duration::from_secs(90))] {
        let mut news = wait(s.keep(&claims, renew)).unwrap();
        news.sort_by(|a, b| a.held.cmp(&b.held));
        let news: Vec<_> = news
            .iter()
            .map(|news| (news.held.run.as_str(), news.what.clone()))
            .collect();
        assert_eq!(news, expected);
    }
    let lease = |run: &str| s.see(run).lease_until;
    assert_eq!([lease("asked"), lease("held")], [Some(at(90)); 2]);
    assert_eq!((lease("ended"), lease("taken")), (None, Some(at(60))));
    assert_eq!(wait(s.keep(&[], Some(Duration::ZERO))).unwrap(), []);
}

pub(crate) fn a_look_at_claims_without_a_renewal_changes_nothing(s: &dyn Store) {
    s.save(start("r"));
    assert!(s.detach("r", 1, 99).unwrap());
    let before = s.see("r");
    assert_eq!(wait(s.keep(&[held("r", 1)], None)).unwrap(), []);
    assert_eq!(s.see("r"), before);
}

/// Whoever is late, or whose clock is wrong, gets no shorter or longer lease for it.
pub(crate) fn a_lease_begins_when_the_store_takes_it(s: &dyn Store) {
    at_second(100, || s.save(start("r").at(7)));
    assert_eq!(s.see("r").lease_until, Some(at(130)));
    at_second(200, || s.renew("r", 1, 5)).unwrap();
    assert_eq!(s.see("r").lease_until, Some(at(205)));
    at_second(300, || s.save(change("r", 0, 1).claim("b", 60)));
    assert_eq!(s.see("r").lease_until, Some(at(360)));
}

pub(crate) fn a_claim_that_is_given_up_is_lost_at_once(s: &dyn Store) {
    s.save(start("r").entry(1));
    let before = s.see("r");
    wait(s.give_up(&[held("r", 1)])).unwrap();
    let after = s.see("r");
    assert_eq!((&after.owner, after.lease_until), (&None, None));
    assert_eq!(
        (after.status, after.seq, after.epoch, after.recoveries),
        (before.status, before.seq, before.epoch, before.recoveries)
    );
    assert_eq!(s.find(0, ALL).unwrap().running, [after]);
    // Whoever gave it up may not write under it as its owner, but the place is still its last one.
    assert_eq!(s.renew("r", 1, 90).unwrap(), Some(Claimed::Lost));
    s.save(change("r", 1, 1).claim("b", 60));
    assert_eq!(s.see("r").owner, Some(owner("b")));
}

pub(crate) fn only_claims_that_hold_are_given_up(s: &dyn Store) {
    s.save(start("taken"));
    s.save(change("taken", 0, 1).claim("b", 60));
    in_status(s, "over", Status::Completed);
    let before = (s.see("taken"), s.see("over"));
    wait(s.give_up(&[held("taken", 1), held("over", 1), held("never", 1)])).unwrap();
    wait(s.give_up(&[])).unwrap();
    assert_eq!((s.see("taken"), s.see("over")), before);
}

/// B178 and B433: the claim is the lock, and it is taken over only from where it was seen. An owner that renewed, or wrote,
/// or was replaced meanwhile, is not robbed by somebody who looked before.
pub(crate) fn b178_b433_a_stale_claim_is_taken_over_from_where_it_was_seen(s: &dyn Store) {
    s.save(start("r"));
    let seen = s.see("r");
    let take_over = |nonce: &str| change("r", seen.seq, seen.epoch.0).claim(nonce, 90);
    s.save(step("r", 0, 1));
    assert_eq!(
        conflict(s.try_save(take_over("b"))),
        ("r".into(), Status::Running, 1, 1)
    );
    assert_eq!(s.see("r").owner, Some(owner("a")));
    let seen = s.see("r");
    s.save(change("r", seen.seq, seen.epoch.0).claim("b", 90));
    let late = change("r", seen.seq, seen.epoch.0).claim("c", 90);
    assert_eq!(
        conflict(s.try_save(late)),
        ("r".into(), Status::Running, 1, 2)
    );
    assert_eq!(s.see("r").owner, Some(owner("b")));
}

/// B179 and B432: whoever lost the claim cannot release it, however it ends.
pub(crate) fn b179_b432_the_owner_releases_its_own_claim_only(s: &dyn Store) {
    for status in [
        Status::Paused,
        Status::Failed,
        Status::Completed,
        Status::Cancelled,
    ] {
        let run = status.to_string();
        s.save(start(&run));
        s.save(change(&run, 0, 1).claim("b", 60));
        conflict(s.try_save(step(&run, 0, 1).status(status)));
        assert_eq!(s.see(&run).owner, Some(owner("b")));
        s.save(step(&run, 0, 2).status(status));
        assert_eq!((s.see(&run).owner, s.see(&run).lease_until), (None, None));
    }
}

/// B181, B237, B276 to B280: a claim that is too late is told where the run stands, and an unknown run apart from that.
pub(crate) fn b276_b280_a_claim_that_is_too_late_is_told_the_present_status(s: &dyn Store) {
    for status in Status::ALL {
        let run = status.to_string();
        in_status(s, &run, status);
        let before = (s.checkpoint(&id(&run)).wait().unwrap(), s.entries(&run));
        let refused = conflict(s.try_save(step(&run, 0, 1).claim("b", 60)));
        assert_eq!(refused, (run.clone(), status, 1, 1));
        assert_eq!(
            (s.checkpoint(&id(&run)).wait().unwrap(), s.entries(&run)),
            before
        );
    }
    let unknown = s.try_save(step("unknown", 0, 1).claim("b", 60));
    assert!(matches!(unknown, Err(StoreError::NotFound(run)) if run == id("unknown")));
}

pub(crate) fn a_mark_is_set_once_and_only_when_the_lease_is_over(s: &dyn Store) {
    s.save(start("r"));
    let mut expected = s.see("r");
    for seconds in [0, 29] {
        assert!(!s.detach("r", 1, seconds).unwrap(), "the lease holds");
    }
    for epoch in [0, 2, u64::MAX] {
        assert!(!s.detach("r", epoch, 99).unwrap(), "another claim");
    }
    assert_eq!(s.see("r"), expected);
    assert!(s.detach("r", 1, 30).unwrap());
    expected.detached_at = Some(at(30));
    assert!(!s.detach("r", 1, 31).unwrap(), "already marked");
    assert_eq!(s.see("r"), expected);
}

pub(crate) fn what_nobody_owns_is_not_marked(s: &dyn Store) {
    for status in Status::ALL.into_iter().filter(|s| *s != Status::Running) {
        let run = status.to_string();
        in_status(s, &run, status);
        assert!(!s.detach(&run, 1, 99).unwrap(), "{status}");
        assert_eq!(s.see(&run).detached_at, None);
    }
    s.save(create("r").status(Status::Running));
    assert!(!s.detach("r", 0, 99).unwrap());
    assert!(matches!(s.detach("no", 0, 99), Err(StoreError::NotFound(run)) if run == id("no")));
}

/// B294: the owner that comes back takes the mark away, however it does.
pub(crate) fn b294_a_write_and_a_renewal_take_the_mark_away(s: &dyn Store) {
    s.save(start("r"));
    let mark = |epoch| {
        assert!(s.detach("r", epoch, 200).unwrap());
        assert_eq!(s.see("r").detached_at, Some(at(200)));
    };
    mark(1);
    s.renew("r", 1, 100).unwrap();
    assert_eq!(s.see("r").detached_at, None);
    mark(1);
    s.save(step("r", 0, 1));
    assert_eq!(s.see("r").detached_at, None);
    mark(1);
    assert_eq!(s.renew("r", 2, 300).unwrap(), Some(Claimed::Lost));
    conflict(s.try_save(step("r", 9, 1)));
    assert_eq!(
        s.see("r").detached_at,
        Some(at(200)),
        "refused, so unchanged"
    );
    s.save(change("r", 1, 1).claim("b", 100));
    assert_eq!(s.see("r").detached_at, None);
    mark(2);
    s.save(change("r", 1, 2).status(Status::Paused));
    assert_eq!(s.see("r").detached_at, None);
}
