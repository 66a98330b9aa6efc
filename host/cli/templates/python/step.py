"""Two steps. Everything that the host offers is in wit/v0.1.0/step.wit: an interface is a module of `wit_world.imports`.

Modules are imported at the top: what is imported later is not in the component.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import context, log
from wit_world.imports.types import Failure, Pause, StepError_Failed, StepError_Paused


def failed(code, message):
    return Err(StepError_Failed(Failure(code, message, None)))


def greet(value):
    name = value.get("name")
    if not isinstance(name, str):
        raise failed("invalid_input", "`name` must be a text")
    log.emit(log.Level.INFO, "greeting", [])
    return {"greeting": f"Hello, {name}!"}


def ask(value):
    # Each attempt begins afresh: what this one has to know comes back as the state.
    state = context.resume_state()
    question = (value if state is None else json.loads(state))["question"]
    answer = context.resume_signal()
    if answer is None:
        kept = json.dumps({"question": question})
        raise Err(StepError_Paused(Pause("needs-answer", "waiting for the signal `answer`", None, None, "answer", kept)))
    return {"question": question, "answer": json.loads(answer)}


def schema(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


TEXT = {"type": "string"}
STEPS = {
    "greet": (greet, "Greets somebody.", schema(name=TEXT), schema(greeting=TEXT)),
    "ask": (
        ask,
        "Asks a person: pauses until the signal `answer` arrives.",
        schema(question=TEXT),
        schema(question=TEXT, answer={}),
    ),
}


class Guest(exports.Guest):
    def describe(self) -> str:
        steps = {
            name: {"description": about, "input": takes, "output": returns}
            for name, (_, about, takes, returns) in STEPS.items()
        }
        return json.dumps({"name": "{{name}}", "version": "0.1.0", "description": "Greets and asks.", "steps": steps})

    def run(self, step: str, input: str) -> str:
        if step not in STEPS:
            raise failed("unknown_step", f"there is no step {step}")
        return json.dumps(STEPS[step][0](json.loads(input)))
