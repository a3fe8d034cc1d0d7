/** The gradient of the sums in nca.ts with respect to the similarities. */
import sourceVec4 from '../../shaders/segsort_nca_grad_vec4.wgsl';
import {
  type Command,
  input,
  type Kernel,
  linearGrid,
  type Op,
  OpError,
  output,
  type ShaderSource,
} from '../../tensor/op.js';
import { sampleValues } from '../../tensor/ops/sample_values.js';
import { type NdArray, ndarray, sameShape, showShape, sizeOf } from '../../tensor/types.js';
import { blockSamples, checkInputs, extentsOf, forEachTerm, logTerms, type NcaTerms } from './nca_terms.js';

/** Fours of prototypes that an invocation of the `rows` kernel takes: enough to make up for reading its pixels. */
const RUN = 64;

function kernel(
  name: string,
  source: ShaderSource,
  lanes: 1 | 4,
  extents: (pixels: number, columns: number) => { count: number; uniforms: Record<string, number> },
  when?: Kernel<NcaTerms>['when'],
): Kernel<NcaTerms> {
  return {
    name,
    when: (context) => extentsOf(context.inputs).prototypes % lanes === 0 && (when?.(context) ?? true),
    commands({ inputs, params: { concentration, owned } }): Command[] {
      const { pixels, prototypes } = extentsOf(inputs);
      const { count, uniforms } = extents(pixels, prototypes / lanes);
      return [
        {
          source,
          uniforms: { ...uniforms, pixels, owned: Number(owned), concentration },
          buffers: [input(0), input(1), input(2), input(3), input(4), output(0)],
          workgroups: linearGrid(count, 64),
        },
      ];
    },
  };
}

const rows = kernel(
  'rows',
  async () => (await import('./cpu_shaders.js')).ncaGradRows,
  4,
  (pixels, prototypes4) => {
    const runs = Math.ceil(prototypes4 / RUN);
    return { count: Math.ceil(pixels / 4) * runs, uniforms: { prototypes4, run: RUN, runs } };
  },
  ({ adapter }) => adapter.cpu,
);

const vec4 = kernel('vec4', sourceVec4, 4, (pixels, prototypes4) => {
  const count = pixels * prototypes4;
  return { count, uniforms: { count, prototypes4 } };
});

const naive = kernel(
  'naive',
  async () => (await import('./naive_shaders.js')).ncaGrad,
  1,
  (pixels, prototypes) => {
    const count = pixels * prototypes;
    return { count, uniforms: { count, prototypes } };
  },
);

/** Its last input holds, one after another: others, different, and the gradients of others, different and own. */
export const ncaTermsGradOp: Op<NcaTerms> = {
  name: 'ncaTermsGrad',
  infer(inputs, params) {
    checkInputs('ncaTermsGrad', inputs, params);
    const { pixels } = extentsOf(inputs);
    if (!sameShape(inputs[4]!.shape, [5 * pixels]) || inputs[4]!.dtype !== 'f32')
      throw new OpError('ncaTermsGrad', `terms must be f32 [${5 * pixels}], got ${showShape(inputs[4]!.shape)}`);
    return [{ shape: inputs[0]!.shape, dtype: 'f32' }];
  },
  reference(inputs, params): NdArray[] {
    const { pixels } = extentsOf(inputs);
    const grad = ndarray(inputs[0]!.shape);
    const term = (index: number, pixel: number) => inputs[4]!.data[index * pixels + pixel]!;
    forEachTerm(inputs, params, (pixel, at, exponent, kind) => {
      const which = kind === 'other' ? 0 : 1;
      const share = () => term(which + 2, pixel) * Math.exp(exponent - term(which, pixel));
      grad.data[at] = params.concentration * (kind === 'own' ? term(4, pixel) : share());
    });
    return [grad];
  },
  samples: () =>
    blockSamples().map(({ inputs, params }) => {
      const [others, different] = logTerms(inputs, params);
      const { pixels } = extentsOf(inputs);
      const grads = sampleValues([3 * pixels], 77).data;
      return { inputs: [...inputs, ndarray([5 * pixels], [...others!.data, ...different!.data, ...grads])], params };
    }),
  kernels: [rows, vec4, naive],
  flops: ([similarities]) => 6 * sizeOf(similarities!.shape),
};
