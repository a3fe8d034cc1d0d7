// Constant padding of up to five axes, numbered from the innermost, 0; any element type, `value` being its bits. An
// invocation writes `run` neighbours along axis 0. Positions before the input wrap around to large numbers, so that
// one comparison tells whether a coordinate is inside.
alias V = u32;  // @param
const RANK: u32 = 5u;  // @param

struct Uniforms {
  count: u32, run: u32, runs: u32, value: u32,
  extent0: u32, extent1: u32, extent2: u32, extent3: u32, extent4: u32,
  before0: u32, before1: u32, before2: u32, before3: u32, before4: u32,
  padded0: u32, padded1: u32, padded2: u32, padded3: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let row = index / u.runs;
  let first = (index - row * u.runs) * u.run;
  var inside = true;
  var source = 0u;
  var stride = u.extent0;
  var outer = row;
  if (RANK > 1u) {
    let next = outer / u.padded1;
    let at = outer - next * u.padded1 - u.before1;
    inside = inside & (at < u.extent1);
    source += at * stride;
    stride *= u.extent1;
    outer = next;
  }
  if (RANK > 2u) {
    let next = outer / u.padded2;
    let at = outer - next * u.padded2 - u.before2;
    inside = inside & (at < u.extent2);
    source += at * stride;
    stride *= u.extent2;
    outer = next;
  }
  if (RANK > 3u) {
    let next = outer / u.padded3;
    let at = outer - next * u.padded3 - u.before3;
    inside = inside & (at < u.extent3);
    source += at * stride;
    stride *= u.extent3;
    outer = next;
  }
  if (RANK > 4u) {
    let at = outer - u.before4;
    inside = inside & (at < u.extent4);
    source += at * stride;
  }
  for (var i = first; i < min(first + u.run, u.padded0); i++) {
    let at = i - u.before0;
    let within = inside & (at < u.extent0);
    y[row * u.padded0 + i] = select(V(u.value), x[select(0u, source + at, within)], within);
  }
}
