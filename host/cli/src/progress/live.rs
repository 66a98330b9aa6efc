//! The moving lines of a terminal: what is in flight, and the countdown to the next retry.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use console::Term;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::lock;
use super::related::Related;
use crate::text::Text;

/// How often the lines are drawn again.
const TICK: Duration = Duration::from_millis(100);
/// Cells of a line: more would wrap on a usual terminal.
const WIDTH: usize = 76;
/// Lines at most. On a small terminal half of it is left to what was said before.
const LINES: usize = 12;

/// What the narrator knows.
pub(super) fn of(narrator: Arc<Mutex<Related>>) -> impl Fn() -> Vec<Text> + Clone + Send + Sync {
    move || {
        let (rows, _) = size();
        let lines = lock(&narrator).now(SystemTime::now().into(), LINES.min(rows / 2));
        lines.into_iter().map(Text::from).collect()
    }
}

/// Moving lines that show what they are told whenever they are drawn.
pub(super) fn lines(now: impl Fn() -> Vec<Text> + Clone + Send + Sync + 'static) -> ProgressBar {
    let now = move |_: &ProgressState, out: &mut dyn fmt::Write| {
        let (_, columns) = size();
        // Beside the lines stand the spinner and a cell that keeps the cursor from wrapping.
        let width = WIDTH.min(columns.saturating_sub(3));
        for (at, line) in now().into_iter().enumerate() {
            let indent = if at == 0 { "" } else { "\n  " };
            let line = line.one_line().cut(width).for_terminal();
            // The buffer of the bar does not fail.
            let _ = write!(out, "{indent}{line}");
        }
    };
    let style =
        ProgressStyle::with_template("{spinner} {now}").expect("the template is well-formed");
    let bar = ProgressBar::new_spinner().with_style(style.with_key("now", now));
    bar.enable_steady_tick(TICK);
    bar
}

/// Rows and columns of the terminal; one that does not tell is taken for a usual one.
fn size() -> (usize, usize) {
    let (rows, columns) = Term::stderr().size_checked().unwrap_or((24, 80));
    (rows.into(), columns.into())
}
