//! A definition as an outline and as a diagram, for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::model::{
    ApprovalStep, ComponentStep, Definition, LoopStep, OnExhausted, Step, StepKind, WaitStep,
};
use crate::shown::{Shown, is_hostile};
use crate::time::format_duration;

/// An indented outline: one line per step, with what it does and when.
#[must_use]
pub fn text(definition: &Definition) -> String {
    let mut out = format!("{}\n", Shown(&definition.name));
    for index in definition.top() {
        outline(definition, *index, 1, &mut out);
    }
    out
}

fn outline(definition: &Definition, index: usize, depth: usize, out: &mut String) {
    let step = &definition.steps()[index];
    let what = match &step.kind {
        StepKind::Component(component) => component_text(component),
        StepKind::Loop(repeat) => loop_text(repeat),
        StepKind::Wait(wait) => wait_text(wait),
        StepKind::Approval(approval) => approval_text(approval),
    };
    let indent = "  ".repeat(depth);
    // Writing to a String cannot fail.
    let _ = write!(out, "{indent}{}: {what}", step.id);
    if let Some(condition) = &step.condition {
        let _ = write!(out, ", if {}", one_line(condition.text()));
    }
    if step.continue_on_error {
        out.push_str(", continues after an error");
    }
    out.push('\n');
    if let StepKind::Loop(repeat) = &step.kind {
        for member in &repeat.body {
            outline(definition, *member, depth + 1, out);
        }
    }
}

/// A Mermaid flowchart. Loops are boxes around their members; a condition labels the arrow into its step; a dotted arrow
/// goes back.
#[must_use]
pub fn mermaid(definition: &Definition) -> String {
    let mut out = String::from("flowchart TD\n");
    nodes(definition, definition.top(), 1, &mut out);
    arrows(definition, definition.top(), &mut out);
    out
}

fn nodes(definition: &Definition, indices: &[usize], depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for index in indices {
        let step = &definition.steps()[*index];
        let _ = match &step.kind {
            StepKind::Component(component) => {
                let label = quote(&format!("{}\n{}", step.id, component_text(component)));
                writeln!(out, "{indent}s{index}[{label}]")
            }
            StepKind::Loop(repeat) => {
                let label = quote(&format!("{}: {}", step.id, loop_text(repeat)));
                let _ = writeln!(out, "{indent}subgraph s{index}[{label}]");
                nodes(definition, &repeat.body, depth + 1, out);
                writeln!(out, "{indent}end")
            }
            StepKind::Wait(wait) => {
                let label = quote(&format!("{}\n{}", step.id, wait_text(wait)));
                writeln!(out, "{indent}s{index}([{label}])")
            }
            StepKind::Approval(approval) => {
                let label = quote(&format!("{}\n{}", step.id, approval_text(approval)));
                writeln!(out, "{indent}s{index}{{{{{label}}}}}")
            }
        };
    }
}

fn arrows(definition: &Definition, indices: &[usize], out: &mut String) {
    for pair in indices.windows(2) {
        let _ = writeln!(
            out,
            "  s{} -->{} s{}",
            pair[0],
            label(&definition.steps()[pair[1]]),
            pair[1]
        );
    }
    for index in indices {
        if let StepKind::Approval(ApprovalStep {
            rework: Some(rework),
            ..
        }) = &definition.steps()[*index].kind
            && let Some(from) = definition.index_of(&rework.from)
        {
            let _ = writeln!(out, "  s{index} -. \"rejected\" .-> s{from}");
        }
        if let StepKind::Loop(repeat) = &definition.steps()[*index].kind {
            arrows(definition, &repeat.body, out);
            if let (Some(first), Some(last)) = (repeat.body.first(), repeat.body.last()) {
                let again = quote(&format!("until {}", one_line(repeat.until.text())));
                let _ = writeln!(out, "  s{last} -. {again} .-> s{first}");
            }
        }
    }
}

fn label(step: &Step) -> String {
    step.condition
        .as_ref()
        .map_or_else(String::new, |condition| {
            format!("|{}|", quote(&format!("if {}", one_line(condition.text()))))
        })
}

fn component_text(component: &ComponentStep) -> String {
    match &component.step {
        Some(step) => format!("{}/{step}", component.plugin),
        None => component.plugin.clone(),
    }
}

fn wait_text(wait: &WaitStep) -> String {
    match wait {
        WaitStep::For(duration) => format!("wait {}", format_duration(*duration)),
        WaitStep::Until(until) => format!("wait until {}", one_line(until.text())),
        WaitStep::Signal { name, timeout, .. } => {
            format!("wait for signal {name}{}", at_most(*timeout))
        }
    }
}

fn approval_text(approval: &ApprovalStep) -> String {
    let rework = match &approval.rework {
        Some(rework) => format!(
            ", rework from {} at most {} times",
            rework.from, rework.max_attempts
        ),
        None => String::new(),
    };
    format!("approval{}{rework}", at_most(approval.timeout))
}

fn at_most(timeout: Option<Duration>) -> String {
    timeout.map_or_else(String::new, |timeout| {
        format!(", at most {}", format_duration(timeout))
    })
}

fn loop_text(repeat: &LoopStep) -> String {
    let then = match repeat.on_exhausted {
        OnExhausted::Fail => "then fail",
        OnExhausted::Continue => "then continue",
    };
    format!(
        "loop until {}, at most {} times, {then}",
        one_line(repeat.until.text()),
        repeat.max_iterations
    )
}

fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    Shown(words.join(" ")).to_string()
}

/// A quoted label: Mermaid takes entities, not backslashes.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("#quot;"),
            '#' => quoted.push_str("#35;"),
            '<' => quoted.push_str("#lt;"),
            '>' => quoted.push_str("#gt;"),
            '&' => quoted.push_str("#amp;"),
            '\n' => quoted.push_str("<br>"),
            c if is_hostile(c) => quoted.extend(c.escape_unicode()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
