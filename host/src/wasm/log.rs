//! Capability `log`: bounded lines, shown live and kept with the attempt. WASI's stdout and stderr end here too.

use std::sync::{Arc, PoisonError};

use milepost_core::limits;

use super::bindings::milepost::step::log::{Host, Level};
use super::state::HostState;
use crate::attempt::{CallSink, LogLevel, LogLine};
use crate::clock::Clock;

/// What a line counts besides its text, so that empty lines are bounded as well.
const LINE_BYTES: usize = 16;

/// The lines of one attempt.
pub(super) struct LogBuffer {
    lines: Vec<LogLine>,
    /// Bytes that may still be kept. Taken to zero by the first line that does not fit: what is kept is a beginning
    /// without gaps.
    left: usize,
    dropped: u64,
    partial: [Partial; 2],
    clock: Arc<dyn Clock>,
    sink: Option<Arc<dyn CallSink>>,
}

/// A WASI stream that ends as log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdio {
    Out,
    Err,
}

/// The last line of a stream while its end has not come.
#[derive(Default)]
struct Partial(Vec<u8>);

impl LogBuffer {
    pub(super) fn new(
        max_bytes: usize,
        clock: Arc<dyn Clock>,
        sink: Option<Arc<dyn CallSink>>,
    ) -> Self {
        Self {
            lines: Vec::new(),
            left: max_bytes,
            dropped: 0,
            partial: Default::default(),
            clock,
            sink,
        }
    }

    /// Takes one line, cut and dropped as the limits say.
    fn emit(&mut self, level: LogLevel, mut message: String, mut fields: Vec<(String, String)>) {
        self.cut(&mut message);
        for (key, value) in &mut fields {
            self.cut(key);
            self.cut(value);
        }
        let text = message.len()
            + fields
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>();
        let bytes = text + LINE_BYTES * (1 + fields.len());
        if bytes > self.left {
            self.left = 0;
            self.dropped += text as u64;
            return;
        }
        self.left -= bytes;
        let line = LogLine {
            at: self.clock.now(),
            level,
            message,
            fields,
        };
        if let Some(sink) = &self.sink {
            sink.log(&line);
        }
        self.lines.push(line);
    }

    /// Takes what a guest wrote to a stream: every line becomes a log line once it is complete.
    pub(super) fn write(&mut self, stdio: Stdio, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let partial = &mut self.partial[stdio as usize].0;
            let room = limits::LOG_MESSAGE_BYTES - partial.len();
            let kept = &text[..text.len().min(room)];
            partial.extend_from_slice(kept);
            self.dropped += (text.len() - kept.len()) as u64;
            if piece.len() > text.len() {
                self.end_line(stdio);
            }
        }
    }

    /// All lines, and how many bytes were not kept.
    pub(super) fn finish(&mut self) -> (Vec<LogLine>, u64) {
        for stdio in [Stdio::Out, Stdio::Err] {
            if !self.partial[stdio as usize].0.is_empty() {
                self.end_line(stdio);
            }
        }
        (std::mem::take(&mut self.lines), self.dropped)
    }

    fn end_line(&mut self, stdio: Stdio) {
        let bytes = std::mem::take(&mut self.partial[stdio as usize].0);
        let text = String::from_utf8_lossy(&bytes);
        let level = match stdio {
            Stdio::Out => LogLevel::Info,
            Stdio::Err => LogLevel::Warn,
        };
        self.emit(
            level,
            text.strip_suffix('\r').unwrap_or(&text).to_owned(),
            Vec::new(),
        );
    }

    fn cut(&mut self, text: &mut String) {
        let end = text.floor_char_boundary(limits::LOG_MESSAGE_BYTES);
        self.dropped += (text.len() - end) as u64;
        text.truncate(end);
    }
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
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.emit(level, message, fields);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;

    fn buffer(max_bytes: usize) -> LogBuffer {
        LogBuffer::new(max_bytes, Arc::new(VirtualClock::default()), None)
    }

    fn texts(mut buffer: LogBuffer) -> (Vec<(LogLevel, String)>, u64) {
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
        assert_eq!(texts(logs), (expected, 0));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let mut logs = buffer(limits::LOG_BYTES);
        let text = format!("{}é", "x".repeat(limits::LOG_MESSAGE_BYTES - 1));
        logs.emit(LogLevel::Info, text.clone(), Vec::new());
        logs.write(Stdio::Out, format!("{text}{text}\n").as_bytes());
        let (lines, dropped) = texts(logs);
        for (_, line) in &lines {
            assert_eq!(line.len(), limits::LOG_MESSAGE_BYTES - 1);
        }
        // The stream's half character became a replacement character of three bytes before it was cut.
        let (first, second) = (2, 2 * text.len() - limits::LOG_MESSAGE_BYTES + 3);
        assert_eq!((lines.len(), dropped), (2, (first + second) as u64));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_so_is_what_follows() {
        let mut logs = buffer(2 * LINE_BYTES + 10);
        for text in ["12345", "678901", "2"] {
            logs.emit(LogLevel::Info, text.to_owned(), Vec::new());
        }
        assert_eq!(texts(logs), (vec![(LogLevel::Info, "12345".to_owned())], 7));
    }
}
