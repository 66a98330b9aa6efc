//! Inputs that no run could get past: some step is given them whole, and they are more than its expressions may make.

use serde_json::Value;

use super::model::{Definition, StepKind};
use crate::expr::{Reference, Template};
use crate::limits::EXPRESSION_OUTPUT_BYTES;

impl Definition {
    /// The first place that could never be given these inputs, in words, and how many bytes it would be given at least.
    ///
    /// A step with an `if` may be skipped, and what is computed from an input may be small: neither is counted.
    #[must_use]
    pub fn cannot_take(&self, inputs: &Value) -> Option<(String, usize)> {
        let steps = self.steps.iter().filter(|step| step.condition.is_none());
        let templates = steps.filter_map(|step| {
            let template = match &step.kind {
                StepKind::Component(component) => &component.with,
                StepKind::Approval(approval) => &approval.message,
                StepKind::Child(child) => &child.with,
                // A fan-out may have no item, and the turn of an end may never come.
                StepKind::Loop(_) | StepKind::Wait(_) | StepKind::ForEach(_) | StepKind::End(_) => {
                    return None;
                }
            };
            Some((format!("step `{}`", step.id), template))
        });
        let returns = self.returns.iter().map(|t| ("`returns`".to_owned(), t));
        templates.chain(returns).find_map(|(place, template)| {
            let bytes = least(template, inputs);
            (bytes > EXPRESSION_OUTPUT_BYTES).then_some((place, bytes))
        })
    }
}

/// Bytes of the inputs that a template takes whole.
fn least(template: &Template, inputs: &Value) -> usize {
    let size = |reference: &Reference| match reference {
        Reference::Input(name) => match inputs.get(name) {
            // In a text it stands without quotes and escapes.
            Some(Value::String(text)) => text.len(),
            Some(value) => value.to_string().len(),
            None => 0,
        },
        _ => 0,
    };
    template.whole_references().into_iter().map(size).sum()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    use serde_json::json;

    use super::*;

    fn definition(keys: &str) -> Definition {
        let text = format!(
            "schema = 1\nname = \"t\"\n{keys}\n[plugins.p]\nsource = \"p.wasm\"\n[inputs.a]\ntype = \"string\"\n\
             [inputs.b]\ntype = \"json\"\n[[step]]\nid = \"first\"\nuse = \"p/s\"\n"
        );
        Definition::parse("t.toml", &text).unwrap().definition
    }

    #[test]
    fn only_what_is_taken_whole_counts() {
        let half = "x".repeat(EXPRESSION_OUTPUT_BYTES / 2 + 1);
        let more = "x".repeat(EXPRESSION_OUTPUT_BYTES + 1);
        let step = |keys: &str| format!("returns = 1\n[[step]]\nid = \"s\"\nuse = \"p/s\"\n{keys}");
        let (halves, whole) = (json!({"a": half, "b": [half]}), json!({"a": more, "b": 1}));
        for (keys, inputs, fits) in [
            ("with = { x = \"${ inputs.a }\" }", &whole, false),
            ("with = { x = [\"a ${ inputs.a }\"] }", &whole, false),
            ("with = { x = \"${ size(inputs.a) }\" }", &whole, true),
            (
                "with = { x = \"${ inputs.a }\" }\nif = \"size(inputs.a) < 9\"",
                &whole,
                true,
            ),
            ("with = { x = \"${ inputs.b }\" }", &whole, true),
            ("with = { x = \"${ inputs.a }\" }", &halves, true),
            (
                "with = { x = \"${ inputs.a }\", y = \"${ inputs.b }\" }",
                &halves,
                false,
            ),
            (
                "with = { x = \"${ inputs.a }${ inputs.a }\" }",
                &halves,
                false,
            ),
            (
                "with = { x = \"${ inputs.b[0] }${ inputs.b[0] }\" }",
                &halves,
                true,
            ),
        ] {
            let found = definition(&step(keys)).cannot_take(inputs);
            assert_eq!(found.is_none(), fits, "{keys}");
            assert!(found.is_none_or(|(place, _)| place == "step `s`"), "{keys}");
        }
        let returns = definition("returns = \"${ inputs.a }\"");
        assert_eq!(
            returns.cannot_take(&whole),
            Some(("`returns`".to_owned(), more.len()))
        );
    }
}
