// What of milepost.js needs no host, and how it asks one: node --test milepost.test.mjs
import assert from 'node:assert/strict';
import { register } from 'node:module';
import test from 'node:test';

// A host that refuses and remembers nothing.
const hooks = `
export async function resolve(name, context, next) {
  return name.startsWith('milepost:') ? { url: name, shortCircuit: true } : next(name, context);
}
export async function load(url, context, next) {
  if (!url.startsWith('milepost:')) return next(url, context);
  const refuse = "() => { throw Object.assign(new Error('refused'), { payload: { code: 'denied', message: 'no', transient: globalThis.transient } }); }";
  const source = "export const Bucket = { open: " + refuse + " }; export const attempt = () => 7; export const resumeState = () => null;";
  return { format: 'module', source, shortCircuit: true };
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
const { bytes, failed, kv, pause, plugin, retryable, step, text } = await import('./milepost.js');

const ends = (run, input = {}) => {
  try {
    plugin({ name: 'p', steps: { s: step({ run }) } }).run('s', JSON.stringify(input));
  } catch (thrown) {
    return thrown;
  }
  throw new Error('it returned');
};

test('bytes and text are UTF-8 both ways', () => {
  for (const sample of ['', 'a', 'grüße', '🌍 %41', 'x'.repeat(10_000) + 'ü']) {
    assert.deepEqual(Buffer.from(bytes(sample)), Buffer.from(sample, 'utf8'));
    assert.equal(text(bytes(sample)), sample);
  }
  assert.equal(text(bytes('\ud800')), '\ufffd');
  assert.throws(() => text(new Uint8Array([0xff])), URIError);
});

test('a manifest lists the steps, without what they do', () => {
  const described = JSON.parse(plugin({ name: 'p', buckets: ['b'], steps: { s: step({ input: true, run: () => 1 }) } }).describe());
  assert.deepEqual(described, { name: 'p', buckets: ['b'], steps: { s: { input: true } } });
});

test('outputs are JSON, and nothing is null', () => {
  const guest = plugin({ name: 'p', steps: { echo: step({ run: (x) => x }), none: step({ run() {} }), attempt: step({ run: (_, c) => c.attempt }) } });
  assert.equal(guest.run('echo', '{"ü":[1]}'), '{"ü":[1]}');
  assert.equal(guest.run('none', '{}'), 'null');
  assert.equal(guest.run('attempt', '{}'), '7');
});

test('what is thrown says how the step ends', () => {
  assert.deepEqual(ends((input) => { throw failed('c', 'm', input); }, [1]), { tag: 'failed', val: { code: 'c', message: 'm', detail: '[1]' } });
  const again = ends(() => { throw retryable('c', 'm', { after: 5 }); });
  assert.deepEqual([again.tag, again.val.after, again.val.cause.code], ['retryable', 5, 'c']);
  const stopped = ends(() => { throw pause('c', 'r', { state: { a: 1 }, until: new Date(2) }); });
  assert.deepEqual([stopped.tag, stopped.val.state, stopped.val.until], ['paused', '{"a":1}', 2e6]);
  const thrown = ends(() => { throw new TypeError('x'); });
  assert.deepEqual([thrown.tag, thrown.val.code, thrown.val.message], ['failed', 'exception', 'TypeError: x']);
});

test('a refusal that the step does not handle ends it', () => {
  globalThis.transient = false;
  assert.equal(ends(() => kv.open('b')).tag, 'failed');
  globalThis.transient = true;
  assert.equal(ends(() => kv.open('b')).tag, 'retryable');
});
