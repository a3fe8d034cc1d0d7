// The rate at which a kernel moves bytes: each invocation copies VECTORS 4-vectors, side by side or a whole grid apart.
const VECTORS: u32 = 4u;  // @param
const SIDE_BY_SIDE: bool = false;  // @param
const SIZE: u32 = 64u;  // @param

@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let invocation = (group.y * groups.x + group.x) * SIZE + local;
  let invocations = groups.x * groups.y * SIZE;
  let first = select(invocation, invocation * VECTORS, SIDE_BY_SIDE);
  let step = select(invocations, 1u, SIDE_BY_SIDE);
  for (var i = 0u; i < VECTORS; i++) {
    let at = first + i * step;
    if (at < arrayLength(&result)) {
      result[at] = source[at];
    }
  }
}
