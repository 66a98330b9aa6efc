//! The two sides: this language and the other implementation, in the same context.

use std::borrow::Cow;
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, ExecutionError, Value as CelValue};
use milepost_core::expr::{
    Budget, Env, EvalError, Expr, ProblemKind, Reference, Scope, StepField, StepProblem, Type,
};
use milepost_core::rules::Rules;
use serde_json::{Map as JsonMap, Value, json};

use crate::table::Class;

/// A context: what both sides evaluate in.
pub(crate) struct World {
    pub(crate) json: Value,
    /// Whether the inputs with one-letter names have known types.
    pub(crate) typed: bool,
}

impl Env for World {
    fn input(&self, name: &str) -> Option<Type> {
        if !self.typed {
            return Some(Type::Dyn);
        }
        Some(match name {
            "i" | "j" => Type::Int,
            "d" | "e" => Type::Double,
            "s" | "t" => Type::String,
            "b" | "c" => Type::Bool,
            "l" => Type::List(Box::new(Type::Dyn)),
            "o" => Type::any_object(),
            _ => Type::Dyn,
        })
    }

    fn input_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn step(&self, _: &str, field: StepField) -> Result<Type, StepProblem> {
        match field {
            StepField::Status if self.typed => Ok(Type::String),
            _ => Ok(Type::Dyn),
        }
    }

    fn step_names(&self) -> Vec<String> {
        Vec::new()
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
        let value = match reference {
            Reference::Input(name) => self.json["inputs"].get(name),
            Reference::Step { id, field } => self.json["steps"].get(id.as_str())?.get(field.name()),
            Reference::Item => self.json.get("item"),
            Reference::ItemIndex => self.json.get("item_index"),
            Reference::RunId => self.json["run"].get("id"),
            Reference::RunStartedAt => self.json["run"].get("started_at"),
            Reference::RunStatus => self.json["run"].get("status"),
            // `loop` is a reserved word of CEL.
            Reference::LoopIteration | Reference::LoopPrevious => None,
        };
        value.map(Cow::Borrowed)
    }

    fn rules(&self) -> Rules {
        Rules::PRESENT
    }
}

/// How an evaluation ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ending {
    Value(Value),
    Error(Class),
    /// Refused before evaluation.
    Refused(ProblemKind),
}

pub(crate) fn ours(text: &str, world: &World) -> Ending {
    let expr = match Expr::compile(text, world) {
        Ok(expr) => expr,
        Err(problems) => return Ending::Refused(problems[0].kind),
    };
    match expr.eval(world, &mut Budget::default()) {
        Ok(value) => Ending::Value(value),
        Err(EvalError::Missing { .. }) => Ending::Error(Class::Missing),
        Err(EvalError::DivisionByZero { .. }) => Ending::Error(Class::ByZero),
        Err(EvalError::Overflow { .. }) => Ending::Error(Class::Overflow),
        Err(_) => Ending::Error(Class::Other),
    }
}

/// The other implementation, with one context.
pub(crate) struct Cel {
    env: Arc<cel::Env>,
    context: Context<'static, 'static>,
}

impl Cel {
    pub(crate) fn new(world: &World) -> Self {
        let env = Arc::new(cel::Env::stdlib());
        let mut context = Context::with_env(env.clone());
        for (name, value) in world.json.as_object().unwrap() {
            context.add_variable_from_value(name.as_str(), to_cel(value));
        }
        Self { env, context }
    }

    /// The raw result; `None` when it does not parse.
    pub(crate) fn run(&self, text: &str) -> Option<Result<CelValue, ExecutionError>> {
        let program = self.env.compile(text).ok()?;
        Some(program.execute(&self.context))
    }

    pub(crate) fn value(&self, text: &str) -> Option<CelValue> {
        self.run(text)?.ok()
    }

    pub(crate) fn ending(&self, text: &str) -> Ending {
        match self.run(text) {
            None => Ending::Refused(ProblemKind::Syntax),
            Some(Ok(value)) => Ending::Value(from_cel(&value)),
            Some(Err(error)) => Ending::Error(match error {
                ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) => {
                    Class::Missing
                }
                ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                    Class::ByZero
                }
                ExecutionError::Overflow(..) => Class::Overflow,
                ExecutionError::FunctionError { message, .. } if message.contains("overflow") => {
                    Class::Overflow
                }
                _ => Class::Other,
            }),
        }
    }
}

fn to_cel(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(b) => CelValue::Bool(*b),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(int), _) => CelValue::Int(int),
            (None, Some(uint)) => CelValue::UInt(uint),
            (None, None) => CelValue::Float(n.as_f64().unwrap()),
        },
        Value::String(s) => CelValue::String(Arc::new(s.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(k, v)| (Key::from(k.as_str()), to_cel(v)));
            CelValue::Map(Map {
                map: Arc::new(fields.collect()),
            })
        }
    }
}

fn from_cel(value: &CelValue) -> Value {
    match value {
        CelValue::Null => Value::Null,
        CelValue::Bool(b) => json!(b),
        CelValue::Int(n) => json!(n),
        CelValue::UInt(n) => json!(n),
        CelValue::Float(n) if n.is_finite() => json!(n),
        CelValue::String(s) => json!(s.as_str()),
        CelValue::List(items) => items.iter().map(from_cel).collect(),
        CelValue::Map(map) => {
            let fields = map.map.iter().map(|(k, v)| (k.to_string(), from_cel(v)));
            Value::Object(fields.collect::<JsonMap<_, _>>())
        }
        other => json!({ "no JSON": format!("{other:?}") }),
    }
}
