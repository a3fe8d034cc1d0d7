/** Takes the specifications of ops out of their source: what `Op` (src/tensor/op.ts) says of them to tests alone. */
import { parseAst } from 'vite';

/** `compute` is what `elementwise` makes the reference of. */
const SPECIFICATION = new Set(['reference', 'samples', 'compute']);

/**
 * TypeScript in which definitions of ops, which are object literals that have a `name` and `samples`, lack their
 * references and samples. Blanks take their place, so that every position stays what it is.
 *
 * @param {string} source
 */
export function withoutSpecifications(source) {
  let text = source;
  for (const properties of objectLiterals(parseAst(source, { lang: 'ts' }))) {
    const names = properties.map(({ key }) => key?.name);
    if (!names.includes('name') || !names.includes('samples')) continue;
    for (const [index, { start }] of properties.entries()) {
      if (!SPECIFICATION.has(names[index])) continue;
      const end = properties[index + 1]?.start ?? endOf(text, properties[index].end);
      text = text.slice(0, start) + text.slice(start, end).replace(/[^\n]/g, ' ') + text.slice(end);
    }
  }
  return text;
}

/** Where the last property of a literal ends, with its comma if it has one. */
const endOf = (text, end) => end + /^\s*,?/.exec(text.slice(end))[0].length;

/** Properties of every object literal in a syntax tree. */
function* objectLiterals(node) {
  if (typeof node !== 'object' || node === null) return;
  if (node.type === 'ObjectExpression') yield node.properties;
  for (const child of Object.values(node)) yield* objectLiterals(child);
}
