/** An adapter that there need not be, for plans. */
import type { AdapterFacts } from '../../src/tensor/op.js';

export const GPU_FACTS: AdapterFacts = {
  cpu: false,
  features: new Set(),
  limits: {
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBufferBindingSize: 2 ** 27,
    maxStorageBuffersPerShaderStage: 8,
  },
};
