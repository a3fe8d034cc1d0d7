/** The size of an image from its header: all that is needed to plan a run, without the decoders. */
import { DataError } from './errors.js';
import { isJpeg, jpegSize } from './jpeg_header.js';
import { isPng, pngSize } from './png_header.js';

/** Width and height of an image file from its first bytes; null where those don't reach far enough. */
export function imageSize(head: Uint8Array, file: string): { width: number; height: number } | null {
  if (isJpeg(head)) return jpegSize(head);
  if (isPng(head)) return pngSize(head);
  throw unknownFormat(head, file, 'images are read from JPEG and PNG');
}

/** The error for bytes that are of no known format. `expected` ends its message. */
export function unknownFormat(bytes: Uint8Array, file: string, expected: string): DataError {
  if (bytes.length === 0) return new DataError(file, 'is empty');
  const start = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return new DataError(file, `starts with the bytes ${start}, which is no format known here; ${expected}`);
}
