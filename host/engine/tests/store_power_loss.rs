//! What was acknowledged survives a loss of power, and what was not leaves nothing half-done; shown on a disk that keeps
//! unsynced writes, sizes and names to itself until a sync, and loses, tears or keeps any of them when the power fails.
//!
//! `MILEPOST_CUTS` sets how many cuts are tried, `MILEPOST_SEED` the first history; both are printed, and so is the seed of a
//! history that fails: `MILEPOST_SEED=<it> MILEPOST_CUTS=1` runs that one alone.

#![expect(clippy::disallowed_macros, reason = "a test prints its seed")]
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "power/faults.rs"]
mod faults;
mod power;
#[path = "../../store/sqlite/tests/store/mod.rs"]
mod store;

use milepost::store::sqlite::Durability;

use power::checks::Finding;
use power::history::{CUTS, Machine, Tally, live_through};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Seeds of so many histories that the cuts asked for are reached.
fn seeds() -> std::ops::Range<u64> {
    let (cuts, seed) = (setting("MILEPOST_CUTS", 300), setting("MILEPOST_SEED", 1));
    println!("{cuts} cuts, MILEPOST_SEED={seed}");
    seed..seed + cuts.div_ceil(CUTS)
}

/// A disk and a store that keep their promises.
const SOUND: Machine = Machine {
    durability: Durability::PowerLoss,
    lies: false,
};

#[test]
fn b106_a_power_cut_at_any_sync_loses_nothing_that_was_acknowledged() {
    let mut tally = Tally::default();
    for seed in seeds() {
        match live_through(seed, SOUND, CUTS) {
            Ok(lived) => tally.add(&lived),
            Err(finding) => panic!("MILEPOST_SEED={seed}: {finding:?}"),
        }
    }
    print!("{tally}");
    if tally.cuts() >= 300 {
        // Every kind of moment was met.
        for moment in [
            "opening: db",
            "opening: db-journal",
            "opening: db-wal",
            "changing: db",
            "changing: db-wal",
            "closing: db",
            "idle",
        ] {
            assert!(tally.moments.contains_key(moment), "no cut {moment}");
        }
        assert!(tally.unanswered.made > 0 && tally.unanswered.lost > 0);
    }
}

/// That is the price of this setting: what is left must be of one piece all the same.
#[test]
fn a_store_that_does_not_sync_every_commit_is_found_out() {
    let machine = Machine {
        durability: Durability::ProcessCrash,
        ..SOUND
    };
    let mut lossy = 0;
    for seed in 1..=30 {
        match live_through(seed, machine, CUTS) {
            Ok(_) => {}
            Err(Finding::Differs(_)) => lossy += 1,
            Err(finding) => panic!("seed {seed}: {finding:?}"),
        }
    }
    println!("{lossy} of 30 histories lost something");
    assert!(lossy > 0);
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let machine = Machine {
        lies: true,
        ..SOUND
    };
    let found = (1..=10).filter(|seed| live_through(*seed, machine, CUTS).is_err());
    let found = found.count();
    // A history whose cuts lose nothing is possible, but rare.
    assert!(found >= 7, "{found} of 10");
}
