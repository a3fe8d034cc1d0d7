/** Shapes of 2-D convolutions, and the loops over (output pixel, tap, input pixel) of their references. */
import { OpError } from '../op.js';
import { type FloatType, isFloat, type Shape, sameShape, showShape, type TensorType } from '../types.js';

/** [height, width] */
export type Pair = readonly [number, number];
/** [top, bottom, left, right], in pixels of zeros */
export type Padding = readonly [number, number, number, number];

export interface Conv {
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly padding: Padding;
  /** Of the result; by default f16 if an operand is, except for gradients of filters, which are f32. */
  readonly dtype?: FloatType;
}

/** Parameters of the input gradient: those of the convolution and the shape of its input. */
export interface ConvInputGrad extends Conv {
  readonly inputShape: Shape;
}

/** Parameters of the filter gradient: those of the convolution and the shape of its filter. */
export interface ConvFilterGrad extends Conv {
  readonly filterShape: Shape;
}

export interface ConvOptions {
  /** Distance between the input pixels of neighbouring output pixels: one number, or [height, width]. Default 1. */
  readonly stride?: number | Pair;
  /** Distance between the input pixels of neighbouring filter taps: one number, or [height, width]. Default 1. */
  readonly dilation?: number | Pair;
  /** Zeros around the image: [top, bottom, left, right], or one number for all four. Default 0. */
  readonly padding?: number | Padding;
  /** Of the result. Default: f16 if the images or the filter are. */
  readonly dtype?: FloatType;
}

export function convParams({ stride = 1, dilation = 1, padding = 0, dtype }: ConvOptions): Conv {
  const pair = (value: number | Pair): Pair => (typeof value === 'number' ? [value, value] : value);
  return {
    stride: pair(stride),
    dilation: pair(dilation),
    padding: typeof padding === 'number' ? [padding, padding, padding, padding] : padding,
    ...(dtype ? { dtype } : {}),
  };
}

/** Every extent of a convolution, under the names that the shaders' uniforms use. */
export interface ConvSizes {
  readonly batches: number;
  readonly in_h: number;
  readonly in_w: number;
  readonly in_c: number;
  readonly out_h: number;
  readonly out_w: number;
  readonly out_c: number;
  readonly kernel_h: number;
  readonly kernel_w: number;
  readonly stride_h: number;
  readonly stride_w: number;
  readonly dilation_h: number;
  readonly dilation_w: number;
  readonly pad_top: number;
  readonly pad_left: number;
}

/** Checks image, filter and parameters against each other. `op` names the op in errors. */
export function convSizes(op: string, image: Shape, filter: Shape, conv: Conv): ConvSizes {
  if (image.length !== 4)
    throw new OpError(op, `the image must be [batch,height,width,channels], not ${showShape(image)}`);
  if (filter.length !== 4)
    throw new OpError(op, `the filter must be [height,width,channels in,channels out], not ${showShape(filter)}`);
  const [batches, in_h, in_w, in_c] = image as [number, number, number, number];
  const [kernel_h, kernel_w, filter_c, out_c] = filter as [number, number, number, number];
  if (filter_c !== in_c)
    throw new OpError(
      op,
      `filter ${showShape(filter)} expects ${filter_c} channels, input ${showShape(image)} has ${in_c}`,
    );
  const { stride, dilation, padding } = conv;
  positive(op, 'stride', stride);
  positive(op, 'dilation', dilation);
  if (padding.length !== 4 || !padding.every((zeros) => Number.isInteger(zeros) && zeros >= 0))
    throw new OpError(op, `padding must be four numbers of pixels [top,bottom,left,right], not ${showShape(padding)}`);
  const [top, bottom, left, right] = padding;
  const extent = (size: number, taps: number, axis: 0 | 1, zeros: number) => {
    const reach = (taps - 1) * dilation[axis] + 1;
    if (size + zeros < reach)
      throw new OpError(
        op,
        `filter ${showShape(filter)} with dilation ${dilation[axis]} spans ${reach} pixels of ${axis === 0 ? 'height' : 'width'}, ` +
          `input ${showShape(image)} with padding ${showShape(padding)} has ${size + zeros}`,
      );
    return Math.floor((size + zeros - reach) / stride[axis]) + 1;
  };
  return {
    batches,
    in_h,
    in_w,
    in_c,
    out_h: extent(in_h, kernel_h, 0, top + bottom),
    out_w: extent(in_w, kernel_w, 1, left + right),
    out_c,
    kernel_h,
    kernel_w,
    stride_h: stride[0],
    stride_w: stride[1],
    dilation_h: dilation[0],
    dilation_w: dilation[1],
    pad_top: top,
    pad_left: left,
  };
}

function positive(op: string, name: string, pair: Pair): void {
  if (pair.length !== 2 || !pair.every((value) => Number.isInteger(value) && value >= 1))
    throw new OpError(op, `${name} must be one or two positive whole numbers, not ${showShape(pair)}`);
}

export function outputShape({ batches, out_h, out_w, out_c }: ConvSizes): Shape {
  return [batches, out_h, out_w, out_c];
}

/** Sizes of `conv2d` from its inputs [x, filter]. */
export function conv2dSizes([x, filter]: readonly TensorType[], conv: Conv): ConvSizes {
  checkFloats('conv2d', [x!, filter!]);
  return convSizes('conv2d', x!.shape, filter!.shape, conv);
}

/** Sizes of `conv2dInputGrad` from its inputs [dy, filter]. */
export function inputGradSizes([dy, filter]: readonly TensorType[], params: ConvInputGrad): ConvSizes {
  const sizes = convSizes('conv2dInputGrad', params.inputShape, filter!.shape, params);
  checkFloats('conv2dInputGrad', [dy!, filter!]);
  checkOutputGrad('conv2dInputGrad', dy!.shape, sizes, params.inputShape, filter!.shape);
  return sizes;
}

/** Sizes of `conv2dFilterGrad` from its inputs [x, dy]. */
export function filterGradSizes([x, dy]: readonly TensorType[], params: ConvFilterGrad): ConvSizes {
  const sizes = convSizes('conv2dFilterGrad', x!.shape, params.filterShape, params);
  checkFloats('conv2dFilterGrad', [x!, dy!]);
  checkOutputGrad('conv2dFilterGrad', dy!.shape, sizes, x!.shape, params.filterShape);
  return sizes;
}

export function checkOutputGrad(op: string, dy: Shape, sizes: ConvSizes, image: Shape, filter: Shape): void {
  if (!sameShape(dy, outputShape(sizes)))
    throw new OpError(
      op,
      `input ${showShape(image)} and filter ${showShape(filter)} give an output ${showShape(outputShape(sizes))}, ` +
        `but its gradient is ${showShape(dy)}`,
    );
}

export function checkFloats(op: string, inputs: readonly TensorType[]): void {
  for (const { dtype, shape } of inputs)
    if (!isFloat(dtype)) throw new OpError(op, `expects floats, got ${dtype}${showShape(shape)}`);
}

/** Multiply-adds of the convolution and of each of its gradients, taps in the padding counted. */
export function convMultiplyAdds(s: ConvSizes): number {
  return s.batches * s.out_h * s.out_w * s.out_c * s.kernel_h * s.kernel_w * s.in_c;
}

/** Visits the offsets in y, filter and x of every product y += filter * x. */
export function forEachProduct(s: ConvSizes, visit: (output: number, weight: number, input: number) => void): void {
  forEachTap(s, (output, tap, input) => {
    for (let i = 0; i < s.in_c; i++)
      for (let o = 0; o < s.out_c; o++) visit(output + o, (tap * s.in_c + i) * s.out_c + o, input + i);
  });
}

/**
 * Visits every (output pixel, filter tap) that meets an input pixel inside the image, with the offsets of the pixels'
 * first channels in y [.., out_c] and in x [.., in_c], and the number of the tap.
 */
export function forEachTap(s: ConvSizes, visit: (output: number, tap: number, input: number) => void): void {
  for (let image = 0; image < s.batches; image++)
    for (let y = 0; y < s.out_h; y++)
      for (let x = 0; x < s.out_w; x++)
        for (let ky = 0; ky < s.kernel_h; ky++)
          for (let kx = 0; kx < s.kernel_w; kx++) {
            const inY = y * s.stride_h + ky * s.dilation_h - s.pad_top;
            const inX = x * s.stride_w + kx * s.dilation_w - s.pad_left;
            if (inY < 0 || inY >= s.in_h || inX < 0 || inX >= s.in_w) continue;
            visit(
              ((image * s.out_h + y) * s.out_w + x) * s.out_c,
              ky * s.kernel_w + kx,
              ((image * s.in_h + inY) * s.in_w + inX) * s.in_c,
            );
          }
}
