//! Text for people, the only thing that the ways out take.
//!
//! # Invariants
//! - A string becomes a [`Text`] by being escaped: whatever it holds, no control character of it reaches a terminal or a log.
//!   Colours are kept beside the characters, so nothing from outside can pass for one.
//! - There is no way back: a [`Text`] is no `Display`, so it cannot be pasted into a string and lose what it knows.

use std::borrow::Cow;
use std::ops::Add;

use milepost::core::diagnostic::Diagnostics;
use milepost::core::shown::{Shown, ShownLines};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A text in which everything but line breaks and tabs is visible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    spans: Vec<Span>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    /// Escaped.
    text: String,
    colour: Colour,
}

/// Parameters of an SGR sequence; empty for none.
type Colour = Cow<'static, str>;

impl Text {
    /// Whether there is nothing to see.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.iter().all(|span| span.text.is_empty())
    }

    /// All of it in a colour.
    pub(super) fn painted(mut self, colour: &'static str) -> Self {
        for span in &mut self.spans {
            span.colour = Cow::Borrowed(colour);
        }
        self
    }

    /// Problems of a file, with their places.
    pub(crate) fn diagnostics(found: &Diagnostics, colours: bool) -> Self {
        let drawn = found.render(colours);
        let drawn = drawn.trim_end();
        if !colours {
            return drawn.into();
        }
        // The renderer shows what controls a terminal as symbols, so these are its own colours. What is none is escaped.
        let mut text = Self::default();
        let mut colour = String::new();
        for (index, part) in drawn.split("\x1b[").enumerate() {
            let code = part.split_once('m').filter(|(code, _)| {
                index > 0 && code.bytes().all(|b| b.is_ascii_digit() || b == b';')
            });
            match code {
                Some((code, rest)) => {
                    match code {
                        "" | "0" => colour.clear(),
                        _ if colour.is_empty() => colour.push_str(code),
                        _ => colour.extend([";", code]),
                    }
                    text.push(rest, Cow::Owned(colour.clone()));
                }
                None if index == 0 => text.push(part, Cow::Borrowed("")),
                None => text.push(&format!("\x1b[{part}"), Cow::Borrowed("")),
            }
        }
        text
    }

    /// The same in one line: line breaks and tabs are shown.
    pub(crate) fn one_line(mut self) -> Self {
        for span in &mut self.spans {
            if span.text.contains(['\n', '\t']) {
                span.text = Shown(&span.text).to_string();
            }
        }
        self
    }

    /// How many cells of a terminal it takes in one line.
    pub(crate) fn width(&self) -> usize {
        self.spans.iter().map(|span| span.text.width()).sum()
    }

    /// Its beginning with an ellipsis, when it is wider than `cells`.
    pub(crate) fn cut(mut self, cells: usize) -> Self {
        if self.width() <= cells {
            return self;
        }
        // The ellipsis takes one.
        let mut left = cells.saturating_sub(1);
        for at in 0..self.spans.len() {
            let text = &mut self.spans[at].text;
            let too_much = |(_, c): &(usize, char)| {
                let wide = c.width().unwrap_or(0);
                let too_much = wide > left;
                left = left.saturating_sub(wide);
                too_much
            };
            if let Some((end, _)) = text.char_indices().find(too_much) {
                text.truncate(end);
                text.push('…');
                self.spans.truncate(at + 1);
                break;
            }
        }
        self
    }

    /// All of them in one, with `between` between them.
    pub(crate) fn joined(texts: impl IntoIterator<Item = Self>, between: &str) -> Self {
        let mut all = Self::default();
        for (index, text) in texts.into_iter().enumerate() {
            if index > 0 {
                all.push(between, Cow::Borrowed(""));
            }
            all.spans.extend(text.spans);
        }
        all
    }

    /// Whether it begins with this text.
    pub(crate) fn starts_with(&self, start: &str) -> bool {
        self.spans
            .first()
            .is_some_and(|span| span.text.starts_with(start))
    }

    /// The same without blanks at its beginning.
    pub(crate) fn without_indent(mut self) -> Self {
        if let Some(first) = self.spans.first_mut() {
            first.text = first.text.trim_start().to_owned();
        }
        self
    }

    /// Whether there is nothing to see.
    pub(crate) fn is_blank(&self) -> bool {
        self.spans.iter().all(|span| span.text.trim().is_empty())
    }

    /// For the ways out alone: with colours as a terminal takes them, and without line breaks at the end.
    pub(crate) fn for_terminal(&self) -> String {
        let mut out = String::new();
        for Span { text, colour } in &self.spans {
            if colour.is_empty() || text.is_empty() {
                out.push_str(text);
            } else {
                out.extend(["\x1b[", colour, "m", text, "\x1b[0m"]);
            }
        }
        out.truncate(out.trim_end_matches('\n').len());
        out
    }

    /// What it says, without colours.
    #[cfg(test)]
    pub(crate) fn plain(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }

    fn push(&mut self, text: &str, colour: Colour) {
        if text.is_empty() {
            return;
        }
        let text = ShownLines(text).to_string();
        match self.spans.last_mut() {
            Some(last) if last.colour == colour => last.text.push_str(&text),
            _ => self.spans.push(Span { text, colour }),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut all = Self::default();
        all.push(text, Cow::Borrowed(""));
        all
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl<T: Into<Text>> Add<T> for Text {
    type Output = Self;

    fn add(mut self, more: T) -> Self {
        self.spans.extend(more.into().spans);
        self
    }
}

#[cfg(test)]
mod tests {
    use milepost::core::definition::Definition;

    use super::*;

    #[test]
    fn nothing_from_outside_controls_the_terminal() {
        let foreign = "\x1b[31mred\u{9b}2J\r\u{202e}\n";
        let text = Text::from("name: ") + Text::from(foreign).painted("1") + "end";
        assert_eq!(
            text.for_terminal(),
            "name: \x1b[1m\\u{1b}[31mred\\u{9b}2J\\u{d}\\u{202e}\n\x1b[0mend"
        );
        assert!(text.one_line().for_terminal().contains("\\n"));
    }

    #[test]
    fn diagnostics_keep_their_colours_and_nothing_else() {
        let file =
            "schema = 1\nname = \"a\u{9b}\"\n# \u{1b}[5mblink\u{7f}\nnaem = \"\u{9b}5m\u{1b}\"\n";
        let Err(found) = Definition::parse("w\u{1b}[2J.toml", file) else {
            panic!("it has problems");
        };
        for colours in [false, true] {
            let drawn = Text::diagnostics(&found, colours).for_terminal();
            let escapes = drawn.split("\x1b[").skip(1);
            let strange = escapes.filter(|part| {
                let end = part.find(|c: char| !c.is_ascii_digit() && c != ';');
                !end.is_some_and(|end| part[end..].starts_with('m')) || part.starts_with("5m")
            });
            assert_eq!(strange.count(), 0, "{drawn:?}");
            assert_eq!(drawn.contains("\x1b["), colours, "{drawn:?}");
            let other = drawn.replace(['\n', '\x1b'], "");
            assert!(!other.chars().any(char::is_control), "{drawn:?}");
        }
    }

    #[test]
    fn cells_are_counted_and_long_texts_are_cut() {
        for (text, width) in [("ab", 2), ("日本", 4), ("e\u{301}", 1), ("", 0)] {
            assert_eq!(Text::from(text).width(), width, "{text}");
        }
        for (text, cells, cut) in [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abcde…"),
            ("日本語", 4, "日…"),
            ("日本語", 5, "日本…"),
        ] {
            assert_eq!(Text::from(text).cut(cells).plain(), cut);
        }
        let painted = Text::from("ab") + Text::from("cdef").painted("1") + "gh";
        assert_eq!(painted.cut(5).for_terminal(), "ab\x1b[1mcd…\x1b[0m");
    }
}
