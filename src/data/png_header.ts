/** What the header of a PNG says, without its decoder. */

export const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
export const GREY = 0;
export const PALETTE = 3;

export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/** How the pixels of a PNG are stored, from its header. */
export interface PngFormat {
  readonly depth: number;
  readonly kind: 'grey' | 'palette' | 'colour';
}

/** Bits a sample, and whether they are grey values, palette indices or colours; null for what is no PNG. */
export function pngFormat(bytes: Uint8Array): PngFormat | null {
  if (!isPng(bytes) || bytes.length < 33) return null;
  const { depth, colourType } = readPngHeader(bytes);
  return { depth, kind: colourType === GREY ? 'grey' : colourType === PALETTE ? 'palette' : 'colour' };
}

/** Width and height from the first bytes of a file; null if there are too few of them. */
export function pngSize(head: Uint8Array): { width: number; height: number } | null {
  return head.length < 33 ? null : readPngHeader(head);
}

export interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colourType: number;
  readonly interlaced: boolean;
}

export function readPngHeader(bytes: Uint8Array): PngHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    width: view.getUint32(16),
    height: view.getUint32(20),
    depth: bytes[24]!,
    colourType: bytes[25]!,
    interlaced: bytes[28] !== 0,
  };
}
