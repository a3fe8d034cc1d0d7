/**
 * jax-js on WebGPU: every case one compiled function. Its convolutions take NCHW and OIHW alone; with transposes around them, for
 * NHWC, they take as long.
 */
import type { Array as JaxArray } from '@jax-js/jax';
import type { Case, Computation, Contender } from '../harness/types.js';
import { provideNavigatorGpu, watchDevice } from './adapter.js';
import { channelsFirst, channelsLast, layoutsOf } from './layouts.js';
import { once, prepared } from './prepared.js';
import { versionOf } from './versions.js';

type Jax = typeof import('@jax-js/jax');
type Traced = (...operands: JaxArray[]) => JaxArray[];

const EPSILON = 1e-3;

export async function jaxContender(environment: 'node' | 'browser', engine: GPUDevice): Promise<Contender> {
  provideNavigatorGpu(environment, engine);
  const jax = await import('@jax-js/jax');
  const open = once(async () => {
    const backends = await jax.init('webgpu');
    if (!backends.includes('webgpu')) throw new Error('jax-js finds no WebGPU');
    jax.defaultDevice('webgpu');
    const device = jax.getWebGPUDevice();
    return { device, errors: watchDevice('jax-js', device, engine) };
  });
  return {
    name: 'jax-js',
    version: versionOf('@jax-js/jax'),
    on: 'webgpu',
    async prepare({ computation, operands, bytes }: Case) {
      const { device, errors } = await open();
      const layouts = layoutsOf(computation);
      const arrays = operands().map((operand, i) => {
        const { shape, data } = channelsFirst(operand, layouts.operands[i]!);
        return jax.numpy.array(Float32Array.from(data), { shape: [...shape] });
      });
      arrays.push(...interpolationMatrices(jax, computation));
      const compiled = jax.jit(traced(jax, computation));
      return prepared<JaxArray[]>(
        {
          compute: () => compiled(...arrays.map((array) => array.ref)),
          async settle(runs) {
            // jax-js computes what is waited for alone.
            await jax.blockUntilReady(runs.flat());
            await device.queue.onSubmittedWorkDone();
            errors.check();
          },
          async read(results) {
            const values: ArrayLike<number>[] = [];
            for (const [i, { shape, ref }] of results.entries())
              values.push(channelsLast({ shape, data: await ref.data() }, layouts.results[i]!).data);
            return values;
          },
          free(results) {
            for (const result of results) result.dispose();
          },
          dispose() {
            compiled.dispose();
            for (const array of arrays) array.dispose();
          },
        },
        bytes,
      );
    },
    async dispose() {
      const opened = await open.started()?.catch(() => null);
      await opened?.device.queue.onSubmittedWorkDone();
      opened?.device.destroy();
    },
  };
}

/** The computation as a function of its operands, each used once or through `ref`. */
function traced(jax: Jax, computation: Computation): Traced {
  const { numpy: np, nn, lax } = jax;
  /** The gradient of `f` times `gradient`, of every operand; what only the value needs is dropped by the compiler. */
  const pullBack = (f: (...operands: JaxArray[]) => JaxArray, operands: JaxArray[], gradient: JaxArray) => {
    const [value, back] = jax.vjp(f, operands);
    const gradients = back(gradient);
    back.dispose();
    return { value, gradients };
  };
  const gradientOnly = (f: (operand: JaxArray) => JaxArray, operand: JaxArray, gradient: JaxArray) => {
    const { value, gradients } = pullBack(f, [operand], gradient);
    value.dispose();
    return gradients;
  };
  switch (computation.kind) {
    case 'matmul':
      return (a, b) => [np.matmul(a!, b!)];
    case 'conv2d':
      return (x, filter) => [conv(jax, x!, filter!, computation)];
    case 'conv2d-input-grad': {
      const { batch, inputs, height, width } = computation;
      return (dy, filter) =>
        gradientOnly((x) => conv(jax, x, filter!, computation), np.ones([batch, inputs, height, width]), dy!);
    }
    case 'conv2d-filter-grad': {
      const { outputs, inputs, kernel } = computation;
      return (x, dy) =>
        gradientOnly((filter) => conv(jax, x!, filter, computation), np.ones([outputs, inputs, kernel, kernel]), dy!);
    }
    case 'batch-norm-train':
      return (x, dy, gamma, beta) => {
        const norm = (...[z, scale, offset]: JaxArray[]) => normalize(jax, z!, [0]).mul(scale!).add(offset!);
        const { value, gradients } = pullBack(norm, [x!, gamma!, beta!], dy!);
        return [value, ...gradients];
      };
    case 'softmax':
      return (x) => [nn.softmax(x!, -1)];
    case 'argmax':
      return (x) => [np.argmax(x!, -1)];
    case 'max-pool': {
      const { size, stride, padding, height, width } = computation;
      const spatial: [number, number][] = [
        [padding, padding],
        [padding, padding],
      ];
      return (x) => {
        // `pad` knows zeros only.
        const inside = np.greater(np.pad(np.ones([height, width]), spatial), 0);
        const filled = np.where(inside, np.pad(x!, [[0, 0], [0, 0], ...spatial]), Number.NEGATIVE_INFINITY);
        return [lax.reduceWindow(filled, np.max, [size, size], [stride, stride])];
      };
    }
    case 'resize-bilinear':
      // `matmul` does not broadcast its first factor, so rows become columns for a while.
      return (x, rows, columns) => [np.matrixTranspose(np.matmul(np.matrixTranspose(np.matmul(x!, columns!)), rows!))];
    case 'bottlenecks': {
      const { blocks, dilation } = computation;
      const argnums = Array.from({ length: 1 + 3 * blocks }, (_, i) => i);
      const plain = { stride: 1, dilation: 1, padding: 0 };
      const unit = (x: JaxArray, filter: JaxArray, shape = plain) =>
        normalize(jax, conv(jax, x, filter, shape), [0, 2, 3]);
      const loss = (x: JaxArray, ...filters: JaxArray[]) => {
        let y = x;
        for (let block = 0; block < blocks; block++) {
          const [reduce, middle, expand] = filters.slice(3 * block, 3 * block + 3);
          let inner = nn.relu(unit(y.ref, reduce!));
          inner = nn.relu(unit(inner, middle!, { stride: 1, dilation, padding: dilation }));
          y = nn.relu(unit(inner, expand!).add(y));
        }
        return np.mean(np.square(y));
      };
      return (...operands) => {
        const [value, gradients] = jax.valueAndGrad((x, ...filters) => loss(x!, ...filters), { argnums })(...operands);
        return [value, ...gradients];
      };
    }
  }
}

function conv(
  { lax }: Jax,
  x: JaxArray,
  filter: JaxArray,
  { stride, dilation, padding }: { stride: number; dilation: number; padding: number },
): JaxArray {
  const pads: [number, number][] = [
    [padding, padding],
    [padding, padding],
  ];
  return lax.convGeneralDilated(x, filter, [stride, stride], pads, { rhsDilation: [dilation, dilation] });
}

/** Minus the mean, divided by the deviation, over `axes`. */
function normalize({ numpy: np }: Jax, x: JaxArray, axes: number[]): JaxArray {
  const centred = x.ref.sub(np.mean(x, axes, { keepdims: true }));
  const variance = np.mean(np.square(centred.ref), axes, { keepdims: true });
  return centred.mul(np.reciprocal(np.sqrt(variance.add(EPSILON))));
}

/** There is no resize: it is products with matrices of weights, [height, height * factor] and [width, width * factor]. */
function interpolationMatrices({ numpy: np }: Jax, computation: Computation): JaxArray[] {
  if (computation.kind !== 'resize-bilinear') return [];
  const { height, width, factor } = computation;
  return [height, width].map((size) => {
    const large = size * factor;
    const weights = new Float32Array(size * large);
    for (let to = 0; to < large; to++) {
      const place = Math.min(Math.max((to + 0.5) / factor - 0.5, 0), size - 1);
      const low = Math.floor(place);
      weights[low * large + to]! += 1 - (place - low);
      weights[Math.min(low + 1, size - 1) * large + to]! += place - low;
    }
    return np.array(weights, { shape: [size, large] });
  });
}
