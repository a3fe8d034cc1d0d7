/**
 * Dawn's Null backend: it runs nothing, but has every feature, and validates shaders and pipelines that no adapter at
 * hand can take.
 */
import { create, globals } from 'webgpu';

export interface NullGpu {
  /** The Dawn instance, which must not be collected before its device. */
  readonly instance: GPU;
  readonly device: GPUDevice;
  /** By which workgroups of shaders with subgroup matrices must be divisible. */
  readonly lanes: number;
  /** What is wrong with a compute shader; undefined if a pipeline can be made of it. */
  failureOf(code: string): Promise<string | undefined>;
  close(): void;
}

export async function nullGpu(): Promise<NullGpu> {
  for (const [name, value] of Object.entries(globals)) (globalThis as Record<string, unknown>)[name] ??= value;
  const instance = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const adapter = (await instance.requestAdapter())!;
  const requiredFeatures = [...adapter.features] as GPUFeatureName[];
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX, maxComputeWorkgroupStorageSize } =
    adapter.limits;
  const device = await adapter.requestDevice({
    requiredFeatures,
    requiredLimits: { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX, maxComputeWorkgroupStorageSize },
  });
  const failureOf = async (code: string) => {
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code });
    const pipeline = device
      .createComputePipelineAsync({ layout: 'auto', compute: { module } })
      .then(() => undefined)
      .catch((error: Error) => error.message);
    const invalid = (await device.popErrorScope())?.message;
    const failure = await pipeline;
    return invalid ?? failure;
  };
  return { instance, device, lanes: adapter.info.subgroupMaxSize, failureOf, close: () => device.destroy() };
}
