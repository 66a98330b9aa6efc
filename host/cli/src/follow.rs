//! A run that others drive, as it moves: what happens to it and what its steps log, until it does not move any more.
//!
//! The store is asked again and again; nothing of the run is touched. What an attempt in flight logs is there a moment after it was
//! said (`engine/src/engine/live_log.rs`), everything else with its commit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use milepost::Engine;
use milepost::attempt::{LogLine, Progress as Said};
use milepost::core::event::{Entry, Event, StepEvent, WaitEvent};
use milepost::core::ids::{Path, RunId};
use milepost::core::state::Status;
use milepost::core::time::Timestamp;
use milepost::core::wait::Wait;
use milepost::engine::{EngineError, Notice, Observer as _};
use milepost::record::{self, Entries};
use milepost::report::{OwnerState, RunReport};
use milepost::store::{RunRow, Store, StoredLog, StoredProgress};

use super::context::{Context, Reply, compact};
use super::documents::{AttemptProgress, EventEntry, Followed, LogEntry, Run};
use super::drive::{recorded_limits, runtime};
use super::ending;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::narration;
use super::progress::Progress;
use super::signals::{self, Signals};
use super::stdout;
use super::words;

/// How often the store is asked.
const POLL: Duration = Duration::from_millis(100);
/// How long a run that is due may take to be continued, before it is said to stand still. Workers look for such runs once a second.
const DUE: Duration = Duration::from_secs(5);
/// How long a run stands still before it is said who may move it.
const QUIET: Duration = Duration::from_secs(1);
/// Log lines that are read at once.
const PAGE: usize = 500;
/// Entries after which the terminal may catch up.
const BREATH: u32 = 100;

/// Something new of a run, or of one that it started.
pub(crate) enum Seen<'a> {
    Event(&'a Entry),
    Log(&'a StoredLog, &'a LogLine),
    Progress(&'a StoredProgress, &'a Said),
}

/// Follows a run to where it does not move, as `run` does with one that it drives: what happens on stderr, the output on stdout, the same
/// exit codes. With `--json`, every entry is a line on stdout, and the last line is the run.
///
/// # Errors
/// [`Failure`] when the run is gone, or the store cannot be read.
pub(crate) fn follow(cx: &Context, engine: &Engine, run: &RunId) -> Result<Reply, Failure> {
    if cx.json {
        let lines = async |of: &RunId, seen: Seen<'_>| print(&document(of, seen)).await;
        return match to_its_end(cx, engine, run, true, lines)? {
            Some(end) => Ok(last_line(&end)),
            None => Ok(Reply::text(Exit::Completed, "")),
        };
    }
    let limits = recorded_limits(engine.store().as_ref(), run);
    let progress = Progress::new(limits, cx.err, cx.lively);
    let mut told = 0;
    let narrate = async |of: &RunId, seen: Seen<'_>| {
        tell(&progress, of, seen);
        told += 1;
        // A past may be long, and what does not fit into the queue would be lost.
        if told % BREATH == 0 {
            narration::settle();
        }
        Ok(true)
    };
    let end = to_its_end(cx, engine, run, true, narrate);
    progress.finish();
    Ok(end?.map_or_else(
        || Reply::text(Exit::Completed, ""),
        |end| ending::reply(cx, &end),
    ))
}

/// Says it as if this process drove the run.
pub(crate) fn tell(progress: &Progress, of: &RunId, seen: Seen<'_>) {
    match seen {
        Seen::Event(entry) => progress.notice(of, Notice::Recorded(entry)),
        Seen::Log(stored, line) => {
            // What no step can be called stands in no line of an attempt.
            if let Ok(path) = stored.line.path.parse::<Path>() {
                let notice = Notice::Log {
                    path: &path,
                    attempt: stored.line.attempt,
                    line,
                };
                progress.notice(of, notice);
            }
        }
        Seen::Progress(stored, said) => {
            if let Ok(path) = stored.path.parse::<Path>() {
                let notice = Notice::Progress {
                    path: &path,
                    progress: said,
                };
                progress.notice(of, notice);
            }
        }
    }
}

/// What is seen, as one line of JSON.
pub(crate) fn document(of: &RunId, seen: Seen<'_>) -> Followed {
    match seen {
        Seen::Event(entry) => Followed::event(of, EventEntry::new(of, entry)),
        Seen::Log(stored, line) => Followed::log(of, LogEntry::new(stored, line)),
        Seen::Progress(stored, said) => Followed::progress(of, AttemptProgress::new(stored, said)),
    }
}

/// The last of those lines.
pub(crate) fn last_line(end: &RunReport) -> Reply {
    let line = compact(&Followed::run(&end.id, Run::from(end)));
    Reply::text(Exit::from(end.status), line)
}

/// Prints a line of JSON. False when nobody reads it.
pub(crate) async fn print(document: &Followed) -> Result<bool, Failure> {
    printed(compact(document) + "\n").await
}

/// Prints a text. False when nobody reads it.
pub(crate) async fn printed(text: String) -> Result<bool, Failure> {
    match stdout::send(text).await {
        Ok(Ok(())) => Ok(true),
        Ok(Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(stdout::failure(&error))
        }
        Ok(Err(_)) | Err(_) => Ok(false),
    }
}

/// Gives everything that a run has done and said, and does and says, until it stands still; how it stands then, or when a signal ends the
/// wait. `None` when nobody listens any more: `seen` has returned false, or nobody reads stdout.
///
/// # Errors
/// [`Failure`] when the run is gone, or the store cannot be read, or that of `seen`.
pub(crate) fn to_its_end(
    cx: &Context,
    engine: &Engine,
    run: &RunId,
    with_children: bool,
    mut seen: impl AsyncFnMut(&RunId, Seen<'_>) -> Result<bool, Failure>,
) -> Result<Option<RunReport>, Failure> {
    let mut follower = Follower {
        store: Arc::clone(engine.store()),
        with_children,
        cursors: BTreeMap::from([(run.clone(), Cursor::default())]),
    };
    runtime()?.block_on(async {
        let mut signals = Signals::listen(Weak::new()).map_err(|error| signals::refused(&error))?;
        let mut still = Stillness::new();
        loop {
            let Some(row) = follower.store.row(run).await? else {
                let message = format!("run {run} was removed while it was followed");
                return Err(Failure::new(Code::RunNotFound, message));
            };
            still.look(&row);
            let ended = still.has_ended(&row);
            if !follower.advance(&row, ended, &mut seen).await? {
                return Ok(None);
            }
            if ended {
                return Ok(Some(engine.report(run).await?));
            }
            if still.is_worth_a_word(engine, &row) {
                let report = engine.report(run).await?;
                if let Some(next) = words::next::of_run(&report, |verb| cx.program(verb)) {
                    cx.note(format!("run {run} is {}: {next}", report.status));
                }
            }
            if !stdout::is_read() {
                return Ok(None);
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = signals.next() => return Ok(Some(engine.report(run).await?)),
            }
        }
    })
}

/// How long the run has stood where it stands.
struct Stillness {
    seq: u64,
    since: Instant,
    /// Whether it was said who may move it.
    told: bool,
}

impl Stillness {
    fn new() -> Self {
        let since = Instant::now();
        Self {
            seq: 0,
            since,
            told: false,
        }
    }

    fn look(&mut self, row: &RunRow) {
        if row.seq != self.seq {
            *self = Self {
                seq: row.seq,
                ..Self::new()
            };
        }
    }

    fn has_ended(&self, row: &RunRow) -> bool {
        match row.status {
            Status::Pending | Status::Running => false,
            Status::Completed | Status::Failed | Status::Cancelled => true,
            Status::Paused => {
                let now = SystemTime::now().into();
                let is_due = row.due_at.is_some_and(|at| at <= now);
                !is_due || self.since.elapsed() > DUE
            }
        }
    }

    /// Once: when nobody drives it though it could move.
    fn is_worth_a_word(&mut self, engine: &Engine, row: &RunRow) -> bool {
        if self.told || self.since.elapsed() < QUIET {
            return false;
        }
        self.told = match row.status {
            Status::Pending => true,
            Status::Running => engine
                .owner(row)
                .is_none_or(|owner| owner.state == OwnerState::Gone),
            Status::Paused | Status::Completed | Status::Failed | Status::Cancelled => false,
        };
        self.told
    }
}

struct Follower {
    store: Arc<dyn Store>,
    with_children: bool,
    cursors: BTreeMap<RunId, Cursor>,
}

/// What was seen of a run.
#[derive(Default)]
struct Cursor {
    seq: u64,
    position: u64,
    /// The latest attempt of each execution that has begun: what it says can be told.
    begun: BTreeMap<String, u32>,
    /// Of each execution in flight its attempt, and when it last said how far it is.
    in_flight: BTreeMap<String, (u32, Timestamp)>,
    /// Child runs, by the path at which they were started.
    children: BTreeMap<Path, RunId>,
}

impl Follower {
    /// Gives what is new of the run of this row and of its children, in order. False when nobody listens any more.
    async fn advance(
        &mut self,
        row: &RunRow,
        ended: bool,
        seen: &mut impl AsyncFnMut(&RunId, Seen<'_>) -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        let run = &row.id;
        let mut cursor = self.cursors.remove(run).unwrap_or_default();
        let mut new = New::after(&self.store, run, &cursor, row.seq);
        let mut listens = true;
        while listens {
            let known = |path: &str, attempt| {
                ended || cursor.begun.get(path).is_some_and(|last| attempt <= *last)
            };
            match new.next(known).await? {
                None => break,
                Some(Next::Event(entry)) => {
                    cursor.seq = entry.seq;
                    if let Some(child) = cursor.follow(&entry.event)
                        && self.with_children
                    {
                        // Its end stands behind all that it did.
                        listens = Box::pin(self.advance_child(&child, seen)).await?;
                    }
                    listens = listens && seen(run, Seen::Event(&entry)).await?;
                }
                Some(Next::Log(stored, line)) => {
                    cursor.position = stored.position;
                    listens = seen(run, Seen::Log(&stored, &line)).await?;
                }
            }
        }
        if listens && !ended {
            listens = self.progress(run, &mut cursor, seen).await?;
        }
        if self.with_children {
            for child in cursor.children.values() {
                listens = listens && Box::pin(self.advance_child(child, seen)).await?;
            }
        }
        self.cursors.insert(run.clone(), cursor);
        Ok(listens)
    }

    /// Gives how far attempts in flight are, where they have said something new.
    async fn progress(
        &self,
        run: &RunId,
        cursor: &mut Cursor,
        seen: &mut impl AsyncFnMut(&RunId, Seen<'_>) -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        if cursor.in_flight.is_empty() {
            return Ok(true);
        }
        for stored in self.store.progress(run).await? {
            let is_new = match cursor.in_flight.get(&stored.path) {
                Some((attempt, last)) => *attempt == stored.attempt && *last < stored.at,
                None => false,
            };
            if is_new && let Ok(said) = serde_json::from_str(&stored.body) {
                cursor
                    .in_flight
                    .insert(stored.path.clone(), (stored.attempt, stored.at));
                if !seen(run, Seen::Progress(&stored, &said)).await? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The same of a child run, which may have been removed.
    async fn advance_child(
        &mut self,
        child: &RunId,
        seen: &mut impl AsyncFnMut(&RunId, Seen<'_>) -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        match self.store.row(child).await? {
            Some(row) => {
                let over = !matches!(row.status, Status::Pending | Status::Running);
                self.advance(&row, over, seen).await
            }
            None => Ok(true),
        }
    }
}

impl Cursor {
    /// Takes an event in; the child run that ends with it.
    fn follow(&mut self, event: &Event) -> Option<RunId> {
        let Event::Step { path, event } = event else {
            return None;
        };
        match event {
            StepEvent::Started(attempt) => {
                let of = path.to_string();
                self.begun.insert(of.clone(), attempt.attempt);
                self.in_flight
                    .insert(of, (attempt.attempt, Timestamp::default()));
            }
            StepEvent::Completed { .. }
            | StepEvent::AttemptFailed { .. }
            | StepEvent::Failed { .. }
            | StepEvent::Paused { .. }
            | StepEvent::Interrupted { .. } => {
                self.in_flight.remove(&path.to_string());
            }
            StepEvent::Wait(WaitEvent::Started {
                wait: Wait::Child { run, .. },
            }) => {
                self.children.insert(path.clone(), run.clone());
            }
            StepEvent::Wait(WaitEvent::ChildEnded { .. }) => return self.children.remove(path),
            _ => {}
        }
        None
    }
}

/// What is new of one run, a page at a time: events and log lines, by their time.
struct New {
    store: Arc<dyn Store>,
    run: RunId,
    entries: Entries<Arc<dyn Store>>,
    /// The last event that is looked at.
    until: u64,
    entry: Option<Entry>,
    position: u64,
    lines: VecDeque<StoredLog>,
    /// Whether there may be more lines.
    more: bool,
}

enum Next {
    Event(Box<Entry>),
    Log(StoredLog, LogLine),
}

impl New {
    /// Events up to `until`: the log is read after them, so that it has all that belongs to them.
    fn after(store: &Arc<dyn Store>, run: &RunId, cursor: &Cursor, until: u64) -> Self {
        Self {
            store: Arc::clone(store),
            run: run.clone(),
            entries: record::entries(Arc::clone(store), run, cursor.seq),
            until: if until > cursor.seq { until } else { 0 },
            entry: None,
            position: cursor.position,
            lines: VecDeque::new(),
            more: true,
        }
    }

    /// The next one; a line only once the attempt that wrote it is `known` to have begun.
    async fn next(&mut self, known: impl Fn(&str, u32) -> bool) -> Result<Option<Next>, Failure> {
        if self.entry.is_none() && self.until > 0 {
            let entry = self.entries.next().await.transpose();
            let entry = entry.map_err(EngineError::from)?;
            self.entry = entry.filter(|entry| entry.seq <= self.until);
            if self.entry.is_none() {
                self.until = 0;
            }
        }
        loop {
            if self.lines.is_empty() && self.more {
                let page = self.store.logs(&self.run, self.position, PAGE).await?;
                self.more = page
                    .last()
                    .inspect(|last| self.position = last.position)
                    .is_some();
                self.lines = page.into();
            }
            let Some(line) = self.lines.front() else {
                break;
            };
            let begins = |entry: &Entry| {
                matches!(
                    &entry.event,
                    Event::Step {
                        event: StepEvent::Started(_),
                        ..
                    }
                )
            };
            let stands_first = self.entry.as_ref().is_none_or(|entry| {
                line.line.at < entry.at || line.line.at == entry.at && !begins(entry)
            });
            if !stands_first {
                break;
            }
            if !known(&line.line.path, line.line.attempt) {
                if self.entry.is_some() {
                    break;
                }
                return Ok(None);
            }
            // What `milepost doctor` tells of a damaged line is not for whoever watches.
            if let Some(stored) = self.lines.pop_front()
                && let Ok(line) = serde_json::from_str(&stored.line.body)
            {
                return Ok(Some(Next::Log(stored, line)));
            }
        }
        Ok(self.entry.take().map(|entry| Next::Event(Box::new(entry))))
    }
}
