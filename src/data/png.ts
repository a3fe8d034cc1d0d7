/** PNG in and out, in plain JavaScript, so that Node and every browser see the same pixels. */
import { type DecodedPng, decode, encode } from 'fast-png';
import { DataError, messageOf } from './errors.js';
import { type IdImage, type LabelImage, type RgbImage, vocPalette } from './image.js';
import { requireSize } from './image_size.js';
import { GREY, PALETTE, type PngHeader, readPngHeader, SIGNATURE } from './png_header.js';

const COLOUR_TYPES: Record<number, string> = { 0: 'grey', 2: 'RGB', 3: 'palette', 4: 'grey with alpha', 6: 'RGBA' };

/**
 * Decodes any PNG to 8-bit RGB: grey is copied to the three channels, palettes are looked up, 16-bit samples keep
 * their high byte, alpha is dropped.
 *
 * @throws DataError naming the file where it is truncated or broken
 */
export function decodePng(bytes: Uint8Array, file: string): RgbImage {
  const { png, header } = decodeAny(bytes, file);
  const { width, height } = png;
  const { samples, maximum } = samplesOf(png, header);
  const data = new Uint8Array(width * height * 3);
  if (header.colourType === PALETTE) {
    for (let pixel = 0; pixel < width * height; pixel++) {
      const colour = png.palette?.[samples[pixel]!];
      if (!colour) throw new DataError(file, `palette index ${samples[pixel]} has no colour in the file's palette`);
      for (let channel = 0; channel < 3; channel++) data[pixel * 3 + channel] = colour[channel]!;
    }
    return { width, height, data };
  }
  const toByte = maximum === 65535 ? (value: number) => value >> 8 : (value: number) => (value * 255) / maximum;
  const colour = png.channels >= 3;
  for (let pixel = 0; pixel < width * height; pixel++)
    for (let channel = 0; channel < 3; channel++)
      data[pixel * 3 + channel] = toByte(samples[pixel * png.channels + (colour ? channel : 0)]!);
  return { width, height, data };
}

/**
 * Decodes a label image: the grey values or palette indices themselves are the classes, at 1, 2, 4 or 8 bits.
 *
 * @throws DataError naming the file where it is broken, or holds colours instead of indices
 */
export function decodeLabelPng(bytes: Uint8Array, file: string): LabelImage {
  return decodeLabelsAndPalette(bytes, file).labels;
}

/** Colours of a palette by index, `[r, g, b]` or `[r, g, b, a]`. */
export type PngPalette = readonly (readonly number[])[];

/** A label image as `decodeLabelPng` reads it, with the colours of its palette; null where it is grey. */
export function decodeLabelsAndPalette(
  bytes: Uint8Array,
  file: string,
): { labels: LabelImage; palette: PngPalette | null } {
  const { png, header } = decodeIndices(
    bytes,
    file,
    'class indices; save labels as grey or palette PNG of at most 8 bits whose pixel values are the classes (255 to ignore)',
  );
  if (header.depth > 8)
    throw new DataError(
      file,
      `has ${header.depth}-bit labels; save them as 8-bit grey PNG (classes 0 to 254, 255 to ignore)`,
    );
  const labels = { width: png.width, height: png.height, data: samplesOf(png, header).samples as Uint8Array };
  return { labels, palette: header.colourType === PALETTE ? (png.palette ?? null) : null };
}

/**
 * Decodes a map of ids, grey of up to 16 bits or palette: the values themselves are the ids.
 *
 * @throws DataError naming the file where it is broken, or holds colours instead of ids
 */
export function decodeIdPng(bytes: Uint8Array, file: string): IdImage {
  const { png, header } = decodeIndices(
    bytes,
    file,
    'ids of regions or instances; save them as grey PNG of 8 or 16 bits, or as palette PNG',
  );
  return { width: png.width, height: png.height, data: Uint16Array.from(samplesOf(png, header).samples) };
}

/** Decodes what has one value a pixel; `wanted` ends the message for anything else. */
function decodeIndices(bytes: Uint8Array, file: string, wanted: string): { png: DecodedPng; header: PngHeader } {
  const decoded = decodeAny(bytes, file);
  const { colourType } = decoded.header;
  if (colourType !== GREY && colourType !== PALETTE)
    throw new DataError(file, `is ${COLOUR_TYPES[colourType]}, so its pixels are colours and not ${wanted}`);
  return decoded;
}

export function encodePng(image: RgbImage): Uint8Array<ArrayBuffer> {
  return new Uint8Array(encode({ ...image, channels: 3, depth: 8 }));
}

/** An 8-bit grey PNG whose values are the class indices. */
export function encodeGreyPng(labels: LabelImage): Uint8Array<ArrayBuffer> {
  return new Uint8Array(encode({ ...labels, channels: 1, depth: 8 }));
}

/** A 16-bit grey PNG whose values are the ids. */
export function encodeIdPng(ids: IdImage): Uint8Array<ArrayBuffer> {
  return new Uint8Array(encode({ ...ids, channels: 1, depth: 16 }));
}

/** An 8-bit palette PNG whose indices are the classes, in VOC's colours unless told otherwise. */
export function encodePalettePng(labels: LabelImage, palette: number[][] = vocPalette()): Uint8Array<ArrayBuffer> {
  return new Uint8Array(encode({ ...labels, channels: 1, depth: 8, palette }));
}

function decodeAny(bytes: Uint8Array, file: string): { png: DecodedPng; header: PngHeader } {
  if (!isComplete(bytes))
    throw new DataError(file, `truncated PNG: its ${bytes.length} bytes end early; copy it again`);
  const header = readPngHeader(bytes, file);
  requireSize(header, file);
  if (header.interlaced && header.depth < 8)
    throw new DataError(
      file,
      `is an interlaced ${header.depth}-bit PNG, which is not read; save it without interlacing`,
    );
  try {
    return { png: decode(bytes, { checkCrc: true }), header };
  } catch (error) {
    throw new DataError(file, `broken or unsupported PNG: ${messageOf(error)}`, { cause: error });
  }
}

/** Whether the chunks reach to the closing IEND. */
function isComplete(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = SIGNATURE.length;
  while (offset + 12 <= bytes.length) {
    const isEnd = view.getUint32(offset + 4) === 0x49454e44;
    offset += 12 + view.getUint32(offset);
    if (isEnd) return offset <= bytes.length;
  }
  return false;
}

/** One array element a sample; below 8 bits the file packs several in a byte, each row starting a new byte. */
function samplesOf(png: DecodedPng, header: PngHeader): { samples: Uint8Array | Uint16Array; maximum: number } {
  const maximum = 2 ** header.depth - 1;
  if (header.depth >= 8) return { samples: png.data as Uint8Array | Uint16Array, maximum };
  const { width, height } = png;
  const samples = new Uint8Array(width * height);
  const perByte = 8 / header.depth;
  const rowBytes = Math.ceil(width / perByte);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const byte = png.data[y * rowBytes + Math.floor(x / perByte)]!;
      samples[y * width + x] = (byte >> (8 - header.depth * ((x % perByte) + 1))) & maximum;
    }
  return { samples, maximum };
}
