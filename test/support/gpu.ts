/** One device for all tests of a file. */
import { afterAll } from 'vitest';
import { type Gpu, openGpu } from '../../src/platform/gpu.js';

let shared: Promise<Gpu> | undefined;

/** The file's device, opened at the first call and closed after the file's last test. */
export function testGpu(): Promise<Gpu> {
  shared ??= openGpu({ notice: () => {} });
  return shared;
}

afterAll(async () => {
  const gpu = await shared?.catch(() => undefined);
  await gpu?.close();
});
