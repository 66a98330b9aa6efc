//! `milepost events`: the journal of a run.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use milepost::core::event::{
    AttemptStarted, ChildEnding, DefinitionChanged, Entry, Event, ForEachEvent, LoopEvent,
    RunEvent, Skip, StepEvent, WaitEvent,
};
use milepost::core::ids::{Path, RunId};
use milepost::core::tape::Tape;
use milepost::core::wait::Wait;
use milepost::engine::EngineError;
use milepost::record;
use milepost::store::Store;

use super::context::{Context, Reply};
use super::documents::EventEntry;
use super::drive::{recorded_limits, wait};
use super::failure::Failure;
use super::progress::Limits;
use super::style::Style;
use super::text::Text;
use super::words::event::Unmet;
use super::{format, ids, place, words};

/// Print the journal of a run
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost events 7k3m
  milepost events 7k3m --after 120 --limit 20
  milepost events 7k3m --json | jq '.events[].event.type'")]
pub(crate) struct EventsArgs {
    /// Id of the run, or a unique prefix
    run: String,
    /// Only events after this position
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// Maximum number of events
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

pub(super) fn run(args: &EventsArgs, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_to_read(&cx.store)?;
    let run = ids::resolve(store.as_ref(), &args.run)?;
    let limit = args.limit.unwrap_or(usize::MAX);
    let mut entries = record::entries(Arc::clone(&store), &run, args.after);
    let next = move || {
        let next = async { entries.next().await.transpose().map_err(EngineError::from) };
        wait(next).transpose()
    };
    let entries = std::iter::from_fn(next).take(limit);
    let style = cx.out;
    let id = run.clone();
    let told = Told {
        store,
        run: run.clone(),
        unmet: RefCell::default(),
        limits: OnceCell::new(),
    };
    cx.list(
        ("id", run.as_str()),
        "events",
        entries,
        move |entry| EventEntry::new(&id, entry),
        move |entry| told.line(style, entry),
    )
}

/// What a line needs to know beside its event.
struct Told {
    store: Arc<dyn Store>,
    run: RunId,
    /// What the lines before it told.
    unmet: RefCell<Unmet>,
    /// Of the definition, read when the first line needs it.
    limits: OnceCell<Limits>,
}

impl Told {
    fn line(&self, style: Style, entry: &Entry) -> Text {
        let mut unmet = self.unmet.borrow_mut();
        let text = line(style, entry, |skip, path| {
            let join = matches!(skip, Skip::Join { .. }).then(|| {
                let limits = self
                    .limits
                    .get_or_init(|| recorded_limits(self.store.as_ref(), &self.run));
                limits.join(path.step())
            });
            words::event::skipped(skip, join.flatten(), &unmet)
        });
        unmet.follow(&entry.event);
        text
    }
}

fn line(style: Style, entry: &Entry, skipped: impl Fn(&Skip, &Path) -> String) -> Text {
    let at = style.dim(format::instant(entry.at));
    let path = entry
        .event
        .path()
        .map(|path| format!(" {path}"))
        .unwrap_or_default();
    let dropped = entry.event.tape().map(|tape| tape.log_dropped);
    let dropped = dropped
        .filter(|dropped| !dropped.is_nothing())
        .map_or_else(String::new, |dropped| {
            format!("; {dropped} dropped from its log")
        });
    let taped = entry.event.tape().map_or_else(String::new, tape);
    let more = format!("{path}{}{taped}{dropped}", details(&entry.event, skipped));
    let more = Text::from(more);
    let name = style.bold(entry.event.name());
    Text::from(format!("{:>5} ", entry.seq)) + at + " " + name + more.one_line()
}

/// What is on the tape of an attempt, and whether it can be executed again.
fn tape(tape: &Tape) -> String {
    let kept = tape.kept.as_ref().map_or(0, |kept| kept.entries);
    let entries = kept.max(tape.entries.len() as u64);
    let calls = match entries {
        0 => String::new(),
        entries => format!("; {entries} on its tape"),
    };
    match &tape.not_replayable {
        None => calls,
        Some(reason) => format!("{calls}; cannot be replayed: {reason}"),
    }
}

/// What the name and the path do not tell, short enough for a line.
fn details(event: &Event, skipped: impl Fn(&Skip, &Path) -> String) -> String {
    match event {
        Event::Run(RunEvent::Created(created)) => {
            let begins = created
                .fork
                .as_ref()
                .map(|fork| match fork.kept_steps().is_empty() {
                    true => format!(", a new run of the workflow of {}", fork.run),
                    false => {
                        let steps = words::steps_of(&fork.from);
                        format!(", forked from {} at {steps}", fork.run)
                    }
                });
            let begins = begins.unwrap_or_default();
            format!(" {} from {}{begins}", created.workflow, created.file)
        }
        Event::Run(RunEvent::Claimed { owner, .. }) => format!(" by {owner}"),
        Event::Run(RunEvent::Released { reason }) => format!(": {reason}"),
        Event::Run(RunEvent::Resumed(resumed)) => {
            let kept = format::count(resumed.completed, "completed step");
            format!(": {kept} kept")
        }
        Event::Run(RunEvent::DefinitionChanged(DefinitionChanged { definition, .. })) => {
            format!(" to {definition}")
        }
        Event::Step {
            event: StepEvent::Started(AttemptStarted { attempt, .. }),
            ..
        } => format!(", attempt {attempt}"),
        Event::Step {
            event: StepEvent::Completed { output, .. },
            ..
        } => format!(", {} bytes", output.text().len()),
        Event::Step {
            event:
                StepEvent::AttemptFailed {
                    attempt,
                    error,
                    retry_at,
                    ..
                },
            ..
        } => {
            format!(
                ", attempt {attempt}: {}; again at {}",
                format::error_alone(error),
                format::instant(*retry_at)
            )
        }
        Event::Step {
            event: StepEvent::Failed { error, .. },
            ..
        } => format!(": {}", format::error_alone(error)),
        Event::Step {
            event: StepEvent::Paused { pause, .. },
            ..
        } => format!(": {}: {}", pause.code, pause.reason),
        Event::Step {
            event: StepEvent::Continued,
            ..
        } => String::new(),
        Event::Step {
            event: StepEvent::Interrupted { attempt, .. },
            ..
        } => format!(", attempt {attempt}"),
        Event::Step {
            event: StepEvent::Ends {
                status, message, ..
            },
            ..
        } => format!(", {}", words::event::ends(*status, message.as_deref())),
        Event::Step {
            event: StepEvent::DeadlineSet { deadline },
            ..
        } => format!(", {}", format::instant(*deadline)),
        Event::Step {
            event: StepEvent::Skipped(skip),
            path,
        } => format!(", {}", skipped(skip, path)),
        Event::Step {
            event: StepEvent::Wait(WaitEvent::Started { wait, .. }),
            ..
        } => match wait {
            Wait::Time { until } => format!(", until {}", format::instant(*until)),
            Wait::Signal { name, .. } => format!(", for the signal `{name}`"),
            Wait::Approval { message, .. } => format!(", for a decision: {message}"),
            Wait::Child { run, .. } => format!(", for the child run {run}"),
        },
        Event::Step {
            event: StepEvent::Wait(WaitEvent::Ended { output, .. }),
            ..
        } => format!(", {} bytes", output.text().len()),
        Event::Step {
            event: StepEvent::Wait(WaitEvent::SignalReceived { signal, data, .. }),
            ..
        } => {
            format!(", `{signal}`, {} bytes", data.text().len())
        }
        Event::Step {
            event:
                StepEvent::Wait(WaitEvent::ApprovalDecided {
                    decision,
                    comment,
                    by,
                    ..
                }),
            ..
        } => {
            let by = by
                .as_ref()
                .map_or_else(String::new, |by| format!(" by {by}"));
            let comment = comment
                .as_ref()
                .map_or_else(String::new, |why| format!(": {why}"));
            format!(", {decision}{by}{comment}")
        }
        Event::Step {
            event: StepEvent::Wait(WaitEvent::ChildEnded { run, ending, .. }),
            ..
        } => match ending {
            ChildEnding::Completed(output) => {
                format!(", {run} completed, {} bytes", output.text().len())
            }
            ChildEnding::Failed(error) | ChildEnding::Cancelled(error) => {
                format!(": {}", format::error_alone(error))
            }
        },
        Event::Run(RunEvent::Finishing { ending }) => {
            let why = ending.stop().map(words::stop::reason);
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            format!(" as {}{why}", ending.status().as_str())
        }
        Event::Run(RunEvent::FinallyStarted) => String::new(),
        Event::Run(RunEvent::Postponed { reason, .. }) => format!(": {reason}"),
        Event::Run(RunEvent::Held { by }) => format!(" by {by}"),
        Event::Run(RunEvent::ClockCorrected { back_millis, .. }) => {
            let back = Duration::from_millis(*back_millis);
            format!(", back by {}", format::length(back))
        }
        Event::Step {
            event: StepEvent::Loop(LoopEvent::IterationStarted { iteration, .. }),
            ..
        } => format!(", iteration {iteration}"),
        Event::Step {
            event:
                StepEvent::Loop(LoopEvent::IterationEnded {
                    iteration,
                    condition_met,
                    ..
                }),
            ..
        } => {
            format!(
                ", iteration {iteration}: condition {}",
                if *condition_met { "met" } else { "not met" }
            )
        }
        Event::Step {
            event: StepEvent::Loop(LoopEvent::Completed { iterations, .. }),
            ..
        } => format!(", {iterations} iterations"),
        Event::Step {
            event: StepEvent::ForEach(event),
            ..
        } => match event {
            ForEachEvent::Started { items, kept } => {
                let kept = match kept {
                    0 => String::new(),
                    kept => format!(", {} kept", format::count(*kept, "item")),
                };
                format!(
                    ", {}{kept}",
                    format::count(words::event::items(items), "item")
                )
            }
            ForEachEvent::ItemStarted => String::new(),
            ForEachEvent::ItemCancelled { by } => format!(" by {by}"),
            ForEachEvent::ItemCompleted { output } | ForEachEvent::Completed { output } => {
                format!(", {} bytes", output.text().len())
            }
        },
        Event::Run(
            RunEvent::Paused { stop } | RunEvent::Failed { stop } | RunEvent::Cancelled { stop },
        ) => {
            format!(": {}: {}", stop.code(), words::stop::message(stop))
        }
        Event::Run(RunEvent::Compensating { stop, by, .. }) => {
            format!(
                ", as {by} asked: {}: {}",
                stop.code(),
                words::stop::message(stop)
            )
        }
        Event::Run(RunEvent::Completed { output }) => format!(", {} bytes", output.text().len()),
    }
}
