/**
 * How the text of a kernel reads and writes operands that may be f16: values for what its source tags `// @param`. A
 * source as it stands is for f32; halves are read as words, which takes no feature of the device, and computed with in f32.
 */
import type { DType } from '../types.js';

type Parameters = Readonly<Record<string, string>>;

/** Expressions in `v`: four halves, as two words, to four floats and back. */
export const WIDEN = 'vec4f(unpack2x16float(v.x), unpack2x16float(v.y))';
export const NARROW = 'vec2u(pack2x16float(v.xy), pack2x16float(v.zw))';

/** `alias Stored = vec4f;` and `fn widen(v: Stored) -> vec4f { return v; }`, under names of the caller's. */
export const reads4 = (dtype: DType, stored: string, widen: string): Parameters =>
  dtype === 'f16' ? { [stored]: 'vec2u', [widen]: WIDEN } : {};

/** `alias Stored = vec4f;` and `fn narrow(v: vec4f) -> Stored { return v; }`. */
export const writes4 = (dtype: DType, stored: string, narrow: string): Parameters =>
  dtype === 'f16' ? { [stored]: 'vec2u', [narrow]: NARROW } : {};

/** `fn round(v: vec4f) -> vec4f { return v; }`: what is read where `v` has been written. */
export const roundsTo = (dtype: DType, round: string): Parameters =>
  dtype === 'f16'
    ? { [round]: 'vec4f(unpack2x16float(pack2x16float(v.xy)), unpack2x16float(pack2x16float(v.zw)))' }
    : {};

/**
 * `alias V`, what a kernel computes with, one element or four, and `alias S`, what it reads and writes, through
 * `fn widen(v: S) -> V` and `fn narrow(v: V) -> S`. Of halves there must be four.
 */
export function lanesOf(dtype: DType, lanes: 1 | 4): Parameters {
  const V = lanes === 4 ? 'vec4f' : 'f32';
  return dtype === 'f16' ? { V, S: 'vec2u', widen: WIDEN, narrow: NARROW } : { V, S: V };
}

/** Whether a kernel of `lanes` elements at a time can take these operands' halves. */
export const suitLanes = (operands: readonly { readonly dtype: DType }[], lanes: 1 | 4): boolean =>
  lanes === 4 || operands.every(({ dtype }) => dtype !== 'f16');

/** `alias Stored = f32;` and `fn load(i: u32) -> f32 { return x[i]; }`: single elements of `x`. */
export const reads1 = (dtype: DType, stored: string, load: string, x: string): Parameters =>
  dtype === 'f16' ? { [stored]: 'u32', [load]: `unpack2x16float(${x}[i >> 1u])[i & 1u]` } : {};

/**
 * `alias Stored = f32;` and `fn stored(i: u32) -> Stored { return element(i); }`: an invocation writes one element, or a word
 * with two halves. There are `wordsOf` of them.
 */
export const writes1 = (dtype: DType, stored: string, write: string): Parameters =>
  dtype === 'f16' ? { [stored]: 'u32', [write]: 'pack2x16float(vec2f(element(2u * i), element(2u * i + 1u)))' } : {};

/** What is written one at a time by a kernel with `writes1`. */
export const wordsOf = (dtype: DType, size: number): number => (dtype === 'f16' ? size / 2 : size);

/** How the operands and the result of a product lie in memory. */
export interface Stored {
  readonly a: DType;
  readonly b: DType;
  readonly c: DType;
}

export const hasHalves = ({ a, b }: Stored): boolean => a === 'f16' || b === 'f16';

export const ALL_F32: Stored = { a: 'f32', b: 'f32', c: 'f32' };

interface Types {
  readonly inputs: readonly { readonly dtype: DType }[];
  readonly outputs: readonly { readonly dtype: DType }[];
}

export const storedOf = ({ inputs, outputs }: Types): Stored => ({
  a: inputs[0]!.dtype,
  b: inputs[1]!.dtype,
  c: outputs[0]!.dtype,
});

/** Of a kernel that takes four elements at a time. */
export const storedIn4s = ({ a, b, c }: Stored): Parameters => ({
  ...reads4(a, 'StoredA', 'widen_a'),
  ...reads4(b, 'StoredB', 'widen_b'),
  ...writes4(c, 'StoredC', 'narrow'),
});

/** Of a kernel that reads `x` and `y` element by element. */
export const storedIn1s = ({ a, b, c }: Stored, x: string, y: string): Parameters => ({
  ...reads1(a, 'StoredA', 'load_a', x),
  ...reads1(b, 'StoredB', 'load_b', y),
  ...writes1(c, 'StoredC', 'stored'),
});
