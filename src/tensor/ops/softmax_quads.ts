/**
 * Softmax for software adapters: the four lanes of a quad share a row and keep it in variables, so that it is read once and
 * written once, where the other kernel reads or writes it five times; a gathered load costs as much as the exponential does.
 * WGSL cannot index variables, hence a text for each length.
 */

/** The shader for rows of `length` elements, a few hundred at most: bindings as in `softmax.wgsl`, without its `length`. */
export function softmaxInQuads(length: number): string {
  const wide = length % 4 === 0;
  const type = wide ? 'vec4f' : 'f32';
  const vectors = wide ? length / 4 : length;
  const blocks = Math.ceil(vectors / 4);
  /** Lanes that have an element in the last block. */
  const rest = vectors - 4 * (blocks - 1);
  const guarded = (k: number) => rest < 4 && k === blocks - 1;
  const lines = (line: (k: number) => string) => Array.from({ length: blocks }, (_, k) => line(k)).join('\n  ');
  const largest = wide ? 'max(max(tops.x, tops.y), max(tops.z, tops.w))' : 'tops';
  const total = wide ? 'dot(sums, vec4f(1.0))' : 'sums';
  return `enable subgroups;
struct Uniforms { rows: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<${type}>;
@group(0) @binding(2) var<storage, read_write> y: array<${type}>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let lane = local % 4u;
  let row = (group.y * groups.x + group.x) * 16u + local / 4u;
  // Quads beyond the last row compute it again, as all lanes of a subgroup must; they write nothing.
  let first = min(row, u.rows - 1u) * ${vectors}u;
  let at = first + lane;
  let present = lane < ${rest}u;
  ${lines((k) => (guarded(k) ? `let x${k} = x[select(first, at + ${4 * k}u, present)];` : `let x${k} = x[at + ${4 * k}u];`))}
  var tops = x0;
  ${lines((k) => `tops = select(tops, x${k}, x${k} > tops);`)}
  let top = quadMax(${largest});
  var sums = ${type}(0.0);
  ${lines((k) => {
    const value = `exp(x${k} - top)`;
    return `let y${k} = ${guarded(k) ? `select(${type}(0.0), ${value}, present)` : value};\n  sums += y${k};`;
  })}
  let scale = 1.0 / quadSum(${total});
  if (row >= u.rows) { return; }
  ${lines((k) => `${guarded(k) ? 'if (present) ' : ''}{ y[at + ${4 * k}u] = y${k} * scale; }`)}
}

fn quadMax(value: f32) -> f32 {
  let pair = max(value, quadSwapX(value));
  return max(pair, quadSwapY(pair));
}

fn quadSum(value: f32) -> f32 {
  let pair = value + quadSwapX(value);
  return pair + quadSwapY(pair);
}
`;
}
