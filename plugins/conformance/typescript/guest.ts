// The conformance guest in TypeScript. What each step has to do: plugins/conformance/README.md.
import {
  HostError, type Json, artifacts, clock, exec, failed, kv, log, memo, pause, plugin, progress, random, request, retryable, step, text,
} from '../../sdk-js/milepost.js';

const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (thrown) {
    if (thrown instanceof HostError) return thrown.code;
    throw thrown;
  }
  throw failed('allowed', 'although nothing allows it');
};

export const guest = plugin({
  name: 'conformance-typescript',
  version: '0.1.0',
  buckets: ['b'],
  steps: {
    echo: step<Json, Json>({ run: (input) => input }),
    log: step({ run: ({ message }: { message: string }) => log.warn(message, { from: 'guest' }) }),
    progress: step({
      run() {
        progress(1, 2, 'half');
        progress(2, 2, 'done');
      },
    }),
    pause: step({
      run(_, { resumeState }) {
        if (resumeState === undefined) throw pause('needs-input', 'waits for a person', { state: { page: 2, ü: null } });
        return resumeState;
      },
    }),
    retry: step({
      run(_, { attempt }) {
        if (attempt === 1) throw retryable('busy', 'not yet', { after: 300, provider: 'acme' });
        return attempt;
      },
    }),
    fail: step({
      run(input) {
        throw failed('no-such-thing', 'nichts für dich 🌍', input);
      },
    }),
    clock: step({
      run() {
        const now = clock.now();
        clock.sleep(2);
        return { now: `${Math.floor(now * 1000)}000`, passed: clock.now() - now >= 1.999 };
      },
    }),
    random: step({ run: () => Array.from(random.bytes(8)) }),
    memo: step({
      run(input) {
        let done = false;
        const value = memo.once('work', () => {
          done = true;
          return input;
        });
        if (done) throw retryable('again', 'the work is done');
        return value;
      },
    }),
    kv: step({
      run() {
        const bucket = kv.open('b');
        const revision = bucket.put('k/ü', 'v1');
        const item = bucket.get('k/ü');
        const replace = codeOf(() => bucket.replace('k/ü', undefined, 'v2'));
        const keys = bucket.keys('k/');
        bucket.delete('k/ü');
        return {
          value: item && text(item.value), same: item?.revision === revision, replace, keys, left: bucket.get('k/ü') !== undefined,
        };
      },
    }),
    http: step({
      run({ url }: { url: string }) {
        const response = request('POST', url, { headers: { 'x-case': 'http' }, body: 'grüße' });
        return { status: response.status, body: response.text() };
      },
    }),
    artifacts: step({
      run() {
        const artifact = artifacts.write('a.txt', 'text/plain', 'grüße an alle');
        const info = artifacts.info(artifact.digest);
        return { size: artifact.size, type: info.mediaType, tail: text(artifacts.read(artifact.digest, 8, 100)) };
      },
    }),
    exec: step({ run: () => codeOf(() => exec('sh', ['-c', 'true'])) }),
    strict: step({
      run({ n }: { n: unknown }) {
        if (typeof n !== 'number') throw failed('invalid_input', '`n` must be a number');
        return n;
      },
    }),
    broken: step({ run: () => null }),
  },
});

// What a step returns is always written as valid JSON, so this one goes around it.
const { run } = guest;
guest.run = (name, input) => (name === 'broken' ? '{"unfinished":' : run(name, input));
