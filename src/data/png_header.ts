/** What the header of a PNG says, without its decoder. */
import { DataError } from './errors.js';

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
export function pngFormat(bytes: Uint8Array, file: string): PngFormat | null {
  if (!isPng(bytes) || bytes.length < 33) return null;
  const { depth, colourType } = readPngHeader(bytes, file);
  return { depth, kind: colourType === GREY ? 'grey' : colourType === PALETTE ? 'palette' : 'colour' };
}

/** Width and height from the first bytes of a file; null if there are too few of them. */
export function pngSize(head: Uint8Array, file: string): { width: number; height: number } | null {
  return head.length < 33 ? null : readPngHeader(head, file);
}

export interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colourType: number;
  readonly interlaced: boolean;
}

/** @throws DataError where the first chunk is not the header */
export function readPngHeader(bytes: Uint8Array, file: string): PngHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(8) !== 13 || view.getUint32(12) !== 0x49484452)
    throw new DataError(file, 'broken PNG: its first chunk is no IHDR, which gives the size');
  return {
    width: view.getUint32(16),
    height: view.getUint32(20),
    depth: bytes[24]!,
    colourType: bytes[25]!,
    interlaced: bytes[28] !== 0,
  };
}
