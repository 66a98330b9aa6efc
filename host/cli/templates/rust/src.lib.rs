//! Two steps. `cargo doc -p milepost-sdk --open` shows what else a step can do.

use milepost_sdk::{Context, Error, Result, Schema, Step, export, log};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Name {
    /// Whom to greet.
    name: String,
}

#[derive(Serialize, Schema)]
struct Greeting {
    greeting: String,
}

struct Greet;

impl Step for Greet {
    const NAME: &'static str = "greet";
    const DESCRIPTION: &'static str = "Greets somebody.";
    type Input = Name;
    type Output = Greeting;

    fn run(input: Name, _ctx: &Context) -> Result<Greeting> {
        log::info("greeting");
        Ok(Greeting {
            greeting: format!("Hello, {}!", input.name),
        })
    }
}

/// The input, and what the step keeps while it waits.
#[derive(Deserialize, Serialize, Schema)]
#[serde(deny_unknown_fields)]
struct Question {
    /// What a person is asked.
    question: String,
}

#[derive(Serialize, Schema)]
struct Answered {
    question: String,
    /// What came with the signal.
    answer: Value,
}

struct Ask;

impl Step for Ask {
    const NAME: &'static str = "ask";
    const DESCRIPTION: &'static str = "Asks a person: pauses until the signal `answer` arrives.";
    type Input = Question;
    type Output = Answered;

    fn run(input: Question, ctx: &Context) -> Result<Answered> {
        // Each attempt begins afresh: what this one has to know comes back as the state.
        let asked = ctx.resume_state::<Question>()?.unwrap_or(input);
        match ctx.resume_signal()? {
            Some(answer) => Ok(Answered {
                question: asked.question,
                answer,
            }),
            None => Err(Error::pause("needs-answer", "waiting for the signal `answer`")
                .signal("answer")
                .state(&asked)
                .into()),
        }
    }
}

export! {
    name: "{{name}}",
    version: env!("CARGO_PKG_VERSION"),
    description: "Greets and asks.",
    steps: [Greet, Ask],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_greets() {
        let output = PLUGIN.run("greet", r#"{"name":"Ada"}"#, &Context::fake());
        assert_eq!(output.map_err(|error| error.to_string()), Ok(r#"{"greeting":"Hello, Ada!"}"#.to_owned()));
    }
}
