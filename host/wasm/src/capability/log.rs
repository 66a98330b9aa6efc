//! Capability `log`: bounded lines, shown live and kept with the attempt. WASI's stdout and stderr end here too.
//!
//! Of a log that is too long its beginning and its end are kept, half of the bound each: the first lines say what the
//! attempt was about, the last ones what it failed of. A line between them says what was dropped.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost_core::tape::LogDropped;
use milepost_core::{limits, shown};

use wasmtime::component::HasSelf;

use super::Capability;
use crate::attempt::{CallSink, LogLevel, LogLine};
use crate::clock::Clock;
use crate::contract::v0_1::milepost::step::log::{self, Host, Level};
use crate::state::HostState;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: "log",
    functions: FUNCTIONS,
    link: |linker| log::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const FUNCTIONS: &[(&str, &str)] = &[(
    "emit",
    "func(level: enum { trace, debug, info, warn, error }, message: string, fields: list<tuple<string, string>>)",
)];

/// What a stored line takes beside its text and its path, about.
const ROW_BYTES: usize = 16;

/// The lines of one attempt; WASI's streams write to them as well.
pub(super) struct State(Arc<Mutex<LogBuffer>>);

impl State {
    pub(super) fn new(
        max_bytes: usize,
        path: &str,
        clock: Arc<dyn Clock>,
        sink: Option<Arc<dyn CallSink>>,
    ) -> Self {
        let buffer = LogBuffer::new(max_bytes, path, clock, sink);
        Self(Arc::new(Mutex::new(buffer)))
    }

    /// For a stream whose lines end here.
    pub(super) fn buffer(&self) -> Arc<Mutex<LogBuffer>> {
        Arc::clone(&self.0)
    }

    /// All lines that are kept, and what is not.
    pub(super) fn finish(&self) -> (Vec<LogLine>, LogDropped) {
        self.lock().finish()
    }

    fn lock(&self) -> MutexGuard<'_, LogBuffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines as they come, within their bound.
pub(super) struct LogBuffer {
    head: Vec<LogLine>,
    /// Bytes that the beginning may still take. Taken to zero by the first line that does not fit.
    head_left: usize,
    tail: VecDeque<Late>,
    tail_bytes: usize,
    max_tail_bytes: usize,
    /// What every line takes beside its text.
    line_bytes: usize,
    dropped: LogDropped,
    partial: [Partial; 2],
    clock: Arc<dyn Clock>,
    sink: Option<Arc<dyn CallSink>>,
}

/// A line that did not fit into the beginning.
struct Late {
    line: LogLine,
    bytes: usize,
    /// Whether it was shown live.
    told: bool,
}

/// A WASI stream that ends as log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdio {
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
    /// For lines that are stored beside `path`, `max_bytes` of them as they are stored.
    fn new(
        max_bytes: usize,
        path: &str,
        clock: Arc<dyn Clock>,
        sink: Option<Arc<dyn CallSink>>,
    ) -> Self {
        let max_tail_bytes = max_bytes / 2;
        Self {
            head: Vec::new(),
            head_left: max_bytes - max_tail_bytes,
            tail: VecDeque::new(),
            tail_bytes: 0,
            max_tail_bytes,
            line_bytes: ROW_BYTES + path.len(),
            dropped: LogDropped::default(),
            partial: Default::default(),
            clock,
            sink,
        }
    }

    /// Takes one line, cut and dropped as the limits say.
    fn emit(&mut self, level: LogLevel, message: String, fields: Vec<(String, String)>) {
        let message = self.cut(message);
        let fields = fields
            .into_iter()
            .map(|(key, value)| (self.cut(key), self.cut(value)))
            .collect();
        self.keep(level, message, fields);
    }

    fn keep(&mut self, level: LogLevel, message: String, fields: Vec<(String, String)>) {
        let line = LogLine {
            at: self.clock.now(),
            level,
            message,
            fields,
            dropped: None,
        };
        let bytes = self.line_bytes + encoded_bytes(&line);
        if bytes <= self.head_left {
            self.head_left -= bytes;
            self.tell(&line);
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
        let told = self.dropped.lines == 0;
        if told {
            self.tell(&line);
        }
        self.tail_bytes += bytes;
        self.tail.push_back(Late { line, bytes, told });
    }

    fn drop_line(&mut self, line: &LogLine) {
        let fields = line.fields.iter();
        let text = fields
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
        self.dropped.lines += 1;
        self.dropped.bytes += (line.message.len() + text) as u64;
    }

    fn tell(&self, line: &LogLine) {
        if let Some(sink) = &self.sink {
            sink.log(line);
        }
    }

    /// Takes what a guest wrote to a stream: every line becomes a log line once it is complete.
    pub(super) fn write(&mut self, stdio: Stdio, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let partial = &mut self.partial[stdio as usize];
            let room = limits::LOG_MESSAGE_BYTES - partial.kept.len();
            partial
                .kept
                .extend_from_slice(&text[..text.len().min(room)]);
            partial.bytes += text.len();
            if piece.len() > text.len() {
                self.end_line(stdio);
            }
        }
    }

    /// All lines that are kept, and what is not.
    fn finish(&mut self) -> (Vec<LogLine>, LogDropped) {
        for stdio in [Stdio::Out, Stdio::Err] {
            if self.partial[stdio as usize].bytes > 0 {
                self.end_line(stdio);
            }
        }
        let mut lines = std::mem::take(&mut self.head);
        if self.dropped.lines > 0 {
            let gap = self.gap();
            self.tell(&gap);
            lines.push(gap);
        }
        for late in std::mem::take(&mut self.tail) {
            if !late.told {
                self.tell(&late.line);
            }
            lines.push(late.line);
        }
        (lines, self.dropped)
    }

    /// The line that stands where lines were dropped.
    fn gap(&self) -> LogLine {
        let first = self.tail.front();
        LogLine {
            at: first.map_or_else(|| self.clock.now(), |late| late.line.at),
            level: LogLevel::Warn,
            message: format!(
                "{} dropped here: of a log that is too long its beginning and its end are kept",
                self.dropped
            ),
            fields: Vec::new(),
            dropped: Some(self.dropped),
        }
    }

    fn end_line(&mut self, stdio: Stdio) {
        let Partial { kept, bytes } = std::mem::take(&mut self.partial[stdio as usize]);
        let text = String::from_utf8_lossy(&kept);
        let level = match stdio {
            Stdio::Out => LogLevel::Info,
            Stdio::Err => LogLevel::Warn,
        };
        let text = text.strip_suffix('\r').unwrap_or(&text).to_owned();
        let message = self.cut_of(text, bytes);
        self.keep(level, message, Vec::new());
    }

    fn cut(&mut self, text: String) -> String {
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

impl Host for HostState {
    fn emit(
        &mut self,
        level: Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.charge()?;
        let level = match level {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        self.states.log.lock().emit(level, message, fields);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;

    fn buffer(max_bytes: usize) -> LogBuffer {
        LogBuffer::new(max_bytes, "", Arc::new(VirtualClock::default()), None)
    }

    fn texts(mut buffer: LogBuffer) -> (Vec<(LogLevel, String)>, LogDropped) {
        let (lines, dropped) = buffer.finish();
        let texts = lines
            .into_iter()
            .map(|line| (line.level, line.message))
            .collect();
        (texts, dropped)
    }

    #[test]
    fn streams_become_lines() {
        let mut logs = buffer(1_000);
        logs.write(Stdio::Out, b"one\ntw");
        logs.write(Stdio::Err, b"oops\r\n");
        logs.write(Stdio::Out, b"o\n\nlast");
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
        logs.emit(LogLevel::Info, text.clone(), vec![field]);
        for piece in text.repeat(2).as_bytes().chunks(1_000) {
            logs.write(Stdio::Out, piece);
        }
        logs.write(Stdio::Out, b"\n");
        logs.write(Stdio::Out, text.as_bytes());
        let marked = |bytes: usize| format!("{}… ({bytes} bytes)", "x".repeat(KEPT));
        let (lines, dropped) = logs.finish();
        assert_eq!(lines[0].fields[0].0, marked(text.len()));
        let messages: Vec<_> = lines.into_iter().map(|line| line.message).collect();
        let whole = [text.len(), 2 * text.len(), text.len()];
        assert_eq!(messages, whole.map(marked));
        let bytes = (2 + whole.iter().map(|bytes| bytes - KEPT).sum::<usize>()) as u64;
        assert_eq!(dropped, LogDropped { lines: 0, bytes });
        // A text that just fits has no mark.
        let mut logs = buffer(limits::LOG_BYTES);
        let fits = "x".repeat(limits::LOG_MESSAGE_BYTES);
        logs.write(Stdio::Err, format!("{fits}\n").as_bytes());
        assert_eq!(texts(logs).0[0].1, fits);
    }

    /// Takes `count` lines `1`, `2`, …; returns the messages kept, the gap in the middle as `-`.
    fn kept(max_bytes: usize, count: u64) -> (Vec<String>, LogDropped) {
        let mut logs = buffer(max_bytes);
        for number in 1..=count {
            logs.emit(LogLevel::Info, number.to_string(), Vec::new());
        }
        let (lines, dropped) = logs.finish();
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
        probe.emit(LogLevel::Info, "1".to_owned(), Vec::new());
        let (lines, _) = probe.finish();
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
            logs.emit(LogLevel::Info, text.to_owned(), Vec::new());
        }
        let (lines, dropped) = logs.finish();
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
                logs.emit(LogLevel::Info, text.repeat(10), fields);
            }
            let (lines, dropped) = logs.finish();
            let stored = lines.iter().filter(|line| line.dropped.is_none());
            let bytes: usize = stored
                .map(|line| serde_json::to_string(line).map_or(0, |body| body.len()))
                .sum();
            assert!(bytes <= 100_000, "{text:?}: {bytes}");
            assert!(dropped.lines > 0);
            assert_eq!(lines.len() as u64 - 1 + dropped.lines, 5_000);
        }
    }

    /// Notes what is shown live.
    #[derive(Default)]
    struct Told(std::sync::Mutex<Vec<String>>);

    impl CallSink for Told {
        fn log(&self, line: &LogLine) {
            let text = line
                .dropped
                .map_or_else(|| line.message.clone(), |_| "-".to_owned());
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(text);
        }
        fn progress(&self, _: &crate::attempt::Progress) {}
    }

    #[test]
    fn a_long_log_is_shown_live_until_it_is_too_long_and_its_end_at_the_end() {
        let told = Arc::new(Told::default());
        let sink: Arc<dyn CallSink> = Arc::clone(&told) as _;
        let clock = Arc::new(VirtualClock::default());
        let mut logs = LogBuffer::new(4_000, "", clock, Some(sink));
        let told = || {
            told.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        for number in 0..1_000 {
            logs.emit(LogLevel::Info, number.to_string(), Vec::new());
        }
        let live = told();
        assert!(live.len() > 20 && live.len() < 100, "{live:?}");
        let (lines, _) = logs.finish();
        let end = told().split_off(live.len());
        assert_eq!(end[0], "-");
        assert_eq!(end.last().map(String::as_str), Some("999"));
        // Everything that is kept was shown.
        let shown = told();
        assert!(
            lines
                .iter()
                .filter(|line| line.dropped.is_none())
                .all(|line| shown.contains(&line.message))
        );
    }
}
