//! Everything on stderr: lines wait in a bounded queue for a thread of their own, which writes them in batches.
//!
//! # Invariants
//! - Whoever says something never waits for a terminal, a pager or a log sink. What does not fit into the queue is counted,
//!   and the count is told where the lines are missing.
//! - The moving line of a terminal is touched by that thread alone.
//! - The end of the program waits for what is left only as long as somebody takes it ([`Patience`]).

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use milepost::core::limits::NARRATION_BYTES;

use super::patience::{PATIENCE, Patience};
use super::text::Text;

/// How long lines are gathered before they are written.
const GATHERING: Duration = Duration::from_millis(5);
/// Bytes of one write, so that a slow reader can be told from none.
const PIECE: usize = 4096;

static STDERR: Narration = Narration::new();

/// Says something on stderr, on lines of its own. Never waits.
#[expect(clippy::disallowed_methods, reason = "this is the way out")]
pub(super) fn say(text: &Text) {
    if STDERR.put(text) {
        let thread = std::thread::Builder::new().name("stderr".to_owned());
        let spawned = thread.spawn(|| STDERR.write(&mut io::stderr()));
        if spawned.is_err() {
            STDERR.lock().deaf = true;
        }
    }
}

/// Shows a moving line, or takes it away.
pub(super) fn move_line(line: Option<Box<dyn FnOnce() -> ProgressBar + Send>>) {
    STDERR.enqueue(Item::Line(line));
    // Also when nothing was said yet.
    say(&Text::default());
}

/// Waits until everything that was said is written, or nobody takes it.
pub(super) fn settle() {
    STDERR.settle(&PATIENCE);
}

struct Narration {
    queue: Mutex<Queue>,
    filled: Condvar,
    /// Somebody waits for the end.
    hurry: Condvar,
    moved: Condvar,
}

struct Queue {
    items: VecDeque<Item>,
    /// Of all lines that are not written yet.
    bytes: usize,
    /// How much was written, in pieces: that it moves is all that matters.
    pieces: u64,
    settling: usize,
    running: bool,
    writing: bool,
    /// Nobody can hear it any more.
    deaf: bool,
}

enum Item {
    Text(String),
    /// So many lines did not fit.
    Lost(u64),
    Line(Option<Box<dyn FnOnce() -> ProgressBar + Send>>),
}

impl Narration {
    const fn new() -> Self {
        Self {
            queue: Mutex::new(Queue {
                items: VecDeque::new(),
                bytes: 0,
                pieces: 0,
                settling: 0,
                running: false,
                writing: false,
                deaf: false,
            }),
            filled: Condvar::new(),
            hurry: Condvar::new(),
            moved: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the writing thread is still to be started.
    fn put(&self, text: &Text) -> bool {
        let mut line = text.for_terminal();
        if !line.is_empty() {
            line.push('\n');
            let mut queue = self.lock();
            // One that is larger than all that may wait is bounded by whoever made it, and fits when nothing else waits.
            let fits = queue.bytes == 0 || queue.bytes + line.len() <= NARRATION_BYTES;
            let lines = line.lines().count() as u64;
            if queue.deaf {
                return false;
            }
            match queue.items.back_mut() {
                Some(Item::Lost(count)) if !fits => *count += lines,
                _ if !fits => queue.items.push_back(Item::Lost(lines)),
                _ => {
                    queue.bytes += line.len();
                    queue.items.push_back(Item::Text(line));
                }
            }
        }
        self.filled.notify_one();
        !std::mem::replace(&mut self.lock().running, true)
    }

    fn enqueue(&self, item: Item) {
        self.lock().items.push_back(item);
    }

    fn settle(&self, patience: &Patience) {
        let mut queue = self.lock();
        queue.settling += 1;
        self.hurry.notify_one();
        while queue.writing || !queue.items.is_empty() {
            let before = queue.pieces;
            let left = patience.left(Instant::now());
            let waited = self.moved.wait_timeout_while(queue, left, |queue| {
                queue.pieces == before && (queue.writing || !queue.items.is_empty())
            });
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if !patience.goes_on(queue.pieces != before, Instant::now()) {
                break;
            }
        }
        queue.settling -= 1;
    }

    /// The writing thread.
    fn write(&self, out: &mut impl Write) {
        let mut bar = None;
        loop {
            for item in self.batch() {
                match item {
                    Item::Text(text) => self.write_text(out, bar.as_ref(), &text),
                    Item::Lost(count) => {
                        let plural = if count == 1 { "" } else { "s" };
                        let text = format!("warning: {count} line{plural} could not be shown\n");
                        self.write_text(out, bar.as_ref(), &text);
                    }
                    Item::Line(make) => {
                        let shown: Option<ProgressBar> = bar.take();
                        if let Some(shown) = shown {
                            shown.finish_and_clear();
                        }
                        bar = make.map(|make| make());
                    }
                }
            }
            let mut queue = self.lock();
            queue.writing = false;
            queue.pieces += 1;
            self.moved.notify_all();
        }
    }

    /// What is to be written next, lines that follow each other as one.
    fn batch(&self) -> Vec<Item> {
        let queue = self.lock();
        let empty = self
            .filled
            .wait_while(queue, |queue| queue.items.is_empty());
        let queue = empty.unwrap_or_else(PoisonError::into_inner);
        let gathering = self
            .hurry
            .wait_timeout_while(queue, GATHERING, |queue| queue.settling == 0);
        let (mut queue, _) = gathering.unwrap_or_else(PoisonError::into_inner);
        queue.writing = true;
        let mut batch: Vec<Item> = Vec::new();
        for item in std::mem::take(&mut queue.items) {
            match (batch.last_mut(), item) {
                (Some(Item::Text(all)), Item::Text(text)) => all.push_str(&text),
                (_, item) => batch.push(item),
            }
        }
        batch
    }

    fn write_text(&self, out: &mut impl Write, bar: Option<&ProgressBar>, text: &str) {
        let mut write = || {
            text.as_bytes().chunks(PIECE).try_for_each(|piece| {
                write_piece(out, piece)?;
                self.lock().pieces += 1;
                Ok::<_, io::Error>(())
            })
        };
        let written = match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        };
        let mut queue = self.lock();
        queue.bytes = queue.bytes.saturating_sub(text.len());
        if written.is_err() {
            queue.deaf = true;
        }
    }
}

/// Writes all of it, also to a pipe or a terminal that somebody else made non-blocking.
pub(super) fn write_piece(out: &mut impl Write, mut piece: &[u8]) -> io::Result<()> {
    while !piece.is_empty() {
        match out.write(piece) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => piece = &piece[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Leaks one: its thread never ends, as the program's.
    fn narration(out: impl Write + Send + 'static) -> &'static Narration {
        let narration: &'static Narration = Box::leak(Box::new(Narration::new()));
        let mut out = out;
        std::thread::spawn(move || narration.write(&mut out));
        narration
    }

    static PATIENT: Patience = Patience::new(Duration::from_secs(60));

    struct Sent(Sender<String>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.0
                .send(text)
                .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_does_not_fit_is_counted_where_it_is_missing() {
        let narration: &'static Narration = Box::leak(Box::new(Narration::new()));
        let line = Text::from("x".repeat(1023));
        let fit = NARRATION_BYTES / 1024;
        for _ in 0..fit + 7 {
            narration.put(&line);
        }
        assert_eq!(narration.lock().bytes, NARRATION_BYTES);
        let (sender, receiver) = channel();
        std::thread::spawn(move || narration.write(&mut Sent(sender)));
        narration.settle(&PATIENT);
        narration.put(&"later".into());
        narration.settle(&PATIENT);
        let written: String = receiver.try_iter().collect();
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines.len(), fit + 2);
        assert_eq!(lines[fit], "warning: 7 lines could not be shown");
        assert_eq!(lines[fit + 1], "later");
        assert_eq!(narration.lock().bytes, 0);
    }

    #[test]
    fn a_reader_that_is_gone_is_noticed_and_one_text_may_be_larger_than_the_queue() {
        let (sender, receiver) = channel();
        let told = narration(Sent(sender));
        told.put(&Text::from("x".repeat(2 * NARRATION_BYTES)));
        told.settle(&PATIENT);
        let bytes: usize = receiver.try_iter().map(|text| text.len()).sum();
        assert_eq!(bytes, 2 * NARRATION_BYTES + 1);
        drop(receiver);
        told.put(&"nobody".into());
        told.settle(&PATIENT);
        assert!(told.lock().deaf);
        told.put(&"nobody".into());
        assert!(told.lock().items.is_empty());
    }

    struct Stuck;

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                std::thread::park();
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_that_does_not_read() {
        let begun = Instant::now();
        let stuck = narration(Stuck);
        for _ in 0..3 * NARRATION_BYTES / 1024 {
            stuck.put(&Text::from("x".repeat(1023)));
        }
        // Without patience this would never end, and with patience for each of them it would last for minutes.
        let patience = Patience::new(Duration::from_secs(1));
        for _ in 0..30 {
            stuck.settle(&patience);
        }
        assert!(begun.elapsed() < Duration::from_secs(15));
        assert!(stuck.lock().bytes <= NARRATION_BYTES);
    }
}
