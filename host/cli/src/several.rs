//! Verbs that take the ids of many runs: `milepost ls --status failed -o ids | milepost retry -`.

use std::collections::BTreeSet;

use super::context::{Context, Reply};
use super::documents::FailedRun;
use super::failure::{Code, Failure};
use super::{format, signals, stdin};

/// Stands for the ids on stdin.
const STDIN: &str = "-";

/// What the help of those verbs says of it.
pub(crate) const HELP: &str =
    "Id of the run, or a unique prefix; `-` reads ids from stdin, one a line";

/// The same of verbs that need the whole id without a terminal.
pub(crate) const WHOLE: &str = "Id of the run; at a terminal, without --json, a unique prefix is enough; `-` reads ids from stdin, one a \
                                line";

/// Bytes of ids that are read at most.
const MOST: usize = 8 * 1024 * 1024;

/// Does it with the run that was typed, or with each whose id stands on stdin, one after the other. What fails for one is told, and
/// the others follow; a signal ends it with the run at hand.
///
/// # Errors
/// That of the only run; [`Failure`] when stdin cannot be read.
pub(crate) fn each(
    typed: &str,
    cx: &Context,
    mut one: impl FnMut(&str) -> Result<Reply, Failure>,
) -> Result<Reply, Failure> {
    if typed != STDIN {
        return one(typed);
    }
    let ids = read()?;
    if ids.is_empty() {
        cx.note("no ids on stdin: nothing to do");
    }
    let mut replies = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        replies.push(match one(id) {
            Ok(reply) => reply,
            Err(failure) if cx.json => {
                let failure = failure.in_store(&cx.store);
                let error = failure.document().error;
                let id = id.clone();
                Reply::document(failure.exit, &FailedRun { id, error })
            }
            Err(failure) => Reply::text(cx.fail(&failure.in_store(&cx.store)), ""),
        });
        let left = ids.len() - at - 1;
        if left > 0 && signals::one_came() {
            cx.warn(format!("stopped: {} left", format::count(left, "run")));
            break;
        }
    }
    Ok(Reply::together(cx.json, replies))
}

/// The ids on stdin, each once, in their order.
fn read() -> Result<Vec<String>, Failure> {
    let failed = |message: String| Failure::new(Code::File, message);
    let text = stdin::read(MOST)
        .map_err(|error| failed(format!("cannot read ids from stdin: {error}")))?;
    let text =
        text.ok_or_else(|| failed("too much on stdin: it has to be ids, one a line".to_owned()))?;
    let mut seen = BTreeSet::new();
    let ids = text.lines().map(str::trim).filter(|id| !id.is_empty());
    let ids = ids.filter(|id| seen.insert((*id).to_owned()));
    Ok(ids.map(str::to_owned).collect())
}
