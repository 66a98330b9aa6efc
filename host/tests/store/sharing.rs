//! One file, several stores: what holds between processes.

use milepost::store::{Filter, Store};
use milepost_core::ids::Epoch;
use milepost_core::state::Status;

use super::Place;
use super::store::{
    Talk, With, conflict, create, id, in_status, owner, poll_once, start, step, wait,
};

#[test]
fn a_reader_does_not_wait_for_a_writer() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r").part("p", "old"));
    let other = place.raw();
    other
        .execute_batch(
            "BEGIN IMMEDIATE; UPDATE run SET seq = 99; UPDATE checkpoint SET body = 'new'",
        )
        .unwrap();
    // The open transaction is neither waited for nor seen.
    assert_eq!(
        (store.see("r").seq, store.listed(&Filter::default())),
        (0, vec!["r".into()])
    );
    assert_eq!(store.parts("r"), [("p".into(), "old".into())]);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(
        (store.see("r").seq, store.parts("r")),
        (99, vec![("p".into(), "new".into())])
    );
}

#[test]
fn a_write_waits_for_another_process() {
    let place = Place::new();
    let store = place.open();
    let other = place.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut future = store.write(create("r"));
    // The caller's thread is free meanwhile.
    assert!(poll_once(&mut future).is_pending());
    other.execute_batch("COMMIT").unwrap();
    wait(future).unwrap();
}

#[test]
fn two_stores_see_each_others_writes() {
    let place = Place::new();
    let (one, two) = (place.open(), place.open());
    one.save(start("r").part("p", "1"));
    two.save(step("r", 0, 1).part("p", "2"));
    assert_eq!(one.parts("r"), [("p".into(), "2".into())]);
    assert_eq!(conflict(one.try_save(step("r", 0, 1))).2, 1);
    one.save(step("r", 1, 1));
    assert_eq!(two.entries("r"), [1, 2]);
}

#[test]
fn a_cancel_request_reaches_the_owner_in_another_process() {
    let place = Place::new();
    let (owning, asking) = (place.open(), place.open());
    owning.save(start("r"));
    assert!(asking.cancel("r", 5).unwrap());
    assert!(owning.save(step("r", 0, 1)).cancel_requested);
    owning.save(step("r", 1, 1).status(Status::Cancelled));
    assert!(!asking.cancel("r", 6).unwrap());
}

#[test]
fn of_claims_through_several_stores_exactly_one_wins() {
    let place = Place::new();
    let stores: Vec<_> = (0..4).map(|_| place.open()).collect();
    for round in 0..10 {
        let run = format!("r{round}");
        in_status(&stores[0], &run, Status::Paused);
        let winners: Vec<String> = std::thread::scope(|scope| {
            let claims: Vec<_> = stores
                .iter()
                .enumerate()
                .map(|(n, store)| {
                    let run = &run;
                    scope.spawn(move || {
                        let claimed = store.try_save(step(run, 1, 1).claim(&n.to_string(), 60));
                        match claimed {
                            Ok(written) => Some((n, written.epoch)),
                            lost => {
                                assert_eq!(conflict(lost), (run.clone(), Status::Running, 2, 2));
                                None
                            }
                        }
                    })
                })
                .collect();
            let results = claims.into_iter().filter_map(|claim| claim.join().unwrap());
            results
                .map(|(n, epoch)| {
                    assert_eq!(epoch, Epoch(2));
                    n.to_string()
                })
                .collect()
        });
        assert_eq!(winners.len(), 1);
        assert_eq!(stores[3].see(&run).owner, Some(owner(&winners[0])));
    }
}

#[test]
fn many_runs_through_several_stores_lose_nothing() {
    const STEPS: u64 = 20;
    let place = Place::new();
    let stores: Vec<_> = (0..3).map(|_| place.open()).collect();
    std::thread::scope(|scope| {
        for (n, store) in stores.iter().enumerate() {
            for run in 0..4 {
                scope.spawn(move || {
                    let run = format!("r{n}-{run}");
                    store.save(start(&run));
                    for seq in 0..STEPS {
                        store.save(step(&run, seq, 1).log("l"));
                    }
                });
            }
        }
    });
    let ids = stores[0].ids_with_prefix("r", 100).unwrap();
    assert_eq!(ids.len(), 12);
    for run in ids {
        assert_eq!(
            stores[1].entries(run.as_str()),
            (1..=STEPS).collect::<Vec<_>>()
        );
        assert_eq!(stores[2].logs(&id(run.as_str()), 0, 100).unwrap().len(), 20);
    }
}
