/** Says what the tests in Node run on, and looks for a GPU once: on a machine without, every file would look again. */
import type { TestProject } from 'vitest/node';
import { openGpu } from '../../src/platform/gpu.js';

export default async function setup(project: TestProject): Promise<void> {
  const gpu = await openGpu({ notice: () => {} });
  const { cpu, device, driver } = gpu.facts;
  await gpu.close();
  console.log(`tests in Node compute on ${device} (${driver})`);
  if (cpu && !process.env.VK_ICD_FILENAMES && !process.env.VK_DRIVER_FILES) process.env.SEGSORT_ADAPTER ||= 'cpu';
  if (!project.getProvidedContext().data)
    console.log('no real data sets in ../shared/data or SEGSORT_DATA: tests that need them are skipped');
}
