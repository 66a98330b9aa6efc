//! Live progress on stderr: a moving line on a terminal, plain lines in a pipe.
//!
//! [`narrate`] turns what the engine tells into lines, the same for both; [`live`] is the moving line under them;
//! [`several`] tells about many runs at once.

mod limits;
mod live;
mod narrate;
mod several;

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost::core::ids::RunId;
use milepost::engine::{Notice, Observer};

pub(crate) use self::limits::Limits;
pub(crate) use self::several::Several;

use self::live::Bar;
use self::narrate::Narrator;
use super::style::Style;

/// Watches one run.
pub(crate) struct Progress {
    narrator: Arc<Mutex<Narrator>>,
    /// None in a pipe.
    bar: Option<Bar>,
}

impl Progress {
    /// `lively`: whether stderr is a terminal.
    pub(crate) fn new(limits: Limits, style: Style, lively: bool) -> Self {
        let narrator = Arc::new(Mutex::new(Narrator::new(limits, style)));
        let bar = lively.then(|| Bar::start(Arc::clone(&narrator)));
        Self { narrator, bar }
    }

    /// Says something beside the progress.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.print(line),
            // A closed stderr leaves nobody to tell.
            None => drop(writeln!(io::stderr(), "{line}")),
        }
    }

    /// Takes the moving line away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}

impl Observer for Progress {
    fn notice(&self, run: &RunId, notice: Notice<'_>) {
        let line = lock(&self.narrator).tell(run, notice);
        if let Some(line) = line
            && (self.bar.is_none() || !line.passing)
        {
            self.say(&line.text);
        }
    }
}

fn lock(narrator: &Mutex<Narrator>) -> MutexGuard<'_, Narrator> {
    narrator.lock().unwrap_or_else(PoisonError::into_inner)
}
