//! Byte offsets as lines and columns.

use std::ops::Range;

/// A place in a text, for people: both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Character in the line.
    pub column: usize,
}

impl Position {
    /// The position of a byte offset; an offset inside a character means that character, one past the end means the end.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        Lines::new(text).position(offset)
    }
}

/// Where each line of a text begins: made once, because a file can have as many problems as lines.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(breaks).collect(),
        }
    }

    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line(offset);
        Position {
            line,
            column: self.text[self.starts[line - 1]..offset].chars().count() + 1,
        }
    }

    /// The bytes of the lines that a range touches, and the number of the first.
    pub(super) fn around(&self, range: &Range<usize>) -> (Range<usize>, usize) {
        let (first, last) = (self.line(range.start), self.line(range.end));
        let end = self.starts.get(last).copied().unwrap_or(self.text.len());
        (self.starts[first - 1]..end, first)
    }

    /// Number of the line that holds an offset, from 1.
    fn line(&self, offset: usize) -> usize {
        // The first line starts at 0, so at least one start is not after the offset.
        self.starts.partition_point(|start| *start <= offset).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let text = "a\nüb\r\nc";
        for (offset, line, column) in [
            (0, 1, 1),
            (2, 2, 1),
            (3, 2, 1),
            (4, 2, 2),
            (7, 3, 1),
            (99, 3, 2),
        ] {
            assert_eq!(
                Position::of(text, offset),
                Position { line, column },
                "{offset}"
            );
        }
        assert_eq!(Position::of("", 0), Position { line: 1, column: 1 });
    }

    #[test]
    fn whole_lines_are_found_around_a_range() {
        let lines = Lines::new("ab\ncd\nef");
        assert_eq!(lines.around(&(4..5)), (3..6, 2));
        assert_eq!(lines.around(&(1..8)), (0..8, 1));
        assert_eq!(lines.around(&(8..8)), (6..8, 3));
        assert_eq!(Lines::new("").around(&(0..0)), (0..0, 1));
    }
}
