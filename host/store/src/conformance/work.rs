//! How long runs were at work.

use std::time::Duration;

use milepost_core::state::Status;

use super::words::{Talk as _, With as _, at, change, create, start};
use crate::{Moved, Store, Work};

fn work(before: u64, since: Option<u64>) -> Option<Work> {
    Some(Work {
        before: Duration::from_secs(before),
        since: since.map(at),
    })
}

pub(crate) fn a_run_works_from_each_claim_to_where_it_stops(s: &dyn Store) {
    s.save(create("r"));
    assert_eq!(s.see("r").worked, work(0, None));
    s.save(change("r", 0, 0).claim("a", 60).at(10));
    assert_eq!(s.see("r").worked, work(0, Some(10)));
    s.save(change("r", 0, 1).at(15));
    s.save(change("r", 0, 1).due(20).at(16));
    assert_eq!(s.see("r").worked, work(0, Some(10)));
    s.save(change("r", 0, 1).status(Status::Paused).at(17));
    assert_eq!(s.see("r").worked, work(7, None));
    s.save(change("r", 0, 1).status(Status::Paused).at(40));
    assert_eq!(s.see("r").worked, work(7, None));
    s.save(change("r", 0, 1).claim("b", 60).at(100));
    s.save(change("r", 0, 2).status(Status::Pending).at(101));
    assert_eq!(s.see("r").worked, work(8, None));
    s.save(change("r", 0, 2).claim("c", 60).at(200));
    s.save(change("r", 0, 3).status(Status::Completed).at(205));
    assert_eq!(s.see("r").worked, work(13, None));
    s.save(start("once").at(3));
    assert_eq!(s.see("once").worked, work(0, Some(3)));
}

pub(crate) fn what_a_lost_owner_had_counts_to_its_last_write(s: &dyn Store) {
    s.save(start("r").at(10));
    s.save(change("r", 0, 1).at(14));
    s.save(change("r", 0, 1).claim("b", 60).at(90));
    assert_eq!(s.see("r").worked, work(4, Some(90)));
    s.save(change("r", 0, 2).status(Status::Failed).at(91));
    assert_eq!(s.see("r").worked, work(5, None));
}

pub(crate) fn a_clock_that_steps_back_takes_nothing_away(s: &dyn Store) {
    s.save(start("r").at(10));
    s.save(change("r", 0, 1).status(Status::Paused).at(12));
    s.save(change("r", 0, 1).claim("b", 60).at(50));
    s.save(change("r", 0, 2).status(Status::Paused).at(20));
    assert_eq!(s.see("r").worked, work(2, None));
    // However far it is ahead, and how often: a number that is full stays full.
    let far = at(0).after(Duration::MAX);
    for round in 0..3 {
        let mut claims = change("r", 0, 2 + round).claim("c", 60);
        claims.head.at = at(0);
        s.save(claims);
        let mut stops = change("r", 0, 3 + round).status(Status::Paused);
        stops.head.at = far;
        s.save(stops);
    }
    let most = Duration::from_nanos(i64::MAX.unsigned_abs());
    let worked = s.see("r").worked.unwrap();
    assert!(worked.since.is_none());
    assert!(worked.before <= most, "{worked:?}");
    assert!(worked.before > most / 4, "{worked:?}");
}

pub(crate) fn a_run_from_elsewhere_brings_how_long_it_worked(s: &dyn Store) {
    for (run, worked) in [("r", Duration::from_secs(90)), ("q", Duration::MAX)] {
        let mut moved = create(run).status(Status::Paused);
        moved.moved = Some(Moved {
            worked,
            ..Moved::default()
        });
        s.save(moved);
        s.save(change(run, 0, 0).claim("a", 60).at(10));
        s.save(change(run, 0, 1).status(Status::Completed).at(20));
    }
    assert_eq!(s.see("r").worked, work(100, None));
    let most = Duration::from_nanos(i64::MAX.unsigned_abs());
    assert_eq!(s.see("q").worked.unwrap().before, most);
}
