//! What people write first who know another tool (GitHub Actions, Argo, Dagu, Kestra, Taskfile, Temporal): each word leads to the
//! one that is meant here, so that the second try is right.
//!
//! To add a word, find the table of the record in which people write it ([`rows`] names them) and the row of what it means there. A word
//! is written in small letters, without `_` and `-`, and stands in one row of its table.

mod declared;
mod repeated;
mod retry;
mod step;
mod waiting;
mod workflow;

use super::nearest::nearest;
use crate::synonyms::plain;

use declared::{INPUT, PLUGIN};
use repeated::{FOREACH, LOOP};
use retry::RETRY;
pub(super) use step::SIGNAL;
use step::STEP;
use waiting::{APPROVAL, WAIT};
use workflow::WORKFLOW;

/// A word of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign {
    /// The key that it means, if there is one; a missing key that stands there in other words is not reported again.
    pub(super) key: Option<&'static str>,
    /// What to write, with a line to copy.
    pub(super) help: &'static str,
}

/// Words that mean the same, the key that they mean, and what to write.
type Row = (&'static [&'static str], Option<&'static str>, &'static str);

/// What `word` means as a key of the record of that title.
pub(super) fn key(title: &str, word: &str) -> Option<Foreign> {
    let plain = plain(word);
    let (_, key, help) = rows(title)
        .iter()
        .find(|(words, ..)| words.contains(&plain.as_str()))?;
    Some(Foreign { key: *key, help })
}

/// What a misspelt `word` means.
pub(super) fn nearly(title: &str, word: &str) -> Option<Foreign> {
    key(title, known(title, word)?)
}

/// The word that `word` is, or is near to.
pub(super) fn known(title: &str, word: &str) -> Option<&'static str> {
    let plain = plain(word);
    let words = || {
        rows(title)
            .iter()
            .flat_map(|(words, ..)| words.iter().copied())
    };
    if let Some(same) = words().find(|known| *known == plain) {
        return Some(same);
    }
    // Short words are near to too many.
    let near = nearest(&plain, words().filter(|word| word.len() >= 6));
    words().find(|known| Some(*known) == near.first().map(String::as_str))
}

fn rows(title: &str) -> &'static [Row] {
    match title {
        "a workflow" => WORKFLOW,
        "a step" => STEP,
        "an input" => INPUT,
        "a plugin" => PLUGIN,
        "a retry policy" => RETRY,
        "a loop" => LOOP,
        "a fan-out" => FOREACH,
        "a wait" => WAIT,
        "an approval" => APPROVAL,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::grammar::{Record, Shape, WORKFLOW as WORKFLOW_RECORD};

    /// Every record that can be reached.
    fn records(record: &'static Record, found: &mut Vec<&'static Record>) {
        found.push(record);
        for key in record.keys {
            match &key.shape {
                Shape::Record(inner) | Shape::Tables(inner) | Shape::Map { values: inner, .. } => {
                    records(inner, found);
                }
                Shape::List(Shape::Record(inner)) => records(inner, found),
                _ => {}
            }
        }
    }

    #[test]
    fn words_are_told_apart_from_keys_and_lead_to_keys() {
        let mut all = Vec::new();
        records(&WORKFLOW_RECORD, &mut all);
        let tables = [
            ("a workflow", WORKFLOW),
            ("a step", STEP),
            ("an input", INPUT),
            ("a plugin", PLUGIN),
            ("a retry policy", RETRY),
            ("a loop", LOOP),
            ("a fan-out", FOREACH),
            ("a wait", WAIT),
            ("an approval", APPROVAL),
        ];
        for (title, rows) in tables {
            let record = all.iter().find(|record| record.title == title);
            let record = record.unwrap_or_else(|| panic!("there is no record `{title}`"));
            let mut seen = std::collections::BTreeSet::new();
            for (words, key, help) in rows {
                assert!(!help.is_empty());
                assert!(
                    key.is_none_or(|key| record.key(key).is_some()),
                    "{title}: {key:?}"
                );
                for word in *words {
                    assert!(seen.insert(*word), "{title}: `{word}` twice");
                    assert!(record.key(word).is_none(), "{title} has a key `{word}`");
                }
            }
        }
    }

    #[test]
    fn spellings_do_not_count() {
        for word in ["depends_on", "dependsOn", "depends-on", "DEPENDS ON"] {
            assert_eq!(
                key("a step", word).and_then(|found| found.key),
                Some("needs"),
                "{word}"
            );
        }
        assert_eq!(key("a step", "zzz"), None);
        assert_eq!(key("a signal", "when"), None);
    }
}
