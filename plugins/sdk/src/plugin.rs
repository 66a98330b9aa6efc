//! Steps, the table of a plugin's steps, and the macro that makes a component of it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema::{self, Role, Schema};
use crate::{Context, Error, Result};

/// One step of a plugin.
pub trait Step {
    /// What a workflow writes after the slash of `use = "plugin/step"`.
    const NAME: &'static str;
    /// One sentence for the manifest.
    const DESCRIPTION: &'static str;
    /// The step's `with` table.
    type Input: DeserializeOwned + Schema;
    /// What later steps read as `steps.<id>.output`.
    type Output: Serialize + Schema;

    /// Does the work once. It may be called again with the same input: hand [`Context::idempotency_key`] to whatever must
    /// not happen twice.
    ///
    /// # Errors
    /// Any [`Error`]; its kind decides whether the run retries, fails or pauses.
    fn run(input: Self::Input, ctx: &Context) -> Result<Self::Output>;
}

/// A step in the table of a [`Plugin`]: its name and what can be done with it, without its types.
pub struct StepEntry {
    name: &'static str,
    description: &'static str,
    run: fn(&str, &Context) -> Result<String>,
    input: fn(&mut String, Role, &str),
    output: fn(&mut String, Role, &str),
}

impl StepEntry {
    /// The entry of a step.
    #[must_use]
    pub const fn of<S: Step>() -> Self {
        Self {
            name: S::NAME,
            description: S::DESCRIPTION,
            run: |input, ctx| {
                let input = serde_json::from_str(input)?;
                let output = S::run(input, ctx)?;
                serde_json::to_string(&output)
                    .map_err(|e| Error::failed("invalid_output", e.to_string()).into())
            },
            input: schema::property::<S::Input>,
            output: schema::property::<S::Output>,
        }
    }
}

/// The name that two steps have, if any do, in the message of an error.
#[doc(hidden)]
#[must_use]
pub const fn same_name(steps: &[StepEntry]) -> Option<Message> {
    let mut first = 0;
    while first < steps.len() {
        let mut second = first + 1;
        while second < steps.len() {
            if same(steps[first].name.as_bytes(), steps[second].name.as_bytes()) {
                let message = Message::new()
                    .with("two steps of this plugin have the same `NAME`: ")
                    .with(steps[first].name);
                return Some(message);
            }
            second += 1;
        }
        first += 1;
    }
    None
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Text that is put together while a plugin compiles. What does not fit is left out.
#[doc(hidden)]
pub struct Message {
    bytes: [u8; 160],
    length: usize,
}

impl Message {
    const fn new() -> Self {
        Self {
            bytes: [0; 160],
            length: 0,
        }
    }

    const fn with(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        if text.len() <= self.bytes.len() - self.length {
            let mut at = 0;
            while at < text.len() {
                self.bytes[self.length] = text[at];
                self.length += 1;
                at += 1;
            }
        }
        self
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.length);
        match core::str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}

/// A plugin: what [`export!`](crate::export) makes a component of.
pub struct Plugin {
    /// Name in the manifest.
    pub name: &'static str,
    /// Version in the manifest.
    pub version: &'static str,
    /// One sentence for the manifest; empty is left out.
    pub description: &'static str,
    /// Hosts that it sends requests to whatever its input says. `validate` tells who does not allow them.
    pub hosts: &'static [&'static str],
    /// Buckets that it keeps state in, likewise.
    pub buckets: &'static [&'static str],
    /// Secrets that it uses, likewise.
    pub secrets: &'static [&'static str],
    /// All steps.
    pub steps: &'static [StepEntry],
}

impl Plugin {
    /// Runs a step on a JSON document and returns a JSON document.
    ///
    /// # Errors
    /// `unknown_step` when the plugin has no such step, `invalid_input` when the document does not fit the step's input,
    /// or what the step returned.
    pub fn run(&self, step: &str, input: &str, ctx: &Context) -> Result<String> {
        let Some(entry) = self.steps.iter().find(|entry| entry.name == step) else {
            let known: Vec<&str> = self.steps.iter().map(|entry| entry.name).collect();
            let message = format!("no step `{step}`; there are: {}", known.join(", "));
            return Err(Error::failed("unknown_step", message).into());
        };
        (entry.run)(input, ctx)
    }

    /// The manifest as JSON: `{name, version, description?, hosts?, buckets?, secrets?, steps: {<name>: {description, input, output}}}`,
    /// where `input` and `output` are JSON Schemas.
    #[must_use]
    pub fn manifest(&self) -> String {
        let mut out = String::from("{\"name\":");
        quote(&mut out, self.name);
        out.push_str(",\"version\":");
        quote(&mut out, self.version);
        if !self.description.is_empty() {
            out.push_str(",\"description\":");
            quote(&mut out, self.description);
        }
        for (key, wanted) in [
            ("hosts", self.hosts),
            ("buckets", self.buckets),
            ("secrets", self.secrets),
        ] {
            if !wanted.is_empty() {
                out.push(',');
                quote(&mut out, key);
                out.push(':');
                out.push_str(&serde_json::Value::from(wanted).to_string());
            }
        }
        let mut separator = ",\"steps\":{";
        for step in self.steps {
            out.push_str(separator);
            quote(&mut out, step.name);
            out.push_str(":{\"description\":");
            quote(&mut out, step.description);
            out.push_str(",\"input\":");
            (step.input)(&mut out, Role::Input, "");
            out.push_str(",\"output\":");
            (step.output)(&mut out, Role::Output, "");
            out.push('}');
            separator = ",";
        }
        out.push_str("}}");
        out
    }
}

fn quote(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Makes a component of a list of steps. Call it once, in the root of a `cdylib` package. It defines `PLUGIN`, a
/// [`Plugin`], which unit tests can use on any target.
///
/// `description` may be left out, and so may what the plugin always needs: `hosts: ["api.example.com"]`, `buckets: ["rates"]`,
/// `secrets: ["api_token"]`, in this order before `steps`. It is granted by the workflow, not by this; `milepost validate` tells what a
/// workflow lacks of it, and `milepost inspect` lists it. See the [crate documentation](crate) for an example.
///
/// Two steps of one name do not compile:
///
/// ```compile_fail,E0080
/// use milepost_sdk::{Context, Result, Step, export};
///
/// struct Same;
/// impl Step for Same {
///     const NAME: &'static str = "same";
///     const DESCRIPTION: &'static str = "One of two.";
///     type Input = ();
///     type Output = ();
///     fn run((): (), _: &Context) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// export! { name: "twice", version: "1", steps: [Same, Same] }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    (
        name: $name:expr,
        version: $version:expr,
        $(description: $description:expr,)?
        $(hosts: [$($host:expr),* $(,)?],)?
        $(buckets: [$($bucket:expr),* $(,)?],)?
        $(secrets: [$($secret:expr),* $(,)?],)?
        steps: [$($step:ty),+ $(,)?] $(,)?
    ) => {
        /// The plugin that this component is.
        #[allow(unreachable_pub, reason = "unused outside of components and tests if it were private")]
        pub const PLUGIN: $crate::Plugin = $crate::Plugin {
            name: $name,
            version: $version,
            description: concat!("" $(, $description)?),
            hosts: &[$($($host),*)?],
            buckets: &[$($($bucket),*)?],
            secrets: &[$($($secret),*)?],
            steps: &[$($crate::StepEntry::of::<$step>()),+],
        };

        const _: () = if let Some(message) = $crate::same_name(PLUGIN.steps) {
            ::core::panic!("{}", message.text());
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;

            impl $crate::bindings::exports::milepost::step::guest::Guest for Component {
                fn describe() -> ::std::string::String {
                    PLUGIN.manifest()
                }

                fn run(
                    step: ::std::string::String,
                    input: ::std::string::String,
                ) -> ::core::result::Result<
                    ::std::string::String,
                    $crate::bindings::milepost::step::types::StepError,
                > {
                    Ok(PLUGIN.run(&step, &input, &$crate::Context::current())?)
                }
            }

            $crate::bindings::export_guest!(Component with_types_in $crate::bindings);
        };
    };
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use milepost_sdk_derive::Schema;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    struct Half;

    /// A number.
    #[derive(Deserialize, Serialize, Schema)]
    struct Number {
        n: u8,
    }

    impl Step for Half {
        const NAME: &'static str = "half";
        const DESCRIPTION: &'static str = "Says \"half\".";
        type Input = Number;
        type Output = Number;

        fn run(input: Number, ctx: &Context) -> Result<Number> {
            if input.n.is_multiple_of(2) {
                Ok(Number { n: input.n / 2 })
            } else {
                let message = format!("attempt {}", ctx.attempt());
                Err(Error::failed("odd", message).detail(&input).into())
            }
        }
    }

    export! {
        name: "numbers",
        version: "1.2.3",
        steps: [Half],
    }

    mod wanting {
        use super::Half;

        export! {
            name: "wanting",
            version: "1",
            description: "Wants.",
            hosts: ["api.example.com", "*.example.org"],
            secrets: ["token"],
            steps: [Half],
        }
    }

    #[test]
    fn the_manifest_states_what_the_plugin_always_needs() {
        let manifest: Value = serde_json::from_str(&wanting::PLUGIN.manifest()).unwrap();
        assert_eq!(
            manifest["hosts"],
            json!(["api.example.com", "*.example.org"])
        );
        assert_eq!(manifest["secrets"], json!(["token"]));
        assert_eq!(manifest.get("buckets"), None);
    }

    #[test]
    fn two_steps_of_one_name_are_told_by_it() {
        let [one, other] = [StepEntry::of::<Half>(), StepEntry::of::<Half>()];
        let other = StepEntry {
            name: "halves",
            ..other
        };
        assert!(same_name(PLUGIN.steps).is_none());
        let steps = [one, other, StepEntry::of::<Half>()];
        assert_eq!(
            same_name(&steps).unwrap().text(),
            "two steps of this plugin have the same `NAME`: half"
        );
        assert!(same_name(&steps[1..]).is_none());
    }

    #[test]
    fn runs_a_step_by_name() {
        let ctx = Context::fake().with_attempt(2);
        assert_eq!(
            PLUGIN.run("half", r#"{"n":8}"#, &ctx),
            Ok(r#"{"n":4}"#.to_owned())
        );
        for (step, input, error) in [
            ("half", r#"{"n":3}"#, "failed (odd): attempt 2"),
            (
                "half",
                r#"{"n":300}"#,
                "failed (invalid_input): invalid value",
            ),
            (
                "third",
                "{}",
                "failed (unknown_step): no step `third`; there are: half",
            ),
        ] {
            let got = PLUGIN.run(step, input, &ctx).unwrap_err().to_string();
            assert!(got.starts_with(error), "{got}");
        }
    }

    #[test]
    fn the_manifest_lists_steps_and_schemas() {
        let manifest: Value = serde_json::from_str(&PLUGIN.manifest()).unwrap();
        let number = json!({
            "type": "object",
            "description": "A number.",
            "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 255}},
            "required": ["n"],
            "additionalProperties": false,
        });
        let half = json!({
            "description": "Says \"half\".",
            "input": number,
            "output": number,
        });
        assert_eq!(
            manifest,
            json!({"name": "numbers", "version": "1.2.3", "steps": {"half": half}})
        );
    }
}
