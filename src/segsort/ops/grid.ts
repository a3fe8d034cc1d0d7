/** What clustering starts from: a uniform grid of cells, and where in its image each pixel lies. */
import sourceClusters from '../../shaders/segsort_initial_clusters.wgsl';
import sourceLocations from '../../shaders/segsort_locations.wgsl';
import { apply1, type Tensor, type TensorLike } from '../../tensor/graph.js';
import { type Command, input, linearGrid, type Op, OpError, output } from '../../tensor/op.js';
import { type NdArray, ndarray, showShape, sizeOf, type TensorType } from '../../tensor/types.js';

/** The common canvas of a batch, in pixels of the embedding. */
export interface Canvas {
  readonly height: number;
  readonly width: number;
}

export interface InitialClusters extends Canvas {
  /** Cells along y and along x. */
  readonly cells: readonly [number, number];
}

export interface Locations extends Canvas {
  /** Length of a pixel's feature, at least 2; what is beyond y and x is zero. */
  readonly channels: number;
}

function checkSizes(op: string, sizes: TensorType, { height, width }: Canvas): number {
  if (sizes.dtype !== 'f32' || sizes.shape.length !== 2 || sizes.shape[1] !== 2)
    throw new OpError(
      op,
      `sizes must be f32 [N,2], the valid height and width of each image, got ${sizes.dtype}${showShape(sizes.shape)}`,
    );
  if (!(Number.isInteger(height) && Number.isInteger(width) && height > 0 && width > 0))
    throw new OpError(op, `the canvas must be a positive number of pixels each way, got ${height} x ${width}`);
  return sizes.shape[0]!;
}

export function checkCells(op: string, cells: readonly number[]): void {
  if (cells.length !== 2 || !cells.every((cell) => Number.isInteger(cell) && cell > 0))
    throw new OpError(op, `cells must be two positive integers, for y and x, got [${cells.join(',')}]`);
}

/** The grid over an image: cells are `ceil(size / cells)` pixels, so fewer than asked for may be in use. */
function gridOf(height: number, width: number, cells: readonly [number, number]) {
  const cellHeight = Math.max(1, Math.ceil(height / cells[0]));
  const cellWidth = Math.max(1, Math.ceil(width / cells[1]));
  const rows = Math.ceil(height / cellHeight);
  const columns = Math.ceil(width / cellWidth);
  return { cellHeight, cellWidth, rows, columns };
}

/** A sample for three images on a canvas: one fills it, one is padded, and one is missing. */
const sampleSizes = (height: number, width: number) =>
  ndarray([3, 2], [height, width, Math.ceil(height / 2), width - 1, 0, 0]);

export const initialClustersOp: Op<InitialClusters> = {
  name: 'initialClusters',
  infer([sizes], params) {
    checkCells('initialClusters', params.cells);
    const images = checkSizes('initialClusters', sizes!, params);
    return [{ shape: [images, params.height * params.width], dtype: 'i32' }];
  },
  reference([sizes], params): NdArray[] {
    const clusters = ndarray(this.infer([sizes!], params)[0]!.shape, undefined, 'i32');
    clusters.data.fill(-1);
    for (let n = 0; n < sizes!.shape[0]!; n++) {
      const [height, width] = [sizes!.data[n * 2]!, sizes!.data[n * 2 + 1]!];
      const { cellHeight, cellWidth, rows } = gridOf(height, width, params.cells);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          clusters.data[(n * params.height + y) * params.width + x] =
            Math.floor(y / cellHeight) + rows * Math.floor(x / cellWidth);
    }
    return [clusters];
  },
  samples: () => [
    { inputs: [sampleSizes(7, 9)], params: { height: 7, width: 9, cells: [3, 4] } },
    { inputs: [sampleSizes(10, 6)], params: { height: 10, width: 6, cells: [4, 8] } },
    { inputs: [sampleSizes(1, 2)], params: { height: 1, width: 2, cells: [1, 1] } },
  ],
  kernels: [
    {
      name: 'naive',
      commands({ outputs, params: { height, width, cells } }): Command[] {
        const count = sizeOf(outputs[0]!.shape);
        return [
          {
            source: sourceClusters,
            uniforms: { count, height, width, rows: cells[0], columns: cells[1] },
            buffers: [input(0), output(0)],
            workgroups: linearGrid(count, 64),
          },
        ];
      },
    },
  ],
};

export const locationsOp: Op<Locations> = {
  name: 'locations',
  infer([sizes], params) {
    const images = checkSizes('locations', sizes!, params);
    if (!(Number.isInteger(params.channels) && params.channels >= 2))
      throw new OpError('locations', `channels must be an integer of at least 2, got ${params.channels}`);
    return [{ shape: [images, params.height * params.width, params.channels], dtype: 'f32' }];
  },
  reference([sizes], params): NdArray[] {
    const locations = ndarray(this.infer([sizes!], params)[0]!.shape);
    for (let n = 0; n < sizes!.shape[0]!; n++) {
      const [height, width] = [sizes!.data[n * 2]!, sizes!.data[n * 2 + 1]!];
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const at = ((n * params.height + y) * params.width + x) * params.channels;
          locations.data[at] = y / height;
          locations.data[at + 1] = x / width;
        }
    }
    return [locations];
  },
  samples: () => [
    { inputs: [sampleSizes(7, 9)], params: { height: 7, width: 9, channels: 4 } },
    { inputs: [sampleSizes(5, 3)], params: { height: 5, width: 3, channels: 2 } },
  ],
  kernels: [
    {
      name: 'naive',
      commands({ outputs, params: { height, width, channels } }): Command[] {
        const count = sizeOf(outputs[0]!.shape) / channels;
        return [
          {
            source: sourceLocations,
            uniforms: { count, height, width, channels },
            buffers: [input(0), output(0)],
            workgroups: linearGrid(count, 64),
          },
        ];
      },
    },
  ],
};

/**
 * Cluster ids i32 [N, height*width] to start from: cells of `ceil(size / cells)` pixels over each image's own valid
 * size, numbered down the columns, and -1 in the padding. `sizes` is f32 [N,2]: valid height and width, whole numbers,
 * 0 for an image that is missing.
 */
export function initialClusters(sizes: TensorLike, params: InitialClusters): Tensor {
  return apply1(initialClustersOp, [sizes], params);
}

/**
 * Location features f32 [N, height*width, channels]: (y / height, x / width) over each image's own valid size, in
 * [0, 1); zeros in the padding and in channels beyond the second. `sizes` as for `initialClusters`.
 */
export function locations(sizes: TensorLike, params: Locations): Tensor {
  return apply1(locationsOp, [sizes], params);
}
