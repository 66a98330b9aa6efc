import { failed } from 'milepost';

const KINDS = {
  bug: /\b(crash|error|broken|fails?)/i,
  question: /\?\s*$/,
  praise: /\b(love|great|thanks?)\b/i,
};

export const version = '1.0.0';

export const steps = {
  classify: {
    description: 'Says what kind of message this is',
    input: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
    output: {
      type: 'object',
      properties: { kind: { type: 'string' }, words: { type: 'integer' } },
      required: ['kind', 'words'],
    },
    run({ message }) {
      if (message.trim() === '') throw failed('empty', 'a message has to say something');
      const kind = Object.keys(KINDS).find((kind) => KINDS[kind].test(message)) ?? 'other';
      console.log(`${kind}:`, message);
      return { kind, words: message.trim().split(/\s+/).length };
    },
  },

  report: {
    description: 'Counts the kinds, the most frequent one first',
    input: {
      type: 'object',
      properties: { messages: { type: 'array', items: { type: 'object' } } },
      required: ['messages'],
    },
    output: { type: 'string' },
    run({ messages }) {
      const byKind = Object.entries(Object.groupBy(messages, ({ kind }) => kind));
      const lines = byKind
        .map(([kind, of]) => ({ kind, count: of.length, words: of.reduce((sum, { words }) => sum + words, 0) }))
        .sort((a, b) => b.count - a.count || (a.kind < b.kind ? -1 : 1))
        .map(({ kind, count, words }) => `| ${kind} | ${count} | ${(words / count).toFixed(1)} |`);
      return ['| kind | messages | words each |', '|---|---|---|', ...lines].join('\n');
    },
  },
};
