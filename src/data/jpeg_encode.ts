/**
 * A baseline JPEG encoder (ITU-T T.81) without chroma subsampling, with the example tables of its Annex K. It is here
 * because the data set of digit scenes needs thousands of small files, for each of which the encoder of `jpeg-js`
 * would build its tables anew, and because it uses exactly rounded arithmetic alone, so that the files are the same
 * everywhere.
 */
import type { RgbImage } from './image.js';

/** Quantisation steps of Annex K.1, row by row. */
const LUMINANCE_STEPS = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
  87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
  72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMINANCE_STEPS = LUMINANCE_STEPS.map((_, i) => {
  const known = [17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99];
  return i % 8 < 4 && i < 32 ? known[Math.floor(i / 8) * 4 + (i % 8)]! : 99;
});

/** A Huffman table of Annex K.3: how many codes have 1, 2, ... 16 bits, and their values in order, in hexadecimal. */
interface HuffmanSpec {
  readonly counts: readonly number[];
  readonly values: string;
}

const LUMINANCE_DC: HuffmanSpec = {
  counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
  values: '000102030405060708090a0b',
};
const CHROMINANCE_DC: HuffmanSpec = {
  counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
  values: '000102030405060708090a0b',
};
const LUMINANCE_AC: HuffmanSpec = {
  counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d],
  values:
    '01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a34353637' +
    '38393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3' +
    'a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa',
};
const CHROMINANCE_AC: HuffmanSpec = {
  counts: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
  values:
    '000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a3536' +
    '3738393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999a' +
    'a2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa',
};

/** Positions in a block in the order they are written: along the diagonals, back and forth. */
const ZIGZAG = Array.from({ length: 64 }, (_, i) => i).sort((a, b) => {
  const [diagonalA, diagonalB] = [(a >> 3) + (a & 7), (b >> 3) + (b & 7)];
  if (diagonalA !== diagonalB) return diagonalA - diagonalB;
  return diagonalA % 2 === 0 ? b - a : a - b;
});

/** `DCT[k * 8 + n] = c(k) / 2 * cos((2n + 1) k pi / 16)` with `c(0) = 1 / sqrt(2)` (Annex A.3.3). */
const DCT = dctMatrix();
const CODES = [
  { dc: codesOf(LUMINANCE_DC), ac: codesOf(LUMINANCE_AC) },
  { dc: codesOf(CHROMINANCE_DC), ac: codesOf(CHROMINANCE_AC) },
] as const;

/** Encodes at a quality of 1 to 100, on the usual scale of the IJG's library. */
export function encodeJpeg(image: RgbImage, quality = 90): Uint8Array<ArrayBuffer> {
  const { width, height } = image;
  if (!(width > 0 && height > 0 && width < 65536 && height < 65536 && image.data.length === width * height * 3))
    throw new RangeError(`encodeJpeg: ${image.data.length} bytes for an RGB image of ${width}x${height}`);
  const steps = [stepsOf(LUMINANCE_STEPS, quality), stepsOf(CHROMINANCE_STEPS, quality)] as const;
  const out = new BitWriter();
  writeHeaders(out, image, steps);

  const planes = toYcc(image);
  const previousDc = [0, 0, 0];
  const block = new Float64Array(64);
  const coefficients = new Int32Array(64);
  for (let top = 0; top < height; top += 8)
    for (let left = 0; left < width; left += 8)
      for (const [component, plane] of planes.entries()) {
        for (let i = 0; i < 64; i++) {
          const y = Math.min(top + (i >> 3), height - 1);
          const x = Math.min(left + (i & 7), width - 1);
          block[i] = plane[y * width + x]!;
        }
        const table = component === 0 ? 0 : 1;
        transform(block, steps[table], coefficients);
        writeBlock(out, coefficients, previousDc[component]!, CODES[table]);
        previousDc[component] = coefficients[0]!;
      }
  out.padWithOnes();
  out.marker(0xd9, []);
  return out.finish();
}

function writeHeaders(out: BitWriter, { width, height }: RgbImage, steps: readonly (readonly number[])[]): void {
  const bytes = (value: number) => [value >> 8, value & 255];
  out.marker(0xd8, []);
  out.marker(0xe0, [...'JFIF\0'].map((c) => c.charCodeAt(0)).concat([1, 1, 0, 0, 1, 0, 1, 0, 0]));
  for (const [id, table] of steps.entries()) out.marker(0xdb, [id, ...ZIGZAG.map((position) => table[position]!)]);
  const components = [1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1];
  out.marker(0xc0, [8, ...bytes(height), ...bytes(width), 3, ...components]);
  for (const [id, spec] of [LUMINANCE_DC, CHROMINANCE_DC].entries())
    out.marker(0xc4, [id, ...spec.counts, ...hex(spec)]);
  for (const [id, spec] of [LUMINANCE_AC, CHROMINANCE_AC].entries())
    out.marker(0xc4, [0x10 | id, ...spec.counts, ...hex(spec)]);
  out.marker(0xda, [3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]);
}

/** Luminance and the two colour differences (JFIF), each less 128. */
function toYcc({ data, width, height }: RgbImage): Float64Array[] {
  const planes = [0, 1, 2].map(() => new Float64Array(width * height)) as [Float64Array, Float64Array, Float64Array];
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [r, g, b] = [data[pixel * 3]!, data[pixel * 3 + 1]!, data[pixel * 3 + 2]!];
    const luminance = 0.299 * r + 0.587 * g + 0.114 * b;
    planes[0][pixel] = luminance - 128;
    planes[1][pixel] = (b - luminance) / 1.772;
    planes[2][pixel] = (r - luminance) / 1.402;
  }
  return planes;
}

/** The quantised cosine transform of a block, rows then columns; in natural order. */
function transform(block: Float64Array, steps: readonly number[], coefficients: Int32Array): void {
  const rows = new Float64Array(64);
  for (let y = 0; y < 8; y++)
    for (let k = 0; k < 8; k++) {
      let sum = 0;
      for (let x = 0; x < 8; x++) sum += DCT[k * 8 + x]! * block[y * 8 + x]!;
      rows[y * 8 + k] = sum;
    }
  for (let k = 0; k < 8; k++)
    for (let x = 0; x < 8; x++) {
      let sum = 0;
      for (let y = 0; y < 8; y++) sum += DCT[k * 8 + y]! * rows[y * 8 + x]!;
      coefficients[k * 8 + x] = Math.round(sum / steps[k * 8 + x]!);
    }
}

function writeBlock(out: BitWriter, block: Int32Array, previousDc: number, codes: (typeof CODES)[number]): void {
  writeNumber(out, codes.dc, 0, block[0]! - previousDc);
  let zeros = 0;
  for (let i = 1; i < 64; i++) {
    const value = block[ZIGZAG[i]!]!;
    if (value === 0) {
      zeros++;
      continue;
    }
    for (; zeros > 15; zeros -= 16) out.bits(codes.ac[0xf0]!);
    writeNumber(out, codes.ac, zeros, value);
    zeros = 0;
  }
  if (zeros > 0) out.bits(codes.ac[0]!);
}

/** The code of (zeros before it, number of bits), then the bits; negative numbers less one (Annex F.1.2.1). */
function writeNumber(out: BitWriter, codes: readonly Code[], zeros: number, value: number): void {
  const length = 32 - Math.clz32(Math.abs(value));
  out.bits(codes[(zeros << 4) | length]!);
  out.bits({ length, code: (value < 0 ? value - 1 : value) & ((1 << length) - 1) });
}

interface Code {
  readonly length: number;
  readonly code: number;
}

/** The canonical codes of a table, by value (Annex C.2). */
function codesOf(spec: HuffmanSpec): Code[] {
  const codes: Code[] = [];
  const values = hex(spec);
  let code = 0;
  let next = 0;
  for (const [index, count] of spec.counts.entries()) {
    for (let i = 0; i < count; i++) codes[values[next++]!] = { length: index + 1, code: code++ };
    code <<= 1;
  }
  return codes;
}

function hex({ values }: HuffmanSpec): number[] {
  return values.match(/../g)!.map((pair) => Number.parseInt(pair, 16));
}

function stepsOf(base: readonly number[], quality: number): number[] {
  const q = Math.min(100, Math.max(1, Math.round(quality)));
  const percent = q < 50 ? Math.floor(5000 / q) : 200 - 2 * q;
  return base.map((step) => Math.min(255, Math.max(1, Math.floor((step * percent + 50) / 100))));
}

/** From square roots alone, because the last bit of `Math.cos` is up to the engine. */
function dctMatrix(): Float64Array {
  const half = (cosine: number) => Math.sqrt((1 + cosine) / 2);
  const c4 = Math.SQRT1_2;
  const c2 = half(c4);
  const c1 = half(c2);
  const c6 = Math.sqrt(1 - c2 * c2);
  const cosines = [1, c1, c2, c1 * (2 * c2 - 1), c4, 0, c6, Math.sqrt(1 - c1 * c1), 0]; // cos(k pi / 16)
  cosines[5] = Math.sqrt(1 - cosines[3]! ** 2);
  const cosine = (k: number): number => {
    const turn = k % 32;
    const folded = turn > 16 ? 32 - turn : turn;
    return folded > 8 ? -cosines[16 - folded]! : cosines[folded]!;
  };
  return Float64Array.from({ length: 64 }, (_, i) => {
    const k = i >> 3;
    return (k === 0 ? Math.SQRT1_2 / 2 : 0.5) * cosine((2 * (i & 7) + 1) * k);
  });
}

class BitWriter {
  #bytes = new Uint8Array(4096);
  #length = 0;
  #pending = 0;
  #count = 0;

  /** Appends a code of at most 16 bits, high bit first; a byte of ones is followed by a zero byte. */
  bits({ length, code }: Code): void {
    this.#pending = (this.#pending << length) | code;
    this.#count += length;
    while (this.#count >= 8) {
      this.#count -= 8;
      const byte = (this.#pending >> this.#count) & 255;
      this.#byte(byte);
      if (byte === 255) this.#byte(0);
    }
    this.#pending &= (1 << this.#count) - 1;
  }

  padWithOnes(): void {
    if (this.#count > 0) this.bits({ length: 8 - this.#count, code: (1 << (8 - this.#count)) - 1 });
  }

  /** A marker and, unless it stands alone, its segment. */
  marker(marker: number, body: readonly number[]): void {
    for (const byte of [0xff, marker]) this.#byte(byte);
    if (body.length === 0) return;
    for (const byte of [(body.length + 2) >> 8, (body.length + 2) & 255, ...body]) this.#byte(byte);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #byte(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(this.#length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }
}
