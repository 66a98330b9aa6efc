//! `milepost ls`: lists runs.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use clap::Args;
use milepost::Engine;
use milepost::core::ids::RunId;
use milepost::core::labels::LabelFilter;
use milepost::core::limits;
use milepost::core::shown::Shown;
use milepost::core::state::Status;
use milepost::core::time::Timestamp;
use milepost::engine::Spent;
use milepost::report::OwnerReport;
use milepost::store::{Family, Filter, PAGE_RUNS, Pages, RunRow};

use super::context::{Context, Reply, compact};
use super::documents::{Row, Runs};
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::row::Foreseen;
use super::table::{Cell, Table};
use super::text::Text;
use super::watch::{self, View};
use super::{format, meant, row, words};

/// Rows of a table, and of one that is drawn in place, where no terminal says how many fit.
const ROWS: usize = 50;
const SCREEN: usize = 20;
/// Lines of a terminal that are no rows: the headings, and where the next command is typed.
const HEADINGS: usize = 1;
const PROMPT: usize = 1;
/// Columns, in their order; of these that a narrow terminal does without, the one with the lowest number goes first.
const COLUMNS: [(&str, Option<u8>); 11] = [
    ("ID", None),
    ("WORKFLOW", None),
    (LABELS, Some(2)),
    (FORK_OF, Some(1)),
    ("STATUS", None),
    ("OWNER", Some(0)),
    ("STARTED", Some(3)),
    ("TOOK", Some(5)),
    ("WAITED", Some(4)),
    ("UPDATED", Some(6)),
    ("NEXT", None),
];
/// Columns that are there only where there is something in them.
const LABELS: &str = "LABELS";
const FORK_OF: &str = "FORK OF";

/// List runs, newest first
///
/// Lists runs, and under each one the runs that it has started. With `--status`, `--workflow` or `--json`, as with `--flat`, every
/// run stands for itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost ls
  milepost ls --status paused --status failed
  milepost ls --workflow release-notes --limit 5
  milepost ls --label team=docs --label env
  milepost ls --flat           # child runs, too, by when they were created
  milepost ls --watch          # every 3 seconds, until Ctrl-C
  milepost ls --status failed --since 1d -o ids | milepost retry -")]
pub(crate) struct LsArgs {
    /// Only runs with this status; may be repeated
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Vec<Status>,
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Only runs with this label, or with a label of this name; may be repeated: only runs with all of them
    #[arg(long, value_name = "NAME[=VALUE]", allow_hyphen_values = true)]
    label: Vec<LabelFilter>,
    /// Only runs in which something happened in the last .., such as `12h` or `7d`
    #[arg(long, value_name = "TIME", value_parser = milepost::core::time::parse_duration)]
    since: Option<Duration>,
    /// Print only ids, one a line, of all runs that the list would have without a limit
    #[arg(short, long, value_name = "WHAT", value_enum, conflicts_with_all = ["json", "watch"])]
    output: Option<Output>,
    /// Maximum number of runs to list; 0 lists all [default: what fits on the terminal; 50 in a pipe; all with --json and `-o ids`]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// List child runs as runs of their own, not under the run that started them
    #[arg(long)]
    flat: bool,
    /// Refresh the list every SECONDS seconds (1 to 60, 3 if left out); with --json, print one document per line
    #[arg(
long,
value_name = "SECONDS",
num_args = 0..=1,
default_missing_value = "3",
value_parser = clap::value_parser!(u8).range(1..=60)
)]
    watch: Option<u8>,
}

/// What is printed of the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// Their ids, for pipes
    Ids,
}

fn status(text: &str) -> Result<Status, String> {
    text.parse().map_err(|_| {
        let all: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        format!("choose one of {}", all.join(", "))
    })
}

/// Cells of a workflow's name, and of the other columns that texts from outside get into.
const NAME: usize = 40;
const WORDS: usize = 60;

/// Child runs of one run that are listed under it; the rest is counted.
const CHILDREN: usize = 10;

/// A run in the list.
struct Listed {
    row: RunRow,
    /// Whether nobody can resume it, though it has failed.
    over: bool,
    /// Whether it is due for something else than what its row names.
    beside: bool,
    owner: Option<OwnerReport>,
    /// How long it has worked and waited.
    spent: Spent,
    /// How many runs it stands under.
    depth: usize,
    /// Child runs that are not listed under it.
    more: usize,
}

/// The list at one moment.
struct Snapshot {
    at: Timestamp,
    rows: Vec<Listed>,
    /// Whether a worker is there.
    worker: bool,
    /// Runs that the list has no room for.
    older: usize,
    /// What is to be said beside it.
    notes: Vec<Text>,
}

pub(super) fn run(args: LsArgs, cx: &Context) -> Result<Reply, Failure> {
    let engine = cx.engine_to_read()?;
    let flat = args.flat
        || cx.json
        || args.output.is_some()
        || !args.status.is_empty()
        || args.workflow.is_some();
    let now: Timestamp = SystemTime::now().into();
    let filter = Filter {
        statuses: args.status,
        workflow: args.workflow,
        labels: args.label,
        family: if flat { Family::All } else { Family::Roots },
        updated_after: args.since.map(|since| now.before(since)),
        ..Filter::default()
    };
    let whole = cx.json || args.output.is_some();
    let most = || match args.limit {
        Some(0) => None,
        Some(limit) => Some(limit),
        None if whole => None,
        None => Some(screenful(cx, args.watch.is_some())),
    };
    // Child runs are no part of a limit, and need room on a terminal, too.
    let terminal = || cx.size().filter(|_| args.limit.is_none() && !whole);
    if let Some(seconds) = args.watch {
        return watch::watch(cx, Duration::from_secs(seconds.into()), async || {
            let mut snapshot = Snapshot::take(cx, &engine, &filter, most()).await?;
            snapshot.keep(terminal(), true);
            if cx.json {
                snapshot.notes.drain(..).for_each(|note| cx.note(note));
                return Ok(View::Document(compact(&snapshot.document())));
            }
            // Beside the list they would be drawn over, or be without a time.
            let notes = std::mem::take(&mut snapshot.notes);
            let text = snapshot.text(cx, &filter);
            Ok(View::Text(Text::joined(
                [text].into_iter().chain(notes),
                "\n",
            )))
        });
    }
    let mut snapshot = wait(Snapshot::take(cx, &engine, &filter, most()))?;
    snapshot.keep(terminal(), false);
    snapshot.notes.drain(..).for_each(|note| cx.note(note));
    if args.output == Some(Output::Ids) {
        let ids = snapshot
            .rows
            .iter()
            .map(|listed| Text::from(listed.row.id.to_string()));
        return Ok(Reply::text(Exit::Completed, Text::joined(ids, "\n")));
    }
    Ok(cx.reply(
        Exit::Completed,
        || snapshot.document(),
        || snapshot.text(cx, &filter),
    ))
}

/// Rows that the terminal has room for.
fn screenful(cx: &Context, in_place: bool) -> usize {
    match (cx.size(), in_place) {
        (Some((rows, _)), _) => rows.saturating_sub(beside(in_place)).max(1),
        (None, true) => SCREEN,
        (None, false) => ROWS,
    }
}

/// Lines of a terminal that are no rows. Nothing is typed under what is drawn in place.
const fn beside(in_place: bool) -> usize {
    match in_place {
        true => HEADINGS,
        false => HEADINGS + PROMPT,
    }
}

fn not_shown(count: usize, what: &str, in_place: bool) -> Text {
    let more = match in_place {
        // A screen has no room for more, whatever the limit.
        true => "",
        false => "; `--limit` shows more",
    };
    format!("{} not shown{more}", format::count(count, what)).into()
}

impl Snapshot {
    /// Keeps the first rows, which are the newest runs and what stands under them, as far as the terminal has room beside the notes;
    /// and notes what is not shown.
    fn keep(&mut self, terminal: Option<(usize, usize)>, in_place: bool) {
        let mut cut = 0;
        if let Some((lines, columns)) = terminal {
            // What is drawn in place is cut at the edge.
            let taken = |note: &Text| match in_place {
                true => 1,
                false => note.width().div_ceil(columns).max(1),
            };
            let noted: usize = self.notes.iter().map(taken).sum();
            let room = |notes: usize| lines.saturating_sub(beside(in_place) + notes).max(1);
            if self.older > 0 || self.rows.len() > room(noted) {
                let room = room(
                    noted
                        + taken(&not_shown(
                            self.rows.len() + self.older,
                            "older run",
                            in_place,
                        )),
                );
                cut = self.rows.len().saturating_sub(room);
                self.rows.truncate(self.rows.len() - cut);
            }
        }
        let of_children = self.rows.iter().any(|listed| listed.depth > 0);
        match (cut, self.older) {
            (0, 0) => {}
            (0, older) => self
                .notes
                .insert(0, not_shown(older, "older run", in_place)),
            (cut, 0) if of_children => self.notes.insert(0, not_shown(cut, "row", in_place)),
            (cut, older) if of_children => self
                .notes
                .insert(0, not_shown(cut + older, "older row", in_place)),
            (cut, older) => self
                .notes
                .insert(0, not_shown(cut + older, "older run", in_place)),
        }
    }

    async fn take(
        cx: &Context,
        engine: &Engine,
        filter: &Filter,
        most: Option<usize>,
    ) -> Result<Self, Failure> {
        let at = SystemTime::now().into();
        let store = engine.store().as_ref();
        let mut pages = Pages::of(Filter {
            limit: most.unwrap_or(PAGE_RUNS).min(PAGE_RUNS),
            ..filter.clone()
        });
        let (mut shown, mut rows, mut notes, mut older) = (0, Vec::new(), Vec::new(), 0);
        let full = |shown| most.is_some_and(|most| shown >= most);
        while let Some(mut page) = pages.next(store).await? {
            // The last page may have more than is left to show, of rows that cannot be read as well.
            let left = most.map_or(usize::MAX, |most| most - shown);
            page.unreadable.truncate(left);
            page.rows.truncate(left - page.unreadable.len());
            shown += page.unreadable.len() + page.rows.len();
            notes.extend(page.unreadable.iter().map(|(id, reason)| {
                let id = Shown(id).to_string();
                cx.warning(words::about(
                    &id,
                    &format!("run `{id}` cannot be read: {reason}"),
                ))
            }));
            rows.extend(page.rows);
            if full(shown) {
                break;
            }
        }
        if full(shown) {
            let more = store.count(filter).await?.saturating_sub(shown);
            older = more;
        }
        let mut listed = Vec::new();
        let mut open: Vec<(RunRow, usize)> = rows.into_iter().rev().map(|row| (row, 0)).collect();
        while let Some((row, depth)) = open.pop() {
            let owner = engine.owner(&row);
            let mut more = 0;
            if filter.family == Family::Roots && depth < limits::CHILD_DEPTH {
                let children = Filter {
                    family: Family::ChildrenOf(row.id.clone()),
                    limit: CHILDREN,
                    ..Filter::default()
                };
                let page = store.list(&children).await?;
                if page.next.is_some() {
                    more = store
                        .count(&children)
                        .await?
                        .saturating_sub(page.rows.len());
                }
                // On the stack, the last one comes first: children stand in the order in which they began.
                open.extend(page.rows.into_iter().map(|row| (row, depth + 1)));
            }
            // What cannot be read there is told by whoever needs it.
            let until = if cx.json { row.updated_at } else { at };
            let spent = engine.spent(&row, until).await.unwrap_or_default();
            let over = engine.is_compensated(&row).await;
            let beside = engine.is_due_beside(&row).await;
            listed.push(Listed {
                row,
                over,
                beside,
                owner,
                spent,
                depth,
                more,
            });
        }
        if let Some(workflow) = &filter.workflow
            && listed.is_empty()
        {
            let of_it = Filter {
                workflow: Some(workflow.clone()),
                ..Filter::default()
            };
            if store.count(&of_it).await? == 0 {
                let meant = meant::workflow(store, workflow).await;
                notes.extend(meant.map(Text::from));
            }
        }
        if !filter.labels.is_empty() && listed.is_empty() {
            let meant = meant::label(store, &filter.labels).await;
            notes.extend(meant.map(Text::from));
        }
        let worker = engine.has_worker().await?;
        let needs = |listed: &Listed| row::needs_worker(&listed.row, listed.owner.as_ref());
        if !worker && !cx.json && listed.iter().any(needs) {
            let work = cx.program("work");
            notes.push(format!("no worker is running: `{work}` starts one").into());
        }
        Ok(Self {
            at,
            rows: listed,
            worker,
            older,
            notes,
        })
    }

    fn foreseen(&self, listed: &Listed) -> Foreseen {
        Foreseen {
            beside: listed.beside,
            worker: self.worker,
        }
    }

    fn document(&self) -> Runs {
        let rows = self.rows.iter();
        Runs(
            rows.map(|listed| {
                Row::new(
                    &listed.row,
                    listed.owner.as_ref(),
                    listed.spent,
                    (listed.over, self.foreseen(listed)),
                )
            })
            .collect(),
        )
    }

    fn text(&self, cx: &Context, filter: &Filter) -> Text {
        if self.rows.is_empty() {
            let filtered = !filter.statuses.is_empty()
                || filter.workflow.is_some()
                || !filter.labels.is_empty()
                || filter.updated_after.is_some();
            let which = if filtered {
                "no matching runs"
            } else {
                "no runs yet"
            };
            return format!("{which} (store: {})", Shown(cx.store.display())).into();
        }
        let has = |found: fn(&RunRow) -> bool| self.rows.iter().any(|listed| found(&listed.row));
        let columns = COLUMNS.into_iter().filter(|(name, _)| match *name {
            LABELS => has(|row| !row.labels.is_empty()),
            FORK_OF => has(|row| row.forked_from.is_some()),
            _ => true,
        });
        let columns: Vec<_> = columns.collect();
        let table = |brief: bool| {
            let headings = columns.iter().map(|(name, _)| cx.out.bold(*name).into());
            let mut table = Table::new(headings);
            for listed in &self.rows {
                table.row(
                    columns
                        .iter()
                        .map(|(name, _)| self.cell(cx, name, listed, brief)),
                );
            }
            table
        };
        let Some((_, terminal)) = cx.size() else {
            return table(false).render();
        };
        let places = columns.iter().enumerate();
        let expendable = places.filter_map(|(at, (_, rank))| Some(((*rank)?, at)));
        let expendable: BTreeMap<u8, usize> = expendable.collect();
        let expendable: Vec<usize> = expendable.into_values().collect();
        let whole = table(false);
        match whole.fits(terminal) {
            true => whole.render(),
            false => table(true).fit(terminal, &expendable).render(),
        }
    }

    /// A cell; a brief one where there is little room.
    fn cell(&self, cx: &Context, column: &str, listed: &Listed, brief: bool) -> Cell {
        let (row, owner) = (&listed.row, listed.owner.as_ref());
        let length = |of: Option<Duration>| of.map(format::length).unwrap_or_default();
        match column {
            "ID" => {
                let more = match listed.more {
                    0 => String::new(),
                    more => format!(" (+{more})"),
                };
                format!("{}{}{more}", "  ".repeat(listed.depth), row.id).into()
            }
            "WORKFLOW" => Cell::from(row.workflow.as_str()).at_most(NAME),
            LABELS => Cell::from(row.labels.to_string()).at_most(NAME),
            FORK_OF => row.forked_from.as_ref().map_or("", RunId::as_str).into(),
            "STATUS" => Cell::from(cx.out.status(row.status, status_of(row, brief))).at_most(WORDS),
            "OWNER" => Cell::from(owner.map(row::owner).unwrap_or_default()).at_most(WORDS),
            "STARTED" => format::ago(self.at, row.created_at).into(),
            "TOOK" => length(listed.spent.working).into(),
            "WAITED" => length(listed.spent.waiting).into(),
            "UPDATED" => format::ago(self.at, row.updated_at).into(),
            _ if listed.over => "".into(),
            _ => Cell::from(row::next(row, owner, self.at, self.foreseen(listed))).at_most(WORDS),
        }
    }
}

/// `paused (step_paused) [acme]`, `running (cancel asked)`; a brief one does not say again what is next.
fn status_of(row: &RunRow, brief: bool) -> String {
    let mut text = row.status.to_string();
    if row.status == Status::Paused {
        if let Some(code) = row.stop_code.as_ref().filter(|_| !brief) {
            text.push_str(&format!(" ({code})"));
        }
        if let Some(provider) = &row.provider {
            text.push_str(&format!(" [{provider}]"));
        }
    }
    if let Some(request) = &row.request {
        text.push_str(&format!(" ({} asked)", request.kind));
    }
    text
}
