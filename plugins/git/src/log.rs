//! The commits of a range.

use milepost_sdk::{Context, Error, Result, Schema, Step};
use serde::{Deserialize, Serialize};

use crate::command::{git, head, revisions, whole};

/// Each field ends with a NUL, which no commit's text holds, and each record with one more character behind it.
const FORMAT: &str = "--format=%H%x00%an%x00%ae%x00%aI%x00%s%x00%b%x00%x1e";

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogInput {
    /// Its folder, as an absolute path.
    repository: String,
    /// Commits that this revision has are left out.
    from: Option<String>,
    /// The latest commit.
    #[serde(default = "head")]
    to: String,
    /// Only commits that changed one of these.
    #[serde(default)]
    paths: Vec<String>,
    /// At most so many commits, the latest ones.
    #[serde(default = "some")]
    limit: u32,
}

fn some() -> u32 {
    200
}

#[derive(Serialize, Schema)]
pub(crate) struct LogOutput {
    /// The latest one first.
    commits: Vec<Commit>,
    /// Whether there are more than the limit.
    more: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) author: String,
    pub(crate) email: String,
    /// Of its author, as RFC 3339 writes it.
    pub(crate) date: String,
    pub(crate) subject: String,
    pub(crate) body: String,
}

pub(crate) struct Log;

impl Step for Log {
    const NAME: &'static str = "log";
    const DESCRIPTION: &'static str = "Lists the commits of a range, the latest one first.";
    type Input = LogInput;
    type Output = LogOutput;

    fn run(input: LogInput, _: &Context) -> Result<LogOutput> {
        let most = u64::from(input.limit) + 1;
        let log = git(&input.repository)
            .args(["log", "--no-show-signature", "--no-color", FORMAT])
            .arg(format!("--max-count={most}"))
            .arg("--end-of-options")
            .arg(revisions(input.from.as_deref(), &input.to)?)
            .arg("--")
            .args(input.paths);
        let output = whole(log, "lower the limit, or take a smaller range")?;
        let mut commits = parse(&String::from_utf8_lossy(&output.stdout))?;
        let more = commits.len() as u64 == most;
        commits.truncate(input.limit as usize);
        Ok(LogOutput { commits, more })
    }
}

fn parse(text: &str) -> Result<Vec<Commit>> {
    let records = text.split_terminator("\0\u{1e}\n");
    let commits = records.map(|record| {
        let fields: Vec<&str> = record.split('\0').collect();
        let [id, author, email, date, subject, body] = fields[..] else {
            return None;
        };
        Some(Commit {
            id: id.to_owned(),
            author: author.to_owned(),
            email: email.to_owned(),
            date: date.to_owned(),
            subject: subject.to_owned(),
            body: body.trim_end().to_owned(),
        })
    });
    let commits: Option<Vec<Commit>> = commits.collect();
    commits
        .ok_or_else(|| Error::failed("unreadable", "git says something else than expected").into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use milepost_sdk::exec::{self, Output};
    use serde_json::{Value, json};

    use super::*;
    use crate::PLUGIN;

    fn log(input: &Value) -> Result<Value> {
        let text = PLUGIN.run("log", &input.to_string(), &Context::fake())?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn commits_are_read_and_the_limit_is_told() {
        exec::answer(|command| {
            let args = command.arguments();
            assert_eq!(args[0], "log");
            assert_eq!(
                args[4..],
                ["--max-count=2", "--end-of-options", "v1..HEAD", "--", "src"]
            );
            let one =
                "1a\0Ada\0ada@example.com\x002026-11-27T10:00:00+01:00\0feat: a\0more\n\0\u{1e}\n";
            let two = "0f\0Ben\0ben@example.com\x002026-11-26T10:00:00Z\0fix: b\0\0\u{1e}\n";
            Ok(Output::exited(0).with_stdout(format!("{one}{two}")))
        });
        let input = json!({"repository": "/r", "from": "v1", "paths": ["src"], "limit": 1});
        let expected = json!({"more": true, "commits": [{
            "id": "1a", "author": "Ada", "email": "ada@example.com", "date": "2026-11-27T10:00:00+01:00",
            "subject": "feat: a", "body": "more",
        }]});
        assert_eq!(log(&input), Ok(expected));
        exec::answer(|_| Ok(Output::exited(0)));
        assert_eq!(log(&input), Ok(json!({"commits": [], "more": false})));
    }

    #[test]
    fn what_is_no_revision_gets_to_no_program() {
        exec::answer(|command| panic!("{command:?}"));
        for name in ["", "-p", "--output=/etc/passwd", "a..b"] {
            for input in [
                json!({"repository": "/r", "from": name}),
                json!({"repository": "/r", "to": name}),
            ] {
                let error = log(&input).unwrap_err().to_string();
                assert!(error.starts_with("failed (invalid_input)"), "{error}");
            }
        }
    }

    #[test]
    fn half_an_answer_is_an_error() {
        exec::answer(|_| {
            Ok(Output {
                stdout_dropped: 1,
                ..Output::exited(0)
            })
        });
        let error = log(&json!({"repository": "/r"})).unwrap_err().to_string();
        assert!(error.starts_with("failed (too-large)"), "{error}");
    }
}
