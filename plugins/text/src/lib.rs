//! Small steps on text, and the two smallest steps there are: `echo` and `count`.

use milepost_sdk::{Context, Error, Result, Schema, Step, export};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A text.
#[derive(Deserialize, Serialize, Schema)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

struct Upper;

impl Step for Upper {
    const NAME: &'static str = "upper";
    const DESCRIPTION: &'static str = "Turns a text into upper case.";
    type Input = Text;
    type Output = Text;

    fn run(input: Text, _: &Context) -> Result<Text> {
        Ok(Text {
            text: input.text.to_uppercase(),
        })
    }
}

struct Lower;

impl Step for Lower {
    const NAME: &'static str = "lower";
    const DESCRIPTION: &'static str = "Turns a text into lower case.";
    type Input = Text;
    type Output = Text;

    fn run(input: Text, _: &Context) -> Result<Text> {
        Ok(Text {
            text: input.text.to_lowercase(),
        })
    }
}

struct Trim;

impl Step for Trim {
    const NAME: &'static str = "trim";
    const DESCRIPTION: &'static str = "Removes white space at both ends of a text.";
    type Input = Text;
    type Output = Text;

    fn run(input: Text, _: &Context) -> Result<Text> {
        Ok(Text {
            text: input.text.trim().to_owned(),
        })
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct ReplaceInput {
    text: String,
    /// What is looked for, as plain text; not empty.
    from: String,
    to: String,
}

#[derive(Serialize, Schema)]
struct Replaced {
    text: String,
    /// How many times it was found.
    count: usize,
}

struct Replace;

impl Step for Replace {
    const NAME: &'static str = "replace";
    const DESCRIPTION: &'static str = "Replaces every occurrence of one text by another.";
    type Input = ReplaceInput;
    type Output = Replaced;

    fn run(input: ReplaceInput, _: &Context) -> Result<Replaced> {
        if input.from.is_empty() {
            return Err(Error::failed("invalid_input", "`from` is empty").into());
        }
        Ok(Replaced {
            count: input.text.matches(&input.from).count(),
            text: input.text.replace(&input.from, &input.to),
        })
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct SplitInput {
    text: String,
    /// What stands between the parts; white space of any length when left out.
    separator: Option<String>,
}

#[derive(Serialize, Schema)]
struct Parts {
    parts: Vec<String>,
}

struct Split;

impl Step for Split {
    const NAME: &'static str = "split";
    const DESCRIPTION: &'static str = "Cuts a text into parts.";
    type Input = SplitInput;
    type Output = Parts;

    fn run(input: SplitInput, _: &Context) -> Result<Parts> {
        let text = &input.text;
        let parts = match input.separator.as_deref() {
            None => text.split_whitespace().map(str::to_owned).collect(),
            Some("") => return Err(Error::failed("invalid_input", "`separator` is empty").into()),
            Some(separator) => text.split(separator).map(str::to_owned).collect(),
        };
        Ok(Parts { parts })
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct JoinInput {
    parts: Vec<String>,
    /// What to put between the parts.
    #[serde(default)]
    separator: String,
}

struct Join;

impl Step for Join {
    const NAME: &'static str = "join";
    const DESCRIPTION: &'static str = "Joins texts into one.";
    type Input = JoinInput;
    type Output = Text;

    fn run(input: JoinInput, _: &Context) -> Result<Text> {
        Ok(Text {
            text: input.parts.join(&input.separator),
        })
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct FillInput {
    /// Text with `{name}` where a value goes; `{{` and `}}` stand for braces.
    template: String,
    /// Texts, numbers and booleans go in as they read, anything else as JSON.
    values: Map<String, Value>,
}

struct Fill;

impl Step for Fill {
    const NAME: &'static str = "fill";
    const DESCRIPTION: &'static str = "Fills named values into a template.";
    type Input = FillInput;
    type Output = Text;

    fn run(input: FillInput, _: &Context) -> Result<Text> {
        let text = fill(&input.template, &input.values)?;
        Ok(Text { text })
    }
}

/// One pass from left to right: inserted text is not read again.
fn fill(template: &str, values: &Map<String, Value>) -> Result<String> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, tail) = rest.split_at(at);
        text.push_str(before);
        if let Some(after) = tail.strip_prefix("{{") {
            text.push('{');
            rest = after;
        } else if let Some(after) = tail.strip_prefix("}}") {
            text.push('}');
            rest = after;
        } else if let Some((name, after)) = tail[1..].split_once('}')
            && tail.starts_with('{')
        {
            match values.get(name) {
                Some(Value::String(value)) => text.push_str(value),
                Some(value) => text.push_str(&value.to_string()),
                None => {
                    let message = format!("the template names `{name}`, which is not in `values`");
                    return Err(Error::failed("missing_value", message).into());
                }
            }
            rest = after;
        } else {
            let message = format!("a lone brace before `{}`", &tail[1..]);
            return Err(Error::failed("invalid_template", message).into());
        }
    }
    text.push_str(rest);
    Ok(text)
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct GreetInput {
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
    type Input = GreetInput;
    type Output = Greeting;

    fn run(input: GreetInput, _: &Context) -> Result<Greeting> {
        let name = input.name.trim();
        if name.is_empty() {
            return Err(Error::failed("invalid_input", "nobody to greet: `name` is empty").into());
        }
        Ok(Greeting {
            greeting: format!("Hello, {name}!"),
        })
    }
}

#[derive(Deserialize, Serialize, Schema)]
#[serde(deny_unknown_fields)]
struct Count {
    n: i64,
}

struct CountUp;

impl Step for CountUp {
    const NAME: &'static str = "count";
    const DESCRIPTION: &'static str = "Adds one: what a loop can carry from pass to pass.";
    type Input = Count;
    type Output = Count;

    fn run(input: Count, _: &Context) -> Result<Count> {
        let n = input.n.checked_add(1);
        let n = n.ok_or_else(|| Error::failed("overflow", "`n` cannot grow any more"))?;
        Ok(Count { n })
    }
}

struct Echo;

impl Step for Echo {
    const NAME: &'static str = "echo";
    const DESCRIPTION: &'static str = "Returns its input.";
    type Input = Value;
    type Output = Value;

    fn run(input: Value, _: &Context) -> Result<Value> {
        Ok(input)
    }
}

export! {
    name: "text",
    version: env!("CARGO_PKG_VERSION"),
    description: "Small steps on text.",
    steps: [Upper, Lower, Trim, Replace, Split, Join, Fill, Greet, CountUp, Echo],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_gives_what_it_says() {
        let table = [
            ("upper", r#"{"text":"straße"}"#, r#"{"text":"STRASSE"}"#),
            ("lower", r#"{"text":"ÄB"}"#, r#"{"text":"äb"}"#),
            ("trim", r#"{"text":" a b\n"}"#, r#"{"text":"a b"}"#),
            (
                "replace",
                r#"{"text":"a-b-c","from":"-","to":""}"#,
                r#"{"text":"abc","count":2}"#,
            ),
            (
                "split",
                r#"{"text":"a,,b","separator":","}"#,
                r#"{"parts":["a","","b"]}"#,
            ),
            ("split", r#"{"text":" a  b "}"#, r#"{"parts":["a","b"]}"#),
            (
                "join",
                r#"{"parts":["a","b"],"separator":", "}"#,
                r#"{"text":"a, b"}"#,
            ),
            (
                "fill",
                r#"{"template":"{a}{{{b}}} ü","values":{"a":"{b}","b":2}}"#,
                r#"{"text":"{b}{2} ü"}"#,
            ),
            (
                "greet",
                r#"{"name":" Ada "}"#,
                r#"{"greeting":"Hello, Ada!"}"#,
            ),
            ("count", r#"{"n":-1}"#, r#"{"n":0}"#),
            ("echo", r#"[1,{"a":null}]"#, r#"[1,{"a":null}]"#),
        ];
        for (step, input, output) in table {
            let got = PLUGIN.run(step, input, &Context::fake());
            assert_eq!(got, Ok(output.to_owned()), "{step} {input}");
        }
    }

    #[test]
    fn wrong_inputs_fail_with_a_stable_code() {
        let table = [
            ("upper", "{}", "invalid_input"),
            ("upper", r#"{"text":"a","txt":"b"}"#, "invalid_input"),
            (
                "replace",
                r#"{"text":"a","from":"","to":"b"}"#,
                "invalid_input",
            ),
            ("split", r#"{"text":"a","separator":""}"#, "invalid_input"),
            ("fill", r#"{"template":"{a}","values":{}}"#, "missing_value"),
            (
                "fill",
                r#"{"template":"a}b","values":{}}"#,
                "invalid_template",
            ),
            (
                "fill",
                r#"{"template":"{ä","values":{}}"#,
                "invalid_template",
            ),
            ("greet", r#"{"name":"  "}"#, "invalid_input"),
            ("count", r#"{"n":9223372036854775807}"#, "overflow"),
            ("nope", "{}", "unknown_step"),
        ];
        for (step, input, code) in table {
            let got = PLUGIN.run(step, input, &Context::fake());
            let text = got.map_err(|e| e.to_string()).expect_err(input);
            assert!(
                text.starts_with(&format!("failed ({code})")),
                "{step}: {text}"
            );
        }
    }
}
