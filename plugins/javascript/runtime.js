// Between the engine and a script: what the script declares, and how a step of it ended. Evaluated before the script, in the same
// realm: whatever the script does to the objects that all JavaScript shares, what is used here was taken before.
((given) => {
  'use strict';
  const { emit, file, reading, memoryIsGone } = given;
  const { apply } = Reflect;
  const { parse, stringify } = JSON;
  const { create, entries, hasOwn, keys } = Object;
  const { isArray } = Array;
  const { isFinite } = Number;
  const { floor } = Math;
  const text = String;
  const Failure = Error;
  const method = (of) => (self, ...given) => apply(of, self, given);
  const indexOf = method(String.prototype.indexOf);
  const lastIndexOf = method(String.prototype.lastIndexOf);
  const endsWith = method(String.prototype.endsWith);
  const slice = method(String.prototype.slice);
  const replaceAll = method(String.prototype.replaceAll);
  const join = method(Array.prototype.join);
  const map = method(Array.prototype.map);

  // --- what a value looks like ---

  /** An error with its place, or any other thrown value; what cannot be shown is said to be so. */
  const told = (thrown) => {
    try {
      if (thrown instanceof Failure) {
        const stack = typeof thrown.stack === 'string' ? framesOfScript(thrown.stack) : '';
        const place = placeIn(stack);
        const message = `${thrown.name}: ${thrown.message}`;
        return { message: place ? `${message} (${place})` : message, stack };
      }
      return { message: shown(thrown), stack: '' };
    } catch {
      return { message: 'a value was thrown that cannot be shown', stack: '' };
    }
  };

  /** `file:line:column` of the innermost frame that is in the script. */
  const placeIn = (stack) => {
    const start = indexOf(stack, `${file}:`);
    if (start < 0) return '';
    let end = start + file.length;
    while (end < stack.length && indexOf(':0123456789', stack[end]) >= 0) end += 1;
    return slice(stack, start, end);
  };

  /** Without what is called here, and how. */
  const framesOfScript = (stack) => {
    let end = indexOf(stack, '(runtime.js:');
    if (end < 0) return stack;
    end = lastIndexOf(slice(stack, 0, end), '\n') + 1;
    const native = ' (native)\n';
    if (endsWith(slice(stack, 0, end), native)) end = lastIndexOf(slice(stack, 0, end - 1), '\n') + 1;
    return slice(stack, 0, end);
  };

  const shown = (value) => {
    if (typeof value === 'string') return value;
    if (typeof value === 'function') return `[function ${value.name || 'without a name'}]`;
    if (typeof value !== 'object' || value === null) return text(value);
    if (value instanceof Failure) {
      const { message, stack } = told(value);
      return stack ? `${message}\n${stack}` : message;
    }
    try {
      return stringify(value) ?? text(value);
    } catch {
      return text(value);
    }
  };

  const said = (level) => (...values) => {
    if (reading) return;
    emit(level, join(map(values, (value) => {
      try {
        return shown(value);
      } catch {
        return '[cannot be shown]';
      }
    }), ' '), []);
  };
  globalThis.console = {
    trace: said('trace'), debug: said('debug'), log: said('info'), info: said('info'), warn: said('warn'), error: said('error'),
  };

  // --- what a script declares ---

  const stepsOf = (script) => {
    const { steps } = script;
    if (steps === null || typeof steps !== 'object' || isArray(steps)) {
      throw new Failure(`${file} has no steps: it exports neither an object \`steps\` nor a \`guest\``);
    }
    return steps;
  };

  const runOf = (step) => (typeof step === 'function' ? step : step?.run);

  /** The interfaces of the world behind what the SDK exports. */
  const interfaces = {
    __proto__: null,
    config: 'config', secrets: 'secrets', progress: 'progress', memo: 'memo', kv: 'kv', artifacts: 'artifacts', request: 'http', exec: 'exec',
  };
  /** There without being imported: `context` is handed to every step, `console` and `Date` are of the language. */
  const always = ['context', 'log', 'clock', 'random'];

  /** The interfaces that a script can reach, by what it imports. */
  const usesOf = (imports) => {
    const uses = { __proto__: null };
    for (const name of always) uses[name] = true;
    for (const name of imports) {
      if (name === '*') for (const all of keys(interfaces)) uses[interfaces[all]] = true;
      else if (interfaces[name]) uses[interfaces[name]] = true;
      else if (indexOf(name, ':') >= 0) uses[slice(name, indexOf(name, '/') + 1, indexOf(name, '@'))] = true;
    }
    return keys(uses);
  };

  /** What the host asks before anything else, as JSON. */
  const read = (script, imports) => stringify({ manifest: manifestOf(script), uses: usesOf(imports) });

  const manifestOf = (script) => {
    if (typeof script.guest?.describe === 'function') return text(script.guest.describe());
    const steps = create(null);
    for (const [name, step] of entries(stepsOf(script))) {
      if (typeof runOf(step) !== 'function') throw new Failure(`the step \`${name}\` has no function \`run\``);
      const { description, input, output } = step;
      steps[name] = { description, input, output };
    }
    const { name = replaceAll(slice(file, 0, lastIndexOf(file, '.')), ' ', '-'), version, description, hosts, buckets, secrets } = script;
    return stringify({ name, version, description, hosts, buckets, secrets, steps });
  };

  // --- how a step ended: arrays, which the engine reads by position ---

  const failed = (code, message, detail) => ['failed', code, message, detail];
  const optional = (value) => (value === undefined || value === null ? undefined : text(value));
  const amount = (value, what) => {
    if (value === undefined || value === null) return undefined;
    const number = Number(value);
    if (!isFinite(number) || number < 0) throw new Failure(`\`${what}\` is ${shown(value)}, which is no time`);
    return floor(number);
  };

  /** Thrown by the functions of `milepost`, and by whoever builds the same: `{ tag, val }`; a refusal of the host: `{ code, transient }`. */
  const meant = (thrown) => {
    if (thrown === null || typeof thrown !== 'object') return undefined;
    if (hasOwn(thrown, 'tag') && hasOwn(thrown, 'val')) {
      const { tag, val } = thrown;
      switch (tag) {
        case 'failed': return failed(text(val.code), text(val.message), optional(val.detail));
        case 'retryable': {
          const { cause, after, provider } = val;
          return ['retryable', text(cause.code), text(cause.message), optional(cause.detail), amount(after, 'after'), optional(provider)];
        }
        case 'paused': {
          const { code, reason, provider, until, signal, state } = val;
          return ['paused', text(code), text(reason), optional(provider), amount(until, 'until'), optional(signal), optional(state)];
        }
        case 'cancelled': return ['cancelled', text(val)];
      }
    }
    if (hasOwn(thrown, 'code') && hasOwn(thrown, 'transient') && typeof thrown.transient === 'boolean') {
      return [thrown.transient ? 'retryable' : 'failed', text(thrown.code), text(thrown.message)];
    }
    return undefined;
  };

  const ended = (thrown) => {
    try {
      const outcome = meant(thrown);
      if (outcome !== undefined) return outcome;
    } catch (other) {
      thrown = other;
    }
    const { message, stack } = told(thrown);
    return failed(codeOf(thrown, message), message, stack ? stringify({ stack }) : undefined);
  };

  /** What the engine throws where a step has used up what it may have, the codes of the host for the same. Without memory for an
   * error it throws `null`. */
  const codeOf = (thrown, message) => {
    if (memoryIsGone() && (thrown === null || indexOf(message, 'InternalError: out of memory') === 0)) return 'out_of_memory';
    return indexOf(message, 'RangeError: Maximum call stack size exceeded') === 0 ? 'stack_overflow' : 'exception';
  };

  const written = (output) => {
    if (output === undefined) return ['ok', 'null'];
    let json;
    try {
      json = stringify(output);
    } catch (thrown) {
      const { message, stack } = told(thrown);
      return failed('invalid_output', `the output is no JSON: ${message}`, stack ? stringify({ stack }) : undefined);
    }
    return typeof json === 'string' ? ['ok', json] : failed('invalid_output', `the output is no JSON: a ${typeof output}`);
  };

  const run = async (script, context, name, input) => {
    try {
      if (typeof script.guest?.run === 'function') return ['ok', text(script.guest.run(name, input))];
      const steps = stepsOf(script);
      if (!hasOwn(steps, name)) return failed('unknown_step', `${file} has no step \`${name}\``);
      const step = steps[name];
      return written(await apply(runOf(step), step, [parse(input), context]));
    } catch (thrown) {
      return ended(thrown);
    }
  };

  return { read, run, ended, told: (thrown) => told(thrown).message };
})
