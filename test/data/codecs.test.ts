import { encode as encodeAnyPng } from 'fast-png';
import { describe, expect, it } from 'vitest';
import {
  colourLabels,
  decodeImage,
  decodeLabels,
  encodeGreyPng,
  encodePalettePng,
  encodePng,
  imageSize,
  type RgbImage,
  vocPalette,
} from '../../src/data/codecs.js';
import { DataError } from '../../src/data/errors.js';
import { encodeJpeg } from '../support/jpeg.js';

/** Smooth colours, which survive JPEG well. */
function gradient(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      data.set([(255 * x) / width, (255 * y) / height, 255 - (128 * (x + y)) / (width + height)], (y * width + x) * 3);
  return { width, height, data };
}

function largestDifference(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0);
}

describe('JPEG', () => {
  it.each([
    [16, 8],
    [37, 21],
    [1, 1],
    [8, 65],
  ])('keeps a smooth %ix%i image', (width, height) => {
    const image = gradient(width, height);
    const decoded = decodeImage(encodeJpeg(image, 95), 'a.jpg');
    expect([decoded.width, decoded.height]).toEqual([width, height]);
    expect(largestDifference(decoded.data, image.data)).toBeLessThanOrEqual(8);
  });

  it('keeps saturated noise at quality 100 and loses detail at quality 10', () => {
    const noise = { width: 24, height: 24, data: Uint8Array.from({ length: 24 * 24 * 3 }, (_, i) => (i * 7919) % 256) };
    const fine = decodeImage(encodeJpeg(noise, 100), 'fine.jpg');
    const coarse = encodeJpeg(noise, 10);
    expect(largestDifference(fine.data, noise.data)).toBeLessThanOrEqual(4);
    expect(largestDifference(decodeImage(coarse, 'coarse.jpg').data, noise.data)).toBeGreaterThan(40);
    expect(coarse.length).toBeLessThan(encodeJpeg(noise, 90).length / 2);
  });

  it('is the same picture to another decoder', async () => {
    if (typeof createImageBitmap === 'undefined') return; // Node has none; Chrome checks it
    const image = gradient(40, 24);
    const bitmap = await createImageBitmap(new Blob([encodeJpeg(image, 95)], { type: 'image/jpeg' }));
    const context = new OffscreenCanvas(40, 24).getContext('2d')!;
    context.drawImage(bitmap, 0, 0);
    const rgba = context.getImageData(0, 0, 40, 24).data;
    const rgb = Uint8Array.from({ length: 40 * 24 * 3 }, (_, i) => rgba[Math.floor(i / 3) * 4 + (i % 3)]!);
    expect(largestDifference(rgb, decodeImage(encodeJpeg(image, 95), 'a.jpg').data)).toBeLessThanOrEqual(3);
  });

  it('names the file when truncated, wherever it ends', () => {
    const bytes = encodeJpeg(gradient(64, 48), 90);
    for (const kept of [4, 100, 300, bytes.length >> 1, bytes.length - 40, bytes.length - 1])
      expect(() => decodeImage(bytes.subarray(0, kept), 'photos/half.jpg'), `${kept} bytes`).toThrow(
        /^photos\/half\.jpg: truncated JPEG/,
      );
  });

  it('names the file when entropy-coded data is missing before the end marker', () => {
    const bytes = encodeJpeg(gradient(64, 48), 90);
    const start = bytes.length >> 1;
    const cut = new Uint8Array([...bytes.subarray(0, start), 0xff, 0xd9]);
    expect(() => decodeImage(cut, 'cut.jpg')).toThrow(DataError);
  });

  it('reads sizes from the header alone', () => {
    const bytes = encodeJpeg(gradient(321, 123), 50);
    expect(imageSize(bytes.subarray(0, 400), 'a.jpg')).toEqual({ width: 321, height: 123 });
    expect(imageSize(bytes.subarray(0, 60), 'a.jpg')).toBeNull();
  });

  it('is refused by name for samples of 12 bits, and for no rows', () => {
    const bytes = encodeJpeg(gradient(16, 16), 90);
    const frame = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0) + 4;
    const changed = (...values: number[]) => bytes.map((byte, i) => values[i - frame] ?? byte);
    for (const read of [imageSize, decodeImage]) {
      expect(() => read(changed(12), 'deep.jpg')).toThrow('deep.jpg: is a 12-bit JPEG, which is not read');
      expect(() => read(changed(8, 0, 0), 'flat.jpg')).toThrow('flat.jpg: has a header that says 16x0 pixels');
    }
  });

  it('keeps red, green and blue apart where an Adobe marker says they are stored so', () => {
    const bytes = encodeJpeg(gradient(16, 16), 95);
    const adobe = [0xff, 0xee, 0, 14, ...[...'Adobe'].map((c) => c.charCodeAt(0)), 0, 100, 0, 0, 0, 0, 0];
    const marked = new Uint8Array([...bytes.subarray(0, 2), ...adobe, ...bytes.subarray(2)]);
    const stored = decodeImage(marked, 'adobe.jpg').data;
    const shown = decodeImage(bytes, 'jfif.jpg').data;
    // Read as they are stored, the channels hold luminance and two colour differences.
    for (let i = 0; i < shown.length; i += 3)
      expect(Math.abs(stored[i]! - (0.299 * shown[i]! + 0.587 * shown[i + 1]! + 0.114 * shown[i + 2]!))).toBeLessThan(
        6,
      );
  });
});

describe('PNG images', () => {
  it('round-trips RGB', () => {
    const image = gradient(19, 7);
    expect(decodeImage(encodePng(image), 'a.png')).toEqual(image);
    expect(imageSize(encodePng(image).subarray(0, 40), 'a.png')).toMatchObject({ width: 19, height: 7 });
  });

  it('is refused by its header where that is damaged, or says more pixels than are decoded', () => {
    const bytes = encodePng(gradient(19, 7));
    const changed = (at: number, ...values: number[]) => bytes.map((byte, i) => values[i - at] ?? byte);
    for (const read of [imageSize, decodeImage]) {
      expect(() => read(changed(18, 46, 224, 0, 0, 39, 16), 'a.png')).toThrow(
        'a.png: is 12000x10000, more than 100 megapixels',
      );
      expect(() => read(changed(16, 0, 0, 0, 0), 'a.png')).toThrow('a.png: has a header that says 0x7 pixels');
      expect(() => read(changed(12, 0x43), 'a.png')).toThrow('a.png: broken PNG: its first chunk is no IHDR');
    }
  });

  it('makes RGB of grey, alpha, 16 bits and palettes', () => {
    const png = (channels: number, values: number[], depth: 8 | 16 = 8, palette?: number[][]) => {
      const data = depth === 16 ? Uint16Array.from(values) : Uint8Array.from(values);
      return Array.from(
        decodeImage(encodeAnyPng({ width: 2, height: 1, channels, depth, data, palette }), 'a.png').data,
      );
    };
    expect(png(1, [7, 250])).toEqual([7, 7, 7, 250, 250, 250]);
    expect(png(2, [7, 0, 250, 255])).toEqual([7, 7, 7, 250, 250, 250]);
    expect(png(4, [1, 2, 3, 0, 4, 5, 6, 255])).toEqual([1, 2, 3, 4, 5, 6]);
    expect(png(3, [0x0102, 0x7fff, 0xffff, 0, 0x80, 0x8000], 16)).toEqual([1, 127, 255, 0, 0, 128]);
    expect(png(1, [2, 0], 8, vocPalette(3))).toEqual([0, 128, 0, 0, 0, 0]);
    expect(() => png(1, [3, 0], 8, vocPalette(3))).toThrow('a.png: palette index 3 has no colour');
  });

  it('scales grey of few bits to the full range', () => {
    const bytes = encodeAnyPng({
      width: 5,
      height: 2,
      channels: 1,
      depth: 2,
      data: Uint8Array.of(0b00011011, 0xc0, 0xff, 0),
    });
    const grey = decodeImage(bytes, 'a.png').data.filter((_, i) => i % 3 === 0);
    expect(Array.from(grey)).toEqual([0, 85, 170, 255, 255, 255, 255, 255, 255, 0]);
  });
});

describe('label PNGs', () => {
  const labels = {
    width: 5,
    height: 3,
    data: Uint8Array.from([0, 1, 2, 255, 20, 5, 5, 0, 0, 255, 19, 18, 17, 16, 15]),
  };

  it('reads grey and VOC palette files as the same indices', () => {
    expect(decodeLabels(encodeGreyPng(labels), 'grey.png')).toEqual(labels);
    expect(decodeLabels(encodePalettePng(labels), 'palette.png')).toEqual(labels);
  });

  it('shows the palette file in the VOC colours', () => {
    expect(decodeImage(encodePalettePng(labels), 'palette.png')).toEqual(colourLabels(labels));
    const palette = vocPalette();
    expect(palette[1]).toEqual([128, 0, 0]);
    expect(palette[15]).toEqual([192, 128, 128]); // person
    expect(palette[20]).toEqual([0, 64, 128]); // tv monitor
    expect(palette[255]).toEqual([224, 224, 192]);
  });

  it.each([1, 2, 4] as const)('reads indices of %i bits, with and without a palette', (depth) => {
    const width = 11;
    const indices = Array.from({ length: width * 2 }, (_, i) => (i * 5 + (i >> 2)) % 2 ** depth);
    const perByte = 8 / depth;
    const rowBytes = Math.ceil(width / perByte);
    const data = new Uint8Array(rowBytes * 2);
    indices.forEach((value, i) => {
      const x = i % width;
      data[Math.floor(i / width) * rowBytes + Math.floor(x / perByte)]! |= value << (8 - depth * ((x % perByte) + 1));
    });
    for (const palette of [undefined, vocPalette(2 ** depth)]) {
      const bytes = encodeAnyPng({ width, height: 2, channels: 1, depth, data, palette });
      expect(Array.from(decodeLabels(bytes, 'few.png').data)).toEqual(indices);
    }
  });

  it('refuses what holds no indices, and says what to do', () => {
    const rgb = encodePng(colourLabels(labels));
    expect(() => decodeLabels(rgb, 'SegmentationClass/a.png')).toThrow(
      /^SegmentationClass\/a\.png: is RGB, so its pixels are colours .* save labels as grey or palette PNG/,
    );
    const deep = encodeAnyPng({ width: 1, height: 1, channels: 1, depth: 16, data: Uint16Array.of(3) });
    expect(() => decodeLabels(deep, 'deep.png')).toThrow('deep.png: has 16-bit labels');
    expect(() => decodeLabels(encodeJpeg(colourLabels(labels)), 'a.jpg')).toThrow('a.jpg: is a JPEG');
  });

  it('names the file when truncated or damaged', () => {
    const bytes = encodeGreyPng({
      width: 64,
      height: 64,
      data: Uint8Array.from({ length: 4096 }, (_, i) => (i * i) % 21),
    });
    for (const kept of [10, 30, bytes.length >> 1, bytes.length - 1])
      expect(() => decodeLabels(bytes.subarray(0, kept), 'half.png')).toThrow(/^half\.png: truncated PNG/);
    const damaged = bytes.slice();
    damaged[bytes.length >> 1]! ^= 0x10;
    expect(() => decodeLabels(damaged, 'damaged.png')).toThrow(/^damaged\.png: broken or unsupported PNG/);
  });
});

it('refuses files that are no image', () => {
  expect(() => decodeImage(new Uint8Array(0), 'empty.jpg')).toThrow('empty.jpg: is empty');
  expect(() => decodeImage(new TextEncoder().encode('GIF89a'), 'a.gif')).toThrow(
    'a.gif: starts with the bytes 47 49 46 38',
  );
  expect(() => decodeLabels(new TextEncoder().encode('<html>'), 'a.png')).toThrow(DataError);
});
