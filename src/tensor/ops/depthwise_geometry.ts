/** Shapes of depthwise convolutions: those of an ordinary one in which every channel keeps to itself. */
import { OpError } from '../op.js';
import { type Shape, showShape, type TensorType } from '../types.js';
import {
  type Conv,
  type ConvFilterGrad,
  type ConvInputGrad,
  type ConvSizes,
  checkFloats,
  checkOutputGrad,
  convSizes,
  forEachTap,
} from './conv_geometry.js';

/** Extents of a depthwise convolution; `out_c` is `in_c` times `multiplier`. */
export interface DepthwiseSizes extends ConvSizes {
  /** Output channels of each input channel. */
  readonly multiplier: number;
}

/** Checks image, filter and parameters against each other. `op` names the op in errors. */
export function depthwiseSizes(op: string, image: Shape, filter: Shape, conv: Conv): DepthwiseSizes {
  if (filter.length !== 4)
    throw new OpError(op, `the filter must be [height,width,channels,multiplier], not ${showShape(filter)}`);
  const sizes = convSizes(op, image, filter, conv);
  return { ...sizes, out_c: sizes.in_c * sizes.out_c, multiplier: sizes.out_c };
}

/** Sizes of `depthwiseConv2d` from its inputs [x, filter]. */
export function forwardSizes([x, filter]: readonly TensorType[], conv: Conv): DepthwiseSizes {
  checkFloats('depthwiseConv2d', [x!, filter!]);
  return depthwiseSizes('depthwiseConv2d', x!.shape, filter!.shape, conv);
}

/** Sizes of `depthwiseConv2dInputGrad` from its inputs [dy, filter]. */
export function inputGradSizes([dy, filter]: readonly TensorType[], params: ConvInputGrad): DepthwiseSizes {
  const op = 'depthwiseConv2dInputGrad';
  const sizes = depthwiseSizes(op, params.inputShape, filter!.shape, params);
  checkFloats(op, [dy!, filter!]);
  checkOutputGrad(op, dy!.shape, sizes, params.inputShape, filter!.shape);
  return sizes;
}

/** Sizes of `depthwiseConv2dFilterGrad` from its inputs [x, dy]. */
export function filterGradSizes([x, dy]: readonly TensorType[], params: ConvFilterGrad): DepthwiseSizes {
  const op = 'depthwiseConv2dFilterGrad';
  const sizes = depthwiseSizes(op, x!.shape, params.filterShape, params);
  checkFloats(op, [x!, dy!]);
  checkOutputGrad(op, dy!.shape, sizes, x!.shape, params.filterShape);
  return sizes;
}

/** Multiply-adds of the convolution and of each of its gradients, taps in the padding counted. */
export function depthwiseMultiplyAdds(s: DepthwiseSizes): number {
  return s.batches * s.out_h * s.out_w * s.out_c * s.kernel_h * s.kernel_w;
}

/** Visits the offsets in y, filter and x of every product y += filter * x. */
export function forEachProduct(
  s: DepthwiseSizes,
  visit: (output: number, weight: number, input: number) => void,
): void {
  forEachTap(s, (output, tap, input) => {
    for (let c = 0; c < s.out_c; c++) visit(output + c, tap * s.out_c + c, input + Math.floor(c / s.multiplier));
  });
}
