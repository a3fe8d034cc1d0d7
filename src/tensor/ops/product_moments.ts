/**
 * Means and variances of a product's columns (of a convolution's channels) on the way: each tile of the product writes those
 * of its own rows while it lies in registers, and they are merged as the chunks of `moments` are.
 */
import mergeMoments from '../../shaders/moments_merge_lanes.wgsl';
import { type BufferRef, type Dispatch, linearGrid, output, type Passes, type ShaderSource, scratch } from '../op.js';
import { BYTES_PER_ELEMENT } from '../types.js';

/** Rows of `columns` values in chunks, of each of which two numbers a column are known. */
export interface Chunks {
  readonly rows: number;
  readonly columns: number;
  /** Rows of a chunk; the last may have fewer. */
  readonly chunk: number;
}

/** Bytes of what is known of the chunks, [chunks, 2, columns]. */
export const partialBytes = ({ rows, columns, chunk }: Chunks): number =>
  Math.ceil(rows / chunk) * 2 * columns * BYTES_PER_ELEMENT.f32;

/** What the shaders of both passes have to know of the chunks; columns are a multiple of 4. */
export const chunkUniforms = ({ rows, columns, chunk }: Chunks) => ({
  rows,
  channels4: columns / 4,
  chunks: Math.ceil(rows / chunk),
  chunk,
});

/** Merges chunks that lie in scratch buffer 0; columns must be a multiple of 4. */
export const mergeChunks = (source: ShaderSource, of: Chunks, results: readonly BufferRef[]): Dispatch => ({
  source,
  uniforms: chunkUniforms(of),
  buffers: [scratch(0), ...results],
  workgroups: linearGrid(of.columns / 4, 4),
});

/**
 * The shader of a product with moments: at the end of `main`, which is its last function, `call` is put, and behind it the
 * functions that this calls and the buffer that they write.
 */
export const endingWith = (shader: string, call: string, functions: string): string => `${shader.replace(/\}\s*$/, '')}
  ${call}
}
@group(0) @binding(4) var<storage, read_write> partial: array<vec4f>;  // [tiles down, 2, columns / 4]
${functions}`;

/**
 * A product in one dispatch, of a shader that writes its tiles' moments to one buffer more, and their merging: outputs 1 and 2
 * are mean and variance.
 */
export const withMoments = (product: Dispatch, chunks: Chunks): Passes => ({
  scratch: [partialBytes(chunks)],
  commands: [
    { ...product, buffers: [...product.buffers, scratch(0)] },
    mergeChunks(mergeMoments, chunks, [output(1), output(2)]),
  ],
});
