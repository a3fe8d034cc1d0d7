/** Elementwise fusion: which nodes become one kernel, and the text of that kernel. */
import { collapse } from './broadcast.js';
import type { Graph, Node, Tensor } from './graph.js';
import { type AdapterFacts, type Command, input, linearGrid, output } from './op.js';
import { type DType, sameShape, sizeOf } from './types.js';

export interface FusedGroup {
  /** In trace order; the last is the one whose output is written. */
  readonly nodes: readonly Node[];
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
}

/** Keeps the generated functions short enough to compile quickly everywhere. */
const MAX_NODES = 24;

/**
 * Groups the live elementwise nodes. A producer joins its consumer's group when that group is all that reads it,
 * it has the group's shape, and the group's inputs still fit the adapter's bindings. Returns the groups by the id
 * of their last node.
 */
export function fuse(
  graph: Graph,
  live: ReadonlySet<Node>,
  kept: ReadonlySet<Tensor>,
  limits: AdapterFacts['limits'],
): Map<number, FusedGroup> {
  const consumers = countConsumers(live);
  const absorbed = new Set<Node>();
  const groups = new Map<number, FusedGroup>();
  const maxInputs = limits.maxStorageBuffersPerShaderStage - 1;

  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const root = graph.nodes[id]!;
    if (!live.has(root) || !root.op?.scalar || absorbed.has(root)) continue;
    const members = new Set<Node>([root]);
    let inputs = new Set(root.inputs);
    for (let grown = true; grown && members.size < MAX_NODES; ) {
      grown = false;
      for (const tensor of inputs) {
        const producer = tensor.node;
        if (!producer.op?.scalar || kept.has(tensor) || !sameShape(tensor.shape, root.outputs[0]!.shape)) continue;
        const uses = [...members].reduce((sum, node) => sum + node.inputs.filter((i) => i === tensor).length, 0);
        if (uses !== consumers.get(tensor)) continue;
        const merged = new Set(inputs);
        merged.delete(tensor);
        for (const i of producer.inputs) merged.add(i);
        if (merged.size > maxInputs) continue;
        members.add(producer);
        absorbed.add(producer);
        inputs = merged;
        grown = true;
        break;
      }
    }
    const nodes = [...members].sort((a, b) => a.id - b.id);
    groups.set(id, { nodes, inputs: [...inputs], output: root.outputs[0]! });
  }
  return groups;
}

function countConsumers(live: ReadonlySet<Node>): Map<Tensor, number> {
  const counts = new Map<Tensor, number>();
  for (const node of live) for (const i of node.inputs) counts.set(i, (counts.get(i) ?? 0) + 1);
  return counts;
}

const LETTERS = ['a', 'b', 'c', 'd', 'e'];
const WIDE: Record<DType, string> = { f32: 'vec4f', i32: 'vec4i', u32: 'vec4u' };

/**
 * The kernel of a group. It walks the collapsed index space (usually one axis, or positions by channels), four
 * elements at a time where the last axis allows. Which axes an input varies along is written into the text;
 * extents and strides are uniforms, so one pipeline serves all sizes.
 */
export function fusedCommands(group: FusedGroup): Command[] {
  const shape = group.output.shape;
  const space = collapse(
    shape,
    group.inputs.map((i) => i.shape),
  );
  const rank = space.extents.length;
  const width = space.extents[rank - 1]! % 4 === 0 ? 4 : 1;
  const uniforms: Record<string, number> = { count: sizeOf(shape) / width };
  const extents = space.extents.map((extent, axis) => (axis === rank - 1 ? extent / width : extent));
  for (let axis = 1; axis < rank; axis++) uniforms[`extent${axis}`] = extents[axis]!;

  const bindings: string[] = [];
  const loads: string[] = [];
  for (const [i, tensor] of group.inputs.entries()) {
    const varies = space.varies[i]!;
    const wide = width === 4 && varies[rank - 1]!;
    bindings.push(
      `@group(0) @binding(${i + 1}) var<storage, read> in${i}: array<${wide ? WIDE[tensor.dtype] : tensor.dtype}>;`,
    );
    const terms: string[] = [];
    let stride = 1;
    for (let axis = rank - 1; axis >= 0; axis--) {
      if (!varies[axis]) continue;
      if (stride === 1) terms.push(`i${axis}`);
      else {
        uniforms[`stride${i}_${axis}`] = stride;
        terms.push(`i${axis} * u.stride${i}_${axis}`);
      }
      stride *= axis === rank - 1 && !wide ? space.extents[axis]! : extents[axis]!;
    }
    const all = varies.every((flag) => flag);
    const at = all ? 'index' : terms.length > 0 ? terms.join(' + ') : '0u';
    loads.push(`  let v${i} = ${typeName(tensor.dtype)}(in${i}[${at}]);`);
  }

  const names = new Map(group.inputs.map((tensor, i) => [tensor, `v${i}`]));
  const body = group.nodes.map((node, i) => {
    const name = `t${i}`;
    const expression = node.op!.scalar!(node.params).replace(/\b[a-e]\b/g, (letter) => {
      return names.get(node.inputs[LETTERS.indexOf(letter)]!)!;
    });
    names.set(node.outputs[0]!, name);
    return `  let ${name} = ${expression};  // ${node.op!.name}`;
  });

  const out = group.output.dtype;
  const needsIndices = space.varies.some((flags) => flags.some(Boolean) && !flags.every(Boolean));
  const source = `// Fused: ${group.nodes.map((node) => node.op!.name).join(', ')}
alias F = ${width === 4 ? 'vec4f' : 'f32'};
alias I = ${width === 4 ? 'vec4i' : 'i32'};
alias U = ${width === 4 ? 'vec4u' : 'u32'};
alias B = ${width === 4 ? 'vec4<bool>' : 'bool'};
struct Uniforms { ${Object.keys(uniforms)
    .map((name) => `${name}: u32`)
    .join(', ')} }
@group(0) @binding(0) var<uniform> u: Uniforms;
${bindings.join('\n')}
@group(0) @binding(${group.inputs.length + 1}) var<storage, read_write> out: array<${width === 4 ? WIDE[out] : out}>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
${needsIndices ? `${indices(rank)}\n` : ''}${loads.join('\n')}
${body.join('\n')}
  out[index] = ${names.get(group.output)};
}
`;
  return [
    {
      source,
      uniforms,
      buffers: [...group.inputs.map((_, i) => input(i)), output(0)],
      workgroups: linearGrid(uniforms.count!, 64),
    },
  ];
}

function typeName(dtype: DType): string {
  return dtype === 'f32' ? 'F' : dtype === 'i32' ? 'I' : 'U';
}

/** Splits the linear index into one index an axis, last axis first. */
function indices(rank: number): string {
  const lines: string[] = ['  var rest = index;'];
  for (let axis = rank - 1; axis > 0; axis--) {
    lines.push(`  let i${axis} = rest % u.extent${axis};`, `  rest = rest / u.extent${axis};`);
  }
  lines.push('  let i0 = rest;');
  return lines.join('\n');
}
