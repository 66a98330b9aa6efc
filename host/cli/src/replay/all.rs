//! `milepost replay --all`: the runs of a store, one after the other.

use std::sync::Arc;
use std::time::SystemTime;

use milepost::core::ids::RunId;
use milepost::core::time::Timestamp;
use milepost::replay::Replayed;
use milepost::store::{Family, Filter, Pages, Store};

use super::{ReplayArgs, Replaying, exit, told};
use crate::context::{Context, Reply};
use crate::documents::{self, NotReplayable, ReplayedAll};
use crate::drive::wait;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::meant;
use crate::text::Text;

/// What came of all of them.
#[derive(Default)]
struct Summary {
    same: u64,
    /// Runs that the components in question have no part in.
    untouched: u64,
    events: u64,
    attempts: u64,
    not_replayed: u64,
    different: Vec<Replayed>,
    failed: Vec<(RunId, String)>,
}

pub(super) fn run(
    args: &ReplayArgs,
    replaying: &Replaying<'_>,
    store: &Arc<dyn Store>,
) -> Result<Reply, Failure> {
    let since = args
        .since
        .and_then(|age| SystemTime::now().checked_sub(age));
    // The children of a run are replayed with it.
    let mut pages = Pages::of(Filter {
        workflow: args.workflow.clone(),
        family: Family::Roots,
        updated_after: since.map(Timestamp::from),
        ..Filter::default()
    });
    let mut summary = Summary::default();
    while let Some(page) = wait(pages.next(store.as_ref()))? {
        for row in page.rows {
            match replaying.replay(store, &row.id, None) {
                Ok(replayed) => summary.take(replayed, replaying.with.is_some()),
                Err(failure) => summary.failed.push((row.id, failure.message().to_owned())),
            }
        }
    }
    let cx = replaying.cx;
    if let Some(workflow) = &args.workflow
        && summary.is_empty()
        && let Some(meant) =
            wait(async { Ok::<_, Failure>(meant::workflow(store.as_ref(), workflow).await) })?
    {
        cx.note(meant);
    }
    let exit = match (summary.different.is_empty(), summary.failed.is_empty()) {
        (true, false) => Exit::Unavailable,
        (same, _) => exit(same),
    };
    Ok(cx.reply(exit, || summary.document(), || summary.text(args, cx)))
}

impl Summary {
    fn is_empty(&self) -> bool {
        self.same + self.untouched == 0 && self.different.is_empty() && self.failed.is_empty()
    }

    fn take(&mut self, replayed: Replayed, with_others: bool) {
        let (events, attempts, skipped) = counts(&replayed);
        self.events += events;
        self.attempts += attempts;
        self.not_replayed += skipped;
        if !replayed.is_same() {
            self.different.push(replayed);
        } else if with_others && attempts + skipped == 0 {
            self.untouched += 1;
        } else {
            self.same += 1;
        }
    }

    fn document(&self) -> ReplayedAll {
        ReplayedAll {
            same: self.same,
            untouched: self.untouched,
            different: self.different.iter().map(documents::Replay::from).collect(),
            failed: self
                .failed
                .iter()
                .map(|(id, reason)| NotReplayable {
                    id: id.clone(),
                    reason: reason.clone(),
                })
                .collect(),
            events: self.events,
            attempts: self.attempts,
            not_replayed: self.not_replayed,
        }
    }

    fn text(&self, args: &ReplayArgs, cx: &Context) -> Text {
        let mut lines: Vec<Text> = Vec::new();
        for replayed in &self.different {
            let how = told::in_short(replayed).unwrap_or_default();
            let shows = cx.command("replay", &replayed.run) + &args.as_given();
            lines.push(
                cx.out.red("differs")
                    + format!(": run {}: {how}; `{shows}` shows it", replayed.run),
            );
        }
        for (run, reason) in &self.failed {
            lines.push(cx.out.red("not replayed") + format!(": run {run}: {reason}"));
        }
        let runs = self.same + self.untouched + (self.different.len() + self.failed.len()) as u64;
        if runs == 0 {
            return "no run was replayed: the store has none of those".into();
        }
        let mut head = format!(
            "{}: {} the same, {} different",
            format::count(runs, "run"),
            self.same,
            self.different.len()
        );
        if self.untouched > 0 {
            head += &format!(", {} without that component", self.untouched);
        }
        if !self.failed.is_empty() {
            head += &format!(", {} not replayed", self.failed.len());
        }
        lines.push(head.into());
        let mut tail = format!(
            "{}, {} executed",
            format::count(self.events, "event"),
            format::count(self.attempts, "attempt")
        );
        if self.not_replayed > 0 {
            tail += &format!(", {} not", self.not_replayed);
        }
        lines.push(tail.into());
        Text::joined(lines, "\n")
    }
}

/// Events, attempts that were executed, and those that were not, children included.
fn counts(replayed: &Replayed) -> (u64, u64, u64) {
    let own = (
        replayed.events,
        replayed.attempts,
        replayed.not_replayed.len() as u64,
    );
    let children = replayed.children.iter().map(counts);
    children.fold(own, |all, child| {
        (all.0 + child.0, all.1 + child.1, all.2 + child.2)
    })
}
