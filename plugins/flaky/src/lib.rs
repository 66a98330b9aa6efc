//! Steps that fail on purpose, and then do not: for trying out retries, loops and what a run looks like when things go
//! wrong.

use std::time::Duration;

use milepost_sdk::{Context, Error, Result, Schema, Step, export, log};
use serde::{Deserialize, Serialize};

/// What a step says once it no longer fails.
#[derive(Serialize, Schema)]
struct Succeeded {
    /// On which attempt it did.
    attempt: u32,
    message: String,
}

fn succeeded(attempt: u32) -> Succeeded {
    Succeeded {
        attempt,
        message: format!("succeeded on attempt {attempt}"),
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct UntilInput {
    /// The first attempt that succeeds, from 1.
    succeed_on: u32,
    /// Milliseconds to ask for before the next attempt; the workflow's policy decides when left out.
    after_ms: Option<u64>,
    /// Whose limit is to blame.
    provider: Option<String>,
    #[serde(default = "busy")]
    code: String,
}

fn busy() -> String {
    "busy".to_owned()
}

struct FailUntil;

impl Step for FailUntil {
    const NAME: &'static str = "fail_until";
    const DESCRIPTION: &'static str = "Fails, retryably, until a given attempt.";
    type Input = UntilInput;
    type Output = Succeeded;

    fn run(input: UntilInput, ctx: &Context) -> Result<Succeeded> {
        let attempt = ctx.attempt();
        if attempt >= input.succeed_on {
            return Ok(succeeded(attempt));
        }
        let message = format!("attempt {attempt} of {} fails", input.succeed_on);
        log::warn(&message);
        let mut error = Error::retryable(&input.code, message);
        if let Some(millis) = input.after_ms {
            error = error.after(Duration::from_millis(millis));
        }
        if let Some(provider) = &input.provider {
            error = error.provider(provider);
        }
        Err(error.into())
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct AlwaysInput {
    /// Which kind of error.
    #[serde(default)]
    class: Class,
    #[serde(default = "broken")]
    code: String,
    #[serde(default = "broken")]
    message: String,
}

fn broken() -> String {
    "broken".to_owned()
}

/// Which kind of error.
#[derive(Clone, Copy, Default, Deserialize, Schema)]
#[serde(rename_all = "snake_case")]
enum Class {
    /// Final.
    #[default]
    Failed,
    /// Worth another attempt, they say.
    Retryable,
}

impl Class {
    fn error(self, code: &str, message: String) -> Error {
        match self {
            Self::Failed => Error::failed(code, message).into(),
            Self::Retryable => Error::retryable(code, message).into(),
        }
    }
}

#[derive(Serialize, Schema)]
struct Never {}

struct FailAlways;

impl Step for FailAlways {
    const NAME: &'static str = "fail_always";
    const DESCRIPTION: &'static str = "Fails every time.";
    type Input = AlwaysInput;
    type Output = Never;

    fn run(input: AlwaysInput, _: &Context) -> Result<Never> {
        Err(input.class.error(&input.code, input.message))
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct IterationInput {
    /// Passes of the innermost loop, from 1, in which the step fails.
    fail_in: Vec<u32>,
    #[serde(default)]
    class: Class,
}

#[derive(Serialize, Schema)]
struct Pass {
    /// Pass of the innermost loop; 0 outside of loops.
    iteration: u32,
    attempt: u32,
}

struct ByIteration;

impl Step for ByIteration {
    const NAME: &'static str = "by_iteration";
    const DESCRIPTION: &'static str = "Fails in given passes of a loop.";
    type Input = IterationInput;
    type Output = Pass;

    fn run(input: IterationInput, ctx: &Context) -> Result<Pass> {
        let iteration = ctx.loop_iteration().unwrap_or(0);
        if input.fail_in.contains(&iteration) {
            let message = format!("pass {iteration} fails");
            return Err(input.class.error("this_pass", message));
        }
        Ok(Pass {
            iteration,
            attempt: ctx.attempt(),
        })
    }
}

export! {
    name: "flaky",
    version: env!("CARGO_PKG_VERSION"),
    description: "Steps that fail on purpose.",
    steps: [FailUntil, FailAlways, ByIteration],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(step: &str, input: &str, ctx: &Context) -> String {
        match PLUGIN.run(step, input, ctx) {
            Ok(output) => output,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_named_attempt_succeeds_and_none_before() {
        let input = r#"{"succeed_on":3,"after_ms":5,"provider":"acme"}"#;
        for (attempt, expected) in [
            (1, "retryable (busy): attempt 1 of 3 fails"),
            (2, "retryable (busy): attempt 2 of 3 fails"),
            (3, r#"{"attempt":3,"message":"succeeded on attempt 3"}"#),
            (4, r#"{"attempt":4,"message":"succeeded on attempt 4"}"#),
        ] {
            let ctx = Context::fake().with_attempt(attempt);
            assert_eq!(outcome("fail_until", input, &ctx), expected);
        }
    }

    #[test]
    fn the_named_passes_fail() {
        let input = r#"{"fail_in":[2],"class":"retryable"}"#;
        for (iteration, expected) in [
            (1, r#"{"iteration":1,"attempt":1}"#),
            (2, "retryable (this_pass): pass 2 fails"),
            (3, r#"{"iteration":3,"attempt":1}"#),
        ] {
            let ctx = Context::fake().with_loop_iteration(iteration);
            assert_eq!(outcome("by_iteration", input, &ctx), expected);
        }
    }

    #[test]
    fn a_failure_without_wishes_is_final() {
        let ctx = Context::fake();
        assert_eq!(
            outcome("fail_always", "{}", &ctx),
            "failed (broken): broken"
        );
    }
}
