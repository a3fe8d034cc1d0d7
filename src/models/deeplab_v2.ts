/** The head of DeepLab v2 (Chen et al., 2016, section 3.2, "ASPP-L"), as the SegSort release has it. */
import { scope as named } from '../tensor/graph.js';
import { add } from '../tensor/ops/elementwise.js';
import { featuresOf, type HeadBuilder } from './design.js';
import { convUnit } from './layers.js';

/** Dilations of the four 3x3 convolutions, in features. */
const RATES = [6, 12, 18, 24] as const;

/** Atrous spatial pyramid pooling: four 3x3 convolutions with biases straight to `outputs` channels, summed. */
export const deeplabV2Head =
  (rates: readonly number[] = RATES): HeadBuilder =>
  (scope, backbone, outputs) => {
    const { channels } = featuresOf(backbone);
    const branches = rates.map((dilation, i) =>
      convUnit(scope.child(`fc1_c${i}`), channels, {
        channels: outputs,
        kernel: 3,
        dilation,
        norm: false,
        activation: 'none',
      }),
    );
    return {
      name: 'deeplab-v2',
      outputStride: backbone.outputStride,
      multiple: 1,
      layer(levels, pass) {
        const scores = branches.map(({ layer }) => layer(levels.at(-1)!, pass));
        return named(`${scope.path}/fc1_sum`, () => scores.reduce((sum, score) => add(sum, score)));
      },
    };
  };
