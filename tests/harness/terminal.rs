//! The program on a terminal, as a person sees it: what moves, and what is left in the end.

use std::process::Command;

use crate::cli::{Cli, Output};

/// Cells of a line.
const COLUMNS: usize = 80;

/// What was on a terminal.
#[derive(Debug)]
pub struct Terminal {
    /// Exit code of the program.
    pub status: i32,
    /// The lines at every moment before something was drawn over.
    pub frames: Vec<Vec<String>>,
    /// The lines that are left.
    pub left: Vec<String>,
}

impl Cli {
    /// Runs a command line to its end on a terminal of that many rows.
    ///
    /// # Panics
    /// When there is no `script`, which makes terminals.
    #[must_use]
    pub fn on_terminal(&self, line: &str, rows: u16) -> Terminal {
        let run = self.command(line);
        let words = std::iter::once(run.get_program()).chain(run.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let typed = format!("stty rows {rows} cols {COLUMNS}; exec {}", words.join(" "));
        let mut script = Command::new("script");
        script.args(["-qec", &typed, "/dev/null"]);
        script.current_dir(self.folder()).env_clear();
        script.envs(
            run.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        script
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(std::process::Stdio::null());
        let said = Output::of(script.output().expect("there is `script`"));
        let mut screen = Screen::default();
        screen.take(&said.stdout);
        Terminal {
            status: said.status,
            frames: std::mem::take(&mut screen.frames),
            left: screen.lines(),
        }
    }
}

/// As much of a terminal as progress needs. It never scrolls.
#[derive(Default)]
struct Screen {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    frames: Vec<Vec<String>>,
}

impl Screen {
    fn take(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => {
                    self.row += 1;
                    self.column = 0;
                }
                '\x1b' => {
                    assert_eq!(rest.next(), Some('['), "a control sequence");
                    let mut numbers = String::new();
                    let what = rest.by_ref().find(|c| {
                        let number = !c.is_ascii_alphabetic();
                        numbers.extend(number.then_some(*c));
                        !number
                    });
                    self.control(what.expect("it ends"), &numbers);
                }
                c => self.put(c),
            }
        }
    }

    fn control(&mut self, what: char, numbers: &str) {
        let count = numbers.parse().unwrap_or(1);
        match what {
            'A' => {
                self.frame();
                self.row = self.row.saturating_sub(count);
            }
            'B' => self.row += count,
            'C' => self.column += count,
            'D' => self.column = self.column.saturating_sub(count),
            'K' => {
                self.frame();
                if let Some(row) = self.rows.get_mut(self.row) {
                    row.truncate(if numbers == "2" { 0 } else { self.column });
                }
            }
            'J' => {
                self.frame();
                self.rows.truncate(self.row + 1);
                if let Some(row) = self.rows.get_mut(self.row) {
                    row.truncate(self.column);
                }
            }
            // Colours, and whether there is a cursor.
            'm' | 'h' | 'l' => {}
            other => panic!("an unknown control sequence: {numbers}{other}"),
        }
    }

    fn put(&mut self, c: char) {
        if self.column == COLUMNS {
            self.row += 1;
            self.column = 0;
        }
        if self.rows.len() <= self.row {
            self.rows.resize_with(self.row + 1, Vec::new);
        }
        let row = &mut self.rows[self.row];
        if row.len() <= self.column {
            row.resize(self.column + 1, ' ');
        }
        row[self.column] = c;
        self.column += 1;
    }

    /// Keeps what is to be seen, unless that is known.
    fn frame(&mut self) {
        let lines = self.lines();
        if self.frames.last() != Some(&lines) {
            self.frames.push(lines);
        }
    }

    fn lines(&self) -> Vec<String> {
        let rows = self.rows.iter();
        let mut lines: Vec<String> = rows
            .map(|row| row.iter().collect::<String>().trim_end().to_owned())
            .collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }
}
