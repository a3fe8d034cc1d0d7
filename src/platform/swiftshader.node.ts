/**
 * Vulkan on Linux without system packages: SwiftShader, a driver that computes on the CPU, and a Vulkan loader, both
 * out of `@sparticuz/chromium`; or SwiftShader of an installed Chrome.
 */
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackSwiftShader } from './chromium_package.node.js';
import { homeFolder } from './files.node.js';
import type { AdapterAttempt } from './gpu.js';

/** Descriptions of SwiftShader that come with Chrome and Chromium. */
const INSTALLED = [
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/opt/google/chrome',
  '/snap/chromium/current/usr/lib/chromium-browser',
].map((folder) => join(folder, 'vk_swiftshader_icd.json'));

/** Where drivers are described, after the Vulkan loader's documentation. */
function driverFolders(): string[] {
  const home = homeFolder();
  return [
    '/etc/vulkan/icd.d',
    '/usr/share/vulkan/icd.d',
    '/usr/local/etc/vulkan/icd.d',
    '/usr/local/share/vulkan/icd.d',
    ...(home ? [join(home, '.local/share/vulkan/icd.d')] : []),
  ];
}

/** Loaders stay loaded: Dawn finds the system's, or one the process already holds under the name libvulkan.so.1. */
const loaders: unknown[] = [];

/**
 * Has the process hold a Vulkan loader. False where no driver can be behind it, so that asking would only make
 * Dawn complain: there is neither a loader nor a driver on this system.
 */
export async function provideVulkanLoader(attempts: AdapterAttempt[]): Promise<boolean> {
  const koffi = await import('koffi').catch((error: Error) => {
    attempts.push({ where: 'npm package koffi', outcome: error.message });
  });
  if (!koffi) return true; // Dawn finds the system's by itself
  const load = (library: string) => loaders.push(koffi.load(library, { global: true }));
  try {
    load('libvulkan.so.1');
    return true;
  } catch (error) {
    attempts.push({ where: 'libvulkan.so.1 of the system', outcome: firstLine(error) });
  }
  try {
    load(join(await unpackSwiftShader(), 'libvulkan.so.1'));
  } catch (error) {
    attempts.push({ where: 'libvulkan.so.1 of @sparticuz/chromium', outcome: firstLine(error) });
  }
  // A container that is lent a GPU has its driver, and often no loader.
  const folders = driverFolders();
  const found = await Promise.all(folders.map((folder) => readdir(folder).catch(() => [])));
  if (found.flat().some((name) => name.endsWith('.json'))) return true;
  attempts.push({ where: 'Vulkan drivers of the system', outcome: `none in ${folders.join(', ')}` });
  return false;
}

/** Calls `request` with the environment that makes Vulkan use SwiftShader; undefined where there is none. */
export async function withSwiftShader<T>(
  attempts: AdapterAttempt[],
  request: (where: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  const driver = await findSwiftShader(attempts);
  if (!driver) return undefined;
  // The loader reads it when an adapter is first asked for. Child processes look for themselves.
  process.env.VK_ICD_FILENAMES = driver;
  try {
    return await request(`SwiftShader, ${driver}`);
  } finally {
    delete process.env.VK_ICD_FILENAMES;
  }
}

async function findSwiftShader(attempts: AdapterAttempt[]): Promise<string | undefined> {
  try {
    return join(await unpackSwiftShader(), 'vk_swiftshader_icd.json');
  } catch (error) {
    attempts.push({ where: 'SwiftShader of @sparticuz/chromium', outcome: firstLine(error) });
  }
  for (const driver of INSTALLED) {
    const found = await access(driver).then(
      () => true,
      () => false,
    );
    if (found) return driver;
  }
  attempts.push({ where: 'SwiftShader of an installed Chrome', outcome: `none of ${INSTALLED.join(', ')}` });
  return undefined;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
