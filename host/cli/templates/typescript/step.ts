// Two steps. What else the host offers is in milepost.d.ts.
import { failed, log, pause, plugin, step } from './milepost.js';

const text = { type: 'string' };
const object = (properties: Record<string, object>) => ({ type: 'object', properties, required: Object.keys(properties) });

interface Asked { question: string }

export const guest = plugin({
  name: '{{name}}',
  version: '0.1.0',
  description: 'Greets and asks.',
  steps: {
    greet: step({
      description: 'Greets somebody.',
      input: object({ name: text }),
      output: object({ greeting: text }),
      run({ name }: { name?: unknown }) {
        if (typeof name !== 'string') throw failed('invalid_input', '`name` must be a text');
        log.info('greeting');
        return { greeting: `Hello, ${name}!` };
      },
    }),
    ask: step({
      description: 'Asks a person: pauses until the signal `answer` arrives.',
      input: object({ question: text }),
      output: object({ question: text, answer: {} }),
      run(input: Asked, { resumeState, resumeSignal }) {
        // Each attempt begins afresh: what this one has to know comes back as the state.
        const { question }: Asked = resumeState ?? input;
        if (resumeSignal === undefined) {
          throw pause('needs-answer', 'waiting for the signal `answer`', { signal: 'answer', state: { question } });
        }
        return { question, answer: resumeSignal };
      },
    }),
  },
});
