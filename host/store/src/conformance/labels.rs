//! What runs are called by, and which run they are a fork of.

use milepost_core::labels::Labels;

use super::words::{Talk as _, Wait as _, With as _, create, id, step};
use crate::{Filter, Store, Write};

fn labels(all: &[&str]) -> Labels {
    Labels::new(all.iter().map(|label| label.parse().unwrap())).unwrap()
}

fn labelled(run: &str, all: &[&str]) -> Write {
    let mut write = create(run);
    write.head.labels = labels(all);
    write
}

pub(crate) fn labels_and_the_origin_of_a_fork_are_set_once(s: &dyn Store) {
    let mut fork = labelled("r", &["env=prod", "note=it's \"quoted\" \u{e4}"]);
    fork.kin.forked_from = Some(id("gone"));
    s.save(fork);
    let mut later = step("r", 0, 0).claim("w", 30);
    later.head.labels = labels(&["env=test"]);
    later.kin.forked_from = Some(id("other"));
    s.save(later);
    let row = s.see("r");
    assert_eq!(
        row.labels,
        labels(&["env=prod", "note=it's \"quoted\" \u{e4}"])
    );
    assert_eq!(row.forked_from, Some(id("gone")));
    s.save(create("plain"));
    let row = s.see("plain");
    assert!(row.labels.is_empty());
    assert_eq!(row.forked_from, None);
}

pub(crate) fn lists_show_runs_with_all_of_these_labels(s: &dyn Store) {
    s.save(labelled("a", &["env=prod", "team=data"]));
    s.save(labelled("b", &["env=prod"]));
    s.save(labelled("c", &["env=test", "team=data"]));
    s.save(create("d"));
    for (wanted, expected) in [
        (&["env"][..], &["c", "b", "a"][..]),
        (&["env=prod"], &["b", "a"]),
        (&["env=prod", "team"], &["a"]),
        (&["env=prod", "env=test"], &[]),
        (&["team=da"], &[]),
        (&["prod"], &[]),
        (&[], &["d", "c", "b", "a"]),
    ] {
        let filter = Filter {
            labels: wanted.iter().map(|label| label.parse().unwrap()).collect(),
            ..Filter::default()
        };
        assert_eq!(s.listed(&filter), *expected, "{wanted:?}");
        assert_eq!(s.count(&filter).wait().unwrap(), expected.len());
    }
}
