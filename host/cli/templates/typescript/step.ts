// Two steps. Everything that the host offers is in wit/v0.1.0/step.wit: an interface is a module, its functions are written in camelCase.
import { resumeSignal, resumeState } from 'milepost:step/context@0.1.0';
import { emit } from 'milepost:step/log@0.1.0';

type Schema = Record<string, unknown>;
interface Step { description: string; input: Schema; output: Schema; run(input: any): unknown }

const text = { type: 'string' };
const object = (properties: Record<string, Schema>): Schema => ({ type: 'object', properties, required: Object.keys(properties) });

const steps: Record<string, Step> = {
  greet: {
    description: 'Greets somebody.',
    input: object({ name: text }),
    output: object({ greeting: text }),
    run({ name }: { name?: unknown }) {
      if (typeof name !== 'string') throw failed('invalid_input', '`name` must be a text');
      emit('info', 'greeting', []);
      return { greeting: `Hello, ${name}!` };
    },
  },
  ask: {
    description: 'Asks a person: pauses until the signal `answer` arrives.',
    input: object({ question: text }),
    output: object({ question: text, answer: {} }),
    run(input: { question: string }) {
      // Each attempt begins afresh: what this one has to know comes back as the state.
      const state = resumeState();
      const { question }: { question: string } = state == null ? input : JSON.parse(state);
      const answer = resumeSignal();
      if (answer == null) {
        throw paused('needs-answer', 'waiting for the signal `answer`', { signal: 'answer', state: JSON.stringify({ question }) });
      }
      return { question, answer: JSON.parse(answer) };
    },
  },
};

// The ways not to return an output. Anything else that is thrown is a defect of the plugin, and the step fails as `trap`
// (as `exception`, where this file is used as it is).
const failed = (code: string, message: string) => ({ tag: 'failed', val: { code, message } });
const paused = (code: string, reason: string, more: { signal?: string; state?: string; until?: number }) => ({ tag: 'paused', val: { code, reason, ...more } });

export const guest = {
  describe(): string {
    return JSON.stringify({ name: '{{name}}', version: '0.1.0', description: 'Greets and asks.', steps });
  },
  run(step: string, input: string): string {
    if (!Object.hasOwn(steps, step)) throw failed('unknown_step', `there is no step ${step}`);
    return JSON.stringify(steps[step].run(JSON.parse(input)) ?? null);
  },
};
