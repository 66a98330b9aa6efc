//! Random graphs against a simple scheduler: what may start, who is skipped and why, how the run ends; and that no order in which
//! attempts end makes a difference to the outcome.

mod chance;
mod coverage;
mod decision;
mod drive;
mod expected;
mod generate;
mod kept;
mod reference;
mod text;

use std::collections::BTreeSet;

use milepost_core::state::RunState;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use self::chance::Chance;
use self::coverage::Coverage;
use self::drive::{Drive, Facts};
use self::generate::Made;

/// Whether the outcome is the same in whatever order attempts end. Two rules make the order matter. With `on_failure = "stop"` a failure
/// keeps from starting what has not started by then. Where a member ends the run, what has not ended by then does not, and the first
/// that ends it wins: what was settled in both orders still came out the same, but for what runs at the end and reads of the others what
/// they came to by then. The reference says which are right.
fn same(made: &Made, case: &str, one: &Facts, other: &Facts) {
    if made.stops {
        return;
    }
    if !made.can_end() {
        assert_eq!(one, other, "{case}");
    } else if made.retries == 0 {
        let at_the_end: BTreeSet<&str> = made.ids_at_the_end().collect();
        for (path, said) in &one.steps {
            let step = path.split(['[', '#', '/']).next().unwrap_or(path);
            if at_the_end.contains(step) {
                continue;
            }
            let others = other.steps.get(path);
            assert!(
                others.is_none_or(|others| others == said),
                "{case}: {path}: {said}, not {others:?}"
            );
        }
    }
}

fn check(seed: u64, size: usize) -> Coverage {
    let made = Made::draw(&mut Chance::new(seed), size);
    let mut first = Drive::new(&made, made.parallel, seed, 0);
    let facts = first.drive_on().facts();
    let journal = first.sim.journal.clone();
    assert_eq!(RunState::fold(&journal).as_ref(), Ok(&first.sim.state));
    let mut chance = Chance::new(!seed);
    for order in 1..3 {
        let mut other = Drive::new(&made, made.parallel, seed, order);
        let others = other.drive_on().facts();
        same(&made, &format!("order {order}"), &facts, &others);
    }
    let mut alone = Drive::new(&made, 1, seed, 3);
    let alone = alone.drive_on().facts();
    same(&made, "one by one", &facts, &alone);
    for order in 4..6 {
        let cut = 2 + chance.below(journal.len() - 1);
        let mut again = Drive::from(&made, seed, order, &journal[..cut]);
        let again = again.drive_on().facts();
        same(&made, &format!("cut at {cut}"), &facts, &again);
    }
    Coverage::of(&made, &journal)
}

/// So many cases, drawn from one seed unless another one is asked for.
#[expect(
    clippy::disallowed_methods,
    reason = "a test, of which more can be asked"
)]
fn fixed(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let rng_seed = match asked.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        seed => seed,
    };
    let cases = std::env::var("PROPTEST_CASES").map_or(cases, |_| asked.cases);
    ProptestConfig {
        cases,
        rng_seed,
        ..asked
    }
}

proptest! {
    // The same graphs every time; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` try others, and more of them.
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 12, ..fixed(40) })]

    #[test]
    fn b325_b327_b331_whatever_ends_first_the_outcome_of_a_random_graph_is_the_same(
        size in 1..31usize,
        seed in any::<u64>(),
    ) {
        check(seed, size);
    }
}

/// What a definition of so many members records replays to the same events, which every simulated run checks when it goes, and cut
/// anywhere it goes on to the same outcome.
fn replays_and_goes_on(seed: u64, size: usize) {
    let made = Made::draw(&mut Chance::new(seed), size);
    let mut whole = Drive::new(&made, made.parallel, seed, 0);
    let facts = whole.drive_on().facts();
    let journal = whole.sim.journal.clone();
    let cut = 2 + Chance::new(!seed).below(journal.len() - 1);
    let mut again = Drive::from(&made, seed, 1, &journal[..cut]);
    let again = again.drive_on().facts();
    same(&made, &format!("cut at {cut}"), &facts, &again);
}

// Small ones, and many of them. Two tests, for two threads.
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 64, ..fixed(500) })]

    #[test]
    fn random_definitions_replay_and_go_on_from_any_cut(size in 2..8usize, seed in any::<u64>()) {
        replays_and_goes_on(seed, size);
    }

    #[test]
    fn larger_random_definitions_replay_and_go_on_from_any_cut(size in 8..14usize, seed in any::<u64>()) {
        replays_and_goes_on(seed, size);
    }
}

/// Seeds that say how often each rule is at work; `MILEPOST_SEEDS=5000` tries more of them.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how long a test takes is a matter of who runs it"
)]
fn every_rule_is_at_work_in_random_graphs() {
    let seeds = std::env::var("MILEPOST_SEEDS").ok();
    let seeds: u64 = seeds.map_or(60, |seeds| seeds.parse().unwrap());
    let mut all = Coverage::default();
    for seed in 0..seeds {
        all.add(check(seed, 8 + usize::try_from(seed % 23).unwrap()));
    }
    all.must_be_often(seeds / 30);
}

#[test]
fn every_prefix_of_a_graphs_journal_goes_on_to_the_same_outcome() {
    for seed in 0..12 {
        let made = Made::draw(&mut Chance::new(seed), 9);
        let mut whole = Drive::new(&made, made.parallel, seed, 0);
        let facts = whole.drive_on().facts();
        let journal = whole.sim.journal.clone();
        for cut in 2..=journal.len() {
            let mut again = Drive::from(&made, seed, cut as u64, &journal[..cut]);
            let again = again.drive_on().facts();
            same(&made, &format!("{seed}, cut at {cut}"), &facts, &again);
        }
    }
}
