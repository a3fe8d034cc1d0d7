/** Shaders without comments and blanks are the same to a compiler, and to the loader that reads what the host must know. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, inject, it } from 'vitest';
import { minifyWgsl, tokensOf } from '../scripts/minify_wgsl.mjs';
import { withoutSpecifications } from '../scripts/without_specifications.mjs';
import { specialize } from '../src/tensor/wgsl.js';

const folder = `${inject('root')}src/shaders/`;
const shaders = readdirSync(folder).filter((name) => name.endsWith('.wgsl'));
const tagged = (source: string) =>
  [...source.matchAll(/^\s*(?:const|alias|fn)\s+(\w+).*@param/gm)].map(([, name]) => name!);

it.each(shaders)('%s keeps its tokens, bindings, uniforms and parameters', (name) => {
  const source = readFileSync(folder + name, 'utf8');
  const minified = minifyWgsl(source);
  expect(minified.length).toBeLessThan(source.length);
  expect(tokensOf(minified).tokens).toEqual(tokensOf(source).tokens);
  expect(tokensOf(minified).comments.every((comment) => comment === '// @param')).toBe(true);
  const { storage, uniforms } = specialize(source);
  expect(specialize(minified)).toMatchObject({ storage, uniforms });
  expect(tagged(minified)).toEqual(tagged(source));
  // What tagged constants are replaced by comes out the same too.
  const constants = Object.fromEntries(
    [...source.matchAll(/^\s*const\s+(\w+)\s*:\s*(u32|bool).*@param/gm)].map(([, each, type]) => [
      each!,
      type === 'u32' ? 24 : true,
    ]),
  );
  const code = (text: string) => tokensOf(specialize(text, constants).code).tokens;
  expect(code(minified)).toEqual(code(source));
});

it('keeps apart what would become another token', () => {
  const source = 'let a = b - -c; // d\nlet e: array<f32, 4> = f; let g = h & &i; let j = 1.0 .x; return k >= l;';
  expect(minifyWgsl(source)).toBe('let a=b- -c;let e:array<f32,4> =f;let g=h& &i;let j=1.0.x;return k>=l;');
  expect(() => minifyWgsl('a /* b */ c')).toThrow('not read as WGSL');
});

it('takes references and samples out of definitions of ops alone, and leaves every line where it is', () => {
  const source = `const op: Op = {
  name: 'op',
  reference([a], params): NdArray[] {
    return [{ samples: 1 }];
  },
  samples: () => [],
  flops: () => 1,
};
const other = { name: 'other', reference: 1 };`;
  const text = withoutSpecifications(source);
  expect(text.length).toBe(source.length);
  expect(text.replace(/\s+/g, ' ')).toBe(
    "const op: Op = { name: 'op', flops: () => 1, }; const other = { name: 'other', reference: 1 };",
  );
  expect(text.split('\n')[6]).toBe('  flops: () => 1,');
});
