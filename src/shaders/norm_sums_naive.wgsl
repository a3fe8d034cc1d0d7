// Sums over rows of grad and of grad * (x - mean) * inverse: one invocation a channel.
alias StoredG = f32;  // @param  or u32, of two halves
fn load_g(i: u32) -> f32 { return grad[i]; }  // @param
alias StoredX = f32;  // @param
fn load_x(i: u32) -> f32 { return x[i]; }  // @param

struct Uniforms { rows: u32, channels: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> grad: array<StoredG>;
@group(0) @binding(2) var<storage, read> x: array<StoredX>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> inverse: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;
@group(0) @binding(6) var<storage, read_write> products: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let channel = (group.y * groups.x + group.x) * 64u + local;
  if (channel >= u.channels) { return; }
  var sum = 0.0;
  var product = 0.0;
  for (var row = 0u; row < u.rows; row++) {
    let at = row * u.channels + channel;
    sum += load_g(at);
    product += load_g(at) * (load_x(at) - mean[channel]);
  }
  sums[channel] = sum;
  products[channel] = product * inverse[channel];
}
