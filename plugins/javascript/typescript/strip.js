// Takes the types out of TypeScript, on the engine for JavaScript itself. Every line stays where it was, so that places are those of the source.
import { transform } from 'sucrase';
import { parse } from 'sucrase/dist/esm/parser/index.js';
import { ContextualKeyword } from 'sucrase/dist/esm/parser/tokenizer/keywords.js';
import { TokenType } from 'sucrase/dist/esm/parser/tokenizer/types.js';

const failed = (message) => ({ tag: 'failed', val: { code: 'syntax', message: `SyntaxError: ${message}` } });

/** Where a `namespace` begins that may hold more than types: it would be taken out, too, with nothing said. */
function namespaceIn(text) {
  const { tokens } = parse(text, false, true, false);
  const is = (at, keyword) => tokens[at]?.contextualKeyword === keyword;
  const found = tokens.findIndex(
    ({ isType, contextualKeyword }, at) =>
      isType &&
      (contextualKeyword === ContextualKeyword._namespace || contextualKeyword === ContextualKeyword._module) &&
      (tokens[at + 1].type === TokenType.name || tokens[at + 1].type === TokenType.string) &&
      (tokens[at + 2].type === TokenType.braceL || tokens[at + 2].type === TokenType.dot) &&
      !is(at - 1, ContextualKeyword._declare),
  );
  return tokens[found]?.start;
}

export const steps = {
  strip({ file, text }) {
    let code;
    try {
      ({ code } = transform(text, { transforms: ['typescript'], disableESTransforms: true }));
    } catch (thrown) {
      // With its place at the end: `.. (3:14)`.
      const message = String(thrown?.message).replace(/^Error transforming [^:]*: /, '').replace(/ \((\d+:\d+)\)$/, ` (${file}:$1)`);
      throw failed(message);
    }
    const at = namespaceIn(text);
    if (at === undefined) return code;
    const before = text.slice(0, at).split('\n');
    throw failed(`a namespace is more than types: use a module or an object (${file}:${before.length}:${before.at(-1).length + 1})`);
  },
};
