/** From the bytes of an image and its label file to packed pixels: the work of the decoding workers. */
import { decodeImage, decodeLabels, IGNORE_LABEL } from './codecs.js';
import { DataError } from './errors.js';

/** The files of one sample, as read. */
export interface SampleFiles {
  readonly imageFile: string;
  readonly image: Uint8Array<ArrayBuffer>;
  readonly labelFile: string | null;
  readonly label: Uint8Array<ArrayBuffer> | null;
}

export interface PackedImage {
  readonly width: number;
  readonly height: number;
  /** A word a pixel, row-major: `r | g << 8 | b << 16 | label << 24`, with label 255 where there is no label. */
  readonly pixels: Uint32Array<ArrayBuffer>;
}

/** @throws DataError where a file is broken, or the two differ in size */
export function decodeSample(files: SampleFiles): PackedImage {
  const { width, height, data } = decodeImage(files.image, files.imageFile);
  const pixels = new Uint32Array(width * height);
  let labels: Uint8Array | null = null;
  if (files.label && files.labelFile !== null) {
    const label = decodeLabels(files.label, files.labelFile);
    if (label.width !== width || label.height !== height)
      throw new DataError(
        files.labelFile,
        `label is ${label.width}x${label.height}, its image ${files.imageFile} is ${width}x${height} (width x height)`,
      );
    labels = label.data;
  }
  for (let pixel = 0; pixel < pixels.length; pixel++) {
    const label = labels ? labels[pixel]! : IGNORE_LABEL;
    const at = pixel * 3;
    pixels[pixel] = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (label << 24);
  }
  return { width, height, pixels };
}
