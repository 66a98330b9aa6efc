//! Any program that the workflow allows, without a component of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use milepost_sdk::exec::Command;
use milepost_sdk::{Context, Result, Schema, Step, export};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct RunInput {
    /// An absolute path, or a bare name. The workflow allows it by the same text.
    program: String,
    /// Each arrives as it is: there is no shell.
    #[serde(default)]
    args: Vec<String>,
    /// All of its environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Its standard input.
    #[serde(default)]
    stdin: String,
    /// Where it starts, as an absolute path: `/` without it.
    working_dir: Option<String>,
    /// Five minutes without it.
    timeout_seconds: Option<u64>,
    /// Whether the step completes however the program ends.
    #[serde(default)]
    allow_failure: bool,
}

#[derive(Serialize, Schema)]
struct RunOutput {
    /// Null when a signal or its timeout ended it.
    exit_code: Option<i32>,
    success: bool,
    timed_out: bool,
    /// The last 100,000 characters, below a line that says how much is missing, if anything is.
    stdout: String,
    stderr: String,
}

struct Run;

impl Step for Run {
    const NAME: &'static str = "run";
    const DESCRIPTION: &'static str =
        "Runs a program; one that does not exit with 0 fails the step with what it said.";
    type Input = RunInput;
    type Output = RunOutput;

    fn run(input: RunInput, _: &Context) -> Result<RunOutput> {
        let mut command = Command::new(input.program)
            .args(input.args)
            .stdin(input.stdin);
        for (name, value) in input.env {
            command = command.env(name, value);
        }
        if let Some(folder) = input.working_dir {
            command = command.current_dir(folder);
        }
        if let Some(seconds) = input.timeout_seconds {
            command = command.timeout(Duration::from_secs(seconds));
        }
        let mut output = command.output()?;
        if !input.allow_failure {
            output = output.checked()?;
        }
        Ok(RunOutput {
            exit_code: output.exit_code,
            success: output.success(),
            timed_out: output.timed_out,
            stdout: output.stdout_text(),
            stderr: output.stderr_text(),
        })
    }
}

export! {
    name: "command",
    version: env!("CARGO_PKG_VERSION"),
    description: "Any program that the workflow allows.",
    steps: [Run],
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use milepost_sdk::exec::{self, Output};
    use serde_json::{Value, json};

    use super::*;

    fn run(input: Value, output: Output) -> Result<Value> {
        exec::answer(move |_| Ok(output.clone()));
        let text = PLUGIN.run("run", &input.to_string(), &Context::fake())?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn b73_b79_a_failure_is_the_steps_unless_it_is_allowed() {
        let failed = Output::exited(3).with_stdout("half").with_stderr("bad\n");
        let error = run(json!({"program": "tool"}), failed.clone()).unwrap_err();
        assert_eq!(error.to_string(), "failed (exit-code): bad");
        let allowed = json!({"program": "tool", "allow_failure": true});
        let output = json!({
            "exit_code": 3, "success": false, "timed_out": false, "stdout": "half", "stderr": "bad\n",
        });
        assert_eq!(run(allowed, failed), Ok(output));
    }

    #[test]
    fn all_of_the_input_gets_to_the_program() {
        exec::answer(|command| {
            let expected = Command::new("tool")
                .args(["a", "b c"])
                .stdin("in")
                .env("A", "1")
                .current_dir("/srv")
                .timeout(Duration::from_secs(7));
            assert_eq!(*command, expected);
            Ok(Output::exited(0))
        });
        let input = json!({
            "program": "tool", "args": ["a", "b c"], "stdin": "in", "env": {"A": "1"},
            "working_dir": "/srv", "timeout_seconds": 7,
        });
        PLUGIN
            .run("run", &input.to_string(), &Context::fake())
            .unwrap();
    }
}
