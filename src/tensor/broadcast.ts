/** NumPy's broadcasting rule, and the collapsed index spaces that elementwise kernels walk. */
import { type Shape, showShape, sizeOf } from './types.js';

/** The common shape of `shapes`, aligned at the last axis; null where extents differ and neither is 1. */
export function broadcastShape(shapes: readonly Shape[]): Shape | null {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (let axis = 0; axis < shape.length; axis++) {
      const at = rank - shape.length + axis;
      const extent = shape[axis]!;
      if (extent === 1) continue;
      if (result[at] !== 1 && result[at] !== extent) return null;
      result[at] = extent;
    }
  }
  return result;
}

/** Whether `from` can be broadcast to exactly `to`. */
export function broadcastsTo(from: Shape, to: Shape): boolean {
  const offset = to.length - from.length;
  return offset >= 0 && from.every((extent, axis) => extent === 1 || extent === to[offset + axis]);
}

/** Strides, in elements, with which an array of shape `from` is read over the index space `to`: 0 where broadcast. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  if (!broadcastsTo(from, to)) throw new Error(`${showShape(from)} does not broadcast to ${showShape(to)}`);
  const strides = new Array<number>(to.length).fill(0);
  let stride = 1;
  for (let axis = to.length - 1; axis >= to.length - from.length; axis--) {
    const extent = from[axis - (to.length - from.length)]!;
    strides[axis] = extent === 1 ? 0 : stride;
    stride *= extent;
  }
  return strides;
}

export interface IndexSpace {
  /** Extents of the collapsed axes. */
  readonly extents: readonly number[];
  /** For each input, whether it varies along each collapsed axis. */
  readonly varies: readonly (readonly boolean[])[];
}

/**
 * Merges neighbouring axes of `shape` that every input either walks or is broadcast along. A channel vector over
 * NHWC becomes two axes (positions, channels); operands of one shape become a single axis.
 */
export function collapse(shape: Shape, inputs: readonly Shape[]): IndexSpace {
  const varies = inputs.map((from) => {
    const offset = shape.length - from.length;
    return shape.map((_, axis) => axis >= offset && from[axis - offset]! !== 1);
  });
  const extents: number[] = [];
  const kept: boolean[][] = inputs.map(() => []);
  for (let axis = 0; axis < shape.length; axis++) {
    if (shape[axis] === 1) continue;
    const last = extents.length - 1;
    if (last >= 0 && kept.every((flags, input) => flags[last] === varies[input]![axis])) {
      extents[last]! *= shape[axis]!;
    } else {
      extents.push(shape[axis]!);
      for (const [input, flags] of kept.entries()) flags.push(varies[input]![axis]!);
    }
  }
  if (extents.length === 0) {
    extents.push(1);
    for (const flags of kept) flags.push(false);
  }
  return { extents, varies: kept };
}

/** Calls `visit(position, offsets)` for every element of `shape`, with the offset into each broadcast input. */
export function forEachBroadcast(
  shape: Shape,
  inputs: readonly Shape[],
  visit: (position: number, offsets: readonly number[]) => void,
): void {
  const strides = inputs.map((from) => broadcastStrides(from, shape));
  const index = new Array<number>(shape.length).fill(0);
  const offsets = new Array<number>(inputs.length).fill(0);
  const size = sizeOf(shape);
  for (let position = 0; position < size; position++) {
    visit(position, offsets);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      for (let i = 0; i < offsets.length; i++) offsets[i]! += strides[i]![axis]!;
      if (index[axis]! < shape[axis]!) break;
      for (let i = 0; i < offsets.length; i++) offsets[i]! -= strides[i]![axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
}
