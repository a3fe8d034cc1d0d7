/** What the header of a JPEG says, without its decoder. */
import { DataError } from './errors.js';

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

/** Width and height from the first bytes of a file; null if the header reaches beyond them. */
export function jpegSize(head: Uint8Array, file: string): { width: number; height: number } | null {
  const { width, height, found } = readJpegHeader(head, file);
  return found ? { width, height } : null;
}

export interface JpegHeader {
  /** Whether the frame header was reached, which gives the size. */
  found: boolean;
  width: number;
  height: number;
  /** True where the three components are red, green and blue, as libjpeg decides it. */
  storesRgb: boolean;
  /** Whether the end-of-image marker was found in its place. */
  complete: boolean;
}

/** @throws DataError for samples of other than 8 bits, which the decoder would take for 8 */
export function readJpegHeader(bytes: Uint8Array, file: string): JpegHeader {
  const header: JpegHeader = { found: false, width: 0, height: 0, storesRgb: false, complete: false };
  let adobeTransform = -1;
  let jfif = false;
  let components = '';
  for (const { marker, body } of segments(bytes)) {
    if (marker === 0xd9) header.complete = true;
    else if (marker === 0xe0 && text(body.subarray(0, 4)) === 'JFIF') jfif = true;
    else if (marker === 0xee && text(body.subarray(0, 5)) === 'Adobe') adobeTransform = body[11] ?? -1;
    else if (isFrameHeader(marker) && !header.found && body.length >= 6) {
      if (body[0] !== 8) throw new DataError(file, `is a ${body[0]}-bit JPEG, which is not read; save it with 8 bits`);
      header.found = true;
      header.height = body[1]! * 256 + body[2]!;
      header.width = body[3]! * 256 + body[4]!;
      for (let i = 0; i < body[5]!; i++) components += String.fromCharCode(body[6 + 3 * i] ?? 0);
    }
  }
  const unmarked = !jfif && adobeTransform < 0;
  header.storesRgb = components.length === 3 && (adobeTransform === 0 || (unmarked && components === 'RGB'));
  return header;
}

/** SOF0 to SOF15, without DHT, JPG and DAC, which share the range. */
function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

/** The marker segments in order, ending with end-of-image (0xd9) if it is there; entropy-coded data is skipped. */
function* segments(bytes: Uint8Array): Generator<{ marker: number; body: Uint8Array }> {
  let offset = 2;
  while (true) {
    offset = bytes.indexOf(0xff, offset);
    if (offset < 0 || offset + 1 >= bytes.length) return;
    const marker = bytes[offset + 1]!;
    if (marker === 0xff) {
      offset += 1;
    } else if (marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd8)) {
      offset += 2; // a stuffed byte or a restart marker of the entropy-coded data
    } else if (marker === 0xd9) {
      yield { marker, body: bytes.subarray(0, 0) };
      return;
    } else {
      const end = offset + 2 + (bytes[offset + 2] ?? 0) * 256 + (bytes[offset + 3] ?? 0);
      if (end > bytes.length || end < offset + 4) return;
      yield { marker, body: bytes.subarray(offset + 4, end) };
      offset = end;
    }
  }
}

function text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
