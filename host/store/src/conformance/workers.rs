//! Workers that say that they are there.

use std::time::Duration;

use super::words::{Wait as _, at_second, wait};
use crate::{Owner, Store};

fn worker(nonce: &str) -> Owner {
    Owner {
        host: "host".to_owned(),
        boot: "boot".to_owned(),
        pid: 7,
        started: 8,
        nonce: nonce.to_owned(),
    }
}

fn present(s: &dyn Store, second: u64, nonce: &str, lease: u64) {
    let lease = Duration::from_secs(lease);
    at_second(second, || wait(s.present(worker(nonce), lease))).unwrap();
}

fn there(s: &dyn Store, second: u64) -> Vec<String> {
    let workers = at_second(second, || s.workers().wait()).unwrap();
    for found in &workers {
        assert_eq!(*found, worker(&found.nonce));
    }
    let mut nonces: Vec<String> = workers.into_iter().map(|worker| worker.nonce).collect();
    nonces.sort();
    nonces
}

pub(crate) fn a_worker_is_there_for_as_long_as_it_said(s: &dyn Store) {
    assert!(there(s, 0).is_empty());
    present(s, 100, "a", 30);
    present(s, 110, "b", 30);
    assert_eq!(there(s, 110), ["a", "b"]);
    assert_eq!(there(s, 129), ["a", "b"]);
    assert_eq!(there(s, 130), ["b"]);
    assert!(there(s, 140).is_empty());
}

pub(crate) fn a_worker_that_says_so_again_is_there_longer(s: &dyn Store) {
    present(s, 100, "a", 30);
    present(s, 120, "a", 30);
    assert_eq!(there(s, 149), ["a"]);
    assert!(there(s, 150).is_empty());
    // After it was forgotten, too.
    present(s, 200, "b", 30);
    present(s, 210, "a", 30);
    assert_eq!(there(s, 220), ["a", "b"]);
}

pub(crate) fn a_worker_that_is_absent_is_there_no_more(s: &dyn Store) {
    present(s, 100, "a", 30);
    present(s, 100, "b", 30);
    wait(s.absent(&worker("a"))).unwrap();
    assert_eq!(there(s, 101), ["b"]);
    wait(s.absent(&worker("never"))).unwrap();
    assert_eq!(there(s, 101), ["b"]);
}
