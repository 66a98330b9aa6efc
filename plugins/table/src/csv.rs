//! CSV text becomes a table. Quoting and line ends are left to `csv-core`; here are the rules that make rows of records.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use milepost_sdk::{Context, Error, Result, Schema, Step, log};
use serde::Deserialize;

use crate::model::{Row, Table};

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParseInput {
    /// The file's text; the first record names the columns.
    csv: String,
    /// One ASCII character between fields; a comma when left out.
    delimiter: Option<String>,
}

pub(crate) struct Parse;

impl Step for Parse {
    const NAME: &'static str = "parse";
    const DESCRIPTION: &'static str = "Reads CSV text into a table.";
    type Input = ParseInput;
    type Output = Table;

    fn run(input: ParseInput, _: &Context) -> Result<Table> {
        let delimiter = match input.delimiter.as_deref().map(str::as_bytes) {
            None => b',',
            Some([byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => *byte,
            Some(_) => {
                let message = "`delimiter` is not one ASCII character";
                return Err(Error::failed("invalid_input", message).into());
            }
        };
        let table = parse(&input.csv, delimiter)?;
        log::info(&format!("read {} rows", table.rows.len()));
        Ok(table)
    }
}

fn parse(text: &str, delimiter: u8) -> Result<Table> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Records::new(text, delimiter);
    let Some((_, header)) = records.next() else {
        return Err(Error::failed("no_header", "the text has no header line").into());
    };
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    for (at, name) in columns.iter().enumerate() {
        if name.is_empty() {
            let message = format!("column {} has no name", at + 1);
            return Err(Error::failed("unnamed_column", message).into());
        }
        if columns[..at].contains(name) {
            let message = format!("there are two columns `{name}`");
            return Err(Error::failed("duplicate_column", message).into());
        }
    }
    let mut table = Table {
        columns,
        rows: Vec::new(),
        lines: Vec::new(),
    };
    for (line, mut fields) in records {
        if fields.len() > table.columns.len() {
            let message = format!(
                "line {line} has {} fields, the header has {}",
                fields.len(),
                table.columns.len()
            );
            return Err(Error::failed("too_many_fields", message).into());
        }
        // Trailing empty cells are often left out.
        fields.resize(table.columns.len(), String::new());
        let row: Row = table.columns.iter().cloned().zip(fields).collect();
        table.rows.push(row);
        table.lines.push(line);
    }
    Ok(table)
}

/// The records of a text with the lines on which they begin; blank lines are not records.
struct Records<'a> {
    reader: Reader,
    rest: &'a [u8],
    line: u64,
    done: bool,
}

impl<'a> Records<'a> {
    fn new(text: &'a str, delimiter: u8) -> Self {
        Self {
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            rest: text.as_bytes(),
            line: 1,
            done: false,
        }
    }

    fn advance(&mut self, count: usize) {
        let (read, rest) = self.rest.split_at(count);
        self.line += read
            .iter()
            .map(|byte| u64::from(*byte == b'\n'))
            .sum::<u64>();
        self.rest = rest;
    }
}

impl Iterator for Records<'_> {
    type Item = (u64, Vec<String>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        // The reader would step over blank lines together with the record after them, which hides where that begins.
        let blank = self.rest.iter().take_while(|b| matches!(b, b'\n' | b'\r'));
        let blank = blank.count();
        self.advance(blank);
        let line = self.line;
        let mut bytes = vec![0; 256];
        let mut ends = vec![0; 32];
        let (mut filled, mut fields) = (0, 0);
        loop {
            let (result, read, written, ended) =
                self.reader
                    .read_record(self.rest, &mut bytes[filled..], &mut ends[fields..]);
            self.advance(read);
            filled += written;
            fields += ended;
            match result {
                // An empty rest tells the reader that the text has ended.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => bytes.resize(bytes.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => ends.resize(ends.len() * 2, 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => {
                    self.done = true;
                    return None;
                }
            }
        }
        let mut start = 0;
        let fields = ends[..fields]
            .iter()
            .map(|&end| {
                let field = String::from_utf8_lossy(&bytes[start..end]).into_owned();
                start = end;
                field
            })
            .collect();
        Some((line, fields))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    /// Each row as `line: cell|cell`.
    fn rows(text: &str) -> Vec<String> {
        let table = parse(text, b',').unwrap();
        let row = |(line, row): (u64, &Row)| {
            let cells: Vec<&str> = table.columns.iter().map(|c| row[c].as_str()).collect();
            format!("{line}: {}", cells.join("|"))
        };
        table.iter().map(row).collect()
    }

    #[test]
    fn quotes_line_ends_and_blank_lines() {
        let table: [(&str, &[&str]); 7] = [
            ("a,b\n1,2\n", &["2: 1|2"]),
            ("a,b\r\n1,2\r\n3,4", &["2: 1|2", "3: 3|4"]),
            ("\u{feff}a,b\n1,\n", &["2: 1|"]),
            ("a,b\n\"x, \"\"y\"\"\",ü\n", &["2: x, \"y\"|ü"]),
            ("a,b\n\"1\n1\",2\n3,4\n", &["2: 1\n1|2", "4: 3|4"]),
            ("a,b\n\n\r\n1,2\n\n", &["4: 1|2"]),
            ("a,b\n1\n", &["2: 1|"]),
        ];
        for (text, expected) in table {
            assert_eq!(rows(text), expected, "{text:?}");
        }
    }

    #[test]
    fn long_cells() {
        let long = "x".repeat(5000);
        assert_eq!(rows(&format!("a,b\n{long},1\n")), [format!("2: {long}|1")]);
    }

    #[test]
    fn many_columns() {
        let header: Vec<String> = (0..200).map(|n| format!("c{n}")).collect();
        let text = format!("{}\n{}\n", header.join(","), header.join(","));
        let table = parse(&text, b',').unwrap();
        assert_eq!(table.columns, header);
        assert_eq!(table.rows[0]["c199"], "c199");
    }

    #[test]
    fn texts_that_are_no_table_are_refused() {
        let table = [
            ("", "no_header"),
            ("\n\n", "no_header"),
            ("a,a\n", "duplicate_column"),
            ("a, \n", "unnamed_column"),
            ("a,b\n1,2,3\n", "too_many_fields"),
        ];
        for (text, code) in table {
            let error = parse(text, b',').unwrap_err().to_string();
            assert!(error.contains(code), "{text:?}: {error}");
        }
    }
}
