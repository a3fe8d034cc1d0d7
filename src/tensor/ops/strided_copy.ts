/** Moving boxes of elements between memory layouts: what slices, concatenations and transpositions have in common. */
import source from '../../shaders/copy_strided.wgsl';
import {
  type BufferRef,
  type Copy,
  type Dispatch,
  input,
  type Kernel,
  type KernelContext,
  linearGrid,
  OpError,
  output,
} from '../op.js';
import { type Shape, showShape, type TensorType } from '../types.js';

/** One axis of a box, with its strides in elements in either memory. */
export interface Axis {
  readonly extent: number;
  readonly source: number;
  readonly target: number;
}

/** Axes outermost first; `source` and `target` are the positions of the box's first element. */
export interface Box {
  readonly axes: readonly Axis[];
  readonly source: number;
  readonly target: number;
}

/**
 * The same box with as few axes as possible: axes of one element are dropped, and neighbours that are contiguous in
 * both memories become one. Fewer axes are fewer divisions in the kernel.
 */
export function boxOf(
  extents: Shape,
  sources: readonly number[],
  targets: readonly number[],
  source = 0,
  target = 0,
): Box {
  const axes: Axis[] = [];
  for (const [i, extent] of extents.entries()) {
    if (extent === 1) continue;
    const axis = { extent, source: sources[i]!, target: targets[i]! };
    const outer = axes.at(-1);
    if (outer && outer.source === axis.source * extent && outer.target === axis.target * extent)
      axes[axes.length - 1] = { ...axis, extent: outer.extent * extent };
    else axes.push(axis);
  }
  if (axes.length === 0) axes.push({ extent: 1, source: 1, target: 1 });
  return { axes, source, target };
}

/** The box in groups of `lanes` neighbours, or null where the layout doesn't allow it. */
function boxOfGroups({ axes, source, target }: Box, lanes: number): Box | null {
  const inner = axes.at(-1)!;
  const outer = axes.slice(0, -1);
  if (inner.source !== 1 || inner.target !== 1) return null;
  const numbers = [inner.extent, source, target, ...outer.flatMap((axis) => [axis.source, axis.target])];
  if (numbers.some((n) => n % lanes !== 0)) return null;
  const fewer = outer.map((axis) => ({
    extent: axis.extent,
    source: axis.source / lanes,
    target: axis.target / lanes,
  }));
  const group = { ...inner, extent: inner.extent / lanes };
  return { axes: [...fewer, group], source: source / lanes, target: target / lanes };
}

/** The box in words of 4 bytes; of halves, whose runs along the last axis must begin and end with whole words. */
function boxOfWords(box: Box, { dtype }: TensorType): Box {
  if (dtype !== 'f16') return box;
  const words = boxOfGroups(box, 2);
  if (!words) throw new Error('a box of halves does not divide into words: cast it to f32 first');
  return words;
}

/** What is known of each axis, as uniforms: `extent0`, `extent1`, ... */
export const numbered = <T extends Record<keyof T, number>>(axes: readonly T[]): Record<string, number> =>
  Object.fromEntries(
    axes.flatMap((axis, i) => Object.entries<number>(axis).map(([name, value]) => [`${name}${i}`, value])),
  );

/** A copy kernel over the box, of words or, with `lanes` 4, of groups of four of them. */
function copyDispatch(
  { axes, source: sourceStart, target: targetStart }: Box,
  lanes: 1 | 4,
  cpu: boolean,
  from: BufferRef,
  to: BufferRef,
): Dispatch {
  const inward = [...axes].reverse();
  const axis = (i: number): Axis =>
    i < inward.length - 1 || i === 0 ? inward[i]! : { extent: 1, source: 0, target: 0 };
  const outermost = inward.length > 1 ? inward.at(-1)! : { source: 0, target: 0 };
  const extent0 = axis(0).extent;
  const run = cpu ? Math.min(extent0, 8) : 1;
  const runs = Math.ceil(extent0 / run);
  const count = inward.slice(1).reduce((product, { extent }) => product * extent, runs);
  return {
    source,
    constants: { V: lanes === 4 ? 'vec4u' : 'u32', RANK: Math.max(inward.length, 2) },
    uniforms: {
      count,
      run,
      runs,
      ...numbered([0, 1, 2, 3].map(axis)),
      sourceStart,
      sourceOuter: outermost.source,
      targetStart,
      targetOuter: outermost.target,
    },
    buffers: [from, to],
    workgroups: linearGrid(count, 64),
  };
}

/** How many buffer copies an op may take; a copy costs a few microseconds, and breaks up a compute pass. */
const MAX_COPIES = 32;
/** Below this a copy's fixed cost outweighs a kernel's. */
const MIN_COPY_BYTES = 4096;

/** The box of words as plain buffer copies, or null where that takes many or small ones. */
function bufferCopies({ axes, source, target }: Box, from: BufferRef, to: BufferRef): Copy[] | null {
  const inner = axes.at(-1)!;
  const outer = axes.slice(0, -1);
  const count = outer.reduce((product, { extent }) => product * extent, 1);
  const bytes = inner.extent * 4;
  if (inner.source !== 1 || inner.target !== 1 || count > MAX_COPIES) return null;
  if (count > 1 && bytes < MIN_COPY_BYTES) return null;
  let starts = [{ source, target }];
  for (const axis of outer)
    starts = starts.flatMap((start) =>
      Array.from({ length: axis.extent }, (_, i) => ({
        source: start.source + i * axis.source,
        target: start.target + i * axis.target,
      })),
    );
  return starts.map((start) => ({ from, fromOffset: start.source * 4, to, toOffset: start.target * 4, bytes }));
}

/** As many axes as the kernels take. */
export const MAX_RANK = 5;

export function checkRank(op: string, { shape }: TensorType): void {
  if (shape.length > MAX_RANK) throw new OpError(op, `takes up to ${MAX_RANK} axes, got ${showShape(shape)}`);
}

/** Kernels of an op that copies one box from each input: buffer copies where they do, then vectors, then words. */
export function copyKernels<P>(boxes: (inputs: readonly TensorType[], params: P) => Box[]): Kernel<P>[] {
  const asWords = ({ inputs, params }: KernelContext<P>) =>
    boxes(inputs, params).map((box, i) => boxOfWords(box, inputs[i]!));
  const asCopies = (context: KernelContext<P>) =>
    asWords(context).map((box, i) => bufferCopies(box, input(i), output(0)));
  const asVectors = (context: KernelContext<P>) => asWords(context).map((box) => boxOfGroups(box, 4));
  return [
    {
      name: 'copy',
      when: (context) => {
        const copies = asCopies(context);
        return copies.every((list) => list !== null) && copies.flat().length <= 64;
      },
      commands: (context) => asCopies(context).flatMap((list) => list!),
    },
    {
      name: 'vec4',
      when: (context) => asVectors(context).every((box) => box !== null),
      commands: (context) =>
        asVectors(context).map((box, i) => copyDispatch(box!, 4, context.adapter.cpu, input(i), output(0))),
    },
    {
      name: 'naive',
      commands: (context) =>
        asWords(context).map((box, i) => copyDispatch(box, 1, context.adapter.cpu, input(i), output(0))),
    },
  ];
}

/** Copies the elements of a box one by one: the reference of the kernels above. */
export function copyBox(
  extents: Shape,
  from: Float64Array,
  sources: readonly number[],
  start: number,
  to: Float64Array,
  targets: readonly number[],
  target: number,
): void {
  const walk = (axis: number, source: number, destination: number): void => {
    if (axis === extents.length) to[destination] = from[source]!;
    else
      for (let i = 0; i < extents[axis]!; i++)
        walk(axis + 1, source + i * sources[axis]!, destination + i * targets[axis]!);
  };
  walk(0, start, target);
}
