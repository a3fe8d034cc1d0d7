/** The text of a fused elementwise kernel. */
import { collapse } from './broadcast.js';
import type { FusedGroup } from './fuse.js';
import { type AdapterFacts, type Command, input, linearGrid, output } from './op.js';
import { type DType, sizeOf } from './types.js';

const LETTERS = ['a', 'b', 'c', 'd', 'e'];
/** How one element, or four, of a dtype are stored. Of halves there are always four. */
const NARROW: Record<DType, string> = { f32: 'f32', i32: 'i32', u32: 'u32', f16: 'vec2u' };
const WIDE: Record<DType, string> = { f32: 'vec4f', i32: 'vec4i', u32: 'vec4u', f16: 'vec2u' };
/** Elements from which unrolling pays for the longer compilation. */
const UNROLL_FROM = 16384;
const CONVERT: Record<DType, string> = { f32: 'F', i32: 'I', u32: 'U', f16: 'widen' };
const HALVES = `fn widen(v: vec2u) -> vec4f { return vec4f(unpack2x16float(v.x), unpack2x16float(v.y)); }
fn narrow(v: vec4f) -> vec2u { return vec2u(pack2x16float(v.xy), pack2x16float(v.zw)); }
`;

/**
 * The kernel of a group. It walks the collapsed index space (usually one axis, or positions by channels) in 4-vectors
 * where the last axis allows. Which axes an input varies along is written into the text; extents and strides are
 * uniforms, so one pipeline serves all sizes. Whatever is f16 is widened as it is read and narrowed as it is written; what
 * lies between, inside the kernel, is f32 whatever its dtype, as a tensor's dtype is but how it is stored. On a CPU adapter an invocation takes four neighbouring vectors: measured
 * 1.6 times as fast as one there; a GPU coalesces best with one.
 */
export function fusedCommands(group: FusedGroup, adapter: AdapterFacts): Command[] {
  const shape = group.output.shape;
  const space = collapse(
    shape,
    group.inputs.map((tensor) => tensor.shape),
  );
  const rank = space.extents.length;
  const last = rank - 1;
  const width = space.extents[last]! % 4 === 0 ? 4 : 1;
  const extents = space.extents.map((extent, axis) => (axis === last ? extent / width : extent));
  const unroll = adapter.cpu && extents[last]! % 4 === 0 && sizeOf(shape) >= UNROLL_FROM ? 4 : 1;
  const uniforms: Record<string, number> = { count: sizeOf(shape) / width };
  for (let axis = 1; axis < rank; axis++) uniforms[`extent${axis}`] = extents[axis]!;

  const typeOf = (dtype: DType, wide: boolean) => (wide ? WIDE : NARROW)[dtype];
  const bindings: string[] = [];
  const shared: string[] = [];
  const loads: string[] = [];
  for (const [i, { dtype }] of group.inputs.entries()) {
    const varies = space.varies[i]!;
    const wide = width === 4 && varies[last]!;
    bindings.push(`@group(0) @binding(${i + 1}) var<storage, read> in${i}: array<${typeOf(dtype, wide)}>;`);
    const terms: string[] = [];
    let stride = 1;
    for (let axis = last; axis >= 0; axis--) {
      if (!varies[axis]) continue;
      if (stride === 1) terms.push(`i${axis}`);
      else {
        uniforms[`stride${i}_${axis}`] = stride;
        terms.push(`i${axis} * u.stride${i}_${axis}`);
      }
      stride *= extents[axis]!;
    }
    const at = varies.every(Boolean) ? 'index' : terms.join(' + ') || '0u';
    if (varies[last]) {
      shared.push(`let at${i} = ${at};`);
      const stored = `in${i}[at${i} + k]`;
      loads.push(`let v${i} = ${dtype === 'f16' ? `widen(${stored})` : stored};`);
    } else {
      shared.push(`let v${i} = ${CONVERT[dtype]}(in${i}[${at}]);`);
    }
  }

  const names = new Map(group.inputs.map((tensor, i) => [tensor, `v${i}`]));
  const body = group.nodes.map(({ op, params, inputs, outputs }, i) => {
    const expression = op!.scalar!(params).replace(
      /\b[a-e]\b/g,
      (letter) => names.get(inputs[LETTERS.indexOf(letter)]!)!,
    );
    names.set(outputs[0]!, `t${i}`);
    return `let t${i} = ${expression};  // ${op!.name}`;
  });
  const result = names.get(group.output)!;
  body.push(`out[index + k] = ${group.output.dtype === 'f16' ? `narrow(${result})` : result};`);
  const halves = [...group.inputs, group.output].some(({ dtype }) => dtype === 'f16');

  if (space.varies.some((flags) => flags.some(Boolean) && !flags.every(Boolean))) shared.unshift(...indices(rank));
  const blocks = Array.from({ length: unroll }, (_, k) =>
    ['{', ...[`const k = ${k}u;`, ...loads, ...body].map((line) => `  ${line}`), '}'].join('\n  '),
  );
  const wide = width === 4;
  const source = `alias F = ${typeOf('f32', wide)};
alias I = ${typeOf('i32', wide)};
alias U = ${typeOf('u32', wide)};
alias B = ${wide ? 'vec4<bool>' : 'bool'};
${halves ? HALVES : ''}struct Uniforms { ${Object.keys(uniforms)
    .map((name) => `${name}: u32`)
    .join(', ')} }
@group(0) @binding(0) var<uniform> u: Uniforms;
${bindings.join('\n')}
@group(0) @binding(${group.inputs.length + 1}) var<storage, read_write> out: array<${typeOf(group.output.dtype, wide)}>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = ((group.y * groups.x + group.x) * 64u + local) * ${unroll}u;
  if (index >= u.count) { return; }
  ${[...shared, ...blocks].join('\n  ')}
}
`;
  return [
    {
      source,
      uniforms,
      buffers: [...group.inputs.map((_, i) => input(i)), output(0)],
      workgroups: linearGrid(uniforms.count! / unroll, 64),
    },
  ];
}

/** Splits the linear index into one index an axis, last axis first. */
function indices(rank: number): string[] {
  const lines: string[] = ['var rest = index;'];
  for (let axis = rank - 1; axis > 0; axis--)
    lines.push(`let i${axis} = rest % u.extent${axis};`, `rest = rest / u.extent${axis};`);
  lines.push('let i0 = rest;');
  return lines;
}
