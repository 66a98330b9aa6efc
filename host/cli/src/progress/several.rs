//! Progress of several runs at once: plain lines on stderr, each with the run that it is about.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use milepost::core::event::{Event, RunEvent};
use milepost::core::ids::RunId;
use milepost::core::stop::Stop;
use milepost::engine::{Notice, Observer, Trouble};

use super::limits::Limits;
use super::narrate::Narrator;
use crate::style::Style;
use crate::text::Text;
use crate::{format, narration, words};

/// Watches the runs of a worker.
pub(crate) struct Several {
    style: Style,
    /// Whether their steps are of interest too. They can be thousands in a second.
    steps: bool,
    narrators: Mutex<BTreeMap<RunId, Narrator>>,
}

impl Several {
    /// In the colours of stderr.
    pub(crate) fn new(style: Style, steps: bool) -> Self {
        Self {
            style,
            steps,
            narrators: Mutex::default(),
        }
    }

    /// The line about the last event of a run, for as long as this process has it.
    fn ending(&self, event: &Event) -> Option<Text> {
        let style = self.style;
        match event {
            Event::Run(RunEvent::Completed { .. }) => Some(style.green("completed")),
            Event::Run(RunEvent::Paused { stop }) => {
                Some(style.yellow("paused") + why("paused", stop))
            }
            Event::Run(RunEvent::Failed { stop }) => {
                Some(style.red("failed") + why("failed", stop))
            }
            Event::Run(RunEvent::Cancelled { stop }) => {
                Some(style.dim("cancelled") + why("cancelled", stop))
            }
            Event::Run(RunEvent::Released { reason }) => Some(format!("released: {reason}").into()),
            _ => None,
        }
    }

    fn tell(&self, run: &RunId, notice: Notice<'_>) -> Option<Text> {
        let mut narrators = self
            .narrators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Notice::Recorded(entry) = notice
            && let Some(ending) = self.ending(&entry.event)
        {
            narrators.remove(run);
            return Some((Text::from(format!("run {run}: ")) + ending).one_line());
        }
        if !self.steps && is_about_a_step(&notice) {
            return None;
        }
        // How many attempts and iterations there may be stands in definitions that nobody here has read.
        let narrator = narrators
            .entry(run.clone())
            .or_insert_with(|| Narrator::new(Limits::default(), self.style));
        let text = narrator.tell(run, notice)?.text;
        Some(match text.starts_with("run ") {
            true => text,
            false => Text::from(format!("{run}: ")) + text.without_indent(),
        })
    }
}

impl Observer for Several {
    fn notice(&self, run: &RunId, notice: Notice<'_>) {
        if let Some(line) = self.tell(run, notice) {
            narration::say(&line);
        }
    }

    fn trouble(&self, run: Option<&str>, trouble: Trouble<'_>) {
        let reason = match trouble {
            Trouble::PutOff(stop) => words::stop::message(stop),
            Trouble::Error(error) => error.to_owned(),
        };
        let said = match run {
            Some(run) => words::about(run, &reason),
            None => reason,
        };
        let text = Text::from(format!(" {said}")).one_line();
        narration::say(&(self.style.yellow("warning:") + text));
    }
}

fn is_about_a_step(notice: &Notice<'_>) -> bool {
    match notice {
        Notice::Recorded(entry) => entry.event.path().is_some(),
        Notice::Log { .. } | Notice::Progress { .. } => true,
        Notice::NotCompared { .. } | Notice::SaveDelayed { .. } => false,
    }
}

/// Why a run stands, behind the word for how it does.
fn why(status: &str, stop: &Stop) -> String {
    let provider = stop
        .provider
        .as_ref()
        .map(|name| format!(" [{name}]"))
        .unwrap_or_default();
    let due = stop
        .due_at
        .map(|at| format!(", {}", format::due(stop.code(), at)))
        .unwrap_or_default();
    let message = words::stop::message(stop);
    let message = message.lines().next().unwrap_or_default();
    let why = match words::stop::begins_with(message, status) {
        Some(rest) => rest.to_owned(),
        None => format!(": {}: {message}", stop.code()),
    };
    format!("{why}{provider}{due}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use milepost::core::event::{AttemptStarted, Entry, StepEvent};
    use milepost::core::ids::Epoch;
    use milepost::core::stop::Why;
    use milepost::core::time::Timestamp;
    use serde_json::json;

    use super::*;

    fn tell(several: &Several, run: &str, event: Event) -> Option<String> {
        let entry = Entry {
            seq: 1,
            at: Timestamp::default(),
            epoch: Epoch(1),
            event,
        };
        let run = RunId::new(run).unwrap();
        let told = several.tell(&run, Notice::Recorded(&entry))?;
        Some(told.plain())
    }

    fn started() -> Event {
        Event::Step {
            path: "test".parse().unwrap(),
            event: StepEvent::Started(AttemptStarted {
                attempt: 1,
                input: json!({}).into(),
                seed: 0,
                timeout_millis: 1,
            }),
        }
    }

    #[test]
    fn steps_are_told_only_to_who_asked_for_them() {
        let several = Several::new(Style::new(false), false);
        assert_eq!(tell(&several, "a", started()), None);
        let released = Event::Run(RunEvent::Released {
            reason: "shutdown".into(),
        });
        assert_eq!(
            tell(&several, "a", released).unwrap(),
            "run a: released: shutdown"
        );
    }

    #[test]
    fn every_line_names_its_run_and_runs_that_stopped_are_forgotten() {
        let several = Several::new(Style::new(false), true);
        for run in ["a", "b"] {
            let line = tell(&several, run, started()).unwrap();
            assert_eq!(line, format!("{run}: step test: started"));
        }
        let stop = Stop {
            provider: Some("acme".into()),
            ..Stop::new(Why::Cancelled {
                by: "too much\u{1b}[2J".into(),
            })
        };
        assert_eq!(
            tell(&several, "a", Event::Run(RunEvent::Cancelled { stop })).unwrap(),
            "run a: cancelled by too much\\u{1b}[2J [acme]"
        );
        let left: Vec<RunId> = several.narrators.lock().unwrap().keys().cloned().collect();
        assert_eq!(left, [RunId::new("b").unwrap()]);
    }
}
