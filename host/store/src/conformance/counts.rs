//! Counters of the store as a whole.

use super::words::Wait as _;
use super::words::{Talk, in_status};
use crate::{Count, Store};
use milepost_core::state::Status;

fn count(name: &str, value: u64) -> Count {
    Count {
        name: name.to_owned(),
        value,
    }
}

pub(crate) fn counters_begin_at_nothing_and_add_up(s: &dyn Store) {
    assert_eq!(s.counts().wait().unwrap(), []);
    s.count_up(Vec::new()).wait().unwrap();
    assert_eq!(s.counts().wait().unwrap(), []);
    s.count_up(vec![count("a", 2), count("b", 0)])
        .wait()
        .unwrap();
    s.count_up(vec![count("a", 3), count("a", 4)])
        .wait()
        .unwrap();
    assert_eq!(s.counts().wait().unwrap(), [count("a", 9), count("b", 0)]);
}

pub(crate) fn counters_are_listed_by_the_bytes_of_their_names(s: &dyn Store) {
    let names = ["Z", "a", "a/b", "aa", "\u{e4}", "\u{10348}"];
    let by = names.iter().rev().map(|name| count(name, 1));
    s.count_up(by.collect()).wait().unwrap();
    let listed = s.counts().wait().unwrap();
    assert_eq!(listed, names.map(|name| count(name, 1)));
}

pub(crate) fn a_counter_stays_at_the_largest_number(s: &dyn Store) {
    let most = i64::MAX.unsigned_abs();
    s.count_up(vec![count("a", most - 1)]).wait().unwrap();
    for _ in 0..3 {
        s.count_up(vec![count("a", 1)]).wait().unwrap();
        assert_eq!(s.counts().wait().unwrap(), [count("a", most)]);
    }
    s.count_up(vec![count("a", u64::MAX), count("b", u64::MAX)])
        .wait()
        .unwrap();
    let full = [count("a", most), count("b", most)];
    assert_eq!(s.counts().wait().unwrap(), full);
}

pub(crate) fn of_many_that_count_at_once_nothing_is_lost(s: &dyn Store) {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    s.count_up(vec![count("a", 1), count("b", 2)])
                        .wait()
                        .unwrap();
                }
            });
        }
    });
    let all = [count("a", 160), count("b", 320)];
    assert_eq!(s.counts().wait().unwrap(), all);
}

pub(crate) fn counters_stay_when_runs_are_removed(s: &dyn Store) {
    in_status(s, "r", Status::Completed);
    s.count_up(vec![count("a", 1)]).wait().unwrap();
    s.remove("r", 1).unwrap();
    assert_eq!(s.counts().wait().unwrap(), [count("a", 1)]);
}
