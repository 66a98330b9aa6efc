// The conformance guest in AssemblyScript, with the steps that need no grant. See ../README.md.
import {
  Failure, Level, Outcome, Pause, Retry, attempt, failed, log, manifest, member, now, outcome, output, paused, progress, random,
  resumeState, retryable, sleep, taken, text,
} from "./milepost";
export { cabi_realloc, done } from "./milepost";

function say(input: string): Outcome {
  log(Level.Warn, text(member(input, "message")!), ["from", "guest"]);
  return output("null");
}

function advance(): Outcome {
  progress(1, 2, "half");
  progress(2, 2, "done");
  return output("null");
}

function stop(): Outcome {
  const state = resumeState();
  if (state !== null) return output(state);
  const pause = new Pause("needs-input", "waits for a person");
  pause.state = '{"page":2,"ü":null}';
  return paused(pause);
}

function again(): Outcome {
  if (attempt() > 1) return output(attempt().toString());
  const retry = new Retry(new Failure("busy", "not yet"));
  retry.afterMillis = 300;
  retry.provider = "acme";
  return retryable(retry);
}

function timePasses(): Outcome {
  const before = now();
  sleep(2);
  const passed = now() - before >= 2000000;
  return output('{"now":"' + before.toString() + '","passed":' + passed.toString() + "}");
}

function chance(): Outcome {
  const bytes = random(8);
  let list = "";
  for (let i = 0; i < bytes.length; i++) list += (i > 0 ? "," : "") + bytes[i].toString();
  return output("[" + list + "]");
}

function strict(input: string): Outcome {
  const n = member(input, "n");
  if (n === null || !isFinite(parseFloat(n))) return failed("invalid_input", "`n` must be a number");
  return output(n);
}

export function describe(): usize {
  return manifest(`{"name":"conformance-assemblyscript","version":"0.1.0","steps":{"echo":{},"log":{},"progress":{},"pause":{},
    "retry":{},"fail":{},"clock":{},"random":{},"strict":{},"broken":{}}}`);
}

function called(step: string, input: string): Outcome {
  if (step == "echo") return output(input);
  if (step == "log") return say(input);
  if (step == "progress") return advance();
  if (step == "pause") return stop();
  if (step == "retry") return again();
  if (step == "fail") return failed("no-such-thing", "nichts für dich 🌍", input);
  if (step == "clock") return timePasses();
  if (step == "random") return chance();
  if (step == "strict") return strict(input);
  if (step == "broken") return output('{"unfinished":');
  return failed("unknown_step", "the plugin has no such step");
}

export function run(step: usize, stepLength: i32, input: usize, inputLength: i32): usize {
  return outcome(called(taken(step, stepLength), taken(input, inputLength)));
}
