// Milepost steps in AssemblyScript: this file and milepost.mjs, for the world `milepost:step/step-core@0.1.0` (wit/v0.1.0), that is, for
// all that needs no grant. Values are JSON text. The file that a plugin begins with exports `describe` and `run` of `plugin`: see step.ts of
// `milepost plugin new NAME --lang assemblyscript`.

// --- what a step returns ---

export class Failure {
  constructor(
    public code: string,
    public message: string,
    public detail: string | null = null, // JSON
  ) {}
}
/** Stop the run here, until a time, a signal, or a person's resume. */
export class Pause {
  provider: string | null = null;
  untilNanos: u64 = 0; // 0: no time
  signal: string | null = null;
  state: string | null = null; // JSON: what `resumeState` gives to the next attempt
  constructor(public code: string, public reason: string) {}
}
/** The same may work later: when the retry policy of the step says, or after this time. */
export class Retry {
  afterMillis: u64 = u64.MAX_VALUE; // the greatest number: as the policy says
  provider: string | null = null;
  constructor(public cause: Failure) {}
}
export class Outcome {
  output: string = "";
  failed: Failure | null = null;
  paused: Pause | null = null;
  retryable: Retry | null = null;
  cancelled: string | null = null;
}
/** The output, as JSON. */
export function output(json: string): Outcome {
  const it = new Outcome();
  it.output = json;
  return it;
}
export function failed(code: string, message: string, detail: string | null = null): Outcome {
  const it = new Outcome();
  it.failed = new Failure(code, message, detail);
  return it;
}
export function retryable(retry: Retry): Outcome {
  const it = new Outcome();
  it.retryable = retry;
  return it;
}
export function paused(pause: Pause): Outcome {
  const it = new Outcome();
  it.paused = pause;
  return it;
}
export function cancelled(reason: string): Outcome {
  const it = new Outcome();
  it.cancelled = reason;
  return it;
}

// --- JSON. The host hands over valid JSON, so nothing here looks for what is wrong with it. ---

function isSpace(c: i32): bool {
  return c == 0x20 || c == 0x09 || c == 0x0a || c == 0x0d;
}
function skipSpace(json: string, at: i32): i32 {
  while (at < json.length && isSpace(json.charCodeAt(at))) at++;
  return at;
}
/** Where the value that begins here ends. */
function skip(json: string, at: i32): i32 {
  let depth = 0;
  do {
    at = skipSpace(json, at);
    const c = json.charCodeAt(at);
    if (c == 0x22) {
      for (at++; at < json.length && json.charCodeAt(at) != 0x22; at++) if (json.charCodeAt(at) == 0x5c) at++;
      at++;
    } else if (c == 0x7b || c == 0x5b) {
      depth++;
      at++;
    } else if (c == 0x7d || c == 0x5d) {
      depth--;
      at++;
    } else if (c == 0x2c || c == 0x3a) {
      at++;
    } else {
      while (at < json.length && !isSpace(json.charCodeAt(at)) && !",:]}".includes(json.charAt(at))) at++;
    }
  } while (depth > 0 && at < json.length);
  return min(at, json.length);
}
/** The value of a member of an object, as JSON; null where there is none, or where this is no object. */
export function member(json: string, name: string): string | null {
  let at = skipSpace(json, 0);
  if (json.charAt(at) != "{") return null;
  at = skipSpace(json, at + 1);
  while (json.charAt(at) == '"') {
    const keyEnd = skip(json, at);
    const found = text(json.substring(at, keyEnd)) == name;
    at = skipSpace(json, skipSpace(json, keyEnd) + 1);
    const end = skip(json, at);
    if (found) return json.substring(at, end);
    at = skipSpace(json, end);
    if (json.charAt(at) == ",") at = skipSpace(json, at + 1);
  }
  return null;
}
/** Whether this is a JSON string. */
export function isText(json: string | null): bool {
  return json !== null && json.startsWith('"');
}
/** What a JSON string says. */
export function text(json: string): string {
  let out = "";
  let from = 1;
  for (let at = 1; at < json.length - 1; at++) {
    if (json.charCodeAt(at) != 0x5c) continue;
    out += json.substring(from, at);
    const c = json.charAt(++at);
    if (c == "u") {
      out += String.fromCharCode(<i32>parseInt(json.substring(at + 1, at + 5), 16));
      at += 4;
    } else {
      const simple = "bfnrt".indexOf(c);
      out += simple < 0 ? c : "\b\f\n\r\t".charAt(simple);
    }
    from = at + 1;
  }
  return out + json.substring(from, json.length - 1);
}
/** A text as a JSON string. */
export function quote(text: string): string {
  let out = '"';
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c >= 0x20 && c != 0x22 && c != 0x5c) continue;
    out += text.substring(from, at);
    out += c < 0x20 ? "\\u" + c.toString(16).padStart(4, "0") : "\\" + text.charAt(at);
    from = at + 1;
  }
  return out + text.substring(from) + '"';
}

// --- the world. Its texts are UTF-16, as those of AssemblyScript are. ---

@external("milepost:step/context@0.1.0", "run-id") declare function hostRunId(to: usize): void;
@external("milepost:step/context@0.1.0", "workflow") declare function hostWorkflow(to: usize): void;
@external("milepost:step/context@0.1.0", "step-id") declare function hostStepId(to: usize): void;
@external("milepost:step/context@0.1.0", "path") declare function hostPath(to: usize): void;
@external("milepost:step/context@0.1.0", "idempotency-key") declare function hostKey(to: usize): void;
@external("milepost:step/context@0.1.0", "trace-parent") declare function hostTrace(to: usize): void;
@external("milepost:step/context@0.1.0", "resume-state") declare function hostState(to: usize): void;
@external("milepost:step/context@0.1.0", "resume-signal") declare function hostSignal(to: usize): void;
@external("milepost:step/context@0.1.0", "output-of") declare function hostOutputOf(step: usize, len: i32, to: usize): void;
@external("milepost:step/context@0.1.0", "attempt") declare function hostAttempt(): u32;
@external("milepost:step/context@0.1.0", "cancel-requested") declare function hostCancel(): i32;
@external("milepost:step/config@0.1.0", "get") declare function hostConfig(key: usize, len: i32, to: usize): void;
@external("milepost:step/log@0.1.0", "emit")
declare function hostLog(level: i32, message: usize, len: i32, fields: usize, count: i32): void;
@external("milepost:step/progress@0.1.0", "report")
declare function hostProgress(done: u64, some: i32, total: u64, message: usize, len: i32): void;
@external("milepost:step/clock@0.1.0", "now") declare function hostNow(): u64;
@external("milepost:step/clock@0.1.0", "sleep") declare function hostSleep(millis: u64): void;
@external("milepost:step/random@0.1.0", "bytes") declare function hostRandom(count: u32, to: usize): void;

const answer = memory.data(16, 8);
/** A text that the host has handed over. */
export function taken(at: usize, len: i32): string {
  const text = String.UTF16.decodeUnsafe(at, <usize>len << 1);
  if (len > 0) heap.free(at);
  return text;
}
function textAt(at: usize): string {
  return taken(load<u32>(at), load<i32>(at, 4));
}
function answeredText(): string {
  return textAt(answer);
}
function answeredMaybe(): string | null {
  return load<u8>(answer) ? textAt(answer + 4) : null;
}

export function runId(): string { hostRunId(answer); return answeredText(); }
export function workflow(): string { hostWorkflow(answer); return answeredText(); }
export function stepId(): string { hostStepId(answer); return answeredText(); }
export function path(): string { hostPath(answer); return answeredText(); }
/** The same for every attempt of this step: hand it to remote APIs. */
export function idempotencyKey(): string { hostKey(answer); return answeredText(); }
export function traceParent(): string { hostTrace(answer); return answeredText(); }
/** What the last pause saved, as JSON. */
export function resumeState(): string | null { hostState(answer); return answeredMaybe(); }
/** What came with the signal that ended the pause, as JSON. */
export function resumeSignal(): string | null { hostSignal(answer); return answeredMaybe(); }
/** Output of an earlier step that the workflow lets this one read, as JSON. */
export function outputOf(step: string): string | null {
  hostOutputOf(changetype<usize>(step), step.length, answer);
  return answeredMaybe();
}
/** 1 on the first try. */
export function attempt(): u32 { return hostAttempt(); }
export function cancelRequested(): bool { return hostCancel() != 0; }
/** A setting from the workflow file, as JSON. */
export function config(key: string): string | null {
  hostConfig(changetype<usize>(key), key.length, answer);
  return answeredMaybe();
}

export enum Level { Trace, Debug, Info, Warn, Error }
/** Writes to the log, with names and values of fields one after the other. */
export function log(level: Level, message: string, fields: string[] = []): void {
  const at = heap.alloc(<usize>fields.length * 8 + 8);
  for (let i = 0; i < fields.length; i++) {
    store<u32>(at + <usize>i * 8, <u32>changetype<usize>(fields[i]));
    store<u32>(at + <usize>i * 8, fields[i].length, 4);
  }
  hostLog(level, changetype<usize>(message), message.length, at, fields.length / 2);
  heap.free(at);
}
/** How far the step is. A total of 0: nobody knows. */
export function progress(done: u64, total: u64, message: string): void {
  hostProgress(done, total != 0 ? 1 : 0, total, changetype<usize>(message), message.length);
}
/** Nanoseconds since 1970. */
export function now(): u64 { return hostNow(); }
/** For seconds; pause for longer. */
export function sleep(millis: u64): void { hostSleep(millis); }
export function random(count: u32): Uint8Array {
  hostRandom(count, answer);
  const bytes = new Uint8Array(<i32>load<u32>(answer, 4));
  memory.copy(bytes.dataStart, load<u32>(answer), load<u32>(answer, 4));
  if (count > 0) heap.free(load<u32>(answer));
  return bytes;
}

// --- the plugin ---

const returned = memory.data(96, 8);
let kept: string[] = []; // what was returned, so that the collector leaves it alone

function putText(at: usize, text: string): void {
  kept.push(text);
  store<u32>(at, <u32>changetype<usize>(text));
  store<u32>(at, text.length, 4);
}
function putMaybe(at: usize, text: string | null): void {
  store<u8>(at, text !== null ? 1 : 0);
  if (text !== null) putText(at + 4, text);
}
function putFailure(at: usize, failure: Failure): void {
  putText(at, failure.code);
  putText(at + 8, failure.message);
  putMaybe(at + 16, failure.detail);
}

/** What `describe` returns: the manifest, as JSON. */
export function manifest(json: string): usize {
  putText(returned, json);
  return returned;
}
/** What `run` returns: the outcome of a step. */
export function outcome(it: Outcome): usize {
  memory.fill(returned, 0, 96);
  const failure = it.failed, pause = it.paused, retry = it.retryable, cancelled = it.cancelled;
  const value = returned + 16;
  store<u8>(returned, 1);
  if (retry !== null) {
    store<u8>(returned, 0, 8);
    putFailure(value, retry.cause);
    store<u8>(value, retry.afterMillis != u64.MAX_VALUE ? 1 : 0, 32);
    store<u64>(value, retry.afterMillis, 40);
    putMaybe(value + 48, retry.provider);
  } else if (failure !== null) {
    store<u8>(returned, 1, 8);
    putFailure(value, failure);
  } else if (pause !== null) {
    store<u8>(returned, 2, 8);
    putText(value, pause.code);
    putText(value + 8, pause.reason);
    putMaybe(value + 16, pause.provider);
    store<u8>(value, pause.untilNanos != 0 ? 1 : 0, 32);
    store<u64>(value, pause.untilNanos, 40);
    putMaybe(value + 48, pause.signal);
    putMaybe(value + 60, pause.state);
  } else if (cancelled !== null) {
    store<u8>(returned, 3, 8);
    putText(value, cancelled);
  } else {
    store<u8>(returned, 0);
    putText(returned + 8, it.output);
  }
  return returned;
}
/** Memory for what the host hands over. */
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  return old ? heap.realloc(old, size) : heap.alloc(size);
}
/** What was returned has been read. */
export function done(_: usize): void {
  kept = [];
  __collect();
}
