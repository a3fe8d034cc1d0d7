// Second pass of a split top-k: the k best of a row's candidates [rows, candidates], with their columns in the row;
// column -1 marks no candidate. As in top_k_registers the best eight are kept sorted in registers. Candidates come in
// an order in which equal ones have ascending columns, so the first of them wins here too.
struct Uniforms { rows: u32, candidates: u32, k: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> candidates: array<f32>;
@group(0) @binding(2) var<storage, read> candidateColumns: array<i32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> columns: array<i32>;

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
  let row = (group.y * groups.x + group.x) * 64u + local;
  if (row >= u.rows) { return; }
  var last = 0.0;
  var lastAt = -1;
  for (var done = 0u; done < u.k; done += 8u) {
    var best = Best(vec4f(0.0), vec4f(0.0), vec4i(-1), vec4i(-1));
    let fresh = done == 0u;
    for (var i = row * u.candidates; i < (row + 1u) * u.candidates; i++) {
      let value = candidates[i];
      let column = candidateColumns[i];
      if ((value > best.lower.w) | (best.lowerAt.w < 0)) {
        best = insert(best, value, column, (column >= 0) & (fresh | comesLater(value, column, last, lastAt)));
      }
    }
    let to = row * u.k + done;
    for (var j = 0u; j < min(8u, u.k - done); j++) {
      values[to + j] = select(best.upper[j & 3u], best.lower[j & 3u], j > 3u);
      columns[to + j] = select(best.upperAt[j & 3u], best.lowerAt[j & 3u], j > 3u);
    }
    last = best.lower.w;
    lastAt = best.lowerAt.w;
  }
}
