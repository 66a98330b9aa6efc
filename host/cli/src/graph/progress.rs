//! How each step of a run stands, put into a drawing.
//!
//! A report knows the latest execution of every step. Inside a loop that may be one of an earlier iteration: in the present one,
//! the step is still pending.

use milepost::core::shown::Shown;
use milepost::core::wait::Wait;
use milepost::report::{RunReport, StepReport};

use super::model::{Drawing, Live, Node, Run, Scope, Standing};
use crate::format;

impl Drawing {
    /// Shows how a run of the same definition stands.
    pub(super) fn show(&mut self, report: &RunReport) {
        self.run = Some(Run {
            id: report.id.to_string(),
            status: report.status,
        });
        show_scope(&mut self.scope, report, Some(""), false);
    }
}

/// `within` is what the paths of the present executions begin with; there are none without it. `inside` a fan-out, all of them are
/// shown together.
fn show_scope(scope: &mut Scope, report: &RunReport, within: Option<&str>, inside: bool) {
    for node in &mut scope.nodes {
        let step = report.steps.get(node.key).filter(|step| {
            within.is_some_and(|within| step.path.strip_prefix(within) == Some(node.id.as_str()))
                || inside && step.items.is_some()
        });
        node.live = Some(live(node, step));
        if let Some(body) = &mut node.body {
            let iteration = step.and_then(|step| {
                let iteration = step.iterations.filter(|iteration| *iteration > 0)?;
                Some(format!("{}#{iteration}/", step.path))
            });
            let items = step.is_some_and(|step| step.items.is_some());
            show_scope(&mut body.scope, report, iteration.as_deref(), items);
        }
    }
}

fn live(node: &Node, step: Option<&StepReport>) -> Live {
    let standing = |step: &StepReport| {
        let mut all = Standing::ALL.into_iter();
        all.find(|standing| standing.word() == step.status)
    };
    let status = step.and_then(standing).unwrap_or(Standing::Pending);
    let line = step.map_or_else(|| status.word().to_owned(), |step| line(node, status, step));
    Live {
        status,
        line,
        error: step
            .and_then(|step| step.error.as_ref())
            .map(|error| Shown(format::error_alone(error)).to_string()),
    }
}

/// `completed in 3.4 s, 2 attempts`.
fn line(node: &Node, status: Standing, step: &StepReport) -> String {
    let took = match (step.started_at, step.ended_at) {
        (Some(start), Some(end)) => Some(format::length(end.since(start))),
        _ => None,
    };
    let mut line = status.word().to_owned();
    match (status, took) {
        (Standing::Completed, Some(took)) => line.push_str(&format!(" in {took}")),
        (Standing::Failed, Some(took)) => line.push_str(&format!(" after {took}")),
        _ => {}
    }
    match status {
        Standing::Waiting => line.push_str(&waits(step)),
        Standing::Paused if step.stop_reason == Some("retries_exhausted") => {
            line.push_str(", retries exhausted");
        }
        _ => {}
    }
    if let Some(items) = &step.items {
        line.push_str(&format!(", {}", format::items(items)));
    } else if node.body.is_some() {
        match (status, step.iterations) {
            (Standing::Running, Some(iteration)) => {
                line.push_str(&format!(", iteration {iteration}"));
            }
            (_, Some(iterations)) => {
                line.push_str(&format!(", {}", format::count(iterations, "iteration")));
            }
            (_, None) => {}
        }
    } else if step.attempts > 1 {
        match status {
            Standing::Running => line.push_str(&format!(", attempt {}", step.attempts)),
            _ => line.push_str(&format!(", {}", format::count(step.attempts, "attempt"))),
        }
    }
    line
}

fn waits(step: &StepReport) -> String {
    match (&step.waits_for, step.retry_at) {
        (Some(Wait::Time { until }), _) => format!(" until {}", format::instant(*until)),
        (Some(Wait::Signal { name, .. }), _) => format!(" for the signal {}", Shown(name)),
        (Some(Wait::Approval { .. }), _) => " for a decision".to_owned(),
        (Some(Wait::Child { run, .. }), _) => format!(" for the run {run}"),
        (None, Some(at)) => format!(" to retry at {}", format::instant(at)),
        (None, None) => String::new(),
    }
}
