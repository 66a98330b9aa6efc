//! `milepost logs`: what the steps of a run wrote.

use std::sync::Arc;

use clap::Args;
use milepost::attempt::{LogLevel, LogLine};
use milepost::core::event::{ClaimCause, Event, RunEvent, StepEvent, WaitEvent};
use milepost::core::ids::{Path, RunId};
use milepost::engine::Notice;
use milepost::store::{Store, StoredLog};

use super::context::{Context, Reply};
use super::documents::LogEntry;
use super::drive::{recorded_limits, wait};
use super::exit::Exit;
use super::failure::Failure;
use super::follow::{self, Seen};
use super::progress::Progress;
use super::style::Style;
use super::text::Text;
use super::{ending, format, ids, meant, narration, place};

/// Lines that are read at once at most.
const PAGE: usize = 1_000;

/// Print what the steps of a run logged
///
/// Prints what the steps of a run logged, in the order in which it was saved.
///
/// With `--follow`, retries, waits and the end of the run are told on stderr, and the exit codes are those of `run`. `--json` prints
/// a line for each entry, and the run on the last one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost logs 7k3m
  milepost logs 7k3m --follow             # until the run stands still
  milepost logs 7k3m --step collect
  milepost logs 7k3m --step fix#2         # the second iteration of loop `fix`")]
pub(crate) struct LogsArgs {
    /// Id of the run, or a unique prefix
    run: String,
    /// Go on with what is logged from now on, also by attempts in flight, until the run does not move any more
    #[arg(long, short)]
    follow: bool,
    /// Only this step, or everything inside this loop or iteration
    #[arg(long, value_name = "PATH")]
    step: Option<Path>,
}

pub(super) fn run(args: &LogsArgs, cx: &Context) -> Result<Reply, Failure> {
    if args.follow {
        return follow(args, cx);
    }
    let store = place::open_to_read(&cx.store)?;
    let run = ids::resolve(store.as_ref(), &args.run)?;
    let step = args.step.as_ref().map(ToString::to_string);
    has_step(&(Arc::clone(&store) as Arc<dyn Store>), &run, args)?;
    let (style, warning) = (cx.out, cx.warning("line"));
    let lines = stored(store, run.clone())
        .filter(move |stored| match (stored, &step) {
            (Ok(stored), Some(step)) => stands_in(&stored.line.path, step),
            _ => true,
        })
        .filter_map(move |stored| {
            let stored = match stored {
                Ok(stored) => stored,
                Err(error) => return Some(Err(error)),
            };
            match serde_json::from_str::<LogLine>(&stored.line.body) {
                Ok(line) => Some(Ok((stored, line))),
                Err(error) => {
                    let at = stored.position;
                    let said = format!(" {at} cannot be read: {error}");
                    narration::say(&(warning.clone() + said));
                    None
                }
            }
        });
    cx.list(
        ("id", run.as_str()),
        "lines",
        lines,
        |(stored, line)| LogEntry::new(stored, line),
        move |(stored, line)| text(style, stored, line),
    )
}

/// Whether there can be lines of the step that is meant: the run knows it, or knew it once.
fn has_step(store: &Arc<dyn Store>, run: &RunId, args: &LogsArgs) -> Result<(), Failure> {
    let Some(path) = &args.step else {
        return Ok(());
    };
    let known = meant::known_step(store.as_ref(), run, path);
    let step = path.to_string();
    let says = |stored: &StoredLog| stands_in(&stored.line.path, &step);
    if known.is_err()
        && stored(Arc::clone(store), run.clone())
            .flatten()
            .any(|line| says(&line))
    {
        return Ok(());
    }
    known
}

/// The lines on stdout, and on stderr what explains that there are none.
fn follow(args: &LogsArgs, cx: &Context) -> Result<Reply, Failure> {
    let engine = cx.engine_to_read()?;
    let run = ids::resolve(engine.store().as_ref(), &args.run)?;
    let step = args.step.as_ref().map(ToString::to_string);
    has_step(engine.store(), &run, args)?;
    let limits = recorded_limits(engine.store().as_ref(), &run);
    let progress = Progress::new(limits, cx.err, false);
    let seen = async |of: &RunId, seen: Seen<'_>| match seen {
        Seen::Log(stored, _)
            if step
                .as_ref()
                .is_some_and(|step| !stands_in(&stored.line.path, step)) =>
        {
            Ok(true)
        }
        seen if cx.json => match seen {
            Seen::Event(entry) if !is_told(&entry.event) => Ok(true),
            Seen::Progress(..) => Ok(true),
            seen => follow::print(&follow::document(of, seen)).await,
        },
        Seen::Log(stored, line) => {
            follow::printed(text(cx.out, stored, line).for_terminal() + "\n").await
        }
        Seen::Progress(..) => Ok(true),
        Seen::Event(entry) => {
            progress.learn(of, Notice::Recorded(entry), is_told(&entry.event));
            Ok(true)
        }
    };
    let Some(end) = follow::to_its_end(cx, &engine, &run, false, seen)? else {
        return Ok(Reply::text(Exit::Completed, ""));
    };
    if cx.json {
        return Ok(follow::last_line(&end));
    }
    ending::tell(cx, &end);
    Ok(Reply::text(Exit::from(end.status), ""))
}

/// Whether an event explains that nothing is logged.
fn is_told(event: &Event) -> bool {
    match event {
        Event::Run(RunEvent::Claimed { cause, .. }) => *cause == ClaimCause::Recovery,
        Event::Run(event) => matches!(event, RunEvent::Resumed(_) | RunEvent::Released { .. }),
        Event::Step { event, .. } => matches!(
            event,
            StepEvent::AttemptFailed { .. }
                | StepEvent::Paused { .. }
                | StepEvent::Interrupted { .. }
                | StepEvent::Wait(WaitEvent::Started { .. })
        ),
    }
}

/// All lines of a run, of which one page is in memory.
fn stored(store: Arc<dyn Store>, run: RunId) -> impl Iterator<Item = Result<StoredLog, Failure>> {
    let mut after = 0;
    let mut page = Vec::new().into_iter();
    let mut is_over = false;
    std::iter::from_fn(move || {
        if page.len() == 0 && !is_over {
            page = match wait(store.logs(&run, after, PAGE)) {
                Ok(next) => next.into_iter(),
                Err(error) => {
                    is_over = true;
                    return Some(Err(error));
                }
            };
        }
        let line: StoredLog = page.next()?;
        after = line.position;
        Some(Ok(line))
    })
}

/// Whether `path` is `step` or stands inside it: `fix` and `fix#2` hold `fix#2/test`, `fix#2` does not hold `fix#20/test`.
fn stands_in(path: &str, step: &str) -> bool {
    path.strip_prefix(step)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#', '[']))
}

fn text(style: Style, stored: &StoredLog, line: &LogLine) -> Text {
    let level = match line.level {
        LogLevel::Trace => style.dim("trace"),
        LogLevel::Debug => style.dim("debug"),
        LogLevel::Info => "info".into(),
        LogLevel::Warn => style.yellow("warn"),
        LogLevel::Error => style.red("error"),
    };
    let attempt = if stored.line.attempt > 1 {
        format!(" (attempt {})", stored.line.attempt)
    } else {
        String::new()
    };
    let fields: String = line
        .fields
        .iter()
        .map(|(name, value)| format!(" {name}={value}"))
        .collect();
    let at = style.dim(format::instant(line.at));
    let path = style.bold(&stored.line.path);
    let said = format!(": {}{fields}", line.message);
    (at + " " + path + attempt + " " + level + said).one_line()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_holds_what_stands_inside() {
        for (path, step, inside) in [
            ("fix#2/test", "fix", true),
            ("fix#2/test", "fix#2", true),
            ("fix#2/test", "fix#2/test", true),
            ("notes[3]", "notes", true),
            ("fix#20/test", "fix#2", false),
            ("fixes", "fix", false),
            ("fix", "fix#2", false),
        ] {
            assert_eq!(stands_in(path, step), inside, "{path} in {step}");
        }
    }
}
