//! Claims, epochs, leases and requests to cancel.

use milepost::store::{Store, StoreError};
use milepost_core::ids::Epoch;
use milepost_core::state::Status;

use super::store::{Talk, With, at, change, conflict, create, id, in_status, owner, start, step};

pub(crate) fn a_create_with_a_claim_is_owned_in_epoch_1(s: &dyn Store) {
    let written = s.save(start("r"));
    assert_eq!((written.epoch, written.cancel_requested), (Epoch(1), false));
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

pub(crate) fn a_claim_raises_the_epoch_and_sets_owner_and_lease(s: &dyn Store) {
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
    conflict(s.renew("r", 1, 99));
    s.save(step("r", 0, 2));
}

pub(crate) fn of_two_claims_from_one_place_the_second_is_refused(s: &dyn Store) {
    in_status(s, "r", Status::Paused);
    s.save(change("r", 1, 1).claim("b", 60));
    let loser = conflict(s.try_save(change("r", 1, 1).claim("c", 60)));
    assert_eq!(loser, ("r".into(), Status::Running, 1, 2));
    assert_eq!(s.see("r").owner, Some(owner("b")));
}

pub(crate) fn of_many_claims_at_once_exactly_one_wins(s: &dyn Store) {
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

pub(crate) fn a_status_other_than_running_clears_owner_and_lease(s: &dyn Store) {
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
        let written = s.renew("r", 1, seconds).unwrap();
        assert_eq!((written.epoch, written.cancel_requested), (Epoch(1), false));
        expected.lease_until = Some(at(seconds));
        assert_eq!(s.see("r"), expected);
    }
    s.save(step("r", 1, 1));
}

pub(crate) fn a_renewal_in_another_epoch_is_refused(s: &dyn Store) {
    s.save(start("r"));
    for epoch in [0, 2, u64::MAX] {
        let refused = conflict(s.renew("r", epoch, 90));
        assert_eq!(refused, ("r".into(), Status::Running, 0, 1), "{epoch}");
    }
    assert_eq!(s.see("r").lease_until, Some(at(30)));
}

pub(crate) fn a_renewal_of_what_nobody_owns_is_refused(s: &dyn Store) {
    for status in Status::ALL.into_iter().filter(|s| *s != Status::Running) {
        let run = status.to_string();
        in_status(s, &run, status);
        assert_eq!(conflict(s.renew(&run, 1, 90)), (run.clone(), status, 1, 1));
        assert_eq!(s.see(&run).lease_until, None);
    }
    s.save(create("r").status(Status::Running));
    conflict(s.renew("r", 0, 90));
}

pub(crate) fn a_renewal_of_an_unknown_run_is_refused(s: &dyn Store) {
    assert!(matches!(s.renew("r", 0, 90), Err(StoreError::NotFound(run)) if run == id("r")));
}

pub(crate) fn a_cancel_request_is_kept_for_whoever_decides(s: &dyn Store) {
    let open = [
        Status::Pending,
        Status::Running,
        Status::Paused,
        Status::Failed,
    ];
    for status in open {
        let run = status.to_string();
        in_status(s, &run, status);
        let mut expected = s.see(&run);
        assert!(s.cancel(&run, 40).unwrap(), "{status}");
        expected.cancel_requested_at = Some(at(40));
        assert_eq!(s.see(&run), expected);
    }
}

pub(crate) fn the_first_cancel_request_keeps_its_time(s: &dyn Store) {
    s.save(start("r"));
    for seconds in [40, 50, 30] {
        assert!(s.cancel("r", seconds).unwrap());
        assert_eq!(s.see("r").cancel_requested_at, Some(at(40)));
    }
}

pub(crate) fn a_terminal_run_has_nothing_to_cancel(s: &dyn Store) {
    for status in [Status::Completed, Status::Cancelled] {
        let run = status.to_string();
        in_status(s, &run, status);
        let before = s.see(&run);
        assert!(!s.cancel(&run, 40).unwrap());
        assert_eq!(s.see(&run), before);
    }
}

pub(crate) fn a_cancel_request_for_an_unknown_run_is_refused(s: &dyn Store) {
    assert!(matches!(s.cancel("r", 1), Err(StoreError::NotFound(run)) if run == id("r")));
}

pub(crate) fn writes_and_renewals_tell_of_a_cancel_request(s: &dyn Store) {
    s.save(start("r"));
    assert!(!s.save(step("r", 0, 1)).cancel_requested);
    s.cancel("r", 40).unwrap();
    assert!(s.save(step("r", 1, 1)).cancel_requested);
    assert!(s.renew("r", 1, 90).unwrap().cancel_requested);
    assert!(s.save(step("r", 2, 1).claim("b", 60)).cancel_requested);
}

pub(crate) fn a_cancel_request_moves_neither_place_nor_update_time(s: &dyn Store) {
    s.save(start("r").at(2));
    s.cancel("r", 40).unwrap();
    assert_eq!((s.see("r").seq, s.see("r").updated_at), (0, at(2)));
    s.save(step("r", 0, 1));
}

pub(crate) fn a_cancel_request_outlives_what_is_not_terminal(s: &dyn Store) {
    s.save(start("r"));
    s.cancel("r", 40).unwrap();
    for status in [
        Status::Paused,
        Status::Failed,
        Status::Pending,
        Status::Running,
    ] {
        assert!(s.save(change("r", 0, 1).status(status)).cancel_requested);
        assert_eq!(s.see("r").cancel_requested_at, Some(at(40)), "{status}");
    }
}

pub(crate) fn a_terminal_status_clears_the_cancel_request(s: &dyn Store) {
    for status in [Status::Completed, Status::Cancelled] {
        let run = status.to_string();
        s.save(start(&run));
        s.cancel(&run, 40).unwrap();
        assert!(!s.save(step(&run, 0, 1).status(status)).cancel_requested);
        assert_eq!(s.see(&run).cancel_requested_at, None);
    }
}
