//! Steps that pause in every way there is: for trying out resume, signals and schedules.

use std::time::{Duration, SystemTime};

use milepost_sdk::{Context, Error, Result, Schema, Step, clock, export};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct OnceInput {
    /// Kept over the pause and returned afterwards.
    #[serde(default)]
    state: Value,
}

#[derive(Serialize, Schema)]
struct Resumed {
    /// What the step kept over its pause.
    state: Value,
    attempt: u32,
}

/// What the steps keep over a pause: an object, so that there is a state even when nothing was given.
#[derive(Deserialize, Serialize)]
struct Kept {
    value: Value,
}

struct Once;

impl Step for Once {
    const NAME: &'static str = "once";
    const DESCRIPTION: &'static str =
        "Pauses with a state, and returns the state when it is resumed.";
    type Input = OnceInput;
    type Output = Resumed;

    fn run(input: OnceInput, ctx: &Context) -> Result<Resumed> {
        match ctx.resume_state::<Kept>()? {
            Some(kept) => Ok(Resumed {
                state: kept.value,
                attempt: ctx.attempt(),
            }),
            None => {
                let kept = Kept { value: input.state };
                Err(Error::pause("once", "resume the run to go on")
                    .state(&kept)
                    .into())
            }
        }
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct AttemptInput {
    /// The first attempt that does not pause, from 1.
    complete_on: u32,
    /// Whose limit is to blame.
    provider: Option<String>,
}

#[derive(Serialize, Schema)]
struct Attempt {
    attempt: u32,
}

struct UntilAttempt;

impl Step for UntilAttempt {
    const NAME: &'static str = "until_attempt";
    const DESCRIPTION: &'static str = "Pauses until a given attempt.";
    type Input = AttemptInput;
    type Output = Attempt;

    fn run(input: AttemptInput, ctx: &Context) -> Result<Attempt> {
        let attempt = ctx.attempt();
        if attempt >= input.complete_on {
            return Ok(Attempt { attempt });
        }
        let reason = format!("attempt {attempt} of {} pauses", input.complete_on);
        let mut pause = Error::pause("quota-exhausted", reason);
        if let Some(provider) = &input.provider {
            pause = pause.provider(provider);
        }
        Err(pause.into())
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct UntilInput {
    /// How long to pause.
    after_ms: u64,
}

#[derive(Serialize, Schema)]
struct Woken {
    /// Milliseconds since 1970 of the time for which the step asked.
    due_ms: u64,
    /// Milliseconds that it went on after that time.
    late_ms: u64,
}

#[derive(Deserialize, Serialize)]
struct Due {
    due_ms: u64,
}

struct UntilTime;

impl Step for UntilTime {
    const NAME: &'static str = "until_time";
    const DESCRIPTION: &'static str = "Pauses until a time, and again if it is woken before.";
    type Input = UntilInput;
    type Output = Woken;

    fn run(input: UntilInput, ctx: &Context) -> Result<Woken> {
        let now = clock::now();
        let Some(due) = ctx.resume_state::<Due>()? else {
            let due = now.checked_add(Duration::from_millis(input.after_ms));
            let due = due.ok_or_else(|| Error::failed("invalid_input", "too far away"))?;
            return Err(pause_until(due));
        };
        let due = SystemTime::UNIX_EPOCH + Duration::from_millis(due.due_ms);
        match now.duration_since(due) {
            Ok(late) => Ok(Woken {
                due_ms: millis(due),
                late_ms: u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
            }),
            Err(_) => Err(pause_until(due)),
        }
    }
}

fn pause_until(due: SystemTime) -> Error {
    let state = Due {
        due_ms: millis(due),
    };
    Error::pause("not-yet", "waiting for the time")
        .until(due)
        .state(&state)
        .into()
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct SignalInput {
    /// Name of the signal to wait for.
    signal: String,
}

#[derive(Serialize, Schema)]
struct Signalled {
    /// What came with the signal.
    payload: Value,
}

struct ForSignal;

impl Step for ForSignal {
    const NAME: &'static str = "for_signal";
    const DESCRIPTION: &'static str =
        "Pauses until a signal arrives, and returns what came with it.";
    type Input = SignalInput;
    type Output = Signalled;

    fn run(input: SignalInput, ctx: &Context) -> Result<Signalled> {
        match ctx.resume_signal()? {
            Some(payload) => Ok(Signalled { payload }),
            None => {
                let reason = format!("waiting for signal `{}`", input.signal);
                Err(Error::pause("needs-signal", reason)
                    .signal(&input.signal)
                    .into())
            }
        }
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct PassInput {
    /// Pass of the innermost loop, from 1, in which the step pauses once; 0 for none.
    pause_in: u32,
}

#[derive(Serialize, Schema)]
struct Pass {
    /// Pass of the innermost loop; 0 outside of loops.
    iteration: u32,
    /// Ten times the pass: a number that shows which pass an output is of.
    number: u32,
    /// Whether the step paused in this pass before.
    paused: bool,
}

struct InIteration;

impl Step for InIteration {
    const NAME: &'static str = "in_iteration";
    const DESCRIPTION: &'static str =
        "Pauses once in a given pass of a loop; returns a number that tells the pass.";
    type Input = PassInput;
    type Output = Pass;

    fn run(input: PassInput, ctx: &Context) -> Result<Pass> {
        let iteration = ctx.loop_iteration().unwrap_or(0);
        let paused = ctx.resume_state::<bool>()?.unwrap_or(false);
        if iteration != 0 && iteration == input.pause_in && !paused {
            let reason = format!("pass {iteration} pauses");
            return Err(Error::pause("this-pass", reason).state(&true).into());
        }
        Ok(Pass {
            iteration,
            number: iteration.saturating_mul(10),
            paused,
        })
    }
}

export! {
    name: "pausing",
    version: env!("CARGO_PKG_VERSION"),
    description: "Steps that pause.",
    steps: [Once, UntilAttempt, UntilTime, ForSignal, InIteration],
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(step: &str, input: &str, ctx: &Context) -> String {
        match PLUGIN.run(step, input, ctx) {
            Ok(output) => output,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_pauses_first_and_completes_when_its_time_has_come() {
        let fake = Context::fake;
        let at_ms = 1_000_000_000_000_u64;
        let table = [
            ("once", r#"{"state":7}"#, fake(), "paused (once)"),
            (
                "once",
                "{}",
                fake()
                    .with_resume_state(&json!({"value": 7}))
                    .with_attempt(2),
                r#"{"state":7,"attempt":2}"#,
            ),
            (
                "until_attempt",
                r#"{"complete_on":2}"#,
                fake(),
                "paused (quota-exhausted)",
            ),
            (
                "until_attempt",
                r#"{"complete_on":2}"#,
                fake().with_attempt(2),
                r#"{"attempt":2}"#,
            ),
            (
                "until_time",
                r#"{"after_ms":50}"#,
                fake(),
                "paused (not-yet)",
            ),
            (
                "until_time",
                r#"{"after_ms":50}"#,
                fake().with_resume_state(&json!({"due_ms": at_ms + 1})),
                "paused (not-yet)",
            ),
            (
                "until_time",
                r#"{"after_ms":50}"#,
                fake().with_resume_state(&json!({"due_ms": at_ms - 5})),
                r#"{"due_ms":999999999995,"late_ms":5}"#,
            ),
            (
                "for_signal",
                r#"{"signal":"go"}"#,
                fake(),
                "paused (needs-signal)",
            ),
            (
                "for_signal",
                r#"{"signal":"go"}"#,
                fake().with_resume_signal(&json!([1])),
                r#"{"payload":[1]}"#,
            ),
            (
                "in_iteration",
                r#"{"pause_in":2}"#,
                fake().with_loop_iteration(1),
                r#"{"iteration":1,"number":10,"paused":false}"#,
            ),
            (
                "in_iteration",
                r#"{"pause_in":2}"#,
                fake().with_loop_iteration(2),
                "paused (this-pass)",
            ),
            (
                "in_iteration",
                r#"{"pause_in":2}"#,
                fake().with_loop_iteration(2).with_resume_state(&true),
                r#"{"iteration":2,"number":20,"paused":true}"#,
            ),
        ];
        for (step, input, ctx, expected) in table {
            let got = outcome(step, input, &ctx);
            assert!(got.starts_with(expected), "{step} {input}: {got}");
        }
    }
}
