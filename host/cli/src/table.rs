//! Columns of text.

use super::text::Text;

/// A table whose columns are as wide as their widest cell; the last one is not padded.
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// A text in one line.
pub(crate) struct Cell(Text);

impl<T: Into<Text>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self(text.into().one_line())
    }
}

impl Cell {
    /// The same, at most so many cells of the terminal wide.
    pub(crate) fn at_most(self, cells: usize) -> Self {
        Self(self.0.cut(cells))
    }
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: impl IntoIterator<Item = Cell>) -> Self {
        Self {
            rows: vec![headings.into_iter().collect()],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines.
    pub(crate) fn render(self) -> Text {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.0.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines = self.rows.into_iter().map(|row| {
            // Blank cells at the end would leave blanks there.
            let last = row.iter().rposition(|cell| !cell.0.is_blank());
            let cells = row.into_iter().zip(&widths).enumerate();
            cells.take_while(|(column, _)| Some(*column) <= last).fold(
                Text::default(),
                |line, (column, (Cell(text), width))| {
                    let padding = match Some(column) == last {
                        true => 0,
                        false => width - text.width() + 2,
                    };
                    line + text + " ".repeat(padding)
                },
            )
        });
        Text::joined(lines, "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::Style;
    use super::*;

    #[test]
    fn neither_colour_nor_wide_characters_shift_columns() {
        let style = Style::new(true);
        let mut table = Table::new(["id".into(), "status".into(), "x".into()]);
        table.row(["日本".into(), style.green("ok").into(), "1".into()]);
        table.row(["a\nb".into(), "failed".into(), "".into()]);
        table.row([Cell::from("abcdef").at_most(4), "".into(), "3".into()]);
        assert_eq!(
            table.render().for_terminal(),
            "id    status  x\n日本  \x1b[32mok\x1b[0m      1\na\\nb  failed\nabc…          3"
        );
    }
}
