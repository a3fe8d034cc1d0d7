/** A network that sees images through windows of one size: each window's features are kept for `blendWindows`. */
import { Pass } from '../models/layers.js';
import type { CompiledStep } from '../tensor/compiled_step.js';
import { assign, constant } from '../tensor/graph.js';
import { equal, where } from '../tensor/ops/elementwise.js';
import { sampleCrop } from '../tensor/ops/image.js';
import type { Resident } from '../tensor/resident.js';
import { type HostTensor, hostTensor } from '../tensor/types.js';
import type { SegmenterContext } from './segmenter_engine.js';
import { type Extents, originTable, type View, viewSize, windowOrigins } from './views.js';

export class Windows implements Disposable {
  readonly extents: Extents;
  readonly #context: SegmenterContext;
  readonly #stride: Extents | null | undefined;
  /** u32 [1,H,W]: the image that is looked at. */
  readonly #canvas: Resident;
  #capacity = 0;
  #kept: { readonly features: Resident; readonly step: CompiledStep<Record<string, never>> } | null = null;

  constructor(context: SegmenterContext, canvas: Resident, extents: Extents, stride: Extents | null | undefined) {
    this.extents = extents;
    this.#context = context;
    this.#canvas = canvas;
    this.#stride = stride;
  }

  /** Sees to it that views up to this size find room. Not to be called after `features`. */
  make(largest: Extents): void {
    this.#capacity = Math.max(this.#capacity, windowOrigins(largest, this.extents, this.#stride).length);
  }

  /** f32 [windows,h,w,C]: the network's output for each window of the view looked at last. */
  get features(): Resident {
    return this.#prepared().features;
  }

  #prepared() {
    if (this.#kept) return this.#kept;
    const { runtime, network, options } = this.#context;
    const [height, width] = this.extents;
    const capacity = this.#capacity;
    const shape = [capacity, ...network.featureSize(height, width), network.spec.outputs];
    const features = runtime.resident('features of the windows', { shape, dtype: 'f32' });
    const slots = Int32Array.from({ length: capacity }, (_, slot) => slot);
    const step = runtime.compile((placement, slot): Record<string, never> => {
      const { image } = sampleCrop(this.#canvas, placement!, { height, width, mean: options.mean });
      const output = network.forward(image, new Pass({ batchStatistics: options.batchStatistics ?? false }));
      const here = equal(constant([capacity, 1, 1, 1], slots, 'i32'), slot!);
      assign(features, where(here, output, features));
      return {};
    }, 'windows');
    this.#kept = { features, step };
    return this.#kept;
  }

  /** Runs the network over all windows of a view; returns where they lie, as `blendWindows` takes it. */
  async look(image: Extents, view: View): Promise<HostTensor> {
    const { step } = this.#prepared();
    const origins = windowOrigins(viewSize(image, view.scale), this.extents, this.#stride);
    for (const [slot, origin] of origins.entries())
      await step.run(placementOf(image, view, origin), hostTensor([], [slot], 'i32'));
    return originTable(origins, this.#capacity);
  }

  [Symbol.dispose](): void {
    this.#kept?.step[Symbol.dispose]();
    this.#kept?.features[Symbol.dispose]();
  }
}

/** A window of a view, as `sampleCrop` takes it. */
function placementOf([height, width]: Extents, { scale, mirror }: View, [row, column]: Extents): HostTensor {
  return hostTensor([1, 8], Float32Array.of(height, width, scale, scale, row, column, mirror ? 1 : 0, 0));
}

/** The image as it is, from its first pixel. */
export function wholePlacements(image: Extents): HostTensor {
  return placementOf(image, { scale: 1, mirror: false }, [0, 0]);
}
