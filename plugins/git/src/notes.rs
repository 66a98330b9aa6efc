//! Release notes: commits by what stands in front of the colon of their subject, as Markdown.

use std::fmt::Write as _;

use milepost_sdk::{Context, Result, Schema, Step};
use serde::{Deserialize, Serialize};

use crate::log::Commit;

/// Digits of a commit's name that people read.
const SHORT: usize = 7;

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotesInput {
    title: String,
    /// As `log` lists them.
    commits: Vec<Commit>,
    /// Which prefixes get a heading, in this order. All others stand below the last one.
    #[serde(default = "usual")]
    groups: Vec<Group>,
    /// The heading of the rest.
    #[serde(default = "other")]
    rest: String,
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    /// `feat`: fits `feat: ..`, `feat(scope): ..` and `feat!: ..`.
    prefix: String,
    heading: String,
}

fn usual() -> Vec<Group> {
    let group = |(prefix, heading): (&str, &str)| Group {
        prefix: prefix.to_owned(),
        heading: heading.to_owned(),
    };
    [
        ("feat", "New"),
        ("fix", "Fixed"),
        ("perf", "Faster"),
        ("docs", "Documentation"),
    ]
    .map(group)
    .into()
}

fn other() -> String {
    "Other".to_owned()
}

#[derive(Serialize, Schema)]
pub(crate) struct NotesOutput {
    markdown: String,
}

pub(crate) struct Notes;

impl Step for Notes {
    const NAME: &'static str = "notes";
    const DESCRIPTION: &'static str = "Writes release notes of commits, grouped by prefix.";
    type Input = NotesInput;
    type Output = NotesOutput;

    fn run(input: NotesInput, _: &Context) -> Result<NotesOutput> {
        let mut sections: Vec<(&str, Vec<String>)> = input
            .groups
            .iter()
            .map(|group| (group.heading.as_str(), Vec::new()))
            .chain([(input.rest.as_str(), Vec::new())])
            .collect();
        for commit in &input.commits {
            let subject = Subject::of(&commit.subject);
            let known = input
                .groups
                .iter()
                .position(|group| group.prefix == subject.prefix);
            let place = known.unwrap_or(input.groups.len());
            let text = match known {
                Some(_) => subject.line(),
                None => escaped(&commit.subject),
            };
            let id: String = commit.id.chars().take(SHORT).collect();
            sections[place].1.push(format!("- {text} ({id})"));
        }
        let mut markdown = format!("# {}\n", escaped(&input.title));
        for (heading, lines) in sections.iter().filter(|(_, lines)| !lines.is_empty()) {
            // Writing to a string cannot fail.
            let _ = write!(
                markdown,
                "\n## {}\n\n{}\n",
                escaped(heading),
                lines.join("\n")
            );
        }
        if input.commits.is_empty() {
            markdown.push_str("\nNothing changed.\n");
        }
        Ok(NotesOutput { markdown })
    }
}

/// `feat(cli)!: what it says`.
struct Subject<'a> {
    prefix: &'a str,
    scope: &'a str,
    breaking: bool,
    text: &'a str,
}

impl<'a> Subject<'a> {
    fn of(subject: &'a str) -> Self {
        let none = Self {
            prefix: "",
            scope: "",
            breaking: false,
            text: subject,
        };
        let Some((front, text)) = subject.split_once(": ") else {
            return none;
        };
        let (front, breaking) = match front.strip_suffix('!') {
            Some(front) => (front, true),
            None => (front, false),
        };
        let (prefix, scope) = match front.split_once('(') {
            Some((prefix, scope)) => match scope.strip_suffix(')') {
                Some(scope) => (prefix, scope),
                None => return none,
            },
            None => (front, ""),
        };
        Self {
            prefix,
            scope,
            breaking,
            text,
        }
    }

    fn line(&self) -> String {
        let mut line = String::new();
        if self.breaking {
            line.push_str("**breaking** ");
        }
        if !self.scope.is_empty() {
            let _ = write!(line, "{}: ", escaped(self.scope));
        }
        line.push_str(&escaped(self.text));
        line
    }
}

/// What would be markup in a commit's text is shown as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(
            character,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#'
        ) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use serde_json::{Value, json};

    use super::*;
    use crate::PLUGIN;

    fn notes(subjects: &[&str]) -> String {
        let commits: Vec<Value> = subjects
            .iter()
            .map(|subject| {
                json!({
                    "id": "0123456789abcdef", "author": "", "email": "", "date": "", "body": "",
                    "subject": subject,
                })
            })
            .collect();
        let input = json!({"title": "1.0", "commits": commits}).to_string();
        let text = PLUGIN.run("notes", &input, &Context::fake()).unwrap();
        let output: Value = serde_json::from_str(&text).unwrap();
        output["markdown"].as_str().unwrap().to_owned()
    }

    #[test]
    fn commits_stand_below_the_heading_of_their_prefix() {
        let text = notes(&[
            "fix: b",
            "feat(cli)!: a <tag>",
            "feat: c",
            "chore: d",
            "no prefix: at all",
            "feat(: e",
        ]);
        let expected = "# 1.0\n\n## New\n\n\
            - **breaking** cli: a \\<tag\\> (0123456)\n- c (0123456)\n\n\
            ## Fixed\n\n- b (0123456)\n\n\
            ## Other\n\n- chore: d (0123456)\n- no prefix: at all (0123456)\n- feat(: e (0123456)\n";
        assert_eq!(text, expected);
        assert_eq!(notes(&[]), "# 1.0\n\nNothing changed.\n");
    }
}
