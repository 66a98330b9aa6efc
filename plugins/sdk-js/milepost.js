// Milepost steps in JavaScript and TypeScript: one file, for the world `milepost:step/step@0.1.0` (wit/v0.1.0).
//
//     import { failed, plugin, step } from './milepost.js';
//
//     export const guest = plugin({
//       name: 'greeter',
//       steps: {
//         greet: step({
//           input: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
//           output: { type: 'object', properties: { greeting: { type: 'string' } } },
//           run: ({ name }) => ({ greeting: `Hello, ${name}` }),
//         }),
//       },
//     });
//
// A step returns its output, or throws: `failed(..)`, `retryable(..)`, `pause(..)`, `cancelled(..)`, or anything else, which
// is a failure with the code `exception`. The types are in milepost.d.ts.
import * as artifactsHost from 'milepost:step/artifacts@0.1.0';
import * as clockHost from 'milepost:step/clock@0.1.0';
import * as configHost from 'milepost:step/config@0.1.0';
import * as contextHost from 'milepost:step/context@0.1.0';
import * as execHost from 'milepost:step/exec@0.1.0';
import * as httpHost from 'milepost:step/http@0.1.0';
import * as kvHost from 'milepost:step/kv@0.1.0';
import * as logHost from 'milepost:step/log@0.1.0';
import * as memoHost from 'milepost:step/memo@0.1.0';
import * as progressHost from 'milepost:step/progress@0.1.0';
import * as randomHost from 'milepost:step/random@0.1.0';
import * as secretsHost from 'milepost:step/secrets@0.1.0';

const json = (value) => JSON.stringify(value === undefined ? null : value);
const optionalJson = (value) => (value === undefined ? undefined : JSON.stringify(value));
const parsed = (text) => (text === undefined || text === null ? undefined : JSON.parse(text));
/** The engine hands 64-bit integers over as numbers, and takes no others. */
const NANOS = 1e6;

/** The ways not to return an output. */
export class StepError extends Error {
  constructor(tag, val, message) {
    super(message);
    this.name = 'StepError';
    this.tag = tag;
    this.val = val;
  }
}

const failure = (code, message, detail) => ({ code, message, detail: optionalJson(detail) });

/** The step failed. */
export const failed = (code, message, detail) => new StepError('failed', failure(code, message, detail), message);

/** It may work later: after `after` milliseconds, or when the retry policy of the step says. */
export const retryable = (code, message, { after, provider, detail } = {}) =>
  new StepError('retryable', { cause: failure(code, message, detail), after, provider }, message);

/** Stop the run here, until a time (a Date, or milliseconds since 1970), a signal, or a person resumes it. `state` comes back as
 * `context.resumeState` of the next attempt. */
export const pause = (code, reason, { state, until, signal, provider } = {}) =>
  new StepError(
    'paused',
    {
      code,
      reason,
      provider,
      until: until === undefined ? undefined : Number(until) * NANOS,
      signal,
      state: optionalJson(state),
    },
    reason,
  );

/** Cancellation was noticed and cleaned up after. */
export const cancelled = (message) => new StepError('cancelled', message, message);

/** Why the host refused a call. Not caught, it ends the step: with `retryable` where it is transient, else with `failed`. */
export class HostError extends Error {
  constructor({ code, message, transient }) {
    super(message);
    this.name = 'HostError';
    this.code = code;
    this.transient = transient;
  }
}

/** A call of the host: what it throws becomes a `HostError`. */
function ask(call) {
  try {
    return call();
  } catch (thrown) {
    const why = thrown?.payload ?? thrown;
    if (why && typeof why.code === 'string' && typeof why.transient === 'boolean') throw new HostError(why);
    throw thrown;
  }
}

/** Bytes of a text in UTF-8; bytes as they are. */
export function bytes(value) {
  if (typeof value !== 'string') return value;
  const escaped = encodeURIComponent(value.toWellFormed());
  const out = new Uint8Array(escaped.length);
  let count = 0;
  for (let at = 0; at < escaped.length; at++) {
    if (escaped[at] === '%') {
      out[count++] = parseInt(escaped.slice(at + 1, at + 3), 16);
      at += 2;
    } else {
      out[count++] = escaped.charCodeAt(at);
    }
  }
  return out.slice(0, count);
}

/** Text of bytes in UTF-8. @throws {URIError} when they are something else. */
export function text(value) {
  const parts = [];
  for (let at = 0; at < value.length; at += 4096) {
    let part = '';
    for (const byte of value.slice(at, at + 4096)) part += '%' + byte.toString(16).padStart(2, '0');
    parts.push(part);
  }
  return decodeURIComponent(parts.join(''));
}

export const context = {
  get runId() { return contextHost.runId(); },
  get workflow() { return contextHost.workflow(); },
  get stepId() { return contextHost.stepId(); },
  get path() { return contextHost.path(); },
  get attempt() { return contextHost.attempt(); },
  get loopIteration() { return contextHost.loopIteration() ?? undefined; },
  get itemIndex() { return contextHost.itemIndex() ?? undefined; },
  get idempotencyKey() { return contextHost.idempotencyKey(); },
  /** Milliseconds since 1970. */
  get deadline() {
    const nanos = contextHost.deadline() ?? undefined;
    return nanos === undefined ? undefined : nanos / NANOS;
  },
  get resumeState() { return parsed(contextHost.resumeState()); },
  get resumeSignal() { return parsed(contextHost.resumeSignal()); },
  get traceParent() { return contextHost.traceParent(); },
  get cancelRequested() { return contextHost.cancelRequested(); },
  outputOf(step) { return parsed(contextHost.outputOf(step)); },
};

export const config = {
  get(key) { return parsed(configHost.get(key)); },
  keys() { return configHost.keys(); },
};

const emit = (level) => (message, fields = {}) =>
  logHost.emit(level, String(message), Object.entries(fields).map(([name, value]) => [name, String(value)]));
export const log = { trace: emit('trace'), debug: emit('debug'), info: emit('info'), warn: emit('warn'), error: emit('error') };

export const progress = (done, total, message = '') =>
  progressHost.report(done, total, message);

export const memo = {
  /** Does the work once per key over all attempts of the step; later ones get what it returned. */
  once(key, work) {
    const entry = ask(() => memoHost.begin(key));
    if (entry.tag === 'recorded') return JSON.parse(entry.val);
    const value = work();
    ask(() => memoHost.Ticket.settle(entry.val, json(value)));
    return value;
  },
};

export const kv = {
  /** A bucket that the workflow allows. Values are bytes, or texts that become bytes. */
  open(name) {
    const bucket = ask(() => kvHost.Bucket.open(name));
    return {
      get: (key) => ask(() => bucket.get(key)) ?? undefined,
      put: (key, value) => ask(() => bucket.put(key, bytes(value))),
      replace: (key, over, value) => ask(() => bucket.replace(key, over, bytes(value))),
      delete: (key) => ask(() => bucket.delete(key)),
      keys: (prefix = '', { after, limit = 1000 } = {}) => ask(() => bucket.keys(prefix, after, limit)),
    };
  },
};

const CHUNK = 1 << 20;
export const artifacts = {
  /** Keeps bytes, or a text, under a name; what comes back has the digest. */
  write(name, mediaType, content) {
    const all = bytes(content);
    const writer = ask(() => artifactsHost.Writer.create(name, mediaType));
    for (let at = 0; at < all.length; at += CHUNK) ask(() => writer.write(all.slice(at, at + CHUNK)));
    return ask(() => artifactsHost.Writer.finish(writer));
  },
  info(digest) { return ask(() => artifactsHost.Reader.open(digest)).info(); },
  /** Up to `max` bytes from `offset` on. */
  read(digest, offset = 0, max = CHUNK) {
    const reader = ask(() => artifactsHost.Reader.open(digest));
    return ask(() => reader.read(offset, max));
  },
};

export const clock = {
  /** Milliseconds since 1970, with microseconds behind the point. */
  now() { return clockHost.now() / NANOS; },
  /** For seconds; throw `pause(..)` with `until` for longer. */
  sleep(millis) { clockHost.sleep(millis); },
};

export const random = { bytes(count) { return randomHost.bytes(count); } };

export const secrets = {
  /** A stand-in that the host replaces inside outgoing requests. */
  placeholder(name) { return ask(() => secretsHost.placeholder(name)); },
};

/** One request, one response. 4xx and 5xx are responses. */
export function request(method, url, { headers = {}, body, bodyArtifact, timeout } = {}) {
  const draft = new httpHost.Request(method, url);
  for (const [name, value] of Object.entries(headers)) draft.header(name, bytes(value));
  if (body !== undefined) draft.body(bytes(body));
  if (bodyArtifact !== undefined) draft.bodyArtifact(bodyArtifact);
  if (timeout !== undefined) draft.timeout(timeout);
  const response = ask(() => httpHost.Request.send(draft));
  return {
    status: response.status(),
    get headers() { return response.headers().map(([name, value]) => [name, text(value)]); },
    bytes() { return ask(() => response.body()); },
    text() { return text(this.bytes()); },
    json() { return JSON.parse(this.text()); },
    save() { return ask(() => response.save()); },
  };
}

/** A program that the workflow allows, without a shell. An exit code other than 0 is an outcome. */
export function exec(program, args = [], { env = {}, stdin, cwd, timeout } = {}) {
  const command = new execHost.Command(program);
  for (const arg of args) command.arg(arg);
  for (const [name, value] of Object.entries(env)) command.env(name, value);
  if (stdin !== undefined) command.stdin(bytes(stdin));
  if (cwd !== undefined) command.workingDir(cwd);
  if (timeout !== undefined) command.timeout(timeout);
  const outcome = ask(() => execHost.Command.run(command));
  return {
    exitCode: outcome.exitCode() ?? undefined,
    timedOut: outcome.timedOut(),
    stdout: outcome.stdout(),
    stderr: outcome.stderr(),
  };
}

/** A step: JSON Schemas of its input and output, and what it does. */
export const step = (definition) => definition;

/** What a component exports as `guest`. */
export function plugin({ steps, ...manifest }) {
  return {
    describe() {
      const described = Object.entries(steps).map(([name, { description, input, output }]) => [name, { description, input, output }]);
      return JSON.stringify({ ...manifest, steps: Object.fromEntries(described) });
    },
    run(name, input) {
      try {
        if (!Object.hasOwn(steps, name)) throw failed('unknown_step', `the plugin has no step \`${name}\``);
        return json(steps[name].run(JSON.parse(input), context));
      } catch (thrown) {
        throw stepError(thrown);
      }
    },
  };
}

function stepError(thrown) {
  if (thrown instanceof StepError) return { tag: thrown.tag, val: thrown.val };
  if (thrown instanceof HostError) {
    const why = thrown.transient ? retryable(thrown.code, thrown.message) : failed(thrown.code, thrown.message);
    return { tag: why.tag, val: why.val };
  }
  const detail = thrown?.stack ? { stack: thrown.stack } : undefined;
  return { tag: 'failed', val: failure('exception', String(thrown), detail) };
}
