/** The size of an image from its header: all that is needed to plan a run, without the decoders. */
import { DataError } from './errors.js';
import { isJpeg, jpegSize } from './jpeg_header.js';
import { isPng, pngSize } from './png_header.js';

/** Larger images are not decoded: one would fill the memory, and a damaged header can say anything. */
export const MAX_MEGAPIXELS = 100;

/**
 * Width and height of an image file from its first bytes; null where those don't reach far enough.
 *
 * @throws DataError for what the decoders would refuse by its header
 */
export function imageSize(head: Uint8Array, file: string): { width: number; height: number } | null {
  if (!isJpeg(head) && !isPng(head)) throw unknownFormat(head, file, 'images are read from JPEG and PNG');
  const size = isJpeg(head) ? jpegSize(head, file) : pngSize(head, file);
  if (size) requireSize(size, file);
  return size;
}

/** @throws DataError for an image without pixels, or with more than are decoded */
export function requireSize(
  { width, height }: { readonly width: number; readonly height: number },
  file: string,
): void {
  if (width === 0 || height === 0) throw new DataError(file, `has a header that says ${width}x${height} pixels`);
  if (width * height > MAX_MEGAPIXELS * 1e6)
    throw new DataError(file, `is ${width}x${height}, more than ${MAX_MEGAPIXELS} megapixels`);
}

/** The error for bytes that are of no known format. `expected` ends its message. */
export function unknownFormat(bytes: Uint8Array, file: string, expected: string): DataError {
  if (bytes.length === 0) return new DataError(file, 'is empty');
  const start = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return new DataError(file, `starts with the bytes ${start}, which is no format known here; ${expected}`);
}
