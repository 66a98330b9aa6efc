//! The moving line of a terminal: what is in flight, and the countdown to the next retry.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::lock;
use super::narrate::Narrator;

/// How often the line is drawn again.
const TICK: Duration = Duration::from_millis(100);
/// Characters of the line: more would wrap on a usual terminal.
const WIDTH: usize = 76;

/// The moving line.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Shows what the narrator knows until [`Bar::finish`].
    pub(super) fn start(narrator: Arc<Mutex<Narrator>>) -> Self {
        let now = move |_: &ProgressState, out: &mut dyn fmt::Write| {
            let line = lock(&narrator).now(SystemTime::now().into());
            let cut: String = line.chars().take(WIDTH).collect();
            // The buffer of the bar does not fail.
            let _ = out.write_str(&cut);
        };
        let style =
            ProgressStyle::with_template("{spinner} {now}").expect("the template is well-formed");
        let bar = ProgressBar::new_spinner().with_style(style.with_key("now", now));
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Prints a line above.
    pub(super) fn print(&self, line: &str) {
        self.0.println(line);
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
