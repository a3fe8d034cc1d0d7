// The largest dot product of each query with the rows of each group of the table, for software adapters. A quad takes 32
// queries and one group: as in matmul_quads.wgsl each lane keeps 8 queries against 32 rows of the table in variables,
// reads its queries for itself and a quarter of the rows, and gets the others by quadBroadcast. The products never
// leave the registers: what is stored is one number for 64 of them. (With 16 queries a lane it is no faster, and takes three
// times as long to compile.)
enable subgroups;

struct Uniforms { queries: u32, groups: u32, group: u32, rows: u32, channels4: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> queries: array<vec4f>;
@group(0) @binding(2) var<storage, read> table: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> maxima: array<f32>;

// Four channels of 32 rows, and a query's products with them.
struct Slab {
  s0: mat4x4f, s1: mat4x4f, s2: mat4x4f, s3: mat4x4f, s4: mat4x4f, s5: mat4x4f, s6: mat4x4f, s7: mat4x4f,
}
struct Sums {
  c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f, c4: vec4f, c5: vec4f, c6: vec4f, c7: vec4f,
}

// Each lane loads one row's channels and receives those of the other three. Beyond the end of the table the last row
// counts again, which changes no maximum.
fn four_rows(row: u32, lane: u32, channel: u32) -> mat4x4f {
  let mine = table[min(row + lane, u.rows - 1u) * u.channels4 + channel];
  return mat4x4f(
    quadBroadcast(mine, 0u), quadBroadcast(mine, 1u), quadBroadcast(mine, 2u), quadBroadcast(mine, 3u),
  );
}

fn load_slab(row: u32, lane: u32, channel: u32) -> Slab {
  return Slab(
    four_rows(row, lane, channel), four_rows(row + 4u, lane, channel),
    four_rows(row + 8u, lane, channel), four_rows(row + 12u, lane, channel),
    four_rows(row + 16u, lane, channel), four_rows(row + 20u, lane, channel),
    four_rows(row + 24u, lane, channel), four_rows(row + 28u, lane, channel),
  );
}

fn accumulate(sums: Sums, slab: Slab, query: vec4f) -> Sums {
  return Sums(
    sums.c0 + query * slab.s0, sums.c1 + query * slab.s1, sums.c2 + query * slab.s2, sums.c3 + query * slab.s3,
    sums.c4 + query * slab.s4, sums.c5 + query * slab.s5, sums.c6 + query * slab.s6, sums.c7 + query * slab.s7,
  );
}

fn larger(largest: vec4f, sums: Sums) -> vec4f {
  let a = max(max(sums.c0, sums.c1), max(sums.c2, sums.c3));
  let b = max(max(sums.c4, sums.c5), max(sums.c6, sums.c7));
  return max(largest, max(a, b));
}

fn start_of(query: u32) -> u32 {
  return min(query, u.queries - 1u) * u.channels4;
}

fn store(query: u32, group: u32, largest: vec4f) {
  if (query >= u.queries) { return; }
  maxima[query * u.groups + group] = max(max(largest.x, largest.y), max(largest.z, largest.w));
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(subgroup_invocation_id) invocation: u32) {
  let lane = invocation & 3u;
  let index = workgroup.y * workgroups.x + workgroup.x;
  let tile = index / u.groups;
  let group = index - tile * u.groups;
  if (tile * 32u >= u.queries) { return; }
  let query = tile * 32u + lane * 8u;
  let q0 = start_of(query + 0u);
  let q1 = start_of(query + 1u);
  let q2 = start_of(query + 2u);
  let q3 = start_of(query + 3u);
  let q4 = start_of(query + 4u);
  let q5 = start_of(query + 5u);
  let q6 = start_of(query + 6u);
  let q7 = start_of(query + 7u);
  let none = vec4f(-3.4e38);
  var m0 = none; var m1 = none; var m2 = none; var m3 = none;
  var m4 = none; var m5 = none; var m6 = none; var m7 = none;
  for (var at = 0u; at < u.group; at += 32u) {
    var t0 = Sums(); var t1 = Sums(); var t2 = Sums(); var t3 = Sums();
    var t4 = Sums(); var t5 = Sums(); var t6 = Sums(); var t7 = Sums();
    for (var c = 0u; c < u.channels4; c++) {
      let slab = load_slab(group * u.group + at, lane, c);
      t0 = accumulate(t0, slab, queries[q0 + c]);
      t1 = accumulate(t1, slab, queries[q1 + c]);
      t2 = accumulate(t2, slab, queries[q2 + c]);
      t3 = accumulate(t3, slab, queries[q3 + c]);
      t4 = accumulate(t4, slab, queries[q4 + c]);
      t5 = accumulate(t5, slab, queries[q5 + c]);
      t6 = accumulate(t6, slab, queries[q6 + c]);
      t7 = accumulate(t7, slab, queries[q7 + c]);
    }
    m0 = larger(m0, t0);
    m1 = larger(m1, t1);
    m2 = larger(m2, t2);
    m3 = larger(m3, t3);
    m4 = larger(m4, t4);
    m5 = larger(m5, t5);
    m6 = larger(m6, t6);
    m7 = larger(m7, t7);
  }
  store(query + 0u, group, m0);
  store(query + 1u, group, m1);
  store(query + 2u, group, m2);
  store(query + 3u, group, m3);
  store(query + 4u, group, m4);
  store(query + 5u, group, m5);
  store(query + 6u, group, m6);
  store(query + 7u, group, m7);
}
