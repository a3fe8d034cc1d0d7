/** How an image is looked at to be segmented: at several scales, mirrored, through windows. Geometry alone. */
import { resizedExtent } from '../tensor/ops/image.js';
import { type HostTensor, hostTensor } from '../tensor/types.js';
import { NOWHERE } from './ops/blend_windows.js';

/** Height and width. */
export type Extents = readonly [height: number, width: number];

export interface ViewOptions {
  /** Factors that the image is resized by; 1 must be among them. Reference: 0.5, 0.75, 1, 1.25, 1.5, 1.75. */
  readonly scales: readonly number[];
  /** Whether each of these is looked at mirrored, too. */
  readonly mirror: boolean;
  /**
   * Height and width of the windows that the network sees an image through, multiples of its `inputMultiple`; smaller images are padded to
   * them. Null: it sees each view whole.
   */
  readonly window: Extents | null;
  /** Most pixels from one window to the next, at most the window's. Reference: 320 for windows of 480. Default: two thirds. */
  readonly windowStride?: Extents | null;
}

export interface View {
  readonly scale: number;
  readonly mirror: boolean;
}

/** The released scales for multi-scale inference. */
export const RELEASED_SCALES: readonly number[] = [0.5, 0.75, 1, 1.25, 1.5, 1.75];

/** @throws RangeError naming what cannot be */
export function checkViews({ scales, window, windowStride }: ViewOptions): void {
  if (!scales.every((scale) => scale > 0 && scale <= 8))
    throw new RangeError(`scales must be greater than 0 and at most 8, got ${scales.join(', ')}`);
  if (!scales.includes(1))
    throw new RangeError(
      `scales must include 1, whose clusters are those that are shown and scored; got ${scales.join(', ')}`,
    );
  if (new Set(scales).size !== scales.length) throw new RangeError(`scales must differ, got ${scales.join(', ')}`);
  if (!windowStride) return;
  if (!window) throw new RangeError('a stride of windows needs windows');
  for (const axis of [0, 1] as const)
    if (!(Number.isInteger(windowStride[axis]) && windowStride[axis] > 0 && windowStride[axis] <= window[axis]))
      throw new RangeError(
        `windows of ${window.join('x')} must be 1 to ${window.join('x')} pixels from one to the next, got ${windowStride.join('x')}`,
      );
}

/** Size of a view of an image, as `sampleCrop` makes it. */
export function viewSize([height, width]: Extents, scale: number): Extents {
  return [resizedExtent(height, scale), resizedExtent(width, scale)];
}

/** Where windows begin along an axis: as few as keep to the stride, evenly spread from the first pixel to the last. */
function originsAlong(extent: number, window: number, stride: number): number[] {
  if (extent <= window) return [0];
  const steps = Math.ceil((extent - window) / stride);
  return Array.from({ length: steps + 1 }, (_, i) => Math.floor((i * (extent - window)) / steps));
}

/** Row and column of the top left pixel of each window over an image of this size; all lie inside, where they fit. */
export function windowOrigins(size: Extents, window: Extents, stride?: Extents | null): Extents[] {
  const steps = stride ?? window.map((side) => Math.max(1, Math.ceil((side * 2) / 3)));
  const columns = originsAlong(size[1], window[1], steps[1]!);
  return originsAlong(size[0], window[0], steps[0]!).flatMap((row) => columns.map((column): Extents => [row, column]));
}

/** The origins as `blendWindows` takes them, for tables of `capacity` windows. */
export function originTable(origins: readonly Extents[], capacity: number): HostTensor {
  const data = new Int32Array(capacity * 2).fill(NOWHERE);
  for (const [index, origin] of origins.entries()) data.set(origin, index * 2);
  return hostTensor([capacity, 2], data, 'i32');
}

const grid = (...axes: readonly (readonly [number, number, number, number])[]): HostTensor =>
  hostTensor([2, 4], Int32Array.from(axes.flat()), 'i32');

/** Pixels of a map of one value for `stride` pixels each way, in the image or view it is of. */
export function mapGrid([height, width]: Extents, stride: number): HostTensor {
  return grid([stride, 0, 1, height], [stride, 0, 1, width]);
}

/**
 * Pixels of the map of an image, in a view of it. `sampleCrop` takes pixel v of a view from v * size / viewSize of the
 * image, mirrored after that; this is its inverse.
 *
 * @param perPixel pixels of the view for one of what is looked up: 1, or the stride of the view's own map
 */
export function imageGrid(image: Extents, view: View, stride: number, perPixel = 1): HostTensor {
  const [height, width] = viewSize(image, view.scale);
  const extent = (pixels: number) => Math.ceil(pixels / perPixel);
  return grid(
    [stride * height, 0, image[0] * perPixel, extent(height)],
    view.mirror
      ? [-stride * width, (width - 1) * image[1], image[1] * perPixel, extent(width)]
      : [stride * width, 0, image[1] * perPixel, extent(width)],
  );
}
