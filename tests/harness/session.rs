//! A test of the program that reads like a terminal session: what was typed, what came back, how it ended.
//!
//! [`Session::milepost`] runs a command and writes it down; [`Session::reads`] compares the whole transcript with the one in
//! the test. A line of stderr begins with `! `, one of stdout with nothing, a comment of the test with `# `, and an exit code
//! other than 0 stands in brackets. What differs from run to run (times, processes, folders, digests) is replaced by a word
//! in brackets, here and nowhere else.
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

    /// The same for a command with `--json`: of its one document only what these pointers name is written down.
    #[track_caller]
    pub fn document(&mut self, line: &str, pointers: &[&str]) -> i32 {
        let output = self.cli.run(&format!("{line} --json"));
        let document = output.json();
        let picked: String = pointers
            .iter()
            .map(|pointer| match document.pointer(pointer) {
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
            text.push_str("! ");
            text.push_str(line);
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
fn steady(text: &str, folder: &Path) -> String {
    static WORDS: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        let length = r"(?:[0-9]+ ms|[0-9]+\.[0-9] s|[0-9]+m [0-9]{2}s)";
        [
            (
                r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:]{8}(?:\.[0-9]+)?Z".to_owned(),
                "[time]",
            ),
            (r"sha256:[0-9a-f]{64}".to_owned(), "[digest]"),
            (
                format!(r"(?P<before> in| after|took) {length}(?P<after>$|\n|[,;.])"),
                "$before [elapsed]$after",
            ),
            (format!("  {length}(?P<after>$|\n|  )"), "  [elapsed]$after"),
            (r"just now|[0-9]+[sm] ago".to_owned(), "[ago]"),
            (
                r"process [0-9]+ on [^ ,\n]+".to_owned(),
                "process [pid] on [host]",
            ),
            (r"[0-9]+@[^ \n]+".to_owned(), "[pid]@[host]"),
            (
                r"in [0-9]+[smhd](?: [0-9]+[smh])?(?P<after>\)| \()".to_owned(),
                "in [left]$after",
            ),
        ]
        .into_iter()
        .map(|(pattern, word)| (Regex::new(&pattern).expect("a pattern"), word))
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
    text.lines().map(row).collect()
}

/// A line; the widths of a table's columns follow from what is replaced, so they go as well. Labels and excerpts of a
/// definition keep theirs.
fn row(line: &str) -> String {
    static GAP: OnceLock<Regex> = OnceLock::new();
    let gap = GAP.get_or_init(|| Regex::new("([^ !])  +").expect("a pattern"));
    let line = line.trim_end();
    match line.contains(": ") || line.contains(" |") {
        true => format!("{line}\n"),
        false => format!("{}\n", gap.replace_all(line, "$1  ")),
    }
}
