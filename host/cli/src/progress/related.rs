//! A run and the runs that it started: what is told of a child stands under the step that it belongs to.

use std::collections::BTreeMap;

use milepost::core::event::{Entry, Event, StepEvent, WaitEvent};
use milepost::core::ids::RunId;
use milepost::core::time::Timestamp;
use milepost::core::wait::Wait;
use milepost::engine::Notice;

use super::limits::Limits;
use super::narrate::{Line, Narrator};
use crate::style::Style;
use crate::text::Text;

/// Follows one run and its children.
pub(super) struct Related {
    style: Style,
    main: Narrator,
    /// The run that was told of first.
    first: Option<RunId>,
    children: BTreeMap<RunId, Child>,
}

struct Child {
    /// The steps that lead to it.
    steps: String,
    narrator: Narrator,
}

impl Related {
    pub(super) fn new(limits: Limits, style: Style) -> Self {
        Self {
            style,
            main: Narrator::new(limits, style),
            first: None,
            children: BTreeMap::new(),
        }
    }

    /// Takes a notice in; returns what there is to say about it.
    pub(super) fn tell(&mut self, run: &RunId, notice: Notice<'_>) -> Option<Line> {
        if self.first.get_or_insert_with(|| run.clone()) != run {
            // One that was there before: no step has said whose it is.
            self.know(run, || run.to_string());
        }
        self.learn(run, &notice);
        let Some(child) = self.children.get_mut(run) else {
            return self.main.tell(run, notice);
        };
        let Line { text, passing } = child.narrator.tell(run, notice)?;
        Some(Line {
            text: Text::from(format!("{}: ", child.steps)) + text.without_indent(),
            passing,
        })
    }

    /// A step that starts a child run says what that run is.
    fn learn(&mut self, run: &RunId, notice: &Notice<'_>) {
        if let Notice::Recorded(Entry {
            event:
                Event::Step {
                    path,
                    event:
                        StepEvent::Wait(WaitEvent::Started {
                            wait: Wait::Child { run: child, .. },
                        }),
                },
            ..
        }) = notice
        {
            let steps = match self.children.get(run) {
                Some(parent) => format!("{}: {path}", parent.steps),
                None => path.to_string(),
            };
            self.know(child, || steps);
        }
    }

    fn know(&mut self, run: &RunId, steps: impl FnOnce() -> String) {
        let style = self.style;
        self.children.entry(run.clone()).or_insert_with(|| Child {
            steps: steps(),
            // What its attempts and iterations may come to stands in a definition that nobody here has read.
            narrator: Narrator::new(Limits::default(), style),
        });
    }

    /// What happens at this moment, in at most so many lines; what a child does stands behind what leads to it.
    pub(super) fn now(&self, at: Timestamp, most: usize) -> Vec<String> {
        let mut lines = self.main.now(at, most);
        for child in self.children.values() {
            let left = most.saturating_sub(lines.len());
            if left == 0 {
                break;
            }
            let now = child.narrator.now(at, left);
            lines.extend(
                now.into_iter()
                    .map(|line| format!("{}: {line}", child.steps)),
            );
        }
        lines
    }
}
