//! The moving line of a terminal: what is in flight, and the countdown to the next retry.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::lock;
use super::narrate::Narrator;
use crate::text::Text;

/// How often the line is drawn again.
const TICK: Duration = Duration::from_millis(100);
/// Cells of the line: more would wrap on a usual terminal.
const WIDTH: usize = 76;

/// What the narrator knows.
pub(super) fn of(narrator: Arc<Mutex<Narrator>>) -> impl Fn() -> Text + Clone + Send + Sync {
    move || Text::from(lock(&narrator).now(SystemTime::now().into()))
}

/// A moving line that shows what it is told whenever it is drawn.
pub(super) fn line(now: impl Fn() -> Text + Clone + Send + Sync + 'static) -> ProgressBar {
    let now = move |_: &ProgressState, out: &mut dyn fmt::Write| {
        let line = now();
        // The buffer of the bar does not fail.
        let _ = out.write_str(&line.one_line().cut(WIDTH).for_terminal());
    };
    let style =
        ProgressStyle::with_template("{spinner} {now}").expect("the template is well-formed");
    let bar = ProgressBar::new_spinner().with_style(style.with_key("now", now));
    bar.enable_steady_tick(TICK);
    bar
}
