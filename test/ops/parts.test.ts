/** What ops say of where values lie in others (`Op.parts`, `Op.partOf`), against what their references do. */
import { expect, it } from 'vitest';
import { concatOp, sliceOp } from '../../src/tensor/ops/layout.js';
import { packOp } from '../../src/tensor/ops/pack.js';
import { ndarray, sizeOf } from '../../src/tensor/types.js';
import { wordIn } from '../support/symbolic_memory.js';

const numbers = (text: string) => text.split(' ').map(Number);

function sliced(extents: string, begin: string, size: string) {
  const shape = numbers(extents);
  const x = ndarray(
    shape,
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => i + 1),
  );
  const params = { begin: numbers(begin), size: numbers(size) };
  return { x, y: sliceOp.reference([x], params)[0]!, part: sliceOp.partOf!([x], params) };
}

it.each([
  ['7', '2', '3'],
  ['3 8', '1 0', '2 8'],
  ['3 8', '1 4', '2 4'],
  ['3 8', '2 3', '1 4'],
  ['2 3 4 8', '0 0 0 2', '2 3 4 4'],
  ['2 3 4 8', '1 0 0 4', '1 3 4 4'],
  ['2 3 4 8', '1 1 0 0', '1 2 4 8'],
  ['2 3 4 8', '1 1 2 3', '1 1 1 5'],
  ['2 3 4 8', '1 1 0 3', '1 2 4 5'],
])('a slice of %s from %s of %s lies where its op says', (...shapes) => {
  const { x, y, part } = sliced(...shapes);
  expect([...y.data]).toEqual([...y.data].map((_, i) => x.data[wordIn(part!, y, i)]));
});

it.each([
  ['2 3 4 8', '0 0 1 0', '2 3 2 8'],
  ['2 3 4 8', '0 1 0 0', '2 1 4 4'],
])('a slice of %s from %s of %s lies nowhere, as its rows are not one pitch apart', (...shapes) => {
  expect(sliced(...shapes).part).toBeNull();
});

it('inputs lie where what holds them says', () => {
  let parts = 0;
  for (const op of [concatOp, packOp])
    for (const { inputs, params } of op.samples()) {
      const [whole] = op.reference(inputs, params as never);
      for (const [i, part] of op.parts!(inputs, params as never).entries()) {
        const { data } = inputs[i]!;
        expect([...data]).toEqual([...data].map((_, at) => whole!.data[wordIn(part, inputs[i]!, at)]));
        parts++;
      }
    }
  expect(parts).toBeGreaterThan(10);
});
