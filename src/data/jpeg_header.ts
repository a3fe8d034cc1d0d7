/** What the header of a JPEG says, without its decoder. */

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

/** Width and height from the first bytes of a file; null if the header reaches beyond them. */
export function jpegSize(head: Uint8Array): { width: number; height: number } | null {
  const { width, height } = readJpegHeader(head);
  return width === 0 ? null : { width, height };
}

export interface JpegHeader {
  /** 0 where the frame header was not reached. */
  width: number;
  height: number;
  /** True where the three components are red, green and blue, as libjpeg decides it. */
  storesRgb: boolean;
  /** Whether the end-of-image marker was found in its place. */
  complete: boolean;
}

export function readJpegHeader(bytes: Uint8Array): JpegHeader {
  const header: JpegHeader = { width: 0, height: 0, storesRgb: false, complete: false };
  let adobeTransform = -1;
  let jfif = false;
  let components = '';
  for (const { marker, body } of segments(bytes)) {
    if (marker === 0xd9) header.complete = true;
    else if (marker === 0xe0 && text(body.subarray(0, 4)) === 'JFIF') jfif = true;
    else if (marker === 0xee && text(body.subarray(0, 5)) === 'Adobe') adobeTransform = body[11] ?? -1;
    else if (isFrameHeader(marker) && header.width === 0 && body.length >= 6) {
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
