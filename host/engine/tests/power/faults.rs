//! Single calls to the disk that fail, once or from then on: whoever wrote is told, nothing acknowledged is lost, and the
//! store goes on when the disk does.

use crate::power::world::clock;
use milepost::store::StoreError;
use milepost::store::sqlite::{Durability, SqliteStore};

use super::power::checks::{check, complete, differs};
use super::power::disk::{Image, Mounted};
use super::power::draws::Draws;
use super::power::trouble::{Among, Fault, Trouble};
use super::power::world::{Change, World, make};

const SEED: u64 = 11;

/// What the runs do before, during and after a fault.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// Rounds of changes.
    rounds: usize,
    /// How often the store is closed and opened in between, percent of the rounds.
    reopens: usize,
    /// Bytes that some changes carry.
    weight: usize,
}

const SMALL: Load = Load {
    rounds: 7,
    reopens: 30,
    weight: 3_000,
};

/// Enough for the WAL to be folded while the store is in use.
const FOLDING: Load = Load {
    rounds: 16,
    reopens: 0,
    weight: 2_000_000,
};

/// How the machine is found again after the disk failed for good.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Aftermath {
    ProcessEnded,
    PowerLost,
}

/// One try: which call fails, how, and what happens next.
#[derive(Debug, Clone, Copy)]
struct Try {
    fault: Fault,
    /// How many calls of the kind succeed before.
    after: u64,
    among: Among,
    lasting: bool,
    load: Load,
    aftermath: Aftermath,
}

/// What a try met.
#[derive(Debug, Default)]
struct Met {
    /// Changes that were told that they were not saved.
    refused: usize,
    /// Whether the fault happened at all.
    struck: bool,
}

impl Try {
    fn trouble(self) -> Trouble {
        Trouble::Fault {
            after: self.after,
            among: self.among,
            fault: self.fault,
            lasting: self.lasting,
        }
    }

    /// Opens the store. Refused, the caller is told so; afterwards it works when the fault was once.
    fn open(self, disk: &Mounted, met: &mut Met) -> Option<SqliteStore> {
        for _ in 0..2 {
            match SqliteStore::open(&disk.path(), Durability::PowerLoss) {
                Ok(store) => return Some(store.with_clock(clock())),
                // A log that cannot be opened looks the same for a moment as for good.
                Err(StoreError::Unavailable(_) | StoreError::ReadOnly(_)) => met.refused += 1,
                Err(error) => panic!("{self:?}: {error}"),
            }
        }
        assert!(self.lasting, "{self:?}: the store does not open again");
        None
    }

    /// Makes changes and, when they are refused, the same changes again. Returns those that are not made.
    fn change(
        self,
        disk: &Mounted,
        store: &SqliteStore,
        world: &mut World,
        draws: &mut Draws,
        met: &mut Met,
    ) -> Vec<Change> {
        let mut missing = world.draw(draws);
        for _ in 0..2 {
            let answers = make(disk, store, &missing);
            let mut refused = Vec::new();
            for (change, answer) in std::mem::take(&mut missing).into_iter().zip(answers) {
                match answer {
                    Ok(()) => world.acknowledge(&change),
                    Err(StoreError::Unavailable(_)) => refused.push(change),
                    Err(error) => panic!("{self:?}: {error}"),
                }
            }
            for change in &refused {
                let difference = differs(store, world, change.run()).unwrap();
                assert_eq!(difference, None, "{self:?}: refused and yet visible");
            }
            met.refused += refused.len();
            missing = refused;
            if missing.is_empty() {
                return missing;
            }
        }
        assert!(self.lasting, "{self:?}: the store does not recover");
        missing
    }

    fn run(self) -> Met {
        let (mut draws, mut world, mut met) =
            (Draws(SEED), World::new(self.load.weight), Met::default());
        let disk = Mounted::new(&Image::new());
        disk.set(self.trouble());
        let mut missing = Vec::new();
        let mut store = None;
        for _ in 0..self.load.rounds {
            if draws.chance(self.load.reopens) {
                drop(store.take());
            }
            if store.is_none() {
                store = self.open(&disk, &mut met);
            }
            let Some(store) = &store else { break };
            missing = self.change(&disk, store, &mut world, &mut draws, &mut met);
            if !missing.is_empty() {
                break;
            }
        }
        if missing.is_empty()
            && let Some(store) = &store
        {
            complete(store, &world).unwrap_or_else(|finding| panic!("{self:?}: {finding:?}"));
        }
        met.struck = disk.struck();
        let image = match self.aftermath {
            Aftermath::ProcessEnded => {
                drop(store);
                disk.contents()
            }
            Aftermath::PowerLost => {
                let image = disk.cut(&mut draws);
                drop(store);
                image
            }
        };
        if let Err(finding) = check(&image, Durability::PowerLoss, &mut world, &missing) {
            panic!("{self:?}: {finding:?}");
        }
        met
    }
}

/// Tries a fault at every call of a small history.
fn at_every_call(fault: Fault) {
    let (mut tries, mut refused) = (0, 0);
    for (lasting, aftermath) in [
        (false, Aftermath::PowerLost),
        (true, Aftermath::PowerLost),
        (true, Aftermath::ProcessEnded),
    ] {
        for after in 0.. {
            let met = Try {
                fault,
                after,
                among: Among::All,
                lasting,
                load: SMALL,
                aftermath,
            }
            .run();
            if !met.struck {
                break;
            }
            tries += 1;
            refused += met.refused;
        }
    }
    println!("{fault:?}: {tries} faults, {refused} changes refused");
    assert!(refused > 0);
}

#[test]
fn b107_a_call_that_fails_is_told_and_nothing_else_suffers() {
    at_every_call(Fault::Any);
}

#[test]
fn b107_a_full_disk_is_told_and_nothing_else_suffers() {
    at_every_call(Fault::Full);
}

#[test]
fn b106_a_sync_that_failed_is_not_taken_for_saved() {
    at_every_call(Fault::Forgetful);
}

/// The WAL is folded after the commit was acknowledged: a failure concerns nobody, and the next commit folds again.
#[test]
fn b107_a_fault_while_the_wal_is_folded_loses_nothing() {
    let mut unheard = 0;
    for (fault, step) in [(Fault::Any, 331), (Fault::Full, 331), (Fault::Forgetful, 1)] {
        for lasting in [false, true] {
            for after in (0..).step_by(step) {
                let met = Try {
                    fault,
                    after,
                    among: Among::Database,
                    lasting,
                    load: FOLDING,
                    aftermath: Aftermath::PowerLost,
                }
                .run();
                if !met.struck {
                    break;
                }
                unheard += u64::from(met.refused == 0);
            }
        }
    }
    println!("{unheard} faults while folding");
    assert!(unheard > 0);
}
