//! What a guest wrote to its standard error before it trapped: the message and the place of its panic, in the words of the runtimes that
//! are known here. A trap alone says `unreachable`, which is how all of them end.

use milepost_core::shown;

/// Lines of a message; a comparison that failed has three.
const LINES: usize = 6;
/// Bytes of a message, with its place.
const BYTES: usize = 1_000;

/// Listens to the lines of a guest's standard error.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    said: Vec<String>,
    /// What may still belong to it.
    more: More,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum More {
    /// Nothing.
    #[default]
    None,
    /// The lines of a message, up to a note or an empty line.
    Message,
    /// Rust: the message stands on the lines after its place.
    AfterPlace,
    /// Go: the first place in a file that is not its runtime's.
    GoPlace,
    /// Python: places and then the message.
    Traceback,
}

impl LastWords {
    /// Takes a line in.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(place) = rust_place(line) {
            // A panic while another one unwinds says less than the first.
            if !line.contains("panic in a function that cannot unwind") {
                *self = Self::begun(format!("panicked at {place}"), More::AfterPlace);
            }
        } else if let Some(message) = line.strip_prefix("panic: ") {
            *self = Self::begun(format!("panic: {message}"), More::GoPlace);
        } else if line.starts_with("Assertion failed: ") {
            *self = Self::begun(line.to_owned(), More::None);
        } else if line.starts_with("Traceback (most recent call last):") {
            *self = Self::begun(String::new(), More::Traceback);
        } else {
            self.follow(line);
        }
    }

    /// What there is to say of a trap.
    pub(crate) fn told(&self) -> Option<String> {
        let told = self.said.join("\n");
        (!told.is_empty()).then(|| shown::excerpt(&told, BYTES))
    }

    fn begun(first: String, more: More) -> Self {
        let said = vec![first];
        Self { said, more }
    }

    fn follow(&mut self, line: &str) {
        match self.more {
            More::None => {}
            More::AfterPlace | More::Message => {
                let ends = line.is_empty()
                    || line.starts_with("note: ")
                    || line.starts_with("stack backtrace:");
                if ends || self.said.len() == LINES {
                    self.more = More::None;
                } else if self.more == More::AfterPlace {
                    self.said[0] += &format!(": {line}");
                    self.more = More::Message;
                } else {
                    self.said.push(line.to_owned());
                }
            }
            More::GoPlace => {
                // "\t/src/main.go:12 +0x1d", below the function's name.
                let place = line.trim().split(' ').next().unwrap_or_default();
                let of_a_file = line.starts_with('\t') && place.contains(".go:");
                if of_a_file && !place.contains("/src/runtime/") {
                    self.said[0] += &format!(", at {place}");
                    self.more = More::None;
                }
            }
            More::Traceback => match line.strip_prefix("  File ") {
                // The innermost place is the last.
                Some(place) => self.said[0] = format!("at {}", place.replace('"', "")),
                None if !line.starts_with(' ') && !line.is_empty() => {
                    let place = std::mem::take(&mut self.said[0]);
                    self.said[0] = match place.is_empty() {
                        true => line.to_owned(),
                        false => format!("{line} ({place})"),
                    };
                    self.more = More::None;
                }
                None => {}
            },
        }
    }
}

/// `src/lib.rs:12:5` of `thread 'main' panicked at src/lib.rs:12:5:`.
fn rust_place(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("thread '")?;
    let (_, place) = rest.split_once(" panicked at ")?;
    Some(place.strip_suffix(':').unwrap_or(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        let mut words = LastWords::default();
        text.lines().for_each(|line| words.line(line));
        words.told()
    }

    #[test]
    fn a_panic_has_its_place_and_its_message() {
        for (text, expected) in [
            (
                "\nthread '<unnamed>' (1) panicked at src/lib.rs:12:5:\nas it was told\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\nmore",
                "panicked at src/lib.rs:12:5: as it was told",
            ),
            (
                "thread 'main' panicked at src/lib.rs:3:1:\nassertion `left == right` failed\n  left: 1\n right: 2\nnote: run",
                "panicked at src/lib.rs:3:1: assertion `left == right` failed\n  left: 1\n right: 2",
            ),
            (
                "thread 'a' panicked at a.rs:1:1:\nfirst\n\nthread 'a' panicked at b.rs:2:2:\nsecond",
                "panicked at b.rs:2:2: second",
            ),
            (
                "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nruntime.goPanicIndex(0x5)\n\t/usr/lib/go/src/runtime/panic.go:115 +0x2\nmain.main()\n\t/home/a/main.go:12 +0x1d\nmain.x()\n\t/home/a/x.go:1 +0x1",
                "panic: runtime error: index out of range [5] with length 3, at /home/a/main.go:12",
            ),
            (
                "panic: runtime error at 0x1234: nil pointer",
                "panic: runtime error at 0x1234: nil pointer",
            ),
            (
                "Assertion failed: n > 0 (step.c: run: 14)",
                "Assertion failed: n > 0 (step.c: run: 14)",
            ),
            (
                "Traceback (most recent call last):\n  File \"app.py\", line 3, in run\n    f()\n  File \"app.py\", line 9, in f\n    raise ValueError('no')\nValueError: no",
                "ValueError: no (at app.py, line 9, in f)",
            ),
        ] {
            assert_eq!(told(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(told("a warning\nanother"), None);
    }

    #[test]
    fn a_message_is_bounded() {
        let long = format!("thread 'a' panicked at a.rs:1:1:\n{}", "é\n".repeat(10_000));
        assert_eq!(told(&long).map(|told| told.lines().count()), Some(LINES));
        let wide = format!("thread 'a' panicked at a.rs:1:1:\n{}", "é".repeat(10_000));
        assert!(told(&wide).is_some_and(|told| told.len() < BYTES + 100));
    }
}
