// Mean and biased variance of each channel of x [rows, channels]: one invocation a channel, two passes over its rows.
alias StoredX = f32;  // @param  or u32, of two halves
fn load_x(i: u32) -> f32 { return x[i]; }  // @param

struct Uniforms { rows: u32, channels: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<StoredX>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let channel = (group.y * groups.x + group.x) * 64u + local;
  if (channel >= u.channels) { return; }
  var sum = 0.0;
  for (var row = 0u; row < u.rows; row++) {
    sum += load_x(row * u.channels + channel);
  }
  let m = sum / f32(u.rows);
  var squares = 0.0;
  for (var row = 0u; row < u.rows; row++) {
    let d = load_x(row * u.channels + channel) - m;
    squares += d * d;
  }
  mean[channel] = m;
  variance[channel] = squares / f32(u.rows);
}
