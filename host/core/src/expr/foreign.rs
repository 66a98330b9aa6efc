//! Names that expressions of other tools begin with, and what is read here instead.

/// What to write instead of a root of another tool.
pub(super) fn root(name: &str) -> Option<&'static str> {
    Some(match name {
        "env" | "vars" | "params" | "parameters" | "param" | "input" | "args" | "arguments"
        | "variables" | "var" | "trigger" => "values that a run is given are inputs: `inputs.name`",
        "outputs" | "tasks" | "task" | "needs" | "jobs" | "job" | "nodes" | "results"
        | "result" | "step" | "dependencies" => {
            "what a step returned is read as `steps.<id>.output`, how it ended as `steps.<id>.status`"
        }
        "matrix" | "foreach" | "each" | "it" | "value" | "element" | "this" | "taskrun"
        | "ITEM" => {
            "inside a step with `foreach`, the element is read as `item`, its place as `item_index`"
        }
        "iteration" | "previous" | "attempt" => {
            "inside a loop, there is `loop.iteration` and `loop.previous`"
        }
        "github" | "runner" | "workflow" | "execution" | "flow" | "context" | "ctx" | "gitlab" => {
            "of the run, there is `run.id` and `run.started_at`; everything else is an input: `inputs.name`"
        }
        "secrets" | "secret" => {
            "a secret is no value of an expression: a step names those that it needs, `secrets = [\"api_token\"]`"
        }
        "True" | "TRUE" | "yes" => "write `true`",
        "False" | "FALSE" | "no" => "write `false`",
        "None" | "nil" | "NULL" | "undefined" => {
            "write `null`; whether there is a value is asked with `has(a.b)`"
        }
        _ => return None,
    })
}

/// What to write instead of a field of a step in another tool.
pub(super) fn field(id: &str, name: &str) -> Option<String> {
    match name {
        "outcome" | "conclusion" | "phase" | "state" | "success" | "succeeded" | "failed" => Some(
            format!("how a step ended is `steps.{id}.status`, such as 'completed'"),
        ),
        "outputs" | "result" | "value" | "data" | "response" | "return" | "returns" => {
            Some(format!("what a step returned is `steps.{id}.output`"))
        }
        "message" | "reason" | "code" => Some(format!(
            "why a step failed is `steps.{id}.error.code` and `steps.{id}.error.message`"
        )),
        _ => None,
    }
}
