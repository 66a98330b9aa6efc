//! Live progress on stderr: moving lines on a terminal, one for each step in flight; plain lines in a pipe, each with its step.
//!
//! [`narrate`] turns what the engine tells into lines, the same for both; [`live`] are the moving lines under them;
//! [`several`] tells about many runs at once.

mod limits;
mod live;
mod narrate;
mod related;
mod several;
mod told;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost::core::ids::RunId;
use milepost::engine::{Notice, Observer};

pub(crate) use self::limits::Limits;
pub(crate) use self::several::Several;
pub(crate) use self::told::Told;

use self::related::Related;
use super::narration;
use super::style::Style;
use super::text::Text;

/// Watches one run, and its child runs.
pub(crate) struct Progress {
    narrator: Arc<Mutex<Related>>,
    /// Whether there are moving lines.
    lively: bool,
    /// Whether nothing but what steps log is said.
    only_logs: bool,
}

impl Progress {
    /// `lively`: whether stderr is a terminal that can move its cursor.
    pub(crate) fn new(limits: Limits, style: Style, lively: bool) -> Self {
        let narrator = Arc::new(Mutex::new(Related::new(limits, style)));
        if lively {
            let narrator = Arc::clone(&narrator);
            narration::move_line(Some(Box::new(|| live::lines(live::of(narrator)))));
        }
        Self {
            narrator,
            lively,
            only_logs: false,
        }
    }

    /// For a single call: there is nothing on the way but what it logs.
    pub(crate) fn of_logs(style: Style) -> Self {
        Self {
            only_logs: true,
            ..Self::new(Limits::default(), style, false)
        }
    }

    /// Says something beside the progress.
    pub(crate) fn say(&self, line: impl Into<Text>) {
        narration::say(&line.into());
    }

    /// Takes a notice in, and says something about it only if that is wanted.
    pub(crate) fn learn(&self, run: &RunId, notice: Notice<'_>, aloud: bool) {
        let line = lock(&self.narrator).tell(run, notice);
        if let Some(line) = line.filter(|_| aloud) {
            self.say(line.text);
        }
    }

    /// Takes the moving lines away.
    pub(crate) fn finish(&self) {
        if self.lively {
            narration::move_line(None);
        }
    }
}

impl Observer for Progress {
    fn notice(&self, run: &RunId, notice: Notice<'_>) {
        if self.only_logs && !matches!(notice, Notice::Log { .. }) {
            return;
        }
        // Locked until it is said: steps tell at the same time, and lines stand in the order of what they tell.
        let mut narrator = lock(&self.narrator);
        if let Some(line) = narrator.tell(run, notice)
            && !(self.lively && line.passing)
        {
            self.say(line.text);
        }
    }
}

fn lock(narrator: &Mutex<Related>) -> MutexGuard<'_, Related> {
    narrator.lock().unwrap_or_else(PoisonError::into_inner)
}
