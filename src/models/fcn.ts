/** The fully convolutional head (Long et al., 2015) as the SegSort release has it: one 1x1 convolution. */
import { featuresOf, type HeadBuilder } from './design.js';
import { convUnit } from './layers.js';

/** Features at the output stride straight to `outputs` channels, with a bias. */
export const fcnHead = (): HeadBuilder => (scope, backbone, outputs) => {
  const fc = convUnit(scope.child('block5/fc1_voc12'), featuresOf(backbone).channels, {
    channels: outputs,
    kernel: 1,
    norm: false,
    activation: 'none',
  });
  return {
    name: 'fcn',
    outputStride: backbone.outputStride,
    multiple: 1,
    layer: (levels, pass) => fc.layer(levels.at(-1)!, pass),
  };
};
