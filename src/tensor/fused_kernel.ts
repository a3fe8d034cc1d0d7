/** The text of a fused elementwise kernel. */
import { collapse } from './broadcast.js';
import type { FusedGroup } from './fuse.js';
import { type AdapterFacts, type Command, input, linearGrid, type Operand, output } from './op.js';
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

/** Invocations of a workgroup that takes several rows at once. */
const ROWS_WORKGROUP = 256;
/** Elements that an invocation takes on a CPU adapter. */
const UNROLL = 4;

/**
 * The kernel of a group. It walks the collapsed index space (usually one axis, or positions by channels) in 4-vectors
 * where the last axis allows. Which axes an input varies along is written into the text; extents and strides are
 * uniforms, so one pipeline serves all sizes. Whatever is f16 is widened as it is read and narrowed as it is written; what
 * lies between, inside the kernel, is f32 whatever its dtype, as a tensor's dtype is but how it is stored.
 *
 * A GPU coalesces best with one vector an invocation. On a CPU adapter it takes four, neighbours along one axis: the last
 * (measured 1.6 times as fast as one), or the positions where channel vectors take part, which are then read once. In large
 * workgroups, since a core runs one from end to end: then it walks along the rows (measured 1.2 times as fast).
 *
 * @param inputs the group's, of which those of the output's shape may have a pitch
 */
export function fusedCommands(
  group: FusedGroup,
  adapter: AdapterFacts,
  inputs: readonly Operand[] = group.inputs,
  written: Operand = group.output,
): Command[] {
  const shape = group.output.shape;
  const isPitched = [...inputs, written].some(({ pitch }) => pitch !== undefined);
  const space = collapse(
    shape,
    group.inputs.map((tensor) => tensor.shape),
  );
  const rank = space.extents.length;
  const last = rank - 1;
  // A vector lies in one row, and so do neighbours that are taken together.
  const row = isPitched ? shape.at(-1)! : space.extents[last]!;
  const width = row % 4 === 0 ? 4 : 1;
  const columns = row / width;
  const extents = space.extents.map((extent, axis) => (axis === last ? extent / width : extent));
  const several = adapter.cpu && sizeOf(shape) >= UNROLL_FROM;
  const byRows =
    rank === 2 && space.varies.some(([rows]) => !rows) && extents[0]! % UNROLL === 0 && extents[1] === columns;
  const axis = several && byRows ? 0 : last;
  const unroll = several && (axis === last ? columns : extents[axis]!) % UNROLL === 0 ? UNROLL : 1;
  const workgroup =
    unroll > 1 && axis === 0 ? Math.min(ROWS_WORKGROUP, adapter.limits.maxComputeInvocationsPerWorkgroup) : 64;
  const uniforms: Record<string, number> = { count: sizeOf(shape) / width };
  for (let i = 1; i < rank; i++) uniforms[`extent${i}`] = extents[i]!;
  if (isPitched) uniforms.columns = columns;

  const typeOf = (dtype: DType, wide: boolean) => (wide ? WIDE : NARROW)[dtype];
  const bindings: string[] = [];
  const shared: string[] = [];
  const loads: string[] = [];
  /** Where an operand of the output's shape has the invocation's elements: the first, and from one to the next. */
  const placeOfWhole = ({ pitch }: Operand, name: string) => {
    if (pitch === undefined) return { at: 'index', step: axis === last ? '' : ` * u.extent${last}` };
    uniforms[name] = pitch / width;
    return {
      at: `index / u.columns * u.${name} + index % u.columns`,
      step: axis === last ? '' : ` * u.${name}`,
    };
  };
  /** Of an operand that is broadcast; along the axis of an invocation's elements it has one a row, or they share it. */
  const placeOfBroadcast = (varies: readonly boolean[], name: string) => {
    const terms: string[] = [];
    let stride = 1;
    for (let from = last; from >= 0; from--) {
      if (!varies[from]) continue;
      if (stride === 1) terms.push(`i${from}`);
      else {
        uniforms[`${name}_${from}`] = stride;
        terms.push(`i${from} * u.${name}_${from}`);
      }
      stride *= extents[from]!;
    }
    return { at: terms.join(' + ') || '0u', step: '' };
  };
  for (const [i, operand] of inputs.entries()) {
    const { dtype } = operand;
    const varies = space.varies[i]!;
    const wide = width === 4 && varies[last]!;
    bindings.push(`@group(0) @binding(${i + 1}) var<storage, read> in${i}: array<${typeOf(dtype, wide)}>;`);
    const { at, step } = varies.every(Boolean)
      ? placeOfWhole(operand, `pitch${i}`)
      : placeOfBroadcast(varies, `stride${i}`);
    const convert = varies[last] ? (dtype === 'f16' ? 'widen' : '') : CONVERT[dtype];
    if (varies[axis]) {
      shared.push(`let at${i} = ${at};`);
      loads.push(`let v${i} = ${convert}(in${i}[at${i} + k${step}]);`);
    } else {
      shared.push(`let v${i} = ${convert}(in${i}[${at}]);`);
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
  const { at, step } = placeOfWhole(written, 'pitch');
  shared.push(`let at = ${at};`);
  body.push(`out[at + k${step}] = ${group.output.dtype === 'f16' ? `narrow(${result})` : result};`);
  const halves = [...group.inputs, group.output].some(({ dtype }) => dtype === 'f16');

  const first = axis === last ? [`let index = block * ${unroll}u;`] : [];
  if (axis === 0 && last === 1) first.push(...blockOfRows(unroll));
  else if (space.varies.some((flags) => flags.some(Boolean) && !flags.every(Boolean))) first.push(...indices(rank));
  shared.unshift(...first);
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

@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let block = (group.y * groups.x + group.x) * ${workgroup}u + local;
  if (block * ${unroll}u >= u.count) { return; }
  ${[...shared, ...blocks].join('\n  ')}
}
`;
  return [
    {
      source,
      uniforms,
      buffers: [...group.inputs.map((_, i) => input(i)), output(0)],
      workgroups: linearGrid(uniforms.count! / unroll, workgroup),
    },
  ];
}

/** Where the block of neighbouring rows of one column begins, of two axes. */
function blockOfRows(rows: number): string[] {
  return ['let i1 = block % u.extent1;', `let i0 = block / u.extent1 * ${rows}u;`, 'let index = i0 * u.extent1 + i1;'];
}

/** Splits the linear index into one index an axis, last axis first. */
function indices(rank: number): string[] {
  const lines: string[] = ['var rest = index;'];
  for (let axis = rank - 1; axis > 0; axis--)
    lines.push(`let i${axis} = rest % u.extent${axis};`, `rest = rest / u.extent${axis};`);
  lines.push('let i0 = rest;');
  return lines;
}
