/** From packed images on the host to the crops a network sees: scaling, mirroring, cropping and normalising at once. */
import sampleCropSource from '../../shaders/sample_crop.wgsl';
import sampleIdsSource from '../../shaders/sample_ids.wgsl';
import { apply, type Tensor, type TensorLike } from '../graph.js';
import { input, type Op, OpError, output } from '../op.js';
import { type NdArray, ndarray, showShape, type TensorType } from '../types.js';
import { sampleIntegers } from './sample_values.js';

/** Size of a crop in pixels. */
export interface CropExtents {
  readonly height: number;
  readonly width: number;
}

export interface SampleCropParams extends CropExtents {
  /** Subtracted from red, green and blue (0 to 255). */
  readonly mean: readonly [number, number, number];
  /** Label outside of the image. Default 255. */
  readonly ignore?: number;
}

/** What label files have where there is no class, as a rule. */
const IGNORED = 255;

/** Extent in pixels of an axis after resizing by `scale`, as the kernel computes it: in float32, halves upwards. */
export function resizedExtent(extent: number, scale: number): number {
  return Math.floor(Math.fround(Math.fround(extent * Math.fround(scale)) + 0.5));
}

/** See `sampleCrop`. */
export const sampleCropOp: Op<SampleCropParams> = {
  name: 'sampleCrop',
  infer([canvas, placement], params) {
    const { height, width } = params;
    const batch = checkedBatch('sampleCrop', canvas!, placement!, params);
    return [
      { shape: [batch, height, width, 3], dtype: 'f32' },
      { shape: [batch, height, width], dtype: 'i32' },
    ];
  },
  reference([canvas, placement], params) {
    const batch = canvas!.shape[0]!;
    const image = ndarray([batch, params.height, params.width, 3]);
    const labels = ndarray([batch, params.height, params.width], undefined, 'i32');
    for (let n = 0; n < batch; n++)
      for (let y = 0; y < params.height; y++)
        for (let x = 0; x < params.width; x++) {
          const pixel = (n * params.height + y) * params.width + x;
          const { colour, label = params.ignore ?? IGNORED } = sampleAt(canvas!, placement!, n, y, x);
          labels.data[pixel] = label;
          for (let c = 0; c < 3; c++) image.data[pixel * 3 + c] = colour ? colour[c]! - params.mean[c]! : 0;
        }
    return [image, labels];
  },
  samples: () => [
    {
      name: 'as it is, padded',
      inputs: [packed([1, 6, 7]), ndarray([1, 8], [5, 4, 1, 1, 0, 0, 0, 0])],
      params: { height: 8, width: 9, mean: [122.675, 116.669, 104.008] },
    },
    {
      name: 'larger, smaller and mirrored, cropped, empty',
      inputs: [
        packed([4, 7, 11]),
        ndarray(
          [4, 8],
          [
            [7, 11, 1.7, 1.7, 3, 2, 1, 0],
            [6, 9, 0.55, 0.55, 0, 0, 1, 0],
            [7, 10, 2, 2, 5, 7, 0, 0],
            [0, 0, 1, 1, 0, 0, 0, 0],
          ].flat(),
        ),
      ],
      params: { height: 9, width: 13, mean: [100, 110, 120] },
    },
    {
      name: 'axes scaled apart, offset before the image',
      inputs: [packed([2, 5, 5]), ndarray([2, 8], [5, 5, 3, 0.4, -2, -3, 0, 0, 1, 1, 7.4, 9.5, 1, 1, 1, 0])],
      params: { height: 17, width: 5, mean: [0, 0, 0], ignore: -1 },
    },
  ],
  kernels: [
    {
      name: 'pixel',
      commands: ({ inputs, params: { height, width, mean, ignore = IGNORED } }) => {
        const [meanR, meanG, meanB] = mean;
        const [batch, canvasHeight, canvasWidth] = inputs[0]!.shape as [number, number, number];
        return [
          {
            source: sampleCropSource,
            uniforms: { canvasHeight, canvasWidth, height, width, meanR, meanG, meanB, ignored: ignore },
            buffers: [input(0), input(1), output(0), output(1)],
            workgroups: [Math.ceil(width / 8), Math.ceil(height / 8), batch],
          },
        ];
      },
    },
  ],
  flops: (_inputs, [image]) => 12 * image!.shape.reduce((product, extent) => product * extent, 1),
};

/**
 * Cuts a crop out of each image of a batch, resized and mirrored on the way.
 *
 * The image is resized to `round(size * scale)` as TensorFlow 1 does with `align_corners=False` (source coordinate =
 * destination coordinate * input size / output size, without half-pixel offsets), bilinear for the image and nearest
 * for the labels, then mirrored; output pixel (y, x) is that image's pixel (y + offsetY, x + offsetX). Outside of it
 * the image is 0 after the mean is subtracted, and the label `ignore`.
 *
 * @param canvas u32 `[N,H,W]`, pixels `r | g << 8 | b << 16 | label << 24`, each image at the top left of its canvas
 * @param placement f32 `[N,8]`: imageHeight, imageWidth, scaleY, scaleX, offsetY, offsetX, mirror (0 or 1), 0
 * @returns image f32 `[N,height,width,3]` and labels i32 `[N,height,width]`; no gradient
 */
export function sampleCrop(
  canvas: TensorLike,
  placement: TensorLike,
  params: SampleCropParams,
): { image: Tensor; labels: Tensor } {
  const [image, labels] = apply(sampleCropOp, [canvas, placement], params);
  return { image: image!, labels: labels! };
}

/** In either half of a word: no id. */
const NO_ID = 0xffff;

/** See `sampleIds`. */
export const sampleIdsOp: Op<CropExtents> = {
  name: 'sampleIds',
  infer([canvas, placement], params) {
    const shape = [checkedBatch('sampleIds', canvas!, placement!, params), params.height, params.width];
    return [
      { shape, dtype: 'i32' },
      { shape, dtype: 'i32' },
    ];
  },
  reference([canvas, placement], { height, width }) {
    const shape = [canvas!.shape[0]!, height, width];
    const outputs = [ndarray(shape, undefined, 'i32'), ndarray(shape, undefined, 'i32')] as const;
    for (let n = 0; n < shape[0]!; n++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const source = sourcePixels(placement!, n, y, x);
          const word = source ? wordOf(canvas!, n, source.rows.low, source.columns.low) : NO_ID * 0x10001;
          for (const [half, { data }] of outputs.entries()) {
            const id = (word >>> (16 * half)) & NO_ID;
            data[(n * height + y) * width + x] = id === NO_ID ? -1 : id;
          }
        }
    return [...outputs];
  },
  samples: () =>
    sampleCropOp.samples().map(({ name, inputs: [canvas, placement], params: { height, width } }) => ({
      name,
      inputs: [idWords(canvas!.shape), placement!],
      params: { height, width },
    })),
  kernels: [
    {
      name: 'pixel',
      commands: ({ inputs, params: { height, width } }) => {
        const [batch, canvasHeight, canvasWidth] = inputs[0]!.shape as [number, number, number];
        return [
          {
            source: sampleIdsSource,
            uniforms: { canvasHeight, canvasWidth, height, width },
            buffers: [input(0), input(1), output(0), output(1)],
            workgroups: [Math.ceil(width / 8), Math.ceil(height / 8), batch],
          },
        ];
      },
    },
  ],
};

/**
 * Cuts the crops that `sampleCrop` cuts out of two maps of ids: regions and instances, 0 to 65534. Each pixel takes
 * the id of the pixel whose label `sampleCrop` takes.
 *
 * @param canvas u32 `[N,H,W]`, pixels `region | instance << 16`, with 65535 where there is none
 * @param placement f32 `[N,8]`, as `sampleCrop` takes it
 * @returns regions and instances, i32 `[N,height,width]`, -1 where there is none, and outside of the image; no gradient
 */
export function sampleIds(
  canvas: TensorLike,
  placement: TensorLike,
  params: CropExtents,
): { regions: Tensor; instances: Tensor } {
  const [regions, instances] = apply(sampleIdsOp, [canvas, placement], params);
  return { regions: regions!, instances: instances! };
}

export const imageOps: Op[] = [sampleCropOp, sampleIdsOp];

/** The number of images, where canvas, placement and crop fit together. */
function checkedBatch(op: string, canvas: TensorType, placement: TensorType, { height, width }: CropExtents): number {
  if (canvas.dtype !== 'u32' || canvas.shape.length !== 3)
    throw new OpError(op, `canvas must be u32 [N,H,W] of packed pixels, got ${canvas.dtype}${showShape(canvas.shape)}`);
  const batch = canvas.shape[0]!;
  if (placement.dtype !== 'f32' || showShape(placement.shape) !== `[${batch},8]`)
    throw new OpError(
      op,
      `placement must be f32 [${batch},8] for canvas ${showShape(canvas.shape)}, got ${placement.dtype}${showShape(placement.shape)}`,
    );
  if (!(Number.isInteger(height) && height > 0 && Number.isInteger(width) && width > 0))
    throw new OpError(op, `crop size must be positive integers, got ${height}x${width}`);
  return batch;
}

const wordOf = (canvas: NdArray, n: number, row: number, column: number): number =>
  canvas.data[(n * canvas.shape[1]! + row) * canvas.shape[2]! + column]!;

/** Where an output pixel comes from; null outside of the image. */
function sourcePixels(placement: NdArray, n: number, y: number, x: number) {
  const [sizeY, sizeX, scaleY, scaleX, offsetY, offsetX, mirror] = Array.from(
    placement.data.subarray(n * 8, n * 8 + 7),
  ) as [number, number, number, number, number, number, number];
  const height = resizedExtent(sizeY, scaleY);
  const width = resizedExtent(sizeX, scaleX);
  const row = y + offsetY;
  const column = x + offsetX;
  if (row < 0 || column < 0 || row >= height || column >= width) return null;
  return {
    rows: sourceOf(row, sizeY, height),
    columns: sourceOf(mirror ? width - 1 - column : column, sizeX, width),
  };
}

/** One output pixel; the colour is null outside of the image. */
function sampleAt(canvas: NdArray, placement: NdArray, n: number, y: number, x: number) {
  const source = sourcePixels(placement, n, y, x);
  if (!source) return { colour: null };
  const { rows, columns } = source;
  const word = (r: number, c: number) => wordOf(canvas, n, r, c);
  const colour = [0, 8, 16].map((shift) => {
    const at = (r: number, c: number) => (word(r, c) >>> shift) & 255;
    const top = at(rows.low, columns.low) * (1 - columns.t) + at(rows.low, columns.high) * columns.t;
    const bottom = at(rows.high, columns.low) * (1 - columns.t) + at(rows.high, columns.high) * columns.t;
    return top * (1 - rows.t) + bottom * rows.t;
  });
  return { colour, label: word(rows.low, columns.low) >>> 24 };
}

/** Source pixels and weight of a destination coordinate, without rounding errors: all in integers but the weight. */
function sourceOf(position: number, size: number, resized: number) {
  const low = Math.min(Math.floor((position * size) / resized), size - 1);
  return { low, high: Math.min(low + 1, size - 1), t: ((position * size) % resized) / resized };
}

/** Random colours, and labels 0 to 20. */
function packed(shape: [number, number, number]): NdArray {
  const count = shape[0] * shape[1] * shape[2];
  const bytes = sampleIntegers([count, 4], 0, 256, count).data;
  const words = Float64Array.from({ length: count }, (_, i) => {
    const [r, g, b, label] = Array.from(bytes.subarray(i * 4, i * 4 + 4)) as [number, number, number, number];
    return r + g * 2 ** 8 + b * 2 ** 16 + (label % 21) * 2 ** 24;
  });
  return ndarray(shape, words, 'u32');
}

/** Words with small ids, large ids, and none in either half. */
function idWords(shape: readonly number[]): NdArray {
  const ids = [0, 1, 7, 254, 255, 256, 40000, NO_ID - 1, NO_ID];
  const count = shape.reduce((product, extent) => product * extent, 1);
  const picks = sampleIntegers([count, 2], 0, ids.length, count).data;
  const words = Float64Array.from({ length: count }, (_, i) => ids[picks[i * 2]!]! + ids[picks[i * 2 + 1]!]! * 65536);
  return ndarray(shape, words, 'u32');
}
