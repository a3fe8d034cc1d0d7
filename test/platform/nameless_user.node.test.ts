/** Users that the system does not know, as containers have them: `os.userInfo` and `os.homedir` throw. */
import { access, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';

vi.mock('node:os', async (load) => {
  const unknown = () => {
    throw new Error('no such user');
  };
  return { ...(await load<typeof import('node:os')>()), userInfo: unknown, homedir: unknown };
});

const folder = await mkdtemp(join(tmpdir(), 'segsort-nameless-'));
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

it.runIf(process.platform === 'linux' && process.arch === 'x64')(
  'get SwiftShader, in the temporary folder',
  async () => {
    vi.stubEnv('XDG_CACHE_HOME', '');
    vi.stubEnv('TMPDIR', folder);
    const { unpackSwiftShader } = await import('../../src/platform/chromium_package.node.js');
    const unpacked = await unpackSwiftShader();
    expect(unpacked).toContain(join(folder, `segsort-webgpu-${process.getuid!()}`));
    await access(join(unpacked, 'libvk_swiftshader.so'));
    expect((await stat(join(unpacked, 'libvulkan.so.1'))).uid).toBe(process.getuid!());
  },
);

it('can ask for adapters, and keep what was tuned', async () => {
  const { provideVulkanLoader } = await import('../../src/platform/swiftshader.node.js');
  expect(provideVulkanLoader).toBeTypeOf('function');
  const { defaultTuningFile } = await import('../../src/platform/tuning_cache.node.js');
  expect(defaultTuningFile({}, 'linux')).toContain('segsort-webgpu');
});
