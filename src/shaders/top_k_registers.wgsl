// The k largest of each row of [rows, length], descending, equal ones by column. An invocation scans one part of a row
// with the best eight so far sorted in registers: most elements fail one comparison with the eighth. For k beyond
// eight it scans again for those after the last found. With several parts to a row the results are candidates for
// top_k_merge; a part with fewer than k elements fills up with column -1.
alias V = f32;  // @param
const LANES: u32 = 1u;  // @param

struct Uniforms { count: u32, length: u32, k: u32, parts: u32, part: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> columns: array<i32>;

// Slots 0 to 3 and 4 to 7, with their columns; -1 marks an empty slot.
struct Best { upper: vec4f, lower: vec4f, upperAt: vec4i, lowerAt: vec4i }

// Slides the slots behind the new element down by one, in which the last falls out. Without effect where the element
// is no better than any.
fn insert(best: Best, value: f32, column: i32, later: bool) -> Best {
  let above = vec4f(best.upper.w, best.lower.xyz);
  let aboveAt = vec4i(best.upperAt.w, best.lowerAt.xyz);
  let beatsUpper = ((vec4f(value) > best.upper) | (best.upperAt < vec4i(0))) & vec4<bool>(later);
  let beatsLower = ((vec4f(value) > best.lower) | (best.lowerAt < vec4i(0))) & vec4<bool>(later);
  let beatsBefore = vec4<bool>(false, beatsUpper.xyz);
  let beatsAbove = vec4<bool>(beatsUpper.w, beatsLower.xyz);
  let before = vec4f(0.0, best.upper.xyz);
  let beforeAt = vec4i(0, best.upperAt.xyz);
  return Best(
    select(best.upper, select(vec4f(value), before, beatsBefore), beatsUpper),
    select(best.lower, select(vec4f(value), above, beatsAbove), beatsLower),
    select(best.upperAt, select(vec4i(column), beforeAt, beatsBefore), beatsUpper),
    select(best.lowerAt, select(vec4i(column), aboveAt, beatsAbove), beatsLower),
  );
}

fn comesLater(value: f32, column: i32, last: f32, lastAt: i32) -> bool {
  return (value < last) | ((value == last) & (column > lastAt));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let row = index / u.parts;
  let first = (index - row * u.parts) * u.part;
  let end = min(first + u.part, u.length);
  var last = 0.0;
  var lastAt = -1;
  var exhausted = false;
  for (var done = 0u; done < u.k; done += 8u) {
    var best = Best(vec4f(0.0), vec4f(0.0), vec4i(-1), vec4i(-1));
    let fresh = done == 0u;
    for (var i = first; i < select(end, first, exhausted); i++) {
      let value = x[row * u.length + i];
      if (any(value > V(best.lower.w)) | (best.lowerAt.w < 0)) {
        let lanes = vec4f(value);
        let column = i32(i * LANES);
        best = insert(best, lanes.x, column, fresh | comesLater(lanes.x, column, last, lastAt));
        if (LANES > 1u) {
          best = insert(best, lanes.y, column + 1, fresh | comesLater(lanes.y, column + 1, last, lastAt));
          best = insert(best, lanes.z, column + 2, fresh | comesLater(lanes.z, column + 2, last, lastAt));
          best = insert(best, lanes.w, column + 3, fresh | comesLater(lanes.w, column + 3, last, lastAt));
        }
      }
    }
    let to = index * u.k + done;
    for (var j = 0u; j < min(8u, u.k - done); j++) {
      values[to + j] = select(best.upper[j & 3u], best.lower[j & 3u], j > 3u);
      columns[to + j] = select(best.upperAt[j & 3u], best.lowerAt[j & 3u], j > 3u);
    }
    last = best.lower.w;
    lastAt = best.lowerAt.w;
    exhausted = lastAt < 0;
  }
}
