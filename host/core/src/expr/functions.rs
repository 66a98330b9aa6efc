//! The functions and methods: names, operands, and what is said about those that do not exist.

use super::ast::{Function, Word};
use super::problem::{Problem, ProblemKind};
use super::types::Type;

/// The function of this name in this position, and how it is called.
pub(super) fn function(name: &str, method: bool) -> Option<(Function, &'static str)> {
    Some(match (name, method) {
        ("size", _) => (Function::Size, "size(x)"),
        ("startsWith", true) => (Function::StartsWith, "text.startsWith(part)"),
        ("endsWith", true) => (Function::EndsWith, "text.endsWith(part)"),
        ("contains", true) => (Function::Contains, "text.contains(part)"),
        ("int", false) => (Function::Int, "int(x)"),
        ("string", false) => (Function::String, "string(x)"),
        ("double", false) => (Function::Double, "double(x)"),
        _ => return None,
    })
}

pub(super) fn takes(function: Function, ty: &Type) -> bool {
    let ty = ty.base();
    *ty == Type::Dyn
        || match function {
            Function::Size => matches!(ty, Type::String | Type::List(_) | Type::Object { .. }),
            Function::StartsWith | Function::EndsWith | Function::Contains => *ty == Type::String,
            Function::Int | Function::Double => ty.is_number() || *ty == Type::String,
            Function::String => ty.is_number() || matches!(ty, Type::String | Type::Bool),
        }
}

pub(super) fn wrong_count(name: &Word, signature: &str) -> Problem {
    Problem::new(
        ProblemKind::TypeMismatch,
        name.range.clone(),
        format!("wrong number of arguments for `{}`", name.text),
    )
    .help(format!("it is called as `{signature}`"))
}

pub(super) fn unknown_function(name: &Word, method: bool) -> Problem {
    let range = name.range.clone();
    if let Some((_, signature)) = function(&name.text, !method) {
        let kind = if method { "method" } else { "function" };
        return Problem::new(
            ProblemKind::UnknownName,
            range,
            format!("`{}` is not a {kind}", name.text),
        )
        .help(match name.text.as_str() {
            "contains" => format!("it is called as `{signature}`; of a list, write `x in list`"),
            _ => format!("it is called as `{signature}`"),
        });
    }
    let unsupported = |message: &str, help: &str| {
        let message = format!("`{}`: {message}", name.text);
        Problem::new(ProblemKind::UnsupportedFeature, range.clone(), message).help(help)
    };
    match name.text.as_str() {
        "all" | "exists" | "exists_one" | "existsOne" | "map" | "filter" | "optMap"
        | "optFlatMap" => unsupported(
            "loops over a list are not supported",
            "ask `x in list`, or compute the answer in a step, which can be a file of JavaScript (`source = \"steps.js\"`)",
        ),
        "matches" => unsupported(
            "regular expressions are not supported",
            "use `startsWith`, `endsWith` or `contains`",
        ),
        "timestamp" | "duration" | "now" => unsupported(
            "time is not supported",
            "an expression reads recorded values only; compute times in a step",
        ),
        "uint" | "bytes" | "type" | "dyn" => unsupported(
            "this part of CEL is not supported",
            "use `int(x)` or `string(x)`",
        ),
        "value" | "hasValue" | "or" | "of" | "none" => unsupported(
            "this part of CEL is not supported",
            "use `a.?b.orValue(x)` or `has(a.b)`",
        ),
        "success" if !method => unsupported(
            "there is no such function",
            "leave it out: a step runs only when no step before it failed",
        ),
        "failure" | "always" if !method => unsupported(
            "there is no such function",
            "a step with `finally = true` runs whatever came of the run, and may ask `run.status`; for one step, give it `continue_on_error = true` and ask `steps.x.status == 'failed'`",
        ),
        "fromJSON" | "fromJson" | "toJSON" | "toJson" | "json" if !method => unsupported(
            "there is no such function",
            "leave it out: values keep their types, and an input with `type = \"json\"` is an object or a list",
        ),
        "hashFiles" | "format" | "join" | "split" | "upper" | "lower" | "replace" | "default" => {
            unsupported(
                "there is no such function",
                "texts are put together by `${ }` in them; what is more is made by a step, which can be a file of JavaScript (`source = \"steps.js\"`)",
            )
        }
        "cancelled" if !method => unsupported(
            "there is no such function",
            "a step with `finally = true` runs at the end of a run that was cancelled, too, and may ask `run.status == 'cancelled'`",
        ),
        _ => {
            let names: &[&str] = match method {
                true => &["contains", "endsWith", "orValue", "size", "startsWith"],
                false => &["double", "has", "int", "size", "string"],
            };
            let names = names.iter().map(|name| (*name).to_owned());
            let what = if method { "method" } else { "function" };
            Problem::unknown(what, &name.text, range, names)
        }
    }
}
