//! A machine that lives, loses its power, and lives again.

use crate::store::Now as _;
use milepost::store::prelude::*;
use std::collections::BTreeMap;
use std::fmt;

use milepost::store::sqlite::{Durability, SqliteStore};

use super::checks::{Finding, Unanswered, check, open};
use super::disk::{Image, Mounted};
use super::draws::Draws;
use super::trouble::{Among, Trouble};
use super::world::{Change, World, make};

/// Power cuts in one history: what recovery leaves is cut again.
pub(crate) const CUTS: u64 = 3;

/// Rounds of changes in one life.
const ROUNDS: usize = 30;

/// Bytes that some changes carry in every fifth history: enough for the WAL to be folded while the store is in use.
const HEAVY: usize = 800_000;
const LIGHT: usize = 3_000;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) durability: Durability,
    /// Its disk says that it has synced, and has not.
    pub(crate) lies: bool,
}

/// What a history went through.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// When the power failed: what the store did, and which file was being synced.
    pub(crate) moments: BTreeMap<String, u64>,
    pub(crate) acknowledged: u64,
    pub(crate) unanswered: Unanswered,
}

impl Tally {
    pub(crate) fn cuts(&self) -> u64 {
        self.moments.values().sum()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (moment, cuts) in &other.moments {
            *self.moments.entry(moment.clone()).or_default() += cuts;
        }
        self.acknowledged += other.acknowledged;
        self.unanswered.made += other.unanswered.made;
        self.unanswered.lost += other.unanswered.lost;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} cuts, {} changes acknowledged; of those without an answer, {} were made and {} not",
            self.cuts(),
            self.acknowledged,
            self.unanswered.made,
            self.unanswered.lost
        )?;
        for (moment, cuts) in &self.moments {
            writeln!(f, "{cuts:6} {moment}")?;
        }
        Ok(())
    }
}

/// How a life ended.
struct End {
    /// What the store was doing.
    doing: &'static str,
    /// Kept, so that the power fails before it is closed.
    store: Option<SqliteStore>,
    unanswered: Vec<Change>,
}

/// Lives through some power cuts, and checks after each.
pub(crate) fn live_through(seed: u64, machine: Machine, cuts: u64) -> Result<Tally, Finding> {
    let mut draws = Draws(seed);
    let heavy = seed.is_multiple_of(5);
    let mut world = World::new(if heavy { HEAVY } else { LIGHT });
    let mut tally = Tally::default();
    let mut image = Image::new();
    for _ in 0..cuts {
        let disk = Mounted::new(&image);
        if machine.lies {
            disk.lie();
        }
        let (among, syncs) = if heavy && draws.chance(70) {
            (Among::Database, 4)
        } else {
            (Among::All, *draws.choose(&[8, 30, 60]))
        };
        disk.set(Trouble::Cut {
            after: draws.next() % syncs,
            among,
            done: draws.chance(25),
        });
        let end = live(
            &disk,
            machine.durability,
            &mut world,
            &mut draws,
            &mut tally,
        )?;
        let moment = match disk.cut_at() {
            Some(file) => format!("{}: {file}", end.doing),
            None => "idle".to_owned(),
        };
        image = disk.cut(&mut draws);
        drop(end.store);
        let found = check(&image, machine.durability, &mut world, &end.unanswered)?;
        *tally.moments.entry(moment).or_default() += 1;
        tally.unanswered.made += found.made;
        tally.unanswered.lost += found.lost;
    }
    Ok(tally)
}

/// Lives until the power fails, or until there is nothing more to do.
fn live(
    disk: &Mounted,
    durability: Durability,
    world: &mut World,
    draws: &mut Draws,
    tally: &mut Tally,
) -> Result<End, Finding> {
    let mut store = None;
    for _ in 0..ROUNDS {
        if draws.chance(4) {
            drop(store.take());
            if disk.cut_at().is_some() {
                return Ok(End::without_store("closing"));
            }
        }
        let open_store = match store.take() {
            Some(store) => store,
            None => match open(disk, durability) {
                Ok(store) => store,
                Err(_) if disk.cut_at().is_some() => return Ok(End::without_store("opening")),
                Err(finding) => return Err(finding),
            },
        };
        let changes = world.draw(draws);
        let answers = make(disk, &open_store, &changes);
        let mut unanswered = Vec::new();
        for (change, answer) in changes.into_iter().zip(answers) {
            match answer {
                Ok(()) => {
                    world.acknowledge(&change);
                    tally.acknowledged += 1;
                    read_back(disk, &open_store, world, &change)?;
                }
                Err(_) if disk.cut_at().is_some() => unanswered.push(change),
                Err(error) => return Err(Finding::Unusable(error.to_string())),
            }
        }
        store = Some(open_store);
        if !unanswered.is_empty() {
            return Ok(End {
                doing: "changing",
                store,
                unanswered,
            });
        }
    }
    Ok(End {
        doing: "changing",
        store,
        unanswered: Vec::new(),
    })
}

impl End {
    fn without_store(doing: &'static str) -> Self {
        Self {
            doing,
            store: None,
            unanswered: Vec::new(),
        }
    }
}

/// What was acknowledged can be seen at once.
fn read_back(
    disk: &Mounted,
    store: &SqliteStore,
    world: &World,
    change: &Change,
) -> Result<(), Finding> {
    let run = change.run();
    match store.row(run).now() {
        Ok(row) if row == world.oracle.row(run).now().unwrap() => Ok(()),
        // Without power there is nothing to be seen.
        Err(_) if disk.cut_at().is_some() => Ok(()),
        other => Err(Finding::Differs(format!("just written, but {other:?}"))),
    }
}
