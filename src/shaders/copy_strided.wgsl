// Copies a box of up to five axes from one memory layout to another: slices, concatenations and transpositions,
// whatever the element type. Axes are numbered from the innermost, 0, of which an invocation copies `run` neighbours;
// the outermost of RANK axes has no extent here, as nothing is left to divide.
alias V = u32;  // @param
const RANK: u32 = 5u;  // @param

struct Uniforms {
  count: u32, run: u32, runs: u32, extent0: u32, extent1: u32, extent2: u32, extent3: u32,
  sourceStart: u32, source0: u32, source1: u32, source2: u32, source3: u32, sourceOuter: u32,
  targetStart: u32, target0: u32, target1: u32, target2: u32, target3: u32, targetOuter: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  var outer = index / u.runs;
  let first = (index - outer * u.runs) * u.run;
  var source = u.sourceStart + first * u.source0;
  var to = u.targetStart + first * u.target0;
  if (RANK > 2u) {
    let next = outer / u.extent1;
    source += (outer - next * u.extent1) * u.source1;
    to += (outer - next * u.extent1) * u.target1;
    outer = next;
  }
  if (RANK > 3u) {
    let next = outer / u.extent2;
    source += (outer - next * u.extent2) * u.source2;
    to += (outer - next * u.extent2) * u.target2;
    outer = next;
  }
  if (RANK > 4u) {
    let next = outer / u.extent3;
    source += (outer - next * u.extent3) * u.source3;
    to += (outer - next * u.extent3) * u.target3;
    outer = next;
  }
  source += outer * u.sourceOuter;
  to += outer * u.targetOuter;
  for (var i = first; i < min(first + u.run, u.extent0); i++) {
    y[to] = x[source];
    source += u.source0;
    to += u.target0;
  }
}
