/** JPEG files for tests. The product only reads them. */
import { encode } from 'jpeg-js';
import type { RgbImage } from '../../src/data/image.js';

/** `quality` from 1 to 100; 4:4:4, as jpeg-js writes. */
export function encodeJpeg({ width, height, data }: RgbImage, quality = 90): Uint8Array<ArrayBuffer> {
  const rgba = new Uint8Array(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(data.subarray(i * 3, i * 3 + 3), i * 4);
  // jpeg-js hands its result to Node's Buffer, which a browser lacks. (A class, since others test `instanceof Buffer`.)
  (globalThis as { Buffer?: unknown }).Buffer ??= class extends Uint8Array {};
  return new Uint8Array(encode({ width, height, data: rgba }, quality).data);
}
