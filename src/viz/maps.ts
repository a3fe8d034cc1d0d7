/** Scaling and colouring of images and id maps. */
import type { LabelImage, RgbImage } from '../data/image.js';
import type { Colour } from './raster.js';

/** An integer a pixel, row-major: clusters, segments, classes, or a mask of zeros and ones. */
export interface IdMap {
  readonly width: number;
  readonly height: number;
  readonly data: ArrayLike<number>;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Enlarges by the nearest pixel, shrinks by averaging what falls into each pixel. */
export function scaleImage(image: RgbImage, { width, height }: Size): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const [top, bottom] = span(y, height, image.height);
    for (let x = 0; x < width; x++) {
      const [left, right] = span(x, width, image.width);
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let v = top; v < bottom; v++)
          for (let u = left; u < right; u++) sum += image.data[(v * image.width + u) * 3 + channel]!;
        data[(y * width + x) * 3 + channel] = Math.round(sum / ((bottom - top) * (right - left)));
      }
    }
  }
  return { width, height, data };
}

/** The source pixels under a target pixel: those whose centres it covers, or the one under its own centre. */
function span(target: number, targets: number, sources: number): [number, number] {
  const first = Math.ceil((target * sources) / targets - 0.5);
  const end = Math.ceil(((target + 1) * sources) / targets - 0.5);
  if (end > first) return [first, end];
  const centre = Math.floor(((target + 0.5) * sources) / targets);
  return [centre, centre + 1];
}

/** Scales by the pixel nearest to each centre. */
export function scaleIds(ids: IdMap, { width, height }: Size): IdMap {
  const data = new Int32Array(width * height);
  for (let y = 0; y < height; y++) {
    const v = Math.floor(((y + 0.5) * ids.height) / height);
    for (let x = 0; x < width; x++)
      data[y * width + x] = ids.data[v * ids.width + Math.floor(((x + 0.5) * ids.width) / width)]!;
  }
  return { width, height, data };
}

/** A part of an image, wholly inside of it. */
export function cropImage(image: RgbImage, left: number, top: number, { width, height }: Size): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, data };
}

export function cropIds(ids: IdMap, left: number, top: number, { width, height }: Size): IdMap {
  const data = new Int32Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data[y * width + x] = ids.data[(top + y) * ids.width + left + x]!;
  return { width, height, data };
}

/** 1 where a pixel has the id. */
export function maskOf(ids: IdMap, id: number): IdMap {
  return { width: ids.width, height: ids.height, data: Uint8Array.from(ids.data, (value) => (value === id ? 1 : 0)) };
}

/** 1 on pixels whose right or lower neighbour has another id. */
export function boundaries({ width, height, data }: IdMap): IdMap {
  const edge = new Uint8Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const right = x + 1 < width && data[at + 1] !== data[at];
      const below = y + 1 < height && data[at + width] !== data[at];
      if (right || below) edge[at] = 1;
    }
  return { width, height, data: edge };
}

/** Colours that differ from those of neighbouring ids: hues a golden section apart, in three shades by turns. */
export function distinctColour(id: number): Colour {
  if (id < 0) return [0, 0, 0];
  const hue = (id * 0.6180339887498949) % 1;
  const [saturation, value] = [
    [0.62, 0.95],
    [0.78, 0.72],
    [0.4, 0.86],
  ][id % 3] as [number, number];
  return hsv(hue, saturation, value);
}

function hsv(hue: number, saturation: number, value: number): Colour {
  const channel = (offset: number) => {
    const k = (offset + hue * 6) % 6;
    return Math.round(255 * value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [channel(5), channel(3), channel(1)];
}

export function colourIds(ids: IdMap, colourOf: (id: number) => Colour): RgbImage {
  const data = new Uint8Array(ids.width * ids.height * 3);
  for (let pixel = 0; pixel < ids.width * ids.height; pixel++) data.set(colourOf(ids.data[pixel]!), pixel * 3);
  return { width: ids.width, height: ids.height, data };
}

export interface OverlayOptions {
  /** Of the colours, 0 to 1. Default 0.55. */
  readonly opacity?: number;
  /** The class that is left as it is; null: every class is tinted. Default 0. */
  readonly background?: number | null;
}

/** Labels laid over their image: tinted, with dark outlines. */
export function overlayLabels(
  image: RgbImage,
  labels: LabelImage,
  palette: readonly Colour[],
  { opacity = 0.55, background = 0 }: OverlayOptions = {},
): RgbImage {
  if (image.width !== labels.width || image.height !== labels.height)
    throw new RangeError(
      `overlayLabels: image ${image.width}x${image.height}, labels ${labels.width}x${labels.height} (width x height)`,
    );
  const data = Uint8Array.from(image.data);
  const edges = boundaries(labels);
  for (let pixel = 0; pixel < labels.data.length; pixel++) {
    const label = labels.data[pixel]!;
    const onEdge = edges.data[pixel] === 1;
    if (label === background && !onEdge) continue;
    const colour = onEdge ? ([20, 20, 20] as const) : (palette[label] ?? [0, 0, 0]);
    for (let channel = 0; channel < 3; channel++) {
      const at = pixel * 3 + channel;
      data[at] = Math.round(data[at]! + (colour[channel]! - data[at]!) * opacity);
    }
  }
  return { width: image.width, height: image.height, data };
}
