/** The Chrome that tests and benchmarks run in, as Playwright's launch options. */
import type { LaunchOptions } from 'playwright-core';
import { unpackChromium } from '../src/platform/chromium_package.node.js';

const FLAGS = [
  '--enable-unsafe-webgpu',
  '--no-sandbox',
  '--disable-dev-shm-usage', // containers have little shared memory
  '--disable-gpu-watchdog', // a software adapter may take longer for a dispatch than the watchdog waits
  '--disable-dawn-features=timestamp_quantization',
];

/**
 * On Linux the Chromium of `@sparticuz/chromium`, elsewhere the installed Chrome; `SEGSORT_CHROME` names another.
 * It computes with SwiftShader, unless `SEGSORT_ADAPTER=gpu`.
 */
export async function chromeForTests(): Promise<LaunchOptions> {
  const adapter =
    process.env.SEGSORT_ADAPTER === 'gpu'
      ? ['--enable-features=Vulkan', '--ignore-gpu-blocklist']
      : ['--use-webgpu-adapter=swiftshader'];
  const args = [...FLAGS, ...adapter];
  if (process.env.SEGSORT_CHROME) return { executablePath: process.env.SEGSORT_CHROME, args };
  if (process.platform !== 'linux' || process.arch !== 'x64') return { channel: 'chrome', args };
  const { executable, environment } = await unpackChromium();
  return { executablePath: executable, args, env: { ...process.env, ...environment } };
}
