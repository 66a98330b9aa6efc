//! Everything that the runs on a machine were told: the oracle holds what was acknowledged.

use crate::store::Now as _;
use std::collections::BTreeSet;
use std::time::Duration;

use milepost::record;
use milepost::store::memory::MemoryStore;
use milepost::store::sqlite::SqliteStore;
use milepost::store::{Count, Held, StopKind, StopRequest, Store, StoreClock, StoreError, Write};
use milepost_core::ids::{Digest, RunId};
use milepost_core::state::{RunState, Status};
use milepost_core::time::Timestamp;

use super::disk::Mounted;
use super::draws::Draws;
use super::runs::Mover;
use crate::store::{at, id, poll_once, wait};

/// Runs that are on their way at a time.
const RUNS: usize = 6;

/// One change of one run.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Write(Box<Write>),
    Cancel(RunId, Timestamp),
    Renew(Held, Duration),
}

impl Change {
    pub(crate) fn run(&self) -> &RunId {
        match self {
            Self::Write(write) => &write.run,
            Self::Cancel(run, _) | Self::Renew(Held { run, .. }, _) => run,
        }
    }

    pub(crate) async fn make(&self, store: &dyn Store) -> Result<(), StoreError> {
        match self {
            Self::Write(write) => store.write((**write).clone()).await.map(drop),
            Self::Cancel(run, at) => {
                let request = StopRequest {
                    kind: StopKind::Cancel,
                    at: *at,
                    by: "somebody".to_owned(),
                };
                store.request_stop(run, request).await.map(drop)
            }
            Self::Renew(held, lease) => {
                let held = std::slice::from_ref(held);
                let kept = store.keep(held, Some(*lease)).await;
                // As the keeper does. Whether it survives is nobody's matter; whatever is saved next has to.
                let count = Count {
                    name: "renewals".to_owned(),
                    value: 1,
                };
                let _ = store.count_up(vec![count]).await;
                kept.map(drop)
            }
        }
    }
}

/// Leases begin at one moment for the oracle and every store that is compared with it.
pub(crate) fn clock() -> StoreClock {
    StoreClock::new(Timestamp::default)
}

pub(crate) struct World {
    /// What was acknowledged.
    pub(crate) oracle: MemoryStore,
    /// Every run that any change named.
    pub(crate) runs: BTreeSet<RunId>,
    /// Every blob that any change carried.
    pub(crate) blobs: BTreeSet<Digest>,
    /// The runs on their way: as they stand in the oracle, or not begun.
    actors: Vec<(RunId, Option<RunState>)>,
    /// Runs that came into being with changes of others, if those were made.
    born: Vec<RunId>,
    mover: Mover,
}

impl World {
    /// `weight`: bytes that some changes carry.
    pub(crate) fn new(weight: usize) -> Self {
        let mut world = Self {
            oracle: MemoryStore::with_clock(clock()),
            runs: BTreeSet::new(),
            blobs: BTreeSet::new(),
            actors: Vec::new(),
            born: Vec::new(),
            mover: Mover::new(weight),
        };
        for _ in 0..RUNS {
            let run = world.fresh();
            world.actors.push((run, None));
        }
        world
    }

    fn fresh(&mut self) -> RunId {
        let run = id(&format!("r{}", self.runs.len()));
        self.runs.insert(run.clone());
        run
    }

    /// What one to five runs do next, at the same time.
    pub(crate) fn draw(&mut self, draws: &mut Draws) -> Vec<Change> {
        let together = if draws.chance(40) {
            2 + draws.below(4)
        } else {
            1
        };
        let first = draws.below(RUNS);
        let chosen = (0..together).map(|n| (first + n) % RUNS);
        chosen.map(|actor| self.draw_one(actor, draws)).collect()
    }

    fn draw_one(&mut self, actor: usize, draws: &mut Draws) -> Change {
        let (run, state) = self.actors[actor].clone();
        if let Some(state) = &state
            && state.phase().status() == Status::Running
        {
            let later = 1_000_000 + draws.next() % 1_000;
            match draws.below(20) {
                0 => return Change::Cancel(run, at(later)),
                1 => {
                    let epoch = state.epoch();
                    return Change::Renew(Held { run, epoch }, Duration::from_secs(later));
                }
                _ => {}
            }
        }
        let next = match &state {
            None => Some(self.mover.create(run, draws)),
            Some(state) => self.mover.advance(state, draws),
        };
        let mut next = match next {
            Some(next) => next,
            None => self.another(actor, draws),
        };
        if draws.chance(10) {
            let child = self.fresh();
            self.mover.bear(&mut next, child.clone(), draws);
            self.born.push(child);
        }
        if draws.chance(10) {
            let runs: Vec<_> = self.runs.iter().cloned().collect();
            self.mover.tell(&mut next, draws.choose(&runs).clone());
        }
        let children = next.kin.children.iter();
        let blobs = children.chain([&next]).flat_map(|write| &write.blobs);
        self.blobs.extend(blobs.map(|(digest, _)| *digest));
        Change::Write(Box::new(next))
    }

    /// The first move of a run in the place of one that is over: one that another run has started, a fork of it, or a new one.
    fn another(&mut self, actor: usize, draws: &mut Draws) -> Write {
        while let Some(child) = self.born.pop() {
            if let Ok(recorded) = record::load(&self.oracle, &child).now()
                && let Some(next) = self.mover.advance(&recorded.state, draws)
            {
                self.actors[actor] = (child, Some(recorded.state));
                return next;
            }
        }
        let run = self.fresh();
        let over = std::mem::replace(&mut self.actors[actor], (run.clone(), None));
        match over.1 {
            Some(over) if draws.chance(50) => self.mover.fork(run, &over, draws),
            _ => self.mover.create(run, draws),
        }
    }

    /// The change was made.
    pub(crate) fn acknowledge(&mut self, change: &Change) {
        wait(change.make(&self.oracle)).expect("the oracle takes what follows from what it holds");
        if let Some(actor) = self.actors.iter_mut().find(|a| a.0 == *change.run()) {
            actor.1 = Some(
                record::load(&self.oracle, change.run())
                    .now()
                    .unwrap()
                    .state,
            );
        }
    }
}

/// Makes changes at the same moment, so that the store joins them; their answers, in the same order.
pub(crate) fn make(
    disk: &Mounted,
    store: &SqliteStore,
    changes: &[Change],
) -> Vec<Result<(), StoreError>> {
    if let [change] = changes {
        return vec![wait(change.make(store))];
    }
    let mut waiting: Vec<_> = changes.iter().map(|c| Box::pin(c.make(store))).collect();
    let mut answers: Vec<Option<Result<(), StoreError>>> = Vec::new();
    wait(async {
        let held = disk.hold_writers();
        for future in &mut waiting {
            // Without power there is an answer at once.
            answers.push(match poll_once(future) {
                std::task::Poll::Ready(answer) => Some(answer),
                std::task::Poll::Pending => None,
            });
        }
        drop(held);
        let mut all = Vec::new();
        for (future, answer) in waiting.into_iter().zip(answers) {
            all.push(match answer {
                Some(answer) => answer,
                None => future.await,
            });
        }
        all
    })
}
