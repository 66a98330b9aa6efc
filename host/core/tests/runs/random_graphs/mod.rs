//! Random graphs against a simple scheduler: what may start, who is skipped and why, how the run ends; and that no order in which
//! attempts end makes a difference to the outcome.

mod chance;
mod drive;
mod generate;
mod kept;
mod reference;

use milepost_core::state::RunState;
use proptest::prelude::*;

use self::chance::Chance;
use self::drive::Drive;
use self::generate::Made;

/// Whether the outcome is the same in whatever order attempts end. With `on_failure = "stop"` a failure keeps from starting what has
/// not started by then.
fn check(seed: u64, size: usize) {
    let made = Made::draw(&mut Chance::new(seed), size);
    let mut first = Drive::new(&made, made.parallel, seed, 0);
    let facts = first.drive_on().facts();
    let journal = first.sim.journal.clone();
    assert_eq!(RunState::fold(&journal).as_ref(), Ok(&first.sim.state));
    let mut chance = Chance::new(!seed);
    for order in 1..3 {
        let mut other = Drive::new(&made, made.parallel, seed, order);
        let others = other.drive_on().facts();
        assert!(
            made.stops || others == facts,
            "order {order}: {others:#?}, not {facts:#?}"
        );
    }
    let mut alone = Drive::new(&made, 1, seed, 3);
    let alone = alone.drive_on().facts();
    assert!(
        made.stops || alone == facts,
        "one by one: {alone:#?}, not {facts:#?}"
    );
    for order in 4..6 {
        let cut = 2 + chance.below(journal.len() - 1);
        let mut again = Drive::from(&made, seed, order, &journal[..cut]);
        let again = again.drive_on().facts();
        assert!(
            made.stops || again == facts,
            "cut at {cut}: {again:#?}, not {facts:#?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 12, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn b325_b327_b331_whatever_ends_first_the_outcome_of_a_random_graph_is_the_same(
        size in 1..31usize,
        seed in any::<u64>(),
    ) {
        check(seed, size);
    }
}

#[test]
fn every_prefix_of_a_graphs_journal_goes_on_to_the_same_outcome() {
    for seed in 0..6 {
        let made = Made::draw(&mut Chance::new(seed), 9);
        let mut whole = Drive::new(&made, made.parallel, seed, 0);
        let facts = whole.drive_on().facts();
        let journal = whole.sim.journal.clone();
        for cut in 2..=journal.len() {
            let mut again = Drive::from(&made, seed, cut as u64, &journal[..cut]);
            let again = again.drive_on().facts();
            assert!(
                made.stops || again == facts,
                "{seed}, cut at {cut}: {again:#?}, not {facts:#?}"
            );
        }
    }
}
