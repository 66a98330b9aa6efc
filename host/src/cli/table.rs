//! Columns of text.

/// A table whose columns are as wide as their widest cell; the last one is not padded.
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// A text and how it is shown, which may hold invisible colour codes.
pub(crate) struct Cell {
    text: String,
    shown: String,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        let text = text.into();
        Self {
            shown: text.clone(),
            text,
        }
    }
}

impl Cell {
    /// The same cell in colour.
    pub(crate) fn painted(text: &str, paint: impl FnOnce(&str) -> String) -> Self {
        Self {
            text: text.to_owned(),
            shown: paint(text),
        }
    }
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new<const N: usize>(headings: [Cell; N]) -> Self {
        Self {
            rows: vec![headings.into()],
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// The lines.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.text.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&cell.shown);
                let padding = width - cell.text.chars().count() + 2;
                line.extend(std::iter::repeat_n(' ', padding));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_does_not_shift_columns() {
        let mut table = Table::new(["id".into(), "status".into(), "x".into()]);
        table.row([
            "a".into(),
            Cell::painted("ok", |t| format!("\x1b[32m{t}\x1b[0m")),
            "1".into(),
        ]);
        table.row(["long".into(), "failed".into(), "2".into()]);
        assert_eq!(
            table.render(),
            "id    status  x\na     \x1b[32mok\x1b[0m      1\nlong  failed  2\n"
        );
    }
}
