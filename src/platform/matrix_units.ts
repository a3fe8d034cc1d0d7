/**
 * Matrix units (tensor cores), which WGSL reaches through subgroup matrices: an experimental extension of Dawn and
 * Chrome, whose syntax moves. What counts is what a product on the device itself comes out as.
 *
 * Proposal: https://github.com/gpuweb/gpuweb/blob/main/proposals/subgroup-matrix.md
 */

export interface SubgroupMatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/**
 * Forms of the extension, newest first. `vectors`: matrices are loaded out of arrays of 4-vectors, offsets and strides
 * count vectors, the order of elements is a template argument. `scalars`: arrays of scalars. `flags`: arrays of scalars,
 * the order is a boolean argument.
 */
export const MATRIX_DIALECTS = ['vectors', 'scalars', 'flags'] as const;
export type MatrixDialect = (typeof MATRIX_DIALECTS)[number];

/** Products [M, K] x [K, N] that a subgroup computes at once, accumulated in f32. */
export interface MatrixUnits {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** Type of the operands. */
  readonly component: 'f16' | 'f32';
  readonly dialect: MatrixDialect;
  /** Invocations of the largest subgroup, by which workgroups must be divisible. */
  readonly lanes: number;
}

export interface MatrixProbe {
  readonly units?: MatrixUnits;
  /** What came of the probe, in words. */
  readonly outcome: string;
}

/**
 * A shader written in the form `vectors`, with f16 components, for the given units. The lines concerned:
 *
 *     enable f16;
 *     var<workgroup> tile: array<Staged, SIZE>;      Staged is vec4<Component>
 *     fn stage(at: u32, values: Staged) { tile[at] = values; }
 *     subgroupMatrixLoad<Left, row_major>(&tile, at, STRIDE)
 *     subgroupMatrixStore<row_major>(&results, at, value, STRIDE)
 */
export function inDialect(source: string, { component, dialect }: Pick<MatrixUnits, 'component' | 'dialect'>): string {
  let text = component === 'f16' ? source : source.replace(/enable f16;\s*/, '');
  if (dialect === 'vectors') return text;
  // Blanks may have been taken out of the text.
  text = text
    .replace(/(var<workgroup>\s*\w+:\s*array<)Staged,\s*(\w+)>/g, '$1Component, 4u * $2>')
    .replace(/(\w+)\[at\]\s*=\s*values;/g, 'for (var i = 0u; i < 4u; i++) { $1[4u * at + i] = values[i]; }')
    .replace(/(subgroupMatrixLoad<\w+,\s*\w+>\(&\w+),\s*(\w+),\s*(\w+)\)/g, '$1, 4u * $2, 4u * $3)');
  if (dialect === 'scalars') return text;
  return text
    .replace(/subgroupMatrixLoad<(\w+),\s*(row|col)_major>\((&\w+, [^,]+), /g, (_, type, order, from) => {
      return `subgroupMatrixLoad<${type}>(${from}, ${order === 'col'}, `;
    })
    .replace(
      /subgroupMatrixStore<row_major>\((&\w+),\s*([^,]+),\s*([^,]+),/g,
      'subgroupMatrixStore($1, $2, $3, false,',
    );
}

/** Products that the kernels can use: f32 results, sides that divide their tiles. Operands of f16 before f32. */
function usable(configs: readonly SubgroupMatrixConfig[]): SubgroupMatrixConfig[] {
  const side = (extent: number) => extent === 8 || extent === 16 || extent === 32;
  const size = ({ M, N, K }: SubgroupMatrixConfig) => M * N * K;
  return configs
    .filter(({ componentType, resultComponentType, M, N, K }) => {
      const known = componentType === 'f16' || componentType === 'f32';
      return known && resultComponentType === 'f32' && side(M) && side(N) && side(K);
    })
    .sort((a, b) => a.componentType.localeCompare(b.componentType) || size(b) - size(a));
}

/** Tries the adapter's configurations in each form of the extension until a product comes out right. */
export async function probeMatrixUnits(
  device: GPUDevice,
  configs: readonly SubgroupMatrixConfig[],
  lanes: number,
): Promise<MatrixProbe> {
  if (!device.features.has('chromium-experimental-subgroup-matrix' as GPUFeatureName))
    return { outcome: 'the adapter does not offer chromium-experimental-subgroup-matrix' };
  const candidates = usable(configs).filter(
    (config) => config.componentType === 'f32' || device.features.has('shader-f16'),
  );
  if (candidates.length === 0)
    return { outcome: 'none of its matrix products has f32 results and sides of 8, 16 or 32' };
  const failures: string[] = [];
  for (const { M, N, K, componentType } of candidates)
    for (const dialect of MATRIX_DIALECTS) {
      const units: MatrixUnits = { M, N, K, component: componentType as 'f16' | 'f32', dialect, lanes };
      const name = `${M}x${N}x${K} of ${componentType} (${dialect})`;
      const failure = await failureOf(device, units);
      if (!failure) return { units, outcome: `${name} comes out right` };
      failures.push(`${name}: ${failure.split('\n', 1)[0]}`);
    }
  return { outcome: `no product comes out right: ${failures.join('; ')}` };
}

async function failureOf(device: GPUDevice, units: MatrixUnits): Promise<string | undefined> {
  device.pushErrorScope('validation');
  device.pushErrorScope('internal');
  const wrong = await multiplyOnce(device, units).catch((error: Error) => error.message);
  const internal = await device.popErrorScope();
  const validation = await device.popErrorScope();
  return internal?.message ?? validation?.message ?? wrong;
}

/** Small whole numbers, whose products and sums are exact in f16 and f32. */
const entry = (i: number) => ((i * 7) % 13) - 6;

/** A B + A B, the operands once stored by rows and once by columns, out of tiles with a margin as the kernels' have. */
export function probeShader(units: MatrixUnits): string {
  const { M, N, K, component, lanes } = units;
  return inDialect(
    `enable f16;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
alias Component = ${component};
alias Staged = vec4<Component>;
alias Left = subgroup_matrix_left<Component, ${K}, ${M}>;
alias Right = subgroup_matrix_right<Component, ${N}, ${K}>;
alias Result = subgroup_matrix_result<f32, ${N}, ${M}>;
const BY_M = ${M / 4 + 2}u;
const BY_N = ${N / 4 + 2}u;
const BY_K = ${K / 4 + 2}u;
const SIZE_A = ${M}u * BY_K;
const SIZE_AT = ${K}u * BY_M;
const SIZE_B = ${K}u * BY_N;
const SIZE_BT = ${N}u * BY_K;
const BY_RESULT = ${N}u;
var<workgroup> a: array<Staged, SIZE_A>;
var<workgroup> a_t: array<Staged, SIZE_AT>;
var<workgroup> b: array<Staged, SIZE_B>;
var<workgroup> b_t: array<Staged, SIZE_BT>;
var<workgroup> product: array<f32, ${M * N}>;
@group(0) @binding(0) var<storage, read_write> results: array<f32>;
fn entry(i: u32) -> Component { return Component(f32(i * 7u % 13u) - 6.0); }
fn four(i: u32, step: u32) -> Staged {
  return Staged(entry(i), entry(i + step), entry(i + 2u * step), entry(i + 3u * step));
}
fn stage_a(at: u32, values: Staged) { a[at] = values; }
fn stage_a_t(at: u32, values: Staged) { a_t[at] = values; }
fn stage_b(at: u32, values: Staged) { b[at] = values; }
fn stage_b_t(at: u32, values: Staged) { b_t[at] = values; }
@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) local: u32, @builtin(subgroup_id) subgroup: u32) {
  for (var i = local; i < ${(M * K) / 4}u; i += ${lanes}u) {
    stage_a(i / ${K / 4}u * BY_K + i % ${K / 4}u, four(i / ${K / 4}u * ${K}u + i % ${K / 4}u * 4u, 1u));
    stage_a_t(i / ${M / 4}u * BY_M + i % ${M / 4}u, four(i / ${M / 4}u + i % ${M / 4}u * ${4 * K}u, ${K}u));
  }
  for (var i = local; i < ${(K * N) / 4}u; i += ${lanes}u) {
    stage_b(i / ${N / 4}u * BY_N + i % ${N / 4}u, four(i / ${N / 4}u * ${N}u + i % ${N / 4}u * 4u, 1u));
    stage_b_t(i / ${K / 4}u * BY_K + i % ${K / 4}u, four(i / ${K / 4}u + i % ${K / 4}u * ${4 * N}u, ${N}u));
  }
  workgroupBarrier();
  if (subgroup == 0u) {
    let at = 0u;
    var sum = Result();
    let rows_a = subgroupMatrixLoad<Left, row_major>(&a, at, BY_K);
    let rows_b = subgroupMatrixLoad<Right, row_major>(&b, at, BY_N);
    sum = subgroupMatrixMultiplyAccumulate(rows_a, rows_b, sum);
    let columns_a = subgroupMatrixLoad<Left, col_major>(&a_t, at, BY_M);
    let columns_b = subgroupMatrixLoad<Right, col_major>(&b_t, at, BY_K);
    sum = subgroupMatrixMultiplyAccumulate(columns_a, columns_b, sum);
    subgroupMatrixStore<row_major>(&product, at, sum, BY_RESULT);
  }
  workgroupBarrier();
  for (var i = local; i < ${M * N}u; i += ${lanes}u) { results[i] = product[i]; }
}`,
    units,
  );
}

async function multiplyOnce(device: GPUDevice, units: MatrixUnits): Promise<string | undefined> {
  const { M, N, K } = units;
  const size = 4 * M * N;
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const results = device.createBuffer({ size, usage: STORAGE | COPY_SRC });
  const readback = device.createBuffer({ size, usage: MAP_READ | COPY_DST });
  try {
    const module = device.createShaderModule({ code: probeShader(units) });
    const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    const layout = pipeline.getBindGroupLayout(0);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: results } }] }));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(results, 0, readback, 0, size);
    device.queue.submit([encoder.finish()]);
    await readback.mapAsync(GPUMapMode.READ);
    const values = new Float32Array(readback.getMappedRange());
    for (let row = 0; row < M; row++)
      for (let column = 0; column < N; column++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += 2 * entry(row * K + k) * entry(k * N + column);
        const value = values[row * N + column];
        if (value !== sum) return `element [${row}, ${column}] came out as ${value} instead of ${sum}`;
      }
    return undefined;
  } finally {
    results.destroy();
    readback.destroy();
  }
}
