/**
 * 2-D convolution (as neural networks use the word: cross-correlation) of NHWC images with HWIO filters, with
 * stride, dilation and explicit zero padding, and its two gradients. Each of the three is an op, linear in either
 * input, and the gradients of each are the other two.
 */
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import type { Op, Sample } from '../op.js';
import { type FloatType, f32, ndarray, productType, type Shape, type TensorType } from '../types.js';
import {
  type Conv,
  type ConvFilterGrad,
  type ConvInputGrad,
  type ConvOptions,
  conv2dSizes,
  convMultiplyAdds,
  convParams,
  convSizes,
  filterGradSizes,
  forEachProduct,
  inputGradSizes,
  outputShape,
} from './conv_geometry.js';
import { conv2dKernelsOf, filterGradKernelsOf, inputGradKernelsOf } from './conv_kernels.js';
import { families } from './product_families.js';
import { sampleValues } from './sample_values.js';

export type { ConvOptions } from './conv_geometry.js';

const typeOf = (shape: Shape, inputs: readonly TensorType[], { dtype }: Conv): TensorType => ({
  shape,
  dtype: dtype ?? productType(shape, inputs),
});
const floatType = ({ dtype }: TensorType): FloatType => (dtype === 'f16' ? 'f16' : 'f32');

/** Images, filters and options of the samples of all three ops. */
const cases: readonly (readonly [Shape, Shape, ConvOptions])[] = [
  [[2, 5, 6, 3], [3, 3, 3, 5], { padding: 1 }],
  [[1, 7, 6, 4], [3, 2, 4, 8], { stride: [2, 1], padding: [1, 0, 2, 1] }],
  [[1, 9, 11, 4], [3, 3, 4, 20], { dilation: 2, padding: 2 }],
  [[1, 11, 9, 4], [3, 3, 4, 4], { stride: 2, dilation: [2, 3], padding: [3, 2, 1, 4] }],
  // More padding than the filter reaches into, so that border pixels of the output see nothing but zeros.
  [[1, 3, 4, 4], [3, 3, 4, 8], { dilation: 2, padding: [5, 6, 7, 4], stride: 3 }],
  // The last rows and columns are read by no output pixel.
  [[2, 8, 7, 4], [2, 2, 4, 4], { stride: 3 }],
  [[2, 5, 7, 20], [1, 1, 20, 36], {}],
  [[1, 4, 5, 6], [1, 1, 6, 7], {}],
  [[1, 5, 7, 8], [1, 1, 8, 12], { stride: 2 }],
  [[1, 8, 7, 6], [3, 3, 6, 5], { padding: [3, 1, 1, 3], dilation: 2 }],
  [[1, 17, 13, 3], [7, 7, 3, 16], { stride: 2, padding: [3, 2, 3, 3] }],
  [[1, 10, 9, 40], [3, 3, 40, 48], { padding: 1 }],
];

/** Differentiating the reference of the last two numerically would take too long. */
const checkGrad = (i: number) => i < cases.length - 2;

export const conv2dOp: Op<Conv> = {
  name: 'conv2d',
  infer: (inputs, conv) => [typeOf(outputShape(conv2dSizes(inputs, conv)), inputs, conv)],
  halves: () => true,
  grad: ({ inputs, grads, params }) => [
    conv2dInputGrad(grads[0]!, inputs[1]!, inputs[0]!.shape, { ...params, dtype: floatType(inputs[0]!) }),
    conv2dFilterGrad(inputs[0]!, grads[0]!, inputs[1]!.shape, { ...params, dtype: 'f32' }),
  ],
  reference([x, filter], conv) {
    const sizes = conv2dSizes([x!, filter!], conv);
    const y = ndarray(outputShape(sizes), undefined, this.infer([x!, filter!], conv)[0]!.dtype);
    forEachProduct(sizes, (out, weight, input) => {
      y.data[out]! += x!.data[input]! * filter!.data[weight]!;
    });
    return [y];
  },
  samples: () =>
    cases.map(([image, filter, options], i) => ({
      inputs: [sampleValues(image, i), sampleValues(filter, i + 100)],
      params: convParams(options),
      checkGrad: checkGrad(i),
    })),
  kernels: conv2dKernelsOf(families),
  flops: (inputs, _, conv) => 2 * convMultiplyAdds(conv2dSizes(inputs, conv)),
};

export const conv2dInputGradOp: Op<ConvInputGrad> = {
  name: 'conv2dInputGrad',
  infer(inputs, params) {
    inputGradSizes(inputs, params);
    return [typeOf(params.inputShape, inputs, params)];
  },
  halves: () => true,
  grad: ({ inputs, grads, params }) => [
    conv2d(grads[0]!, inputs[1]!, { ...params, dtype: floatType(inputs[0]!) }),
    conv2dFilterGrad(grads[0]!, inputs[0]!, inputs[1]!.shape, { ...params, dtype: 'f32' }),
  ],
  reference([dy, filter], params) {
    const dx = ndarray(params.inputShape, undefined, this.infer([dy!, filter!], params)[0]!.dtype);
    forEachProduct(inputGradSizes([dy!, filter!], params), (out, weight, input) => {
      dx.data[input]! += dy!.data[out]! * filter!.data[weight]!;
    });
    return [dx];
  },
  samples: () =>
    cases.map(([image, filter, options], i): Sample<ConvInputGrad> => {
      const params = convParams(options);
      const dy = sampleValues(outputShape(convSizes('conv2d', image, filter, params)), i + 200);
      return {
        inputs: [dy, sampleValues(filter, i + 100)],
        params: { ...params, inputShape: image },
        checkGrad: checkGrad(i),
      };
    }),
  kernels: inputGradKernelsOf(families),
  flops: (inputs, _, params) => 2 * convMultiplyAdds(inputGradSizes(inputs, params)),
};

export const conv2dFilterGradOp: Op<ConvFilterGrad> = {
  name: 'conv2dFilterGrad',
  infer(inputs, params) {
    filterGradSizes(inputs, params);
    return [f32(params.filterShape)];
  },
  halves: () => true,
  grad: ({ inputs, grads, params }) => [
    conv2dInputGrad(inputs[1]!, grads[0]!, inputs[0]!.shape, { ...params, dtype: floatType(inputs[0]!) }),
    conv2d(inputs[0]!, grads[0]!, { ...params, dtype: floatType(inputs[1]!) }),
  ],
  reference([x, dy], params) {
    const dfilter = ndarray(params.filterShape);
    forEachProduct(filterGradSizes([x!, dy!], params), (out, weight, input) => {
      dfilter.data[weight]! += x!.data[input]! * dy!.data[out]!;
    });
    return [dfilter];
  },
  samples: () =>
    cases.map(([image, filter, options], i): Sample<ConvFilterGrad> => {
      const params = convParams(options);
      const dy = sampleValues(outputShape(convSizes('conv2d', image, filter, params)), i + 200);
      return {
        inputs: [sampleValues(image, i), dy],
        params: { ...params, filterShape: filter },
        checkGrad: checkGrad(i),
      };
    }),
  kernels: filterGradKernelsOf(families),
  flops: (inputs, _, params) => 2 * convMultiplyAdds(filterGradSizes(inputs, params)),
};

export const convOps: Op[] = [conv2dOp, conv2dInputGradOp, conv2dFilterGradOp];

/**
 * Convolves images [batch,height,width,channels in] with a filter [height,width,channels in,channels out].
 * y[n,i,j,o] = sum over ky, kx, c of x[n, i*stride + ky*dilation - top, j*stride + kx*dilation - left, c] *
 * filter[ky,kx,c,o]. The output has floor((size + padding - dilation * (taps - 1) - 1) / stride) + 1 pixels an axis.
 */
export function conv2d(x: TensorLike, filter: TensorLike, options: ConvOptions = {}): Tensor {
  return apply1(conv2dOp, [x, filter], convParams(options));
}

/** From the gradient `dy` of a convolution's output to that of its input, whose shape is `inputShape`. */
export function conv2dInputGrad(
  dy: TensorLike,
  filter: TensorLike,
  inputShape: Shape,
  options: ConvOptions = {},
): Tensor {
  return apply1(conv2dInputGradOp, [dy, filter], { ...convParams(options), inputShape });
}

/** From a convolution's input and the gradient `dy` of its output to the gradient of its filter, f32. */
export function conv2dFilterGrad(x: TensorLike, dy: TensorLike, filterShape: Shape, options: ConvOptions = {}): Tensor {
  return apply1(conv2dFilterGradOp, [x, dy], { ...convParams(options), filterShape });
}
