/** Compiled pipelines of a device, one for each distinct shader text. */
import type { Shader } from './wgsl.js';

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #pipelines = new Map<string, Promise<Pipeline>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** The pipeline of a shader, compiled in the background on first use. `label` names it in errors and profiles. */
  get(shader: Shader, label: string): Promise<Pipeline> {
    let pipeline = this.#pipelines.get(shader.code);
    if (!pipeline) {
      pipeline = this.#compile(shader, label);
      this.#pipelines.set(shader.code, pipeline);
    }
    return pipeline;
  }

  async #compile(shader: Shader, label: string): Promise<Pipeline> {
    const device = this.#device;
    const layout = this.#layoutOf(shader);
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label, code: shader.code });
    const invalid = device.popErrorScope();
    try {
      const pipeline = await device.createComputePipelineAsync({
        label,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: 'main' },
      });
      await invalid;
      return { pipeline, layout };
    } catch (error) {
      const reason = (await invalid)?.message ?? (error as Error).message;
      throw new Error(`${label}: the shader does not compile: ${reason}`);
    }
  }

  #layoutOf(shader: Shader): GPUBindGroupLayout {
    const key = `${shader.uniforms.length > 0} ${shader.storage.join()}`;
    let layout = this.#layouts.get(key);
    if (!layout) {
      const entries: GPUBindGroupLayoutEntry[] = shader.storage.map((access, i) => ({
        binding: i + 1,
        visibility: 4, // COMPUTE
        buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
      }));
      if (shader.uniforms.length > 0) entries.push({ binding: 0, visibility: 4, buffer: { type: 'uniform' } });
      layout = this.#device.createBindGroupLayout({ entries });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}
