//! From what a person typed to the id of a run: the id itself, or a prefix that only one run has.
//!
//! A prefix that means one run today may mean another one tomorrow, and a program does not look at the answer. Verbs that stop a
//! run or decide in it therefore take a prefix from a person at a terminal only ([`resolve_to_change`]).

use milepost::core::ids::RunId;
use milepost::store::Store;

use super::context::Context;
use super::drive::wait;
use super::failure::{Code, Failure};
use super::words::advice::{Advice, command};
use super::{meant, shell};

/// What the help of those verbs says of their id.
pub(crate) const WHOLE: &str =
    "Id of the run; at a terminal, without --json, a unique prefix is enough";

/// How many runs an ambiguous prefix names before it is cut short.
const CANDIDATES: usize = 10;

/// Ids that are compared with one that no run has.
const LOOKED_AT: usize = 1_000;

/// Finds the run.
///
/// # Errors
/// [`Failure`]: 64 when the text is no id (B190) or several runs begin with it, 65 when none does (B186).
pub(crate) fn resolve(store: &dyn Store, typed: &str) -> Result<RunId, Failure> {
    let prefix = RunId::new(typed).map_err(|invalid| {
        let failure = Failure::new(Code::Usage, invalid.to_string());
        // The file of an exported run, where only a run of the store will do.
        match typed.ends_with(".mpr") {
            true => failure.help(
                command(format!("import {}", shell::argument(typed)))
                    .text(" puts the run of that file into the store"),
            ),
            false => failure,
        }
    })?;
    let mut found = wait(store.ids_with_prefix(typed, CANDIDATES + 1))?;
    if found.contains(&prefix) {
        return Ok(prefix);
    }
    match found.len() {
        0 => {
            let failure = Failure::new(Code::RunNotFound, format!("no run begins with `{typed}`"));
            let all = wait(store.ids_with_prefix("", LOOKED_AT))?;
            let question = meant::question(typed, all.iter().map(RunId::as_str));
            let question = question.map_or_else(String::new, |question| question + " ");
            Err(failure.help(Advice::from(question).command("ls").text(" lists the runs")))
        }
        1 => Ok(found.remove(0)),
        count => {
            let names: Vec<_> = found
                .iter()
                .take(CANDIDATES)
                .map(|id| format!("`{id}`"))
                .collect();
            let more = if count > CANDIDATES { " and more" } else { "" };
            let message = format!(
                "several runs begin with `{typed}`: {}{more}",
                names.join(", ")
            );
            Err(Failure::new(Code::AmbiguousRun, message).help("type more of the id"))
        }
    }
}

/// Finds the run that a verb stops or decides in. The beginning of its id is enough where a person sees which run that was.
///
/// # Errors
/// [`Failure`] as of [`resolve`]; 64 when the id is not whole and has to be.
pub(crate) fn resolve_to_change(
    cx: &Context,
    store: &dyn Store,
    typed: &str,
) -> Result<RunId, Failure> {
    let run = resolve(store, typed)?;
    whole(cx.attended, &run, typed)
}

fn whole(attended: bool, run: &RunId, typed: &str) -> Result<RunId, Failure> {
    if attended || run.as_str() == typed {
        return Ok(run.clone());
    }
    let message = format!(
        "`{typed}` is only a prefix of `{run}`; with --json or without a terminal, this command needs the whole id"
    );
    Err(Failure::new(Code::WholeIdNeeded, message)
        .help(format!("if you mean that run, type `{run}`")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use milepost::core::state::Status;
    use milepost::core::time::Timestamp;
    use milepost::store::memory::MemoryStore;
    use milepost::store::prelude::*;
    use milepost::store::{Expect, Head, Kin, Write};

    use super::*;
    use crate::exit::Exit;

    fn store(ids: &[&str]) -> MemoryStore {
        let store = MemoryStore::new();
        for id in ids {
            let write = Write {
                run: RunId::new(id).unwrap(),
                expect: Expect::Absent,
                claim: None,
                head: Head::new("w", Status::Pending, Timestamp::default()),
                entries: Vec::new(),
                parts: Vec::new(),
                logs: Vec::new(),
                tapes: Vec::new(),
                renewed: Vec::new(),
                blobs: Vec::new(),
                named: Vec::new(),
                artifacts: Vec::new(),
                consumed: Vec::new(),
                kin: Kin::default(),
                moved: None,
            };
            assert!(wait(store.write(write)).is_ok());
        }
        store
    }

    #[test]
    fn a_prefix_resolves_when_one_run_has_it() {
        let store = store(&["abc", "abd", "ab", "x1"]);
        for (typed, expected) in [
            ("x", Ok("x1")),
            ("abc", Ok("abc")),
            ("ab", Ok("ab")),
            ("a", Err(Exit::Usage)),
            ("y", Err(Exit::Invalid)),
            ("", Err(Exit::Usage)),
            ("a%", Err(Exit::Usage)),
        ] {
            let found = resolve(&store, typed);
            let found = found
                .as_ref()
                .map(RunId::as_str)
                .map_err(|failure| failure.exit);
            assert_eq!(found, expected, "{typed}");
        }
    }

    #[test]
    fn a_prefix_is_enough_only_where_a_person_looks() {
        let run = RunId::new("abcd").unwrap();
        for (attended, typed, expected) in [
            (true, "ab", Ok("abcd")),
            (true, "abcd", Ok("abcd")),
            (false, "abcd", Ok("abcd")),
            (false, "ab", Err(Exit::Usage)),
        ] {
            let found = whole(attended, &run, typed);
            let found = found.as_ref().map(RunId::as_str);
            let found = found.map_err(|failure| failure.exit);
            assert_eq!(found, expected, "{attended} {typed}");
        }
    }

    #[test]
    fn a_long_list_of_candidates_is_cut() {
        let ids: Vec<String> = (10..40).map(|n| format!("r{n}")).collect();
        let store = store(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        let message = resolve(&store, "r").unwrap_err().document().error.message;
        assert_eq!(message.matches("`r").count(), CANDIDATES + 1, "{message}");
        assert!(message.contains(" and more"), "{message}");
    }
}
