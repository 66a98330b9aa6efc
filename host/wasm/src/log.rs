//! The log of one attempt: lines as they come, shown by the host and kept with the attempt, within their bound.
//!
//! Of a log that is too long its beginning and its end are kept, half of the bound each: the first lines say what the
//! attempt was about, the last ones what it failed of. A line between them says what was dropped.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_core::tape::LogDropped;
use milepost_core::{limits, shown};

use crate::attempt::{AttemptHost, Call, LogLevel, LogLine};
use crate::call::catch_panic;
use crate::clock::Clock;
use crate::last_words::LastWords;
use crate::secrets::Secrets;

/// What a stored line takes beside its text and its path, about.
const ROW_BYTES: usize = 16;

/// How much of the beginning of a log is kept whatever follows, where that many bytes of it are kept.
#[must_use]
pub fn beginning(max_bytes: usize) -> usize {
    max_bytes - max_bytes / 2
}

/// What each line of an execution takes beside its text, for its bound.
#[must_use]
pub fn line_bytes(path: &str) -> usize {
    ROW_BYTES + path.len()
}

/// The log of one attempt, for everything that writes to it.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    lines: Mutex<LogBuffer>,
    clock: Arc<dyn Clock>,
    host: Arc<dyn AttemptHost>,
}

impl Log {
    /// The log of this call, shown by its host.
    #[must_use]
    pub fn new(call: &Call, clock: Arc<dyn Clock>) -> Self {
        let line_bytes = line_bytes(&call.path.to_string());
        Self(Arc::new(Inner {
            lines: Mutex::new(LogBuffer {
                secrets: call.secrets.clone(),
                ..LogBuffer::new(call.limits.log_bytes, line_bytes)
            }),
            clock,
            host: Arc::clone(&call.host),
        }))
    }

    /// Takes what is said now, and shows it.
    pub(crate) async fn emit(
        &self,
        level: LogLevel,
        message: String,
        fields: Vec<(String, String)>,
    ) {
        let line = LogLine {
            at: self.0.clock.now(),
            level,
            message,
            fields,
            dropped: None,
        };
        self.line(line).await;
    }

    /// Takes a line, cut and dropped as the limits say, and shows it.
    pub async fn line(&self, line: LogLine) {
        self.lock().emit(line);
        self.show().await;
    }

    /// Takes what a guest wrote to a stream: every line becomes a log line once it is complete. [`Log::show`] shows it.
    pub(crate) fn write(&self, stdio: Stdio, bytes: &[u8]) {
        self.lock().write(stdio, bytes, &*self.0.clock);
    }

    /// Shows what was kept and not shown yet.
    pub(crate) async fn show(&self) {
        while let Some(line) = self.next() {
            self.0.host.log(&line).await;
        }
    }

    fn next(&self) -> Option<Arc<LogLine>> {
        self.lock().behind.pop_front()
    }

    /// All lines that are kept, and what is not. Some of them may have to be shown yet.
    #[must_use]
    pub fn finish(&self) -> (Vec<LogLine>, LogDropped) {
        self.lock().finish(&*self.0.clock)
    }

    /// The message and the place of a panic, where the guest wrote one to its standard error.
    pub(crate) fn last_words(&self) -> Option<String> {
        let mut lines = self.lock();
        // What comes to no end is a line all the same.
        if lines.partial[Stdio::Err as usize].bytes > 0 {
            lines.end_line(Stdio::Err, &*self.0.clock);
        }
        lines.last_words.told()
    }

    /// Shows what [`Log::finish`] left, in the time that is left to the attempt; where none is, as far as the host takes it at once.
    pub async fn show_rest(&self, left: Duration) {
        if !self.lock().behind.is_empty() {
            // What the attempt came to stands, whatever becomes of this.
            let _ = tokio::time::timeout(left, catch_panic(self.show())).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, LogBuffer> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines as they come, within their bound.
struct LogBuffer {
    /// Masked before anything is cut.
    secrets: Secrets,
    head: Vec<Arc<LogLine>>,
    /// Bytes that the beginning may still take. Taken to zero by the first line that does not fit.
    head_left: usize,
    tail: VecDeque<Late>,
    tail_bytes: usize,
    max_tail_bytes: usize,
    /// What every line takes beside its text.
    line_bytes: usize,
    dropped: LogDropped,
    partial: [Partial; 2],
    last_words: LastWords,
    /// What is still to be shown.
    behind: VecDeque<Arc<LogLine>>,
}

/// A line that did not fit into the beginning.
struct Late {
    line: Arc<LogLine>,
    bytes: usize,
    /// Whether it is shown at its time.
    shown: bool,
}

/// A WASI stream that ends as log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdio {
    Out,
    Err,
}

/// The last line of a stream while its end has not come.
#[derive(Default)]
struct Partial {
    kept: Vec<u8>,
    /// Bytes of the line so far, also those that are not kept.
    bytes: usize,
}

impl LogBuffer {
    /// For `max_bytes` as they are stored, where every line takes `line_bytes` beside its text.
    fn new(max_bytes: usize, line_bytes: usize) -> Self {
        let head_left = beginning(max_bytes);
        let max_tail_bytes = max_bytes - head_left;
        Self {
            secrets: Secrets::default(),
            head: Vec::new(),
            head_left,
            tail: VecDeque::new(),
            tail_bytes: 0,
            max_tail_bytes,
            line_bytes,
            dropped: LogDropped::default(),
            partial: Default::default(),
            last_words: LastWords::default(),
            behind: VecDeque::new(),
        }
    }

    /// Takes one line, cut and dropped as the limits say.
    fn emit(&mut self, line: LogLine) {
        let message = self.cut(line.message);
        let fields = line.fields.into_iter();
        let fields = fields
            .map(|(key, value)| (self.cut(key), self.cut(value)))
            .collect();
        self.keep(LogLine {
            message,
            fields,
            ..line
        });
    }

    fn keep(&mut self, line: LogLine) {
        let bytes = self.line_bytes + encoded_bytes(&line);
        if bytes <= self.head_left {
            self.head_left -= bytes;
            let line = Arc::new(line);
            self.behind.push_back(Arc::clone(&line));
            self.head.push(line);
        } else {
            self.head_left = 0;
            self.emit_late(line, bytes);
        }
    }

    fn emit_late(&mut self, line: LogLine, bytes: usize) {
        if bytes > self.max_tail_bytes {
            self.drop_line(&line);
            return;
        }
        while self.tail_bytes + bytes > self.max_tail_bytes
            && let Some(oldest) = self.tail.pop_front()
        {
            self.tail_bytes -= oldest.bytes;
            self.drop_line(&oldest.line);
        }
        // Once lines are dropped, nobody knows yet which ones stay: they are shown at the end.
        let shown = self.dropped.lines == 0;
        let line = Arc::new(line);
        if shown {
            self.behind.push_back(Arc::clone(&line));
        }
        self.tail_bytes += bytes;
        self.tail.push_back(Late { line, bytes, shown });
    }

    fn drop_line(&mut self, line: &LogLine) {
        let fields = line.fields.iter();
        let text = fields
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
        self.dropped.lines += 1;
        self.dropped.bytes += (line.message.len() + text) as u64;
    }

    /// Takes what a guest wrote to a stream: every line becomes a log line once it is complete.
    fn write(&mut self, stdio: Stdio, bytes: &[u8], clock: &dyn Clock) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let partial = &mut self.partial[stdio as usize];
            let most = limits::LOG_MESSAGE_BYTES + self.secrets.longest();
            let room = most - partial.kept.len();
            partial
                .kept
                .extend_from_slice(&text[..text.len().min(room)]);
            partial.bytes += text.len();
            if piece.len() > text.len() {
                self.end_line(stdio, clock);
            }
        }
    }

    /// All lines that are kept, and what is not.
    fn finish(&mut self, clock: &dyn Clock) -> (Vec<LogLine>, LogDropped) {
        for stdio in [Stdio::Out, Stdio::Err] {
            if self.partial[stdio as usize].bytes > 0 {
                self.end_line(stdio, clock);
            }
        }
        let mut lines = std::mem::take(&mut self.head);
        if self.dropped.lines > 0 {
            let gap = Arc::new(self.gap(clock));
            self.behind.push_back(Arc::clone(&gap));
            lines.push(gap);
        }
        for late in std::mem::take(&mut self.tail) {
            if !late.shown {
                self.behind.push_back(Arc::clone(&late.line));
            }
            lines.push(late.line);
        }
        // Only what is still to be shown is copied.
        let lines = lines.into_iter().map(Arc::unwrap_or_clone);
        (lines.collect(), self.dropped)
    }

    /// The line that stands where lines were dropped.
    fn gap(&self, clock: &dyn Clock) -> LogLine {
        let first = self.tail.front();
        LogLine {
            at: first.map_or_else(|| clock.now(), |late| late.line.at),
            level: LogLevel::Warn,
            message: format!(
                "{} dropped here: only the beginning and the end of a long log are kept",
                self.dropped
            ),
            fields: Vec::new(),
            dropped: Some(self.dropped),
        }
    }

    fn end_line(&mut self, stdio: Stdio, clock: &dyn Clock) {
        let Partial { kept, bytes } = std::mem::take(&mut self.partial[stdio as usize]);
        let text = String::from_utf8_lossy(&kept);
        let level = match stdio {
            Stdio::Out => LogLevel::Info,
            Stdio::Err => LogLevel::Warn,
        };
        let text = text.strip_suffix('\r').unwrap_or(&text);
        let text = match bytes > kept.len() {
            true => self.secrets.mask_beginning(text),
            false => self.secrets.mask(text).into_owned(),
        };
        let message = self.cut_of(text, bytes);
        if stdio == Stdio::Err {
            self.last_words.line(&message);
        }
        self.keep(LogLine {
            at: clock.now(),
            level,
            message,
            fields: Vec::new(),
            dropped: None,
        });
    }

    fn cut(&mut self, text: String) -> String {
        let text = self.secrets.mask(text).into_owned();
        let bytes = text.len();
        self.cut_of(text, bytes)
    }

    /// The text, or its beginning with a mark, when it is too long: `text` begins what had so many bytes.
    fn cut_of(&mut self, mut text: String, bytes: usize) -> String {
        if bytes <= limits::LOG_MESSAGE_BYTES && text.len() <= limits::LOG_MESSAGE_BYTES {
            return text;
        }
        text.truncate(text.floor_char_boundary(limits::LOG_MESSAGE_BYTES));
        self.dropped.bytes += bytes.saturating_sub(text.len()) as u64;
        shown::mark_cut(&mut text, bytes);
        text
    }
}

/// Bytes of a line as it is stored: control characters take six of them.
fn encoded_bytes(line: &LogLine) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, line)
        .expect("lines have string keys, and counting cannot fail");
    count.0
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::pin::pin;

    use milepost_core::limits::CallLimits;

    use super::*;
    use crate::attempt::{BoxFuture, Progress, once};
    use crate::clock::SystemClock;
    use crate::clock::VirtualClock;

    const CLOCK: SystemClock = SystemClock;

    fn call(log_bytes: usize, host: Arc<dyn AttemptHost>) -> Call {
        Call {
            limits: CallLimits {
                log_bytes,
                ..CallLimits::default()
            },
            host,
            ..crate::describe::nobody().unwrap()
        }
    }

    /// Its lines take nothing beside their text but [`ROW_BYTES`].
    fn buffer(max_bytes: usize) -> LogBuffer {
        LogBuffer::new(max_bytes, ROW_BYTES)
    }

    fn emit(logs: &mut LogBuffer, message: &str, fields: Vec<(String, String)>) {
        logs.emit(LogLine {
            at: CLOCK.now(),
            level: LogLevel::Info,
            message: message.to_owned(),
            fields,
            dropped: None,
        });
    }

    fn texts(mut buffer: LogBuffer) -> (Vec<(LogLevel, String)>, LogDropped) {
        let (lines, dropped) = buffer.finish(&CLOCK);
        let texts = lines
            .into_iter()
            .map(|line| (line.level, line.message))
            .collect();
        (texts, dropped)
    }

    #[test]
    fn streams_become_lines() {
        let mut logs = buffer(1_000);
        logs.write(Stdio::Out, b"one\ntw", &CLOCK);
        logs.write(Stdio::Err, b"oops\r\n", &CLOCK);
        logs.write(Stdio::Out, b"o\n\nlast", &CLOCK);
        let expected = [
            (LogLevel::Info, "one"),
            (LogLevel::Warn, "oops"),
            (LogLevel::Info, "two"),
            (LogLevel::Info, ""),
            (LogLevel::Info, "last"),
        ];
        let expected = expected
            .map(|(level, text)| (level, text.to_owned()))
            .to_vec();
        assert_eq!(texts(logs), (expected, LogDropped::default()));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        const KEPT: usize = limits::LOG_MESSAGE_BYTES - 1;
        let mut logs = buffer(limits::LOG_BYTES);
        let text = format!("{}é", "x".repeat(KEPT));
        let field = (text.clone(), "short".to_owned());
        emit(&mut logs, &text, vec![field]);
        for piece in text.repeat(2).as_bytes().chunks(1_000) {
            logs.write(Stdio::Out, piece, &CLOCK);
        }
        logs.write(Stdio::Out, b"\n", &CLOCK);
        logs.write(Stdio::Out, text.as_bytes(), &CLOCK);
        let marked = |bytes: usize| format!("{}… ({bytes} bytes)", "x".repeat(KEPT));
        let (lines, dropped) = logs.finish(&CLOCK);
        assert_eq!(lines[0].fields[0].0, marked(text.len()));
        let messages: Vec<_> = lines.into_iter().map(|line| line.message).collect();
        let whole = [text.len(), 2 * text.len(), text.len()];
        assert_eq!(messages, whole.map(marked));
        let bytes = (2 + whole.iter().map(|bytes| bytes - KEPT).sum::<usize>()) as u64;
        assert_eq!(dropped, LogDropped { lines: 0, bytes });
        // A text that just fits has no mark.
        let mut logs = buffer(limits::LOG_BYTES);
        let fits = "x".repeat(limits::LOG_MESSAGE_BYTES);
        logs.write(Stdio::Err, format!("{fits}\n").as_bytes(), &CLOCK);
        assert_eq!(texts(logs).0[0].1, fits);
    }

    /// Takes `count` lines `1`, `2`, …; returns the messages kept, the gap in the middle as `-`.
    fn kept(max_bytes: usize, count: u64) -> (Vec<String>, LogDropped) {
        let mut logs = buffer(max_bytes);
        for number in 1..=count {
            emit(&mut logs, &number.to_string(), Vec::new());
        }
        let (lines, dropped) = logs.finish(&CLOCK);
        let gap = lines.iter().find_map(|line| line.dropped);
        assert_eq!(gap.unwrap_or_default(), dropped);
        let texts = lines.into_iter().map(|line| match line.dropped {
            Some(_) => "-".to_owned(),
            None => line.message,
        });
        (texts.collect(), dropped)
    }

    #[test]
    fn the_beginning_and_the_end_of_a_long_log_are_kept() {
        let mut probe = buffer(1_000);
        emit(&mut probe, "1", Vec::new());
        let (lines, _) = probe.finish(&CLOCK);
        let line = ROW_BYTES + encoded_bytes(&lines[0]);

        let nothing = LogDropped::default();
        let (texts, dropped) = kept(4 * line, 4);
        assert_eq!((texts.concat(), dropped), ("1234".to_owned(), nothing));
        let (texts, dropped) = kept(4 * line, 9);
        assert_eq!(texts.concat(), "12-89");
        assert_eq!(dropped, LogDropped { lines: 5, bytes: 5 });
        // A line that is too long for the end takes nothing else with it.
        let mut logs = buffer(4 * line);
        for text in ["1", "2", "3", &"x".repeat(2 * line), "4"] {
            emit(&mut logs, text, Vec::new());
        }
        let (lines, dropped) = logs.finish(&CLOCK);
        let ends = [&lines[2], &lines[3], &lines[4]].map(|line| line.message.as_str());
        assert_eq!((lines.len(), ends[1], ends[2]), (5, "3", "4"), "{ends:?}");
        assert_eq!(dropped.lines, 1);
        assert_eq!(kept(0, 2).0.concat(), "-");
    }

    #[test]
    fn what_is_stored_stays_within_the_limit_whatever_is_in_the_lines() {
        for text in ["", "\u{1}", "\"\\", "\u{7f}é", "a long line of plain text"] {
            let mut logs = buffer(100_000);
            for number in 0..5_000 {
                let fields = vec![(text.to_owned(), number.to_string())];
                emit(&mut logs, &text.repeat(10), fields);
            }
            let (lines, dropped) = logs.finish(&CLOCK);
            let stored = lines.iter().filter(|line| line.dropped.is_none());
            let bytes: usize = stored
                .map(|line| serde_json::to_string(line).map_or(0, |body| body.len()))
                .sum();
            assert!(bytes <= 100_000, "{text:?}: {bytes}");
            assert!(dropped.lines > 0);
            assert_eq!(lines.len() as u64 - 1 + dropped.lines, 5_000);
        }
    }

    /// Notes what it shows; what it may show is counted in permits.
    struct Shows {
        lines: Mutex<Vec<String>>,
        room: tokio::sync::Semaphore,
    }

    impl Shows {
        fn new(room: usize) -> Arc<Self> {
            Arc::new(Self {
                lines: Mutex::default(),
                room: tokio::sync::Semaphore::new(room),
            })
        }

        fn lines(&self) -> Vec<String> {
            self.lines.lock().unwrap().clone()
        }
    }

    impl AttemptHost for Shows {
        fn log<'a>(&'a self, line: &'a LogLine) -> BoxFuture<'a, ()> {
            Box::pin(async move {
                self.room.acquire().await.unwrap().forget();
                let gap = line.dropped.map(|_| "-".to_owned());
                let text = gap.unwrap_or_else(|| line.message.clone());
                self.lines.lock().unwrap().push(text);
            })
        }
        fn progress<'a>(&'a self, _: &'a Progress) -> BoxFuture<'a, ()> {
            unreachable!("a log shows no progress")
        }
        fn cancel_requested(&self) -> BoxFuture<'_, bool> {
            unreachable!("a log asks nothing")
        }
        fn cancelled(&self) -> BoxFuture<'_, ()> {
            unreachable!("a log asks nothing")
        }
    }

    #[tokio::test]
    async fn a_long_log_is_shown_live_until_it_is_too_long_and_its_end_at_the_end() {
        let host = Shows::new(10_000);
        let log = Log::new(&call(4_000, host.clone()), Arc::new(CLOCK));
        for number in 0..1_000 {
            log.emit(LogLevel::Info, number.to_string(), Vec::new())
                .await;
        }
        let live = host.lines();
        assert!(live.len() > 20 && live.len() < 100, "{live:?}");
        let (lines, _) = log.finish();
        log.show_rest(Duration::from_secs(60)).await;
        let shown = host.lines();
        let end = &shown[live.len()..];
        assert_eq!(end[0], "-");
        assert_eq!(end.last().map(String::as_str), Some("999"));
        // Everything that is kept was shown.
        assert!(
            lines
                .iter()
                .filter(|line| line.dropped.is_none())
                .all(|line| shown.contains(&line.message))
        );
    }

    #[tokio::test]
    async fn what_a_slow_host_has_not_shown_is_kept_and_shown_when_it_can_be() {
        let host = Shows::new(1);
        let log = Log::new(&call(4_000, host.clone()), Arc::new(CLOCK));
        // Streams do not wait; whoever waits for them does.
        log.write(Stdio::Out, b"1\n2\n3");
        let mut show = pin!(log.show());
        assert!(once(show.as_mut()).await.is_none());
        assert_eq!(host.lines(), ["1"]);
        host.room.add_permits(1);
        show.await;
        assert_eq!(host.lines(), ["1", "2"]);
        // The end of an attempt whose time is up: all is kept, shown is what is taken at once.
        log.write(Stdio::Out, b"\n4\n5");
        host.room.add_permits(2);
        let (lines, _) = log.finish();
        log.show_rest(Duration::ZERO).await;
        let kept: Vec<_> = lines.iter().map(|line| &*line.message).collect();
        assert_eq!(kept, ["1", "2", "3", "4", "5"]);
        assert_eq!(host.lines(), ["1", "2", "3", "4"]);
    }

    #[test]
    fn no_part_of_a_secret_is_left_where_a_line_is_cut() {
        let value = crate::secrets::SecretValue::new("abcdefgh").unwrap();
        let secrets = Secrets::new(7, [("token".into(), Some(value))].into());
        let clock = VirtualClock::jumping(milepost_core::time::Timestamp::default());
        // In each line the value crosses the bound elsewhere.
        for before in 0..20 {
            let line =
                "x".repeat(limits::LOG_MESSAGE_BYTES - before) + "abcdefgh" + &"y".repeat(100);
            let mut log = LogBuffer {
                secrets: secrets.clone(),
                ..LogBuffer::new(1 << 20, 100)
            };
            log.write(Stdio::Out, line.as_bytes(), &clock);
            log.write(Stdio::Out, b"\n", &clock);
            let message = line.clone();
            log.emit(LogLine {
                at: clock.now(),
                level: LogLevel::Info,
                message,
                fields: vec![(line.clone(), line)],
                dropped: None,
            });
            let (lines, _) = log.finish(&clock);
            let text = format!("{lines:?}");
            assert!(!text.contains("xa") && !text.contains("abc"), "{before}");
        }
    }
}
