/**
 * Depthwise 2-D convolution of NHWC images, the spatial half of a separable one (Chollet, Xception, CVPR 2017), with
 * stride, dilation ("atrous", Chen et al., DeepLabv3+, ECCV 2018) and explicit zero padding, and its two gradients. Each of
 * the three is an op, linear in either input, and the gradients of each are the other two.
 */
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import type { Op, Sample } from '../op.js';
import { f32, ndarray, type Shape } from '../types.js';
import {
  type Conv,
  type ConvFilterGrad,
  type ConvInputGrad,
  type ConvOptions,
  convParams,
  outputShape,
} from './conv_geometry.js';
import { filterGradKernels } from './depthwise_filter_grad_kernels.js';
import {
  depthwiseMultiplyAdds,
  depthwiseSizes,
  filterGradSizes,
  forEachProduct,
  forwardSizes,
  inputGradSizes,
} from './depthwise_geometry.js';
import { forwardKernels, inputGradKernels } from './depthwise_kernels.js';
import { sampleValues } from './sample_values.js';

/** Images, filters and options of the samples of all three ops. */
const cases: readonly (readonly [Shape, Shape, ConvOptions])[] = [
  [[2, 5, 6, 3], [3, 3, 3, 2], { padding: 1 }],
  [[1, 7, 6, 4], [3, 2, 4, 3], { stride: [2, 1], dilation: [1, 2], padding: [1, 0, 2, 1] }],
  [[1, 4, 5, 6], [3, 3, 6, 1], { padding: 1 }],
  [[2, 7, 9, 4], [3, 3, 4, 1], { padding: 1 }],
  [[1, 9, 11, 12], [3, 3, 12, 1], { dilation: 2, padding: [1, 2, 3, 0] }],
  [[2, 13, 10, 4], [3, 3, 4, 1], { dilation: 4, padding: 4 }],
  [[2, 8, 12, 8], [3, 3, 8, 1], { stride: 2, padding: [0, 1, 0, 1] }],
  [[1, 9, 11, 4], [3, 3, 4, 1], { stride: 2, padding: [2, 0, 1, 3] }],
  [[1, 11, 9, 4], [3, 3, 4, 1], { stride: 2, dilation: [2, 3], padding: [3, 2, 1, 4] }],
  [[1, 9, 13, 8], [5, 3, 8, 1], { stride: [1, 2], dilation: [2, 1], padding: [2, 1, 3, 0] }],
  // More padding than the filter reaches into, so that border pixels of the output see nothing but zeros.
  [[1, 3, 4, 4], [3, 3, 4, 1], { dilation: 2, padding: [5, 6, 7, 4], stride: 3 }],
  [[1, 3, 4, 4], [3, 3, 4, 1], { padding: [4, 5, 3, 6] }],
  // The last rows and columns are read by no output pixel.
  [[2, 8, 7, 4], [2, 2, 4, 1], { stride: 3 }],
  [[1, 6, 10, 4], [3, 3, 4, 1], { stride: 2 }],
  // More parts of a sum than are added at once.
  [[260, 3, 4, 4], [3, 3, 4, 1], { padding: 1 }],
  // Several strips an image.
  [[2, 37, 30, 8], [3, 3, 8, 1], { padding: 1 }],
  [[2, 41, 35, 4], [3, 3, 4, 1], { stride: 2, padding: 1 }],
  [[1, 43, 38, 4], [5, 5, 4, 1], { padding: 2 }],
];

/** Differentiating the reference of the last four numerically would take too long. */
const checkGrad = (i: number) => i < cases.length - 4;

export const depthwiseConv2dOp: Op<Conv> = {
  name: 'depthwiseConv2d',
  infer: (inputs, conv) => [f32(outputShape(forwardSizes(inputs, conv)))],
  grad: ({ inputs, grads, params }) => [
    depthwiseConv2dInputGrad(grads[0]!, inputs[1]!, inputs[0]!.shape, params),
    depthwiseConv2dFilterGrad(inputs[0]!, grads[0]!, inputs[1]!.shape, params),
  ],
  reference([x, filter], conv) {
    const sizes = forwardSizes([x!, filter!], conv);
    const y = ndarray(outputShape(sizes));
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
  kernels: forwardKernels,
  flops: (inputs, _, conv) => 2 * depthwiseMultiplyAdds(forwardSizes(inputs, conv)),
};

export const depthwiseConv2dInputGradOp: Op<ConvInputGrad> = {
  name: 'depthwiseConv2dInputGrad',
  infer(inputs, params) {
    inputGradSizes(inputs, params);
    return [f32(params.inputShape)];
  },
  grad: ({ inputs, grads, params }) => [
    depthwiseConv2d(grads[0]!, inputs[1]!, params),
    depthwiseConv2dFilterGrad(grads[0]!, inputs[0]!, inputs[1]!.shape, params),
  ],
  reference([dy, filter], params) {
    const dx = ndarray(params.inputShape);
    forEachProduct(inputGradSizes([dy!, filter!], params), (out, weight, input) => {
      dx.data[input]! += dy!.data[out]! * filter!.data[weight]!;
    });
    return [dx];
  },
  samples: () =>
    cases.map(([image, filter, options], i): Sample<ConvInputGrad> => {
      const params = convParams(options);
      const dy = sampleValues(outputShape(depthwiseSizes('depthwiseConv2d', image, filter, params)), i + 200);
      return {
        inputs: [dy, sampleValues(filter, i + 100)],
        params: { ...params, inputShape: image },
        checkGrad: checkGrad(i),
      };
    }),
  kernels: inputGradKernels,
  flops: (inputs, _, params) => 2 * depthwiseMultiplyAdds(inputGradSizes(inputs, params)),
};

export const depthwiseConv2dFilterGradOp: Op<ConvFilterGrad> = {
  name: 'depthwiseConv2dFilterGrad',
  infer(inputs, params) {
    filterGradSizes(inputs, params);
    return [f32(params.filterShape)];
  },
  grad: ({ inputs, grads, params }) => [
    depthwiseConv2dInputGrad(inputs[1]!, grads[0]!, inputs[0]!.shape, params),
    depthwiseConv2d(inputs[0]!, grads[0]!, params),
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
      const dy = sampleValues(outputShape(depthwiseSizes('depthwiseConv2d', image, filter, params)), i + 200);
      return {
        inputs: [sampleValues(image, i), dy],
        params: { ...params, filterShape: filter },
        checkGrad: checkGrad(i),
      };
    }),
  kernels: filterGradKernels,
  flops: (inputs, _, params) => 2 * depthwiseMultiplyAdds(filterGradSizes(inputs, params)),
};

export const depthwiseOps: Op[] = [depthwiseConv2dOp, depthwiseConv2dInputGradOp, depthwiseConv2dFilterGradOp];

/**
 * Convolves every channel of images [batch,height,width,channels] with filters of its own, [height,width,channels,multiplier]
 * (TensorFlow's `depthwise_weights`). Channel c * multiplier + m of the output [batch,height',width',channels * multiplier] is
 * y[n,i,j] = sum over ky, kx of x[n, i*stride + ky*dilation - top, j*stride + kx*dilation - left, c] * filter[ky,kx,c,m].
 * The output has floor((size + padding - dilation * (taps - 1) - 1) / stride) + 1 pixels an axis.
 */
export function depthwiseConv2d(x: TensorLike, filter: TensorLike, options: ConvOptions = {}): Tensor {
  return apply1(depthwiseConv2dOp, [x, filter], convParams(options));
}

/** From the gradient `dy` of a depthwise convolution's output to that of its input, whose shape is `inputShape`. */
export function depthwiseConv2dInputGrad(
  dy: TensorLike,
  filter: TensorLike,
  inputShape: Shape,
  options: ConvOptions = {},
): Tensor {
  return apply1(depthwiseConv2dInputGradOp, [dy, filter], { ...convParams(options), inputShape });
}

/** From a depthwise convolution's input and the gradient `dy` of its output to the gradient of its filter. */
export function depthwiseConv2dFilterGrad(
  x: TensorLike,
  dy: TensorLike,
  filterShape: Shape,
  options: ConvOptions = {},
): Tensor {
  return apply1(depthwiseConv2dFilterGradOp, [x, dy], { ...convParams(options), filterShape });
}
