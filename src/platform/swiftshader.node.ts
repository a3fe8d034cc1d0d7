/**
 * SwiftShader, a Vulkan driver that computes on the CPU, for Linux machines where Vulkan finds no device: out of
 * `@sparticuz/chromium`, with its Vulkan loader where the system has none, or out of an installed Chrome.
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackSwiftShader } from './chromium_package.node.js';
import type { AdapterAttempt } from './gpu.js';

/** Descriptions of the driver that come with Chrome and Chromium. */
const INSTALLED = [
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/opt/google/chrome',
  '/snap/chromium/current/usr/lib/chromium-browser',
].map((folder) => join(folder, 'vk_swiftshader_icd.json'));

/** Calls `request` with the environment that makes Vulkan use SwiftShader; undefined where there is none. */
export async function withSwiftShader<T>(
  attempts: AdapterAttempt[],
  request: (where: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  const driver = await findDriver(attempts);
  if (!driver) return undefined;
  await provideLoader(driver.loader, attempts);
  // The loader reads it when an adapter is first asked for. Child processes are to look for themselves.
  process.env.VK_ICD_FILENAMES = driver.icd;
  try {
    return await request(`SwiftShader, ${driver.icd}`);
  } finally {
    delete process.env.VK_ICD_FILENAMES;
  }
}

async function findDriver(attempts: AdapterAttempt[]): Promise<{ icd: string; loader?: string } | undefined> {
  try {
    const folder = await unpackSwiftShader();
    return { icd: join(folder, 'vk_swiftshader_icd.json'), loader: join(folder, 'libvulkan.so.1') };
  } catch (error) {
    attempts.push({ where: 'SwiftShader out of @sparticuz/chromium', outcome: (error as Error).message });
  }
  for (const icd of INSTALLED) {
    const found = await access(icd).then(
      () => true,
      () => false,
    );
    if (found) return { icd };
  }
  attempts.push({ where: 'SwiftShader of an installed Chrome', outcome: `none of ${INSTALLED.join(', ')}` });
  return undefined;
}

/** Loaders stay loaded: Dawn looks them up by name when it asks for its first adapter. */
const loaded: unknown[] = [];

/** Dawn finds the system's Vulkan loader, or one the process already holds under the name `libvulkan.so.1`. */
async function provideLoader(loader: string | undefined, attempts: AdapterAttempt[]): Promise<void> {
  if (loaded.length > 0) return;
  try {
    const { load } = await import('koffi');
    try {
      loaded.push(load('libvulkan.so.1', { global: true }));
    } catch (error) {
      if (!loader) throw error;
      loaded.push(load(loader, { global: true }));
    }
  } catch (error) {
    attempts.push({ where: 'Vulkan loader', outcome: (error as Error).message });
  }
}
