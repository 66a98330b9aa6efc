//! Any text as an expression and as a template: checked, and evaluated where it passes. A value has the type that the check promised.

use std::borrow::Cow;
use std::sync::LazyLock;

use milepost_core::expr::{
    Budget, Env, Expr, Reference, Scope, StepField, StepProblem, Template, Type,
};
use milepost_core::rules::Rules;
use serde_json::{Value, json};

/// What can be read: `inputs.i` and so on have known types, other inputs any; steps have every field.
struct World;

static VALUES: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "inputs": {
            "i": 7, "big": u64::MAX, "least": i64::MIN, "d": 0.1, "s": "text, 'quoted' é", "b": true, "l": [1, "two", null, [3]],
            "o": { "a": { "b": [1.5] }, "n": null }, "any": { "é": [[]] },
        },
        "steps": { "x": { "status": "completed", "output": { "n": 3, "list": ["a"] }, "attempts": 2, "iterations": 4, "item": "it" } },
        "item": { "path": "a/b" }, "item_index": 0, "iteration": 2, "previous": { "n": 1 },
        "run": { "id": "run", "started_at": "2026-01-01T00:00:00Z", "status": "failed" },
    })
});

impl Env for World {
    fn input(&self, name: &str) -> Option<Type> {
        Some(match name {
            "i" | "big" | "least" => Type::Int,
            "d" => Type::Double,
            "s" => Type::String,
            "b" => Type::Bool,
            "l" => Type::List(Box::new(Type::Dyn)),
            "o" => Type::any_object(),
            "none" => return None,
            _ => Type::Dyn,
        })
    }

    fn input_names(&self) -> Vec<String> {
        vec!["i".to_owned(), "big".to_owned()]
    }

    fn step(&self, id: &str, field: StepField) -> Result<Type, StepProblem> {
        match (id, field) {
            ("x" | "gone", StepField::Status) => Ok(Type::String),
            ("x" | "gone", StepField::Attempts | StepField::Iterations) => Ok(Type::Int),
            ("x" | "gone", _) => Ok(Type::Dyn),
            ("later", _) => Err(StepProblem::NotReadable("it runs later".to_owned(), None)),
            _ => Err(StepProblem::Unknown),
        }
    }

    fn step_names(&self) -> Vec<String> {
        vec!["x".to_owned(), "later".to_owned()]
    }

    fn in_loop(&self) -> bool {
        true
    }

    fn in_foreach(&self) -> bool {
        true
    }

    fn at_the_end(&self) -> bool {
        true
    }
}

impl Scope for World {
    fn lookup(&self, reference: &Reference) -> Option<Cow<'_, Value>> {
        let values = &*VALUES;
        let value = match reference {
            Reference::Input(name) => values["inputs"].get(name),
            Reference::Step { id, field } => values["steps"].get(id.as_str())?.get(field.name()),
            Reference::Item => values.get("item"),
            Reference::ItemIndex => values.get("item_index"),
            Reference::LoopIteration => values.get("iteration"),
            Reference::LoopPrevious => values.get("previous"),
            Reference::RunId => values["run"].get("id"),
            Reference::RunStartedAt => values["run"].get("started_at"),
            Reference::RunStatus => values["run"].get("status"),
        };
        value.map(Cow::Borrowed)
    }

    fn rules(&self) -> Rules {
        Rules::PRESENT
    }
}

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Expr::compile(text, &World) {
        Ok(expr) => {
            let found = expr.eval(&World, &mut Budget::default());
            assert_eq!(found, expr.eval(&World, &mut Budget::default()));
            match found {
                Ok(value) => assert!(fits(&value, expr.ty()), "{value} is no {:?}", expr.ty()),
                Err(error) => drop(error.to_string()),
            }
            let condition = expr.eval_bool(&World, &mut Budget::default());
            assert!(
                condition.is_ok()
                    || *expr.ty() != Type::Bool
                    || expr.eval(&World, &mut Budget::default()).is_err()
            );
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "it is refused for no reason");
            for problem in problems {
                assert!(text.get(problem.range.clone()).is_some(), "{problem:?}");
            }
        }
    }
    let _ = Template::doubts(text);
    if let Ok(template) = Template::compile_text(text, &World) {
        let found = template.resolve(&World, &mut Budget::default());
        assert_eq!(found, template.resolve(&World, &mut Budget::default()));
        if let Ok(value) = found {
            assert!(
                fits(&value, &template.ty()),
                "{value} is no {:?}",
                template.ty()
            );
        }
    }
}

fn fits(value: &Value, ty: &Type) -> bool {
    match ty {
        Type::Dyn => true,
        Type::Null => value.is_null(),
        Type::Bool => value.is_boolean(),
        Type::Int => value.is_i64() || value.is_u64(),
        Type::Double => value.is_f64(),
        Type::Number => value.is_number(),
        Type::String => value.is_string(),
        Type::OneOf { base, values } => fits(value, base) && values.contains(value),
        Type::Optional(_) => false,
        Type::List(of) => {
            let items = value.as_array();
            items.is_some_and(|items| items.iter().all(|item| fits(item, of)))
        }
        Type::Object { fields, open } => value.as_object().is_some_and(|object| {
            let known = |name: &String, value: &Value| match fields.get(name) {
                Some(ty) => fits(value, ty),
                None => *open,
            };
            object.iter().all(|(name, value)| known(name, value))
        }),
    }
}
