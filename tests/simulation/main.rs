//! The real engine under virtual time: several workers on one store, an operator who meddles, and faults. Everything that
//! chance decides comes from one seed, so the same seed gives the same trace.
//!
//! `MILEPOST_SEEDS=50000` tries more seeds; `MILEPOST_SEED=17` plays only that one and, with `--nocapture`, shows its trace,
//! whether it holds or fails. `MILEPOST_WORKFLOW=8` gives that workflow to all runs.
#![expect(clippy::unwrap_used, reason = "tests")]

mod invariants;
mod operator;
mod process;
mod workload;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::world::World;

/// Seeds that a plain run tries.
const SEEDS: u64 = 300;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What came of a seed.
struct Played {
    trace: String,
    /// Whether everything held; what did not was told by a panic.
    holds: bool,
}

/// Plays one seed.
fn play(seed: u64) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let world = runtime.block_on(async { Arc::new(World::new(seed)) });
    let holds = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            operator::play(&world).await;
            invariants::check(&world);
        });
    }));
    world.bury_all();
    Played {
        trace: world.trace(),
        holds: holds.is_ok(),
    }
}

#[test]
fn whatever_happens_nothing_is_lost_and_everything_moves_on() {
    let seeds: Vec<u64> = match variable("MILEPOST_SEED") {
        Some(seed) => vec![seed],
        None => (0..variable("MILEPOST_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut failed = Vec::new();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(seed) = usize::try_from(index).ok().and_then(|i| seeds.get(i))
                        else {
                            return failed;
                        };
                        let played = play(*seed);
                        if seeds.len() == 1 {
                            println!("{}", played.trace);
                        }
                        if !played.holds {
                            eprintln!("seed {seed} failed: MILEPOST_SEED={seed} plays it again");
                            failed.push(*seed);
                        }
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(failed, [0; 0], "seeds that failed, of {}", seeds.len());
    println!("{} seeds", seeds.len());
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..10 {
        let [first, second] = [play(seed), play(seed)].map(|played| played.trace);
        assert!(first.lines().count() > 50, "seed {seed}: {first}");
        assert_eq!(first, second, "seed {seed}");
    }
    assert_ne!(play(1).trace, play(2).trace);
}
