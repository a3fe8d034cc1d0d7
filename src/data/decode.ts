/** From the bytes of an image and of its maps to packed pixels: the work of the decoding workers. */
import {
  decodeIds,
  decodeImage,
  decodeLabels,
  type IdImage,
  IGNORE_LABEL,
  type LabelImage,
  NO_ID,
  type RgbImage,
} from './codecs.js';
import { DataError } from './errors.js';
import { classValues, type LabelReading, readClasses, readInstances } from './label_reading.js';
import { pngFormat } from './png_header.js';

/** A file as read. */
export interface NamedFile {
  /** Its path, for messages. */
  readonly file: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The files of one sample. */
export interface SampleFiles {
  readonly image: NamedFile;
  readonly label: NamedFile | null;
  readonly instances: NamedFile | null;
  readonly regions: NamedFile | null;
  readonly reading: LabelReading;
}

export interface PackedImage {
  readonly width: number;
  readonly height: number;
  /** A word a pixel, row-major: `r | g << 8 | b << 16 | label << 24`, with label 255 where there is no label. */
  readonly pixels: Uint32Array<ArrayBuffer>;
  /** A word a pixel, `region | instance << 16`, with 65535 where there is none; null where the sample has neither file. */
  readonly ids: Uint32Array<ArrayBuffer> | null;
}

/** @throws DataError where a file is broken, holds what it may not, or differs from the image in size */
export function decodeSample(files: SampleFiles): PackedImage {
  const { width, height, data } = decodeImage(files.image.bytes, files.image.file);
  const frame: Frame = { width, height, file: files.image.file };
  const classed = files.reading.labels === 'classes' ? files.label : null;
  const labels = classed && decodeClasses(classed, files.reading, frame);
  const pixels = new Uint32Array(width * height);
  for (let pixel = 0; pixel < pixels.length; pixel++) {
    const label = labels ? labels[pixel]! : IGNORE_LABEL;
    const at = pixel * 3;
    pixels[pixel] = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (label << 24);
  }
  return { width, height, pixels, ids: packIds(files, frame) };
}

/** Packed pixels taken apart: the image, and its labels. */
export function unpackPixels({ width, height, pixels }: Pick<PackedImage, 'width' | 'height' | 'pixels'>): {
  image: RgbImage;
  labels: LabelImage;
} {
  const data = new Uint8Array(height * width * 3);
  const labels = new Uint8Array(height * width);
  for (const [pixel, word] of pixels.entries()) {
    data[pixel * 3] = word & 255;
    data[pixel * 3 + 1] = (word >>> 8) & 255;
    data[pixel * 3 + 2] = (word >>> 16) & 255;
    labels[pixel] = word >>> 24;
  }
  return { image: { height, width, data }, labels: { height, width, data: labels } };
}

/** An image that a map has to fit. */
interface Frame {
  readonly width: number;
  readonly height: number;
  readonly file: string;
}

/** Classes of a label file, one a pixel; a file of 16 bits says class and object at once. */
function decodeClasses({ file, bytes }: NamedFile, reading: LabelReading, frame: Frame): Uint8Array {
  const values =
    pngFormat(bytes, file)?.depth === 16
      ? classValues(decodeIds(bytes, file), reading.instances, file)
      : decodeLabels(bytes, file);
  checkSize(values, 'label', file, frame);
  return readClasses(values, reading, file);
}

/** A word a pixel for regions and instances; null where there is neither. */
function packIds({ instances, regions, reading }: SampleFiles, frame: Frame): Uint32Array<ArrayBuffer> | null {
  if (!instances && !regions) return null;
  const ids = new Uint32Array(frame.width * frame.height).fill(NO_ID | (NO_ID << 16));
  if (regions) {
    const { data } = decodeFittingIds(regions, 'region mask', frame);
    for (let pixel = 0; pixel < ids.length; pixel++) ids[pixel] = (NO_ID << 16) | data[pixel]!;
  }
  if (instances) {
    const data = readInstances(decodeFittingIds(instances, 'instance map', frame), reading.instances);
    for (let pixel = 0; pixel < ids.length; pixel++) ids[pixel] = (ids[pixel]! & NO_ID) | (data[pixel]! << 16);
  }
  return ids;
}

function decodeFittingIds({ file, bytes }: NamedFile, role: string, frame: Frame): IdImage {
  const ids = decodeIds(bytes, file);
  checkSize(ids, role, file, frame);
  return ids;
}

function checkSize(map: { width: number; height: number }, role: string, file: string, frame: Frame): void {
  if (map.width !== frame.width || map.height !== frame.height)
    throw new DataError(
      file,
      `${role} is ${map.width}x${map.height}, its image ${frame.file} is ${frame.width}x${frame.height} (width x height)`,
    );
}
