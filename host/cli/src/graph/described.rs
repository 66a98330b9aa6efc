//! From a definition to what a drawing shows of it.

use std::time::Duration;

use milepost::core::definition::{
    ApprovalStep, ChildStep, ComponentStep, Definition, Flow, ForEachStep, ItemsJoin, Join,
    LoopStep, OnExhausted, Over, Step, StepKind, WaitStep,
};
use milepost::core::function::SEPARATOR;
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
            scope: top(definition),
        }
    }
}

/// The top level, and apart from it what runs at the end: no arrow leads there, for nothing in particular does.
fn top(definition: &Definition) -> Scope {
    let mut top = scope(definition, definition.main(), definition.flow);
    let finally = scope(definition, definition.finally(), definition.flow);
    let before = top.nodes.len();
    let behind = |edge: Edge| Edge {
        from: edge.from + before,
        to: edge.to + before,
    };
    top.nodes.extend(finally.nodes);
    top.edges.extend(finally.edges.into_iter().map(behind));
    top
}

fn scope(definition: &Definition, members: &[usize], flow: Flow) -> Scope {
    let nodes = members.iter().map(|index| node(definition, *index));
    // Members stand in file order.
    let place = |index: &usize| members.binary_search(index).ok();
    let position = |step: &_| place(&definition.index_of(step)?);
    let edges = match flow {
        Flow::Sequence => (1..members.len())
            .map(|to| Edge { from: to - 1, to })
            .collect(),
        Flow::Graph => {
            let arrows = members.iter().enumerate().flat_map(|(to, index)| {
                let needs = definition.steps()[*index].needs.iter();
                needs.filter_map(place).map(move |from| Edge { from, to })
            });
            arrows.collect()
        }
    };
    let reworks = members.iter().enumerate().filter_map(|(from, index)| {
        let StepKind::Approval(approval) = &definition.steps()[*index].kind else {
            return None;
        };
        let to = position(&approval.rework.as_ref()?.from)?;
        Some(Edge { from, to })
    });
    Scope {
        graph: flow == Flow::Graph,
        nodes: nodes.collect(),
        edges,
        reworks: reworks.collect(),
    }
}

fn node(definition: &Definition, index: usize) -> Node {
    let step = &definition.steps()[index];
    let (kind, mut what, mut body) = match &step.kind {
        StepKind::Component(component) => (Kind::Call, component_text(component), None),
        StepKind::Loop(repeat) => {
            let body = body(definition, repeat);
            let what = format!("loop {}, {}", body.rule, body.limit);
            (Kind::Loop, what, Some(body))
        }
        StepKind::ForEach(fan_out) => {
            let (rule, limit) = (each(fan_out), items_limit(fan_out));
            match &fan_out.over {
                Over::Call(call) => {
                    let what = format!("{} {rule}, {limit}", component_text(call));
                    (Kind::Call, what, None)
                }
                Over::Child(child) => {
                    let what = format!("{} {rule}, {limit}", child_text(child));
                    (Kind::Child, what, None)
                }
                Over::Body { members, flow, .. } => {
                    let what = format!("{rule}, {limit}");
                    let body = Body {
                        scope: scope(definition, members, *flow),
                        rule,
                        limit,
                        again: false,
                    };
                    (Kind::ForEach, what, Some(body))
                }
            }
        }
        StepKind::Wait(wait) => (Kind::Wait, wait_text(wait), None),
        StepKind::Approval(approval) => (Kind::Approval, approval_text(approval), None),
        StepKind::Child(child) => (Kind::Child, child_text(child), None),
        StepKind::End(end) => (Kind::End, format!("end as {}", end.status.as_str()), None),
    };
    let Step {
        id,
        condition,
        continue_on_error,
        finally,
        deadline,
        needs,
        join,
        ..
    } = step;
    if *finally {
        what.push_str(", at the end");
    }
    if let Some(deadline) = deadline {
        let deadline = format!(", deadline {}", format_duration(*deadline));
        what.push_str(&deadline);
        if let Some(body) = &mut body {
            body.limit.push_str(&deadline);
        }
    }
    let needs = needs.iter().map(|index| &definition.steps()[*index].id);
    Node {
        key: index,
        id: Shown(id).to_string(),
        kind,
        what,
        needs: needs.map(|id| Shown(id).to_string()).collect(),
        join: Some(join.as_str()).filter(|_| *join != Join::AllSuccess),
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
        scope: scope(definition, &repeat.body, repeat.flow),
        rule: format!("until {}", one_line(repeat.until.text())),
        limit: format!("at most {} times, {then}", repeat.max_iterations),
        again: true,
    }
}

fn each(fan_out: &ForEachStep) -> String {
    format!("for each of {}", one_line(fan_out.items.text()))
}

fn items_limit(fan_out: &ForEachStep) -> String {
    let join = match fan_out.join {
        ItemsJoin::AllSuccess => "all must succeed",
        ItemsJoin::AllDone => "whatever comes of them",
    };
    format!("{} at a time, {join}", fan_out.max_parallel)
}

fn component_text(component: &ComponentStep) -> String {
    match &component.step {
        // A function that stands in no interface: its name begins with the separator.
        Some(step) if step.starts_with(SEPARATOR) => {
            Shown(format_args!("{}{step}", component.plugin)).to_string()
        }
        Some(step) => Shown(format_args!("{}/{step}", component.plugin)).to_string(),
        None => Shown(&component.plugin).to_string(),
    }
}

fn child_text(child: &ChildStep) -> String {
    format!("child run of {}", Shown(&child.workflow))
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
