// Up to seven short arrays, one after another; `end0` to `end5` are where each of them but the last ends.
struct Uniforms { count: u32, end0: u32, end1: u32, end2: u32, end3: u32, end4: u32, end5: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x0: array<u32>;
@group(0) @binding(2) var<storage, read> x1: array<u32>;
@group(0) @binding(3) var<storage, read> x2: array<u32>;
@group(0) @binding(4) var<storage, read> x3: array<u32>;
@group(0) @binding(5) var<storage, read> x4: array<u32>;
@group(0) @binding(6) var<storage, read> x5: array<u32>;
@group(0) @binding(7) var<storage, read> x6: array<u32>;
@group(0) @binding(8) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.count) { return; }
  var word: u32;
  if (i < u.end0) { word = x0[i]; }
  else if (i < u.end1) { word = x1[i - u.end0]; }
  else if (i < u.end2) { word = x2[i - u.end1]; }
  else if (i < u.end3) { word = x3[i - u.end2]; }
  else if (i < u.end4) { word = x4[i - u.end3]; }
  else if (i < u.end5) { word = x5[i - u.end4]; }
  else { word = x6[i - u.end5]; }
  y[i] = word;
}
