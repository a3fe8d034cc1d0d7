/** Reading JPEG, in plain JavaScript, so that Node and every browser see the same pixels. */
// The decoder alone: the package's own entry has the encoder too, which bundlers cannot drop from CommonJS.
import decode from 'jpeg-js/lib/decoder.js';
import { DataError, messageOf } from './errors.js';
import type { RgbImage } from './image.js';
import { MAX_MEGAPIXELS, requireSize } from './image_size.js';
import { readJpegHeader } from './jpeg_header.js';

const MAX_MEGABYTES = 2048;

/**
 * Decodes a baseline or progressive JPEG; grey and CMYK become RGB. An EXIF orientation is not applied, because
 * label images are drawn over the stored pixels.
 *
 * @throws DataError naming the file where it is truncated or broken
 */
export function decodeJpeg(bytes: Uint8Array, file: string): RgbImage {
  const header = readJpegHeader(bytes, file);
  if (!header.complete)
    throw new DataError(file, `truncated JPEG: no end-of-image marker in its ${bytes.length} bytes; copy it again`);
  if (header.found) requireSize(header, file);
  try {
    const { width, height, data } = decode(bytes, {
      useTArray: true,
      formatAsRGBA: false,
      // Concerns only blocks past the last row, which are no fault: a restart interval need not divide the image.
      tolerantDecoding: true,
      maxResolutionInMP: MAX_MEGAPIXELS,
      maxMemoryUsageInMB: MAX_MEGABYTES,
      ...(header.storesRgb ? { colorTransform: false } : {}),
    });
    return { width, height, data };
  } catch (error) {
    throw new DataError(file, `broken or unsupported JPEG: ${messageOf(error)}`, { cause: error });
  }
}
