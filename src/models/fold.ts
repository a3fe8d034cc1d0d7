/**
 * Batch norm folded into convolutions, for inference: with running statistics, normalising is a product and a sum for every
 * channel, so they can be the convolution's own. With s = gamma / sqrt(variance + epsilon), weights become weights * s and
 * biases beta - mean * s (Jacob et al., 2018, section 3.2).
 */
import { assign } from '../tensor/graph.js';
import { addScalar, mul, rsqrt, sub } from '../tensor/ops/elementwise.js';
import { reshape } from '../tensor/ops/shape.js';
import { FlatGroup, Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { Pass } from './layers.js';
import type { Network } from './network.js';
import type { NormalizedConvolution, Parameter } from './parameter.js';

/** The same network with batch norm folded away. It has weights of its own beside the network's. */
export interface FoldedNetwork extends Network, Disposable {
  /** Folds the network's present weights and statistics; to be called again when they have changed. */
  fold(): Promise<void>;
}

/** Makes the folded network and folds once. The network's parameters must have memory on `runtime`. */
export async function foldBatchNorm(runtime: Runtime, network: Network): Promise<FoldedNetwork> {
  const folded = new Map(network.normalized.map((unit) => [unit.weights, residentsOf(unit)]));
  const residents = [...folded.values()].flatMap(({ weights, biases }) => [weights, biases]);
  const group = new FlatGroup('folded weights', residents);
  runtime.allocate(group);
  const pass = new Pass({ batchStatistics: false, folded });
  const result: FoldedNetwork = {
    ...network,
    forward(images, { batchStatistics }) {
      if (batchStatistics)
        throw new Error(`${network.backbone.name}: a network with folded batch norm cannot use the batch's statistics`);
      return network.forward(images, pass);
    },
    async fold() {
      // One step a convolution, so that only one has its new weights in memory twice.
      for (const unit of network.normalized) {
        using step = runtime.compile(() => traceFolding(unit, folded.get(unit.weights)!), 'fold batch norm');
        await step.run();
      }
    },
    [Symbol.dispose]() {
      group[Symbol.dispose]();
    },
  };
  try {
    await result.fold();
  } catch (error) {
    result[Symbol.dispose]();
    throw error;
  }
  return result;
}

interface Folded {
  readonly weights: Resident;
  readonly biases: Resident;
}

function residentsOf({ weights, beta }: NormalizedConvolution): Folded {
  const like = (parameter: Parameter, name: string) => new Resident(name, { shape: parameter.shape, dtype: 'f32' });
  return { weights: like(weights, `${weights.name}/folded`), biases: like(beta, `${weights.name}/folded_biases`) };
}

function traceFolding(unit: NormalizedConvolution, folded: Folded): Record<string, never> {
  const { weights, gamma, beta, mean, variance, epsilon } = unit;
  const scale = mul(gamma, rsqrt(addScalar(variance, epsilon)));
  // The output channels are a filter's last axis, but for a depthwise one the last but one, before a multiplier of 1.
  const isDepthwise = weights.shape[3] === 1 && weights.shape[2] === gamma.shape[0];
  const scales = isDepthwise ? reshape(scale, [gamma.shape[0]!, 1]) : scale;
  assign(folded.weights, mul(weights, scales));
  assign(folded.biases, sub(beta, mul(mean, scale)));
  return {};
}
