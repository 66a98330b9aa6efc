//! From a definition to what a drawing shows of it.

use std::time::Duration;

use milepost::core::definition::{
    ApprovalStep, ComponentStep, Definition, LoopStep, OnExhausted, Step, StepKind, WaitStep,
};
use milepost::core::shown::Shown;
use milepost::core::time::format_duration;

use super::model::{Body, Drawing, Edge, Kind, Node, Scope};

impl Drawing {
    /// The drawing of a definition, without a run.
    pub(super) fn new(definition: &Definition) -> Self {
        Self {
            name: Shown(&definition.name).to_string(),
            description: definition.description.as_deref().map(one_line),
            run: None,
            scope: scope(definition, definition.top()),
        }
    }
}

fn scope(definition: &Definition, members: &[usize]) -> Scope {
    let nodes = members.iter().map(|index| node(definition, *index));
    let position = |step: &_| {
        let index = definition.index_of(step)?;
        members.iter().position(|member| *member == index)
    };
    let reworks = members.iter().enumerate().filter_map(|(from, index)| {
        let StepKind::Approval(approval) = &definition.steps()[*index].kind else {
            return None;
        };
        let to = position(&approval.rework.as_ref()?.from)?;
        Some(Edge { from, to })
    });
    Scope {
        nodes: nodes.collect(),
        edges: (1..members.len())
            .map(|to| Edge { from: to - 1, to })
            .collect(),
        reworks: reworks.collect(),
    }
}

fn node(definition: &Definition, index: usize) -> Node {
    let step = &definition.steps()[index];
    let (kind, what, body) = match &step.kind {
        StepKind::Component(component) => (Kind::Call, component_text(component), None),
        StepKind::Loop(repeat) => {
            let body = body(definition, repeat);
            let what = format!("loop until {}, {}", body.until, body.limit);
            (Kind::Loop, what, Some(body))
        }
        StepKind::Wait(wait) => (Kind::Wait, wait_text(wait), None),
        StepKind::Approval(approval) => (Kind::Approval, approval_text(approval), None),
    };
    let Step {
        id,
        condition,
        continue_on_error,
        ..
    } = step;
    Node {
        key: index,
        id: Shown(id).to_string(),
        kind,
        what,
        condition: condition
            .as_ref()
            .map(|condition| one_line(condition.text())),
        continues: *continue_on_error,
        body,
        live: None,
    }
}

fn body(definition: &Definition, repeat: &LoopStep) -> Body {
    let then = match repeat.on_exhausted {
        OnExhausted::Fail => "then fail",
        OnExhausted::Continue => "then continue",
    };
    Body {
        scope: scope(definition, &repeat.body),
        until: one_line(repeat.until.text()),
        limit: format!("at most {} times, {then}", repeat.max_iterations),
    }
}

fn component_text(component: &ComponentStep) -> String {
    match &component.step {
        Some(step) => Shown(format_args!("{}/{step}", component.plugin)).to_string(),
        None => Shown(&component.plugin).to_string(),
    }
}

fn wait_text(wait: &WaitStep) -> String {
    match wait {
        WaitStep::For(duration) => format!("wait {}", format_duration(*duration)),
        WaitStep::Until(until) => format!("wait until {}", one_line(until.text())),
        WaitStep::Signal { name, timeout, .. } => {
            format!("wait for signal {}{}", Shown(name), at_most(*timeout))
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

fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    Shown(words.join(" ")).to_string()
}
