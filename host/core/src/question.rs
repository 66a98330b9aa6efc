//! A question about a recorded run: an expression of the workflow language, by the same parser, checker and evaluator as in a
//! definition. What is asked may read every step, since whoever asks stands outside of the run's order.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::definition::{Definition, StepKind, code_of};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::expr::{
    Budget, Env, EvalError, Expr, Problem, Reference, Scope, StepField, StepProblem, Type,
};
use crate::ids::{Path, StepId};
use crate::rules::Rules;
use crate::scope::StateScope;
use crate::state::RunState;

/// What the text is called where its problems are shown.
pub const NAME: &str = "expression";

/// The value of an expression over `state`, as the step at `at` sees it, or from outside of every step. `run.status` is that of the
/// state.
///
/// # Errors
/// All problems of the text; one problem when it cannot be evaluated. Both show where in the text.
pub fn ask(
    definition: &Definition,
    state: &RunState,
    at: Option<&Path>,
    text: &str,
) -> Result<Value, Diagnostics> {
    let refused = |items| Diagnostics::new(NAME, Arc::from(text), items);
    let place = Place { definition, at };
    let expr = Expr::compile(text, &place)
        .map_err(|problems| refused(problems.into_iter().map(unfit).collect()))?;
    let seen = match at {
        Some(path) => StateScope::of_step(definition, state, path),
        None => StateScope::of_run(definition, state),
    };
    let record = Record { seen, state };
    expr.eval(&record, &mut Budget::default())
        .map_err(|error| refused(failed(&error, text)))
}

fn unfit(problem: Problem) -> Diagnostic {
    let found = Diagnostic::error(code_of(&problem.kind), problem.range, problem.message);
    // The candidates are shown as a question of their own.
    let help = problem.help.filter(|_| problem.candidates.is_empty());
    let found = found.with_candidates(problem.candidates);
    match help {
        Some(help) => found.with_help(help),
        None => found,
    }
}

/// Why there is no value, at what the error quotes.
fn failed(error: &EvalError, text: &str) -> Vec<Diagnostic> {
    let place = |quoted: &str| match text.find(quoted) {
        Some(start) if !quoted.is_empty() => start..start + quoted.len(),
        _ => 0..text.len(),
    };
    match error {
        EvalError::Missing { values } => values
            .iter()
            .map(|value| Diagnostic::error(error.code(), place(&value.what), value.to_string()))
            .collect(),
        EvalError::DivisionByZero { expression }
        | EvalError::Overflow { expression }
        | EvalError::NotFinite { expression }
        | EvalError::TypeMismatch { expression, .. }
        | EvalError::NotANumber { expression, .. } => {
            vec![Diagnostic::error(
                error.code(),
                place(expression),
                error.to_string(),
            )]
        }
        EvalError::TooDeep | EvalError::OutOfBudget { .. } => {
            vec![Diagnostic::error(
                error.code(),
                0..text.len(),
                error.to_string(),
            )]
        }
    }
}

/// What exists where it is asked.
struct Place<'a> {
    definition: &'a Definition,
    at: Option<&'a Path>,
}

impl Env for Place<'_> {
    fn input(&self, name: &str) -> Option<Type> {
        let input = self.definition.inputs.get(name)?;
        Some(input.ty.expr_type())
    }

    fn input_names(&self) -> Vec<String> {
        self.definition.inputs.keys().cloned().collect()
    }

    fn step(&self, id: &str, field: StepField) -> Result<Type, StepProblem> {
        let found = StepId::new(id).ok();
        let step = found.and_then(|id| self.definition.step(&id));
        let step = step.ok_or(StepProblem::Unknown)?;
        let unreadable = |why: String| Err(StepProblem::NotReadable(why, None));
        match field {
            StepField::Status => Ok(Type::String),
            StepField::Attempts => Ok(Type::Int),
            // What was recorded is what it is, whatever its component declares today.
            StepField::Output | StepField::Error => Ok(Type::Dyn),
            StepField::Iterations if matches!(step.kind, StepKind::Loop(_)) => Ok(Type::Int),
            StepField::Iterations => unreadable(format!(
                "step `{id}` is not a loop, so it has no iterations"
            )),
            StepField::Item if step.for_each().is_none() => {
                unreadable(format!("step `{id}` has no `foreach`, so it has no item"))
            }
            StepField::Item if self.holds(&step.id) => Ok(Type::Dyn),
            StepField::Item => unreadable(format!(
                "an item of `{id}` has a value only inside that fan-out"
            )),
        }
    }

    fn step_names(&self) -> Vec<String> {
        let steps = self.definition.steps().iter();
        steps.map(|step| step.id.to_string()).collect()
    }

    fn in_loop(&self) -> bool {
        self.at.and_then(Path::loop_iteration).is_some()
    }

    fn in_foreach(&self) -> bool {
        self.at.and_then(Path::item_index).is_some()
    }

    fn at_the_end(&self) -> bool {
        true
    }
}

impl Place<'_> {
    fn holds(&self, fan_out: &StepId) -> bool {
        let around = self.at.map_or(&[][..], Path::segments);
        let mut around = around.iter();
        around.any(|segment| segment.item.is_some() && segment.step == *fan_out)
    }
}

/// The record, with the status that the run has where it is not about to end.
struct Record<'a> {
    seen: StateScope<'a>,
    state: &'a RunState,
}

impl Scope for Record<'_> {
    fn lookup(&self, reference: &Reference) -> Option<Cow<'_, Value>> {
        let seen = self.seen.lookup(reference);
        match reference {
            Reference::RunStatus if seen.is_none() => {
                Some(Cow::Owned(json!(self.state.phase().status().as_str())))
            }
            _ => seen,
        }
    }

    fn rules(&self) -> Rules {
        self.seen.rules()
    }
}
