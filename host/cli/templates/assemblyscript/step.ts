// Two steps: what each of them takes and returns stands in the manifest below. What else a step can do is in milepost.ts.
import { Level, Outcome, Pause, failed, isText, log, manifest, member, outcome, output, paused, quote, resumeSignal, resumeState, taken, text } from "./milepost";
export { cabi_realloc, done } from "./milepost";

function greet(input: string): Outcome {
  const name = member(input, "name");
  if (!isText(name)) return failed("invalid_input", "`name` must be a text");
  log(Level.Info, "greeting");
  return output('{"greeting":' + quote("Hello, " + text(name!) + "!") + "}");
}

/** Pauses the run until a person has answered. Each attempt begins afresh: the question comes back as the state. */
function ask(input: string): Outcome {
  const state = resumeState();
  const question = member(state !== null ? state : input, "question");
  if (!isText(question)) return failed("invalid_input", "`question` must be a text");
  const answer = resumeSignal();
  if (answer === null) {
    const pause = new Pause("needs-answer", "waiting for the signal `answer`");
    pause.signal = "answer";
    pause.state = '{"question":' + question! + "}";
    return paused(pause);
  }
  return output('{"question":' + question! + ',"answer":' + answer + "}");
}

export function describe(): usize {
  return manifest(`{"name":"{{name}}","version":"0.1.0","description":"Greets and asks.","steps":{
    "greet":{"description":"Greets somebody.",
      "input":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]},
      "output":{"type":"object","properties":{"greeting":{"type":"string"}},"required":["greeting"]}},
    "ask":{"description":"Asks a person: pauses until the signal ${"`answer`"} arrives.",
      "input":{"type":"object","properties":{"question":{"type":"string"}},"required":["question"]},
      "output":{"type":"object","properties":{"question":{"type":"string"},"answer":{}},"required":["question","answer"]}}}}`);
}

export function run(step: usize, stepLength: i32, input: usize, inputLength: i32): usize {
  const name = taken(step, stepLength), json = taken(input, inputLength);
  if (name == "greet") return outcome(greet(json));
  if (name == "ask") return outcome(ask(json));
  return outcome(failed("unknown_step", "the plugin has no such step"));
}
