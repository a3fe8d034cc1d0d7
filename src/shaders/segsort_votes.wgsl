// The commonest of the labels of each row, the lower one of equals; negative labels don't vote. One invocation a row,
// which counts for each vote how many agree with it: quadratic in the few votes, and free of any table.
struct Uniforms { count: u32, votes: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> labels: array<i32>;
@group(0) @binding(2) var<storage, read_write> winner: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64u + local;
  if (row >= u.count) { return; }
  let first = row * u.votes;
  var most = 0;
  var best = -1;
  for (var i = 0u; i < u.votes; i++) {
    let label = labels[first + i];
    var agree = 0;
    for (var j = 0u; j < u.votes; j++) { agree += select(0, 1, labels[first + j] == label); }
    let better = (label >= 0) & ((agree > most) | ((agree == most) & (label < best)));
    best = select(best, label, better);
    most = select(most, agree, better);
  }
  winner[row] = best;
}
