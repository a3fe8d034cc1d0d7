/** Images on the host, and the colours in which label images are shown. */

/** 8-bit RGB, row-major, three bytes a pixel: `data.length === height * width * 3`. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** One class index a pixel, row-major: `data.length === height * width`. */
export interface LabelImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** One id a pixel, row-major, 0 to 65534, or `NO_ID`: regions of an oversegmentation, or instances. */
export interface IdImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint16Array;
}

/** The id of pixels that belong to no region or instance. */
export const NO_ID = 0xffff;

/** The label of pixels that are neither trained on nor scored. */
export const IGNORE_LABEL = 255;

/**
 * The colours PASCAL VOC uses for class indices, as `[r, g, b]`: the bits of the index are dealt to the three
 * channels in turn, each channel filled from its highest bit. Index 255 (ignore) is `[224, 224, 192]`.
 */
export function vocPalette(size = 256): [number, number, number][] {
  return Array.from({ length: size }, (_, index) => {
    const colour: [number, number, number] = [0, 0, 0];
    for (let bit = 0; bit < 8; bit++) colour[bit % 3]! |= ((index >> bit) & 1) << (7 - Math.floor(bit / 3));
    return colour;
  });
}

/** A label image in the colours of a palette, for contact sheets. */
export function colourLabels(labels: LabelImage, palette = vocPalette()): RgbImage {
  const data = new Uint8Array(labels.data.length * 3);
  labels.data.forEach((label, pixel) => {
    data.set(palette[label] ?? [0, 0, 0], pixel * 3);
  });
  return { width: labels.width, height: labels.height, data };
}
