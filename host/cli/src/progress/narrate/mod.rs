//! From what the engine tells to lines for a person. No terminal and no clock here: times come with the notices.

mod fan_outs;
mod moment;

use std::collections::BTreeMap;

use milepost::attempt::{LogLevel, LogLine, Progress};
use milepost::core::event::{
    ChildEnding, ClaimCause, DefinitionChanged, Entry, Event, ForEachEvent, ItemsAgain, LoopEvent,
    ResumeCause, RunCreated, RunEvent, RunResumed, StepEvent, WaitEvent,
};
use milepost::core::ids::{Path, RunId, StepId};
use milepost::core::stop::{AfterHostError, Automatic, Came, Stop, Why};
use milepost::core::time::Timestamp;
use milepost::core::wait::Wait;
use milepost::engine::Notice;
use serde_json::Value;

use self::fan_outs::FanOuts;
use super::limits::Limits;
use crate::format;
use crate::style::Style;
use crate::text::Text;
use crate::words;
use crate::words::event::Unmet;

/// A line to print.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: Text,
    /// Whether the moving line says it better.
    pub(super) passing: bool,
}

/// Follows one run.
pub(super) struct Narrator {
    limits: Limits,
    style: Style,
    /// Executions in flight.
    in_flight: BTreeMap<Path, InFlight>,
    /// Executions that wait for their next attempt.
    waiting: BTreeMap<Path, Waiting>,
    /// Attempts since this process took the run: what a retry policy allows anew with every resume.
    tried: BTreeMap<Path, u32>,
    unmet: Unmet,
    /// Starts that were told.
    started: u64,
    fan_outs: FanOuts,
}

struct InFlight {
    /// Which start of all that were told.
    nth: u64,
    since: Timestamp,
    attempt: u32,
    progress: Option<Progress>,
}

struct Waiting {
    next_attempt: u32,
    retry_at: Timestamp,
    error: String,
}

impl Narrator {
    pub(super) fn new(limits: Limits, style: Style) -> Self {
        Self {
            limits,
            style,
            in_flight: BTreeMap::new(),
            waiting: BTreeMap::new(),
            tried: BTreeMap::new(),
            unmet: Unmet::default(),
            started: 0,
            fan_outs: FanOuts::default(),
        }
    }

    /// Takes a notice in; returns what there is to say about it.
    pub(super) fn tell(&mut self, run: &RunId, notice: Notice<'_>) -> Option<Line> {
        match notice {
            Notice::Recorded(entry) => self.recorded(run, entry),
            Notice::Log { path, line, .. } => self.logged(path, line),
            Notice::Progress { path, progress } => {
                self.in_flight.get_mut(path)?.progress = Some(progress.clone());
                None
            }
            Notice::NotCompared { reason } => Some(lasting(format!(
                "the run continues with the definition and components that it carries; on disk, {reason}"
            ))),
            Notice::SaveDelayed { reason, .. } => {
                let said = format!(" the checkpoint is not saved yet; trying again: {reason}");
                Some(lasting(self.style.yellow("warning:") + said))
            }
        }
    }

    fn recorded(&mut self, run: &RunId, entry: &Entry) -> Option<Line> {
        let line = self.told(run, entry);
        self.unmet.follow(&entry.event);
        line
    }

    fn told(&mut self, run: &RunId, entry: &Entry) -> Option<Line> {
        let style = self.style;
        match &entry.event {
            Event::Run(RunEvent::Claimed { cause, .. }) => {
                // Attempts count from here, and those of an earlier owner are over.
                self.tried.clear();
                self.in_flight.clear();
                match cause {
                    ClaimCause::Start => Some(lasting(format!("run {run}: started"))),
                    ClaimCause::Recovery => Some(lasting(format!(
                        "run {run}: taken over from a process that is gone"
                    ))),
                    // The request that led to the claim was told.
                    ClaimCause::Resume | ClaimCause::Retry => None,
                }
            }
            // The end of the child was told.
            Event::Run(RunEvent::Resumed(resumed)) if goes_on_after_a_child(resumed) => None,
            Event::Run(RunEvent::Resumed(resumed)) => {
                let again = names(&resumed.reset, "; running again: ") + &items(&resumed.items);
                let by = by_itself(resumed);
                Some(lasting(format!(
                    "run {run}: resumed{by}, {} kept{again}",
                    format::count(resumed.completed, "completed step")
                )))
            }
            Event::Run(RunEvent::DefinitionChanged(DefinitionChanged { dropped, .. })) => {
                let dropped = names(dropped, "; dropped: ");
                Some(lasting(format!(
                    "run {run}: continues with the changed workflow{dropped}"
                )))
            }
            Event::Run(RunEvent::FinallyStarted) => {
                Some(lasting(format!("run {run}: steps with `finally` run now")))
            }
            Event::Step {
                path,
                event: StepEvent::Started(_),
            } => {
                self.waiting.remove(path);
                let tried = self.tried.entry(path.clone()).or_default();
                *tried += 1;
                let attempt = *tried;
                self.started += 1;
                let in_flight = InFlight {
                    nth: self.started,
                    since: entry.at,
                    attempt,
                    progress: None,
                };
                self.in_flight.insert(path.clone(), in_flight);
                let which = if attempt > 1 {
                    format!(", attempt {}", self.limits.attempt(path, attempt))
                } else {
                    String::new()
                };
                Some(passing(format!("step {path}: started{which}")))
            }
            Event::Step {
                path,
                event: StepEvent::Completed { .. },
            } => {
                let took = self.ended(path, entry.at);
                let text = step(path) + style.green("completed") + took;
                self.fan_outs.ended(path, false);
                Some(match path.innermost_item() {
                    // There may be thousands.
                    Some(_) => passing(text),
                    None => lasting(text),
                })
            }
            Event::Step {
                path,
                event:
                    StepEvent::AttemptFailed {
                        error, retry_at, ..
                    },
            } => {
                self.ended(path, entry.at);
                let next_attempt = self.tried.get(path).copied().unwrap_or_default() + 1;
                let error = format::brief_error(error);
                let which = self.limits.attempt(path, next_attempt);
                let wait = format::length(retry_at.since(entry.at));
                let waiting = Waiting {
                    next_attempt,
                    retry_at: *retry_at,
                    error: error.clone(),
                };
                self.waiting.insert(path.clone(), waiting);
                let when = format!(" {which} in {wait}: {error}");
                Some(lasting(step(path) + style.yellow("retry") + when))
            }
            Event::Step {
                path,
                event: StepEvent::Failed { error, .. },
            } => {
                self.ended(path, entry.at);
                self.fan_outs.ended(path, true);
                let why = format!(": {}", format::brief_error(error));
                Some(lasting(step(path) + style.red("failed") + why))
            }
            Event::Step {
                path,
                event: StepEvent::Paused { pause, .. },
            } => {
                self.ended(path, entry.at);
                let why = format!(": {}: {}", pause.code, pause.reason);
                Some(lasting(step(path) + style.yellow("paused") + why))
            }
            Event::Step {
                path,
                event: StepEvent::Continued,
            } => Some(lasting(step(path) + "continues")),
            Event::Step {
                path,
                event: StepEvent::Interrupted { .. },
            } => {
                self.ended(path, entry.at);
                Some(lasting(step(path) + style.yellow("interrupted")))
            }
            Event::Step {
                path,
                event: StepEvent::Ends {
                    status, message, ..
                },
            } => {
                let how = words::event::ends(*status, message.as_deref());
                Some(lasting(step(path) + format!("ends the run {how}")))
            }
            Event::Step {
                path,
                event: StepEvent::Skipped(skip),
            } => {
                let join = self.limits.join(path.step());
                let why = words::event::skipped(skip, join, &self.unmet);
                let why = format!(", {why}");
                Some(lasting(step(path) + style.dim("skipped") + why))
            }
            Event::Step {
                path,
                event:
                    StepEvent::Wait(WaitEvent::Started {
                        wait: Wait::Child { run, .. },
                    }),
            } => Some(lasting(format!("step {path}: child run {run}"))),
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::Started { wait }),
            } => {
                let (for_what, until) = match wait {
                    Wait::Time { until } => (String::new(), Some(*until)),
                    Wait::Signal { name, until } => (format!(" for the signal `{name}`"), *until),
                    Wait::Approval { message, until } => {
                        (format!(" for a decision: {message}"), *until)
                    }
                    Wait::Child { run, .. } => (format!(" for its child run {run}"), None),
                };
                let until = until.map_or_else(String::new, |until| {
                    format!(" until {}", format::instant(until))
                });
                let rest = format!("{for_what}{until}");
                Some(lasting(step(path) + style.yellow("waits") + rest))
            }
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::Ended { output }),
            } => {
                let done = style.green("completed") + ", " + without_an_answer(&output.value());
                Some(lasting(step(path) + done))
            }
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::ChildEnded { ending, .. }),
            } => {
                let failed = !matches!(ending, ChildEnding::Completed(_));
                self.fan_outs.ended(path, failed);
                let (how, why) = match ending {
                    ChildEnding::Completed(_) => (style.green("completed"), String::new()),
                    ChildEnding::Failed(error) | ChildEnding::Cancelled(error) => {
                        let why = format!(": {}", format::brief_error(error));
                        (style.red("failed"), why)
                    }
                };
                Some(lasting(step(path) + how + why))
            }
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::SignalReceived { signal, .. }),
            } => Some(lasting(format!(
                "step {path}: received the signal `{signal}`"
            ))),
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::ApprovalDecided { decision, .. }),
            } => Some(lasting(format!("step {path}: {decision}"))),
            Event::Step {
                path,
                event: StepEvent::Loop(LoopEvent::IterationStarted { iteration }),
            } => {
                // Earlier iterations do not come back, and there may be thousands.
                self.tried.retain(|tried, _| {
                    !iteration
                        .checked_sub(1)
                        .is_some_and(|last| tried.is_inside(path, last))
                });
                let which = self.limits.iteration(path.step(), *iteration);
                Some(passing(format!("loop {path}: iteration {which}")))
            }
            Event::Step {
                path,
                event:
                    StepEvent::Loop(LoopEvent::Completed {
                        iterations,
                        condition_met,
                    }),
            } => {
                let met = if *condition_met {
                    ""
                } else {
                    ", condition not met"
                };
                let plural = if *iterations == 1 {
                    "iteration"
                } else {
                    "iterations"
                };
                let done = style.green("completed");
                let after = format!(" after {iterations} {plural}{met}");
                Some(lasting(Text::from(format!("loop {path}: ")) + done + after))
            }
            Event::Step {
                path,
                event: StepEvent::ForEach(event),
            } => Some(self.fan_out(path, event)),
            Event::Run(RunEvent::Released { reason }) => {
                Some(lasting(format!("run {run}: released: {reason}")))
            }
            Event::Run(RunEvent::Compensating { .. }) => {
                let how = style.yellow("compensating");
                let what = " what its completed steps did, the latest first";
                Some(lasting(Text::from(format!("run {run}: ")) + how + what))
            }
            Event::Run(RunEvent::Created(RunCreated {
                fork: Some(fork), ..
            })) => {
                let kept = fork.kept_steps();
                Some(lasting(match kept.is_empty() {
                    true => format!(
                        "run {run}: a new run of the workflow of {}, from the beginning",
                        fork.run
                    ),
                    false => format!(
                        "run {run}: forked from {} at {}, keeps {}",
                        fork.run,
                        words::steps_of(&fork.from),
                        words::steps_of(&kept)
                    ),
                }))
            }
            // The first says nothing that the claim does not; the others are what is printed at the end.
            Event::Run(
                RunEvent::Finishing { .. }
                | RunEvent::Created(_)
                | RunEvent::Postponed { .. }
                | RunEvent::Held { .. }
                | RunEvent::ClockCorrected { .. }
                | RunEvent::Paused { .. }
                | RunEvent::Completed { .. }
                | RunEvent::Failed { .. }
                | RunEvent::Cancelled { .. },
            )
            | Event::Step {
                event:
                    StepEvent::DeadlineSet { .. } | StepEvent::Loop(LoopEvent::IterationEnded { .. }),
                ..
            } => None,
        }
    }

    fn fan_out(&mut self, path: &Path, event: &ForEachEvent) -> Line {
        let style = self.style;
        let fan_out = || Text::from(format!("fan-out {path}: "));
        match event {
            ForEachEvent::Started { items, kept } => {
                let all = words::event::items(items);
                self.fan_outs.began(path, all, *kept);
                let kept = match kept {
                    0 => String::new(),
                    kept => format!(", {kept} kept"),
                };
                lasting(fan_out() + format!("{}{kept}", format::count(all, "item")))
            }
            ForEachEvent::ItemStarted => passing(format!("item {path}: started")),
            ForEachEvent::ItemCompleted { .. } => {
                self.fan_outs.ended(path, false);
                passing(Text::from(format!("item {path}: ")) + style.green("completed"))
            }
            ForEachEvent::ItemCancelled { by } => {
                self.fan_outs.ended(path, true);
                lasting(format!("item {path}: cancelled by {by}"))
            }
            ForEachEvent::Completed { output } => {
                self.fan_outs.over(path);
                let all = format::count(words::event::items(output), "item");
                lasting(fan_out() + style.green("completed") + format!(", {all}"))
            }
        }
    }

    /// Forgets an execution; returns how long its attempt took, in words.
    fn ended(&mut self, path: &Path, at: Timestamp) -> String {
        self.waiting.remove(path);
        let in_flight = self.in_flight.remove(path);
        in_flight.map_or_else(String::new, |it| {
            format!(" in {}", format::length(at.since(it.since)))
        })
    }

    fn logged(&self, path: &Path, line: &LogLine) -> Option<Line> {
        let level = match line.level {
            LogLevel::Trace | LogLevel::Debug => return None,
            LogLevel::Info => "",
            LogLevel::Warn => "warning: ",
            LogLevel::Error => "error: ",
        };
        let fields: String = line
            .fields
            .iter()
            .map(|(name, value)| format!(" {name}={value}"))
            .collect();
        if line.message.is_empty() && fields.is_empty() {
            // It separates what stands around it, which in a list of several steps says nothing.
            return None;
        }
        let said = format!("  {path} | {level}{}{fields}", line.message);
        Some(lasting(self.style.dim(said)))
    }
}

/// ` automatically (1 of 5)`, where nobody has asked for it.
fn by_itself(resumed: &RunResumed) -> String {
    if resumed.cause != ResumeCause::Schedule {
        return String::new();
    }
    let automatic = resumed.cleared.as_ref().and_then(|stop| match &stop.why {
        Why::StepPaused(pausing) | Why::RetriesExhausted(pausing) => pausing.automatic,
        Why::CompensationFailed { automatic, .. } => *automatic,
        Why::HostError {
            then: AfterHostError::Automatic(automatic),
            ..
        } => Some(*automatic),
        _ => None,
    });
    match automatic {
        Some(Automatic::Next { number, of }) => format!(" automatically ({number} of {of})"),
        // Something came, and nobody had to try.
        Some(Automatic::UsedUp { .. }) | None => String::new(),
    }
}

fn goes_on_after_a_child(resumed: &RunResumed) -> bool {
    matches!(
        &resumed.cleared,
        Some(Stop {
            why: Why::Ready(Came::Child(_)),
            ..
        })
    )
}

fn names(ids: &[StepId], lead: &str) -> String {
    if ids.is_empty() {
        return String::new();
    }
    let ids: Vec<&str> = ids.iter().map(StepId::as_str).collect();
    format!("{lead}{}", ids.join(", "))
}

/// The items of fan-outs that run again, as many as a line has room for.
fn items(again: &ItemsAgain) -> String {
    const NAMED: usize = 5;
    if again.reset.is_empty() {
        return String::new();
    }
    let named = again.reset.iter().take(NAMED).map(Path::to_string);
    let named: Vec<String> = named.collect();
    let more = match again.reset.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("; running again in fan-outs: {}{more}", named.join(", "))
}

fn step(path: &Path) -> Text {
    Text::from(format!("step {path}: "))
}

fn lasting(text: impl Into<Text>) -> Line {
    Line {
        text: text.into().one_line(),
        passing: false,
    }
}

fn passing(text: impl Into<Text>) -> Line {
    Line {
        text: text.into().one_line(),
        passing: true,
    }
}

/// What came of a wait that time ended.
fn without_an_answer(output: &Value) -> String {
    match (output["decision"].as_str(), output["timed_out"].as_bool()) {
        (Some(decision), _) => format!("nobody decided in time: {decision}"),
        (None, Some(true)) => "nothing came in time".to_owned(),
        (None, _) => "the wait is over".to_owned(),
    }
}

#[cfg(test)]
mod tests;
