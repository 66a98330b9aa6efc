//! Columns of text.

use super::text::Text;

/// A table whose columns are as wide as their widest cell; the last one is not padded.
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// Blanks between columns.
const GAP: usize = 2;
/// Cells that a column keeps when it is cut.
const NARROWEST: usize = 6;

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

    /// Adds a row, with a cell for each heading.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The same for a terminal that is so wide: as long as it has no room, a column with nothing in it goes, or else the next of the
    /// `expendable` ones; then those that are left are cut from the last one on, but for the first.
    pub(crate) fn fit(mut self, terminal: usize, expendable: &[usize]) -> Self {
        let mut left: Vec<usize> = (0..self.widths().len()).collect();
        let has_nothing =
            |column: &usize| self.rows[1..].iter().all(|row| row[*column].0.is_blank());
        let empty: Vec<usize> = left.iter().copied().filter(has_nothing).collect();
        for column in empty.iter().chain(expendable) {
            if self.excess(terminal) == 0 {
                return self;
            }
            if let Some(at) = left.iter().position(|left| left == column) {
                left.remove(at);
                for row in &mut self.rows {
                    row.remove(at);
                }
            }
        }
        for column in (1..left.len()).rev() {
            let most = self.widths()[column].saturating_sub(self.excess(terminal));
            for row in &mut self.rows {
                let cell = std::mem::take(&mut row[column].0);
                row[column].0 = cell.cut(most.max(NARROWEST));
            }
        }
        self
    }

    /// Whether a terminal so wide has room for it.
    pub(crate) fn fits(&self, terminal: usize) -> bool {
        self.excess(terminal) == 0
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.0.width()).max().unwrap_or(0)
        };
        (0..columns).map(width).collect()
    }

    /// How many cells of the terminal it is too wide.
    fn excess(&self, terminal: usize) -> usize {
        let widths = self.widths();
        let between = GAP * widths.len().saturating_sub(1);
        (widths.iter().sum::<usize>() + between).saturating_sub(terminal)
    }

    /// The lines.
    pub(crate) fn render(self) -> Text {
        let widths = self.widths();
        let lines = self.rows.into_iter().map(|row| {
            // Blank cells at the end would leave blanks there.
            let last = row.iter().rposition(|cell| !cell.0.is_blank());
            let cells = row.into_iter().zip(&widths).enumerate();
            cells.take_while(|(column, _)| Some(*column) <= last).fold(
                Text::default(),
                |line, (column, (Cell(text), width))| {
                    let padding = match Some(column) == last {
                        true => 0,
                        false => width - text.width() + GAP,
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

    #[test]
    fn on_a_narrow_terminal_columns_go_before_anything_is_cut() {
        let at = |terminal: usize| {
            let mut table = Table::new(["id", "owner", "took", "what is next"].map(Cell::from));
            table.row(["r1", "812@host", "4 ms", "resume by hand"].map(Cell::from));
            table.fit(terminal, &[1, 2]).render().for_terminal()
        };
        let whole = "id  owner     took  what is next\nr1  812@host  4 ms  resume by hand";
        assert_eq!(at(34), whole);
        assert_eq!(at(33), "id  took  what is next\nr1  4 ms  resume by hand");
        assert_eq!(at(23), "id  what is next\nr1  resume by hand");
        assert_eq!(at(17), "id  what is next\nr1  resume by ha…");
        assert_eq!(at(3), "id  what …\nr1  resum…", "not to nothing");
        let mut table = Table::new(["id", "owner", "next"].map(Cell::from));
        table.row(["r1", "812@host", ""].map(Cell::from));
        let text = table.fit(12, &[1]).render().for_terminal();
        assert_eq!(text, "id  owner\nr1  812@host");
    }
}
