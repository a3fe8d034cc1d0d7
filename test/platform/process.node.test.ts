/** The GPU from the outside: environment variables, what a process prints, how it ends. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { unpackSwiftShader } from '../../src/platform/chromium_package.node.js';

const library = pathToFileURL(`${inject('root')}dist/index.node.js`).href;

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a script that finds the library's exports in `segsort`, in a process of its own. */
function runScript(script: string, environment: Record<string, string> = {}): Promise<Ending> {
  const source = `const segsort = await import(${JSON.stringify(library)});\n${script}`;
  const env = { ...process.env, SEGSORT_ADAPTER: 'cpu', ...environment };
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { env, timeout: 50_000 });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

const FACTS = `
  const gpu = await segsort.openGpu();
  console.log(gpu.facts.cpu, gpu.facts.backend);
  await gpu.close();`;

const WHY_NOT = `
  try { await segsort.openGpu(); } catch (error) { console.log(error.name + ': ' + error.message); }`;

/** Work that nobody waits for: submitted and half of it mapped when the process ends. */
const LEAVE_WHILE_WORKING = `
  const { device } = await segsort.openGpu();
  const size = 4 << 18;
  const code = \`
    @group(0) @binding(0) var<storage, read_write> b: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      var x = b[id.x];
      for (var i = 0u; i < 30u; i++) { x = x * 1.01 + 0.5; }
      b[id.x] = x;
    }\`;
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
  for (let i = 0; i < 16; i++) {
    const buffer = device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
    const readback = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const layout = pipeline.getBindGroupLayout(0);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] }));
    pass.dispatchWorkgroups(size / 256);
    pass.end();
    encoder.copyBufferToBuffer(buffer, 0, readback, 0, size);
    device.queue.submit([encoder.finish()]);
    readback.mapAsync(GPUMapMode.READ).then(() => readback.unmap(), () => {});
  }`;

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('on Linux', () => {
  let cache: string;
  beforeAll(async () => {
    cache = await mkdtemp(join(tmpdir(), 'segsort-cache-'));
  });
  afterAll(() => rm(cache, { recursive: true, force: true }));

  test('two processes unpack SwiftShader at once, and say in one line that the CPU computes', async () => {
    const endings = await Promise.all([
      runScript(FACTS, { XDG_CACHE_HOME: cache }),
      runScript(FACTS, { XDG_CACHE_HOME: cache }),
    ]);
    for (const { code, stdout, stderr } of endings) {
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'true vulkan\n' });
      expect(stderr.match(/^segsort: .*the CPU does the work.*$/gm)).toHaveLength(1);
    }
    expect(await readdir(join(cache, 'segsort-webgpu'))).toEqual([expect.stringMatching(/^swiftshader-[\d.]+$/)]);
  });

  test('a driver the user names is used', async () => {
    const driver = join(await unpackSwiftShader(), 'vk_swiftshader_icd.json');
    const { stdout } = await runScript(FACTS, { VK_ICD_FILENAMES: driver, SEGSORT_ADAPTER: 'auto' });
    expect(stdout).toBe('true vulkan\n');
    const refused = await runScript(WHY_NOT, { VK_ICD_FILENAMES: driver, SEGSORT_ADAPTER: 'gpu' });
    expect(refused.stdout).toContain(`VK_ICD_FILENAMES=${driver}: only a software adapter`);
  });

  test('a driver the user names is not silently replaced', async () => {
    const { stdout } = await runScript(WHY_NOT, { VK_DRIVER_FILES: '/nowhere.json', SEGSORT_ADAPTER: 'auto' });
    expect(stdout).toMatch(/^GpuUnavailableError: no WebGPU adapter/);
    expect(stdout).toContain('VK_DRIVER_FILES=/nowhere.json: no adapter');
    expect(stdout).toContain('segsort doctor');
  });
});

test('SEGSORT_ADAPTER takes nothing but auto, gpu and cpu', async () => {
  const { stdout } = await runScript(WHY_NOT, { SEGSORT_ADAPTER: 'GPU' });
  expect(stdout).toBe('Error: SEGSORT_ADAPTER: `GPU` is none of auto, gpu, cpu\n');
});

test.each([
  ['leaves', 'setTimeout(() => process.exit(3), 30);', 3],
  ['throws', `setTimeout(() => { throw new Error('on purpose'); }, 30);`, 1],
  ['comes to its end', '', 0],
])('a process that %s while the GPU works does not crash', async (_, ending, expected) => {
  const { code, signal } = await runScript(LEAVE_WHILE_WORKING + ending);
  expect({ code, signal }).toEqual({ code: expected, signal: null });
});
