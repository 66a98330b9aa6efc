//! A list that is kept up to date: drawn in place on a terminal, appended in a pipe, until somebody has seen enough.

use std::io;
use std::sync::Weak;
use std::time::Duration;

use tokio::sync::oneshot;

use super::context::{Context, Reply};
use super::drive::runtime;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::signals::{self, Signals};
use super::stdout;
use super::text::Text;

/// Refreshes that may fail in a row.
const ERRORS: u32 = 10;

/// What is shown at one moment.
pub(crate) enum View {
    /// For a person.
    Text(Text),
    /// For a program, on one line.
    Document(String),
}

/// Shows what `refresh` gives, again and again, `every` after the last one was shown; so refreshes never overlap (B242).
/// Ends with exit code 0 when a signal comes or nobody reads any more.
///
/// # Errors
/// [`Failure`] when so many refreshes failed in a row that it is not worth while to go on (B243).
pub(crate) fn watch(
    cx: &Context,
    every: Duration,
    refresh: impl AsyncFnMut() -> Result<View, Failure>,
) -> Result<Reply, Failure> {
    let mut place = Place::new(cx);
    runtime()?.block_on(async {
        let mut signals = Signals::listen(Weak::new()).map_err(|error| signals::refused(&error))?;
        let show = |view: View| place.show(view);
        let warn = |text: String| cx.warn(text);
        tokio::select! {
            ended = repeat(every, refresh, show, warn) => ended,
            _ = signals.next() => Ok(()),
        }
    })?;
    Ok(Reply::text(Exit::Completed, place.last()))
}

async fn repeat<V>(
    every: Duration,
    mut refresh: impl AsyncFnMut() -> Result<V, Failure>,
    mut show: impl FnMut(V) -> oneshot::Receiver<io::Result<()>>,
    mut warn: impl FnMut(String),
) -> Result<(), Failure> {
    let mut errors = 0;
    loop {
        match refresh().await {
            Ok(view) => {
                errors = 0;
                // `ls --watch | head`: the reader has had enough.
                match show(view).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                        return Err(stdout::failure(&error));
                    }
                    Ok(Err(_)) | Err(_) => return Ok(()),
                }
            }
            Err(failure) => {
                errors += 1;
                let message = failure.message();
                if errors == ERRORS {
                    let message =
                        format!("{ERRORS} refreshes in a row failed; the last one: {message}");
                    return Err(Failure::new(Code::WatchStopped, message));
                }
                warn(format!("refresh {errors} of {ERRORS} failed: {message}"));
            }
        }
        tokio::time::sleep(every).await;
    }
}

/// Where snapshots are shown.
enum Place {
    /// A screen beside the one on which the person types, which comes back at the end.
    Screen { last: Text, cx: Context },
    /// One after the other; texts with an empty line in between.
    Paragraphs { begun: bool },
}

impl Place {
    fn new(cx: &Context) -> Self {
        if cx.json || !cx.screen {
            return Self::Paragraphs { begun: false };
        }
        // A screen that is not there any more is noticed with the first snapshot.
        drop(stdout::send(ENTER_SCREEN.to_owned()));
        Self::Screen {
            last: Text::default(),
            cx: cx.clone(),
        }
    }

    fn show(&mut self, view: View) -> oneshot::Receiver<io::Result<()>> {
        let (body, text) = match view {
            View::Document(document) => return stdout::send(document + "\n"),
            View::Text(text) => (text.for_terminal(), text),
        };
        match self {
            Self::Screen { last, cx } => {
                *last = text;
                let rows = cx.size().map_or(usize::MAX, |(rows, _)| rows);
                stdout::send(drawn(&body, rows))
            }
            Self::Paragraphs { begun } => {
                let between = if std::mem::replace(begun, true) {
                    "\n"
                } else {
                    ""
                };
                stdout::send(format!("{between}{body}\n"))
            }
        }
    }

    /// What stays on the terminal after the screen is gone.
    fn last(mut self) -> Text {
        match &mut self {
            Self::Screen { last, .. } => std::mem::take(last),
            Self::Paragraphs { .. } => Text::default(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Screen { .. } = self {
            drop(stdout::send(LEAVE_SCREEN.to_owned()));
        }
    }
}

/// What draws a text over the one before, on so many rows. A line feed after the last of them would scroll the first one away.
fn drawn(body: &str, rows: usize) -> String {
    let lines: Vec<_> = body.lines().take(rows).collect();
    let mut drawn = HOME.to_owned();
    for (at, line) in lines.iter().enumerate() {
        // Before the line: after one that ends at the edge, its last letter would be cleared.
        drawn.push_str(CLEAR_RIGHT);
        drawn.push_str(line);
        if at + 1 < rows {
            drawn.push('\n');
        }
    }
    if lines.len() < rows {
        drawn.push_str(CLEAR_BELOW);
    }
    drawn
}

/// The alternate screen, without a cursor, and with long lines cut.
const ENTER_SCREEN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE_SCREEN: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
/// The line that stood there before may be longer.
const CLEAR_RIGHT: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Refreshes that go as told, for a reader who leaves after `readings`; how it ended, and how often was shown and warned.
    fn watched(outcomes: &[bool], readings: u32) -> (Result<(), Exit>, u32, u32) {
        let mut outcomes = outcomes.iter();
        let (shown, warned) = (Cell::new(0), Cell::new(0));
        let refresh = async || match outcomes.next() {
            Some(true) => Ok("list"),
            Some(false) => Err(Failure::internal("gone")),
            None => panic!("it goes on for ever"),
        };
        let show = |_| {
            shown.set(shown.get() + 1);
            let (done, written) = oneshot::channel();
            let sent = done.send(match shown.get() > readings {
                true => Err(io::ErrorKind::BrokenPipe.into()),
                false => Ok(()),
            });
            assert!(sent.is_ok(), "the receiver is still there");
            written
        };
        let warn = |_| warned.set(warned.get() + 1);
        let watching = repeat(Duration::ZERO, refresh, show, warn);
        let ended = match runtime() {
            Ok(runtime) => runtime.block_on(watching),
            Err(failure) => Err(failure),
        };
        let ended = ended.map_err(|failure| failure.exit);
        (ended, shown.get(), warned.get())
    }

    #[test]
    fn b243_ten_failures_in_a_row_end_the_watch() {
        assert_eq!(watched(&[false; 10], 0), (Err(Exit::Unavailable), 0, 9));
    }

    #[test]
    fn b243_one_success_resets_the_count() {
        let outcomes = [[false; 9].as_slice(), &[true], &[false; 10]].concat();
        assert_eq!(watched(&outcomes, 1), (Err(Exit::Unavailable), 1, 18));
    }

    #[test]
    fn every_row_of_a_screen_is_drawn_and_none_scrolls_away() {
        assert_eq!(drawn("a\nb", 3), "\x1b[H\x1b[Ka\n\x1b[Kb\n\x1b[J");
        assert_eq!(drawn("a\nb", 2), "\x1b[H\x1b[Ka\n\x1b[Kb");
        assert_eq!(drawn("a\nb\nc", 2), "\x1b[H\x1b[Ka\n\x1b[Kb");
    }

    #[test]
    fn a_reader_that_has_had_enough_ends_the_watch() {
        assert_eq!(watched(&[true; 3], 2), (Ok(()), 3, 0));
    }
}
