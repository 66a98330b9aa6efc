//! A test of the program that reads like a terminal session: what was typed, what came back, how it ended.
//!
//! [`Session::milepost`] runs a command and writes it down; [`Session::reads`] compares the whole transcript with the one in
//! the test. A line of stderr begins with `! `, one of stdout with nothing, a comment of the test with `# `, and an exit code
//! other than 0 stands in brackets. What differs from run to run (times, processes, folders, digests) is replaced by a word
//! in brackets, here and nowhere else (see `steady`, a function of this file).
//!
//! When the program says something else on purpose, this writes the transcripts into the tests; read the diff before you
//! commit it:
//!
//! ```text
//! UPDATE_EXPECT=1 cargo test --workspace --test cases
//! ```
//!
//! Without that variable a difference fails the test, and nothing is written.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use expect_test::Expect;
use regex::Regex;

use crate::cli::{Cli, Output, component};

/// Commands in one folder, and what came of them.
pub struct Session<'a> {
    cli: &'a Cli,
    transcript: String,
}

impl Cli {
    /// A session in this folder.
    #[must_use]
    pub fn session(&self) -> Session<'_> {
        Session {
            cli: self,
            transcript: String::new(),
        }
    }
}

impl Session<'_> {
    /// Runs the program to its end, and writes down what it said; the answer is its exit code.
    pub fn milepost(&mut self, line: &str) -> i32 {
        let output = self.cli.run(line);
        self.ended(&format!("milepost {line}"), &output)
    }

    /// The same for a line of bash, in which `milepost` is the program.
    pub fn shell(&mut self, line: &str) -> i32 {
        let output = self.cli.shell(line);
        self.ended(line, &output)
    }

    /// The same for a command with `--json`: of its one document only what these pointers name is written down; the pointer
    /// `""` names all of it.
    #[track_caller]
    pub fn document(&mut self, line: &str, pointers: &[&str]) -> i32 {
        let output = self.cli.run(&format!("{line} --json"));
        let document = output.json();
        let picked: String = pointers
            .iter()
            .map(|pointer| match document.pointer(pointer) {
                Some(whole) if pointer.is_empty() => format!("{whole}\n"),
                Some(value) => format!("{pointer}: {value}\n"),
                None => format!("{pointer} is missing\n"),
            })
            .collect();
        let output = Output {
            stdout: picked,
            ..output
        };
        self.ended(&format!("milepost {line} --json"), &output)
    }

    /// Writes down a command that ran already.
    pub fn ended(&mut self, typed: &str, output: &Output) -> i32 {
        if !self.transcript.is_empty() {
            self.transcript.push('\n');
        }
        let mut text = format!("$ {typed}\n");
        for line in output.stderr.lines() {
            text.push_str(format!("! {line}").trim_end());
            text.push('\n');
        }
        text.push_str(&output.stdout);
        if !output.stdout.is_empty() && !output.stdout.ends_with('\n') {
            text.push_str("[no newline]\n");
        }
        if output.status != 0 {
            // Nothing can go wrong: it is a string.
            let _ = writeln!(text, "[exit {}]", output.status);
        }
        self.transcript.push_str(&steady(&text, self.cli.folder()));
        output.status
    }

    /// What the test does in between, in words.
    pub fn comment(&mut self, words: &str) {
        if !self.transcript.is_empty() {
            self.transcript.push('\n');
        }
        self.transcript.push_str("# ");
        self.transcript.push_str(words);
        self.transcript.push('\n');
    }

    /// Compares the whole session with this transcript.
    #[track_caller]
    pub fn reads(&self, transcript: Expect) {
        transcript.assert_eq(&self.transcript);
    }
}

/// The text without what differs from run to run.
///
/// | what | becomes |
/// |---|---|
/// | the folder of the test, that of the committed components | `[folder]`, `[plugins]` |
/// | an instant, how long ago it was, how far ahead it is | `[time]`, `[ago]`, `in [left]` |
/// | how long something took | `[elapsed]` |
/// | how long a run waited, which is told from a second on | nothing |
/// | the process and the host of a worker | `[pid]`, `[host]` |
/// | a size on the disk, the version of a store | `[size]`, `[version]` |
/// | a line of the program's source | `[place]` |
/// | a SHA-256 digest | `[digest]` |
///
/// A table is laid out anew around its cells, so the widths of its columns do not depend on what was replaced.
fn steady(text: &str, folder: &Path) -> String {
    let mut steady = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        // Said or not, as the machine is busy.
        if line.starts_with("! compiling ") {
            continue;
        }
        let columns = columns(line);
        if columns.is_empty() {
            steady.push_str(&words(line, folder));
            steady.push('\n');
            continue;
        }
        let mut rows = vec![cells(line, &columns, folder)];
        while let Some(row) = lines.next_if(|line| !line.is_empty()) {
            rows.push(cells(row, &columns, folder));
        }
        steady.push_str(&table(&rows));
    }
    steady
}

/// Where the columns of a table begin, if this is its line of headings: words in capitals, two blanks or more apart.
fn columns(line: &str) -> Vec<usize> {
    static HEADINGS: OnceLock<Regex> = OnceLock::new();
    static HEADING: OnceLock<Regex> = OnceLock::new();
    let headings = HEADINGS.get_or_init(|| pattern("^[A-Z]+(?:  +[A-Z]+)+$"));
    let heading = HEADING.get_or_init(|| pattern("[A-Z]+"));
    match headings.is_match(line) {
        true => heading.find_iter(line).map(|word| word.start()).collect(),
        false => Vec::new(),
    }
}

/// The cells of a row.
fn cells(row: &str, columns: &[usize], folder: &Path) -> Vec<String> {
    let ends = columns.iter().skip(1).copied().chain([usize::MAX]);
    let cells = columns.iter().zip(ends).map(|(start, end)| {
        let cell: String = row.chars().take(end).skip(*start).collect();
        let cell = words(cell.trim_end(), folder);
        match length().is_match(&cell) {
            true => "[elapsed]".to_owned(),
            false => cell,
        }
    });
    cells.collect()
}

/// Rows under each other, every column as wide as its widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let mut table = String::new();
    for row in rows {
        let cells = row.iter().enumerate();
        let line: String = cells
            .map(|(column, cell)| format!("{cell:0$}  ", width(column).unwrap_or_default()))
            .collect();
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// A whole text that is a length of time.
fn length() -> &'static Regex {
    static LENGTH: OnceLock<Regex> = OnceLock::new();
    LENGTH.get_or_init(|| pattern(&format!("^{LENGTHS}$")))
}

const LENGTHS: &str = r"(?:[0-9]+ ms|[0-9]+\.[0-9] s|[0-9]+m [0-9]{2}s)";

/// One line, or one cell of a table.
fn words(text: &str, folder: &Path) -> String {
    static WORDS: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        [
            (
                r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:]{8}(?:\.[0-9]+)?Z",
                "[time]",
            ),
            (r"sha256:[0-9a-f]{64}", "[digest]"),
            (
                &format!(r"(?P<before> in| after|took) {LENGTHS}(?P<after>$|[,;.)<\x22\x1b])"),
                "$before [elapsed]$after",
            ),
            (&format!(", waited {LENGTHS}"), ""),
            (r"just now|[0-9]+[smhd] ago", "[ago]"),
            (r"process [0-9]+ on [^ ,;]+", "process [pid] on [host]"),
            (r"[0-9]+@[^ ]+", "[pid]@[host]"),
            (r"[0-9]+\.[0-9] [KMG]iB", "[size]"),
            (r"(?P<before>^  size: +)[0-9]+ bytes", "$before[size]"),
            (
                r"(?P<before>^store .+, version |reads version )[0-9]+",
                "$before[version]",
            ),
            (r"[a-z_/]+\.rs:[0-9]+:[0-9]+", "[place]"),
            (
                r"(?P<before>\(|^|out )in [0-9]+[smhd](?: [0-9]+[smh])?(?P<after>\)| \(|$)",
                "${before}in [left]$after",
            ),
        ]
        .into_iter()
        .map(|(text, word)| (pattern(text), word))
        .collect()
    });
    let plugins = component("x");
    let plugins = plugins.parent().expect("components stand in a folder");
    let mut text = text
        .replace(&folder.display().to_string(), "[folder]")
        .replace(&plugins.display().to_string(), "[plugins]");
    for (pattern, word) in words {
        text = pattern.replace_all(&text, *word).into_owned();
    }
    text
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}
