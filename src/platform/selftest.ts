/** A computation small enough to be right by inspection, to see whether an adapter that was found also works. */

const SHADER = `
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  values[id.x] = id.x * id.x;
}`;

/** Squares 0 to 255 on the device. Undefined if they come out right, else what went wrong. */
export async function selfTest(device: GPUDevice): Promise<string | undefined> {
  device.pushErrorScope('validation');
  device.pushErrorScope('internal');
  const wrong = await squares(device).catch((error: Error) => error.message);
  const internal = await device.popErrorScope();
  const validation = await device.popErrorScope();
  return internal?.message ?? validation?.message ?? wrong;
}

async function squares(device: GPUDevice): Promise<string | undefined> {
  const count = 256;
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const values = device.createBuffer({ size: 4 * count, usage: STORAGE | COPY_SRC });
  const readback = device.createBuffer({ size: 4 * count, usage: MAP_READ | COPY_DST });
  try {
    const module = device.createShaderModule({ code: SHADER });
    const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    const layout = pipeline.getBindGroupLayout(0);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: values } }] }));
    pass.dispatchWorkgroups(count / 64);
    pass.end();
    encoder.copyBufferToBuffer(values, 0, readback, 0, 4 * count);
    device.queue.submit([encoder.finish()]);
    await readback.mapAsync(GPUMapMode.READ);
    const results = new Uint32Array(readback.getMappedRange());
    const wrong = results.findIndex((square, i) => square !== i * i);
    return wrong < 0 ? undefined : `the square of ${wrong} came out as ${results[wrong]}`;
  } finally {
    values.destroy();
    readback.destroy();
  }
}
