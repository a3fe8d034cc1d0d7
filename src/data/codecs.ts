/** Image files by their contents, whatever their names end in. */
import { DataError } from './errors.js';
import type { IdImage, LabelImage, RgbImage } from './image.js';
import { unknownFormat } from './image_size.js';
import { decodeJpeg } from './jpeg.js';
import { isJpeg } from './jpeg_header.js';
import { decodeIdPng, decodeLabelPng, decodePng } from './png.js';
import { isPng } from './png_header.js';

export * from './image.js';
export { imageSize } from './image_size.js';
export { encodeGreyPng, encodeIdPng, encodePalettePng, encodePng } from './png.js';

/**
 * Decodes a JPEG or PNG file to 8-bit RGB.
 *
 * @param file name for error messages
 * @throws DataError naming the file where it is neither, truncated or broken
 */
export function decodeImage(bytes: Uint8Array, file: string): RgbImage {
  if (isJpeg(bytes)) return decodeJpeg(bytes, file);
  if (isPng(bytes)) return decodePng(bytes, file);
  throw unknownFormat(bytes, file, 'images are read from JPEG and PNG');
}

/**
 * Decodes a label PNG, grey or palette, of at most 8 bits, to class indices.
 *
 * @param file name for error messages
 * @throws DataError naming the file where it is something else, truncated or broken
 */
export function decodeLabels(bytes: Uint8Array, file: string): LabelImage {
  return decodeLabelPng(requirePng(bytes, file, 'labels'), file);
}

/**
 * Decodes a PNG of ids (regions or instances), grey of at most 16 bits or palette.
 *
 * @param file name for error messages
 * @throws DataError naming the file where it is something else, truncated or broken
 */
export function decodeIds(bytes: Uint8Array, file: string): IdImage {
  return decodeIdPng(requirePng(bytes, file, 'ids'), file);
}

/** The bytes, where they are those of a PNG. `what` it should hold is for the message. */
export function requirePng(bytes: Uint8Array, file: string, what: string): Uint8Array {
  if (isPng(bytes)) return bytes;
  if (isJpeg(bytes))
    throw new DataError(file, `is a JPEG, whose compression changes ${what}; save them as grey or palette PNG`);
  throw unknownFormat(bytes, file, `${what} are read from PNG`);
}
