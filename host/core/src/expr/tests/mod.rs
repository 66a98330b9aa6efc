//! The language through its public face: what is refused at load, what a value is, what is missing.
#![expect(clippy::unwrap_used, reason = "a test")]

mod evaluation;
mod help;
mod load;
mod syntax;
mod templates;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Budget, Env, EvalError, Expr, MissingReason, Problem, ProblemKind, Reference, Scope, StepField,
    StepProblem, Template, Type,
};
use crate::limits::EXPRESSION_OUTPUT_BYTES;
use crate::outcome::codes;
use crate::rules::Rules;

/// A definition and a record of it, in one.
struct World {
    /// Values by the text of their reference.
    values: BTreeMap<String, Value>,
    /// What was looked up.
    asked: RefCell<Vec<Reference>>,
    /// Of the run that the values are from.
    rules: Rules,
}

fn world() -> World {
    let values = json!({
        "inputs.name": "Ada",
        "inputs.n": 7,
        "inputs.ratio": 0.5,
        "inputs.tags": ["a", "b"],
        "inputs.any": {"deep": {"er": [10, 20]}, "nothing": null, "text": "x", "big": 9_007_199_254_740_993_u64},
        "inputs.flag": true,
        "steps.build.status": "completed",
        "steps.build.output": {"passed": true, "count": 3, "log": "ok", "files": ["x.rs"]},
        "steps['my-id'].output": {"v": 1},
        "loop.iteration": 2,
        "item": {"id": 9},
        "item_index": 0,
        "run.id": "r1",
        "run.started_at": "2026-01-01T00:00:00Z",
    });
    let values = values.as_object().unwrap().clone().into_iter().collect();
    World {
        values,
        asked: RefCell::default(),
        rules: Rules::PRESENT,
    }
}

fn build_output() -> Type {
    Type::from_json_schema(&json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "passed": {"type": "boolean"},
            "count": {"type": "integer"},
            "log": {"type": "string"},
            "files": {"type": "array", "items": {"type": "string"}},
            "note": {"type": "string"},
        },
    }))
}

impl Env for World {
    fn input(&self, name: &str) -> Option<Type> {
        Some(match name {
            "name" | "absent" => Type::String,
            "n" => Type::Int,
            "ratio" => Type::Number,
            "flag" => Type::Bool,
            "tags" => Type::List(Box::new(Type::String)),
            "any" | "gone" => Type::Dyn,
            "record" => Type::any_object(),
            _ => return None,
        })
    }

    fn input_names(&self) -> Vec<String> {
        [
            "absent", "any", "flag", "gone", "n", "name", "ratio", "record", "tags",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn step(&self, id: &str, field: StepField) -> Result<Type, StepProblem> {
        match (id, field) {
            ("build", StepField::Output) => Ok(build_output()),
            ("build" | "skipped" | "my-id", StepField::Status) => Ok(Type::String),
            ("build" | "skipped" | "my-id", StepField::Attempts | StepField::Iterations) => {
                Ok(Type::Int)
            }
            ("build" | "skipped" | "my-id", _) => Ok(Type::Dyn),
            ("later", _) => Err(StepProblem::NotReadable(
                "step `later` runs later".to_owned(),
                Some("move it up".to_owned()),
            )),
            _ => Err(StepProblem::Unknown),
        }
    }

    fn step_names(&self) -> Vec<String> {
        ["build", "later", "my-id", "skipped"]
            .map(str::to_owned)
            .to_vec()
    }

    fn in_loop(&self) -> bool {
        true
    }

    fn in_foreach(&self) -> bool {
        true
    }
}

impl Scope for World {
    fn lookup(&self, reference: &Reference) -> Option<Cow<'_, Value>> {
        self.asked.borrow_mut().push(reference.clone());
        self.values.get(&reference.to_string()).map(Cow::Borrowed)
    }

    fn rules(&self) -> Rules {
        self.rules
    }
}

fn compile(text: &str) -> Expr {
    Expr::compile(text, &world()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn problems(text: &str) -> Vec<Problem> {
    match Expr::compile(text, &world()) {
        Ok(expr) => panic!("{text} compiled to {expr:?}"),
        Err(problems) => problems,
    }
}

fn eval(text: &str) -> Result<Value, EvalError> {
    compile(text).eval(&world(), &mut Budget::default())
}

fn template(text: &str) -> Template {
    Template::compile_text(text, &world()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn resolve(text: &str) -> Result<Value, EvalError> {
    template(text).resolve(&world(), &mut Budget::default())
}
