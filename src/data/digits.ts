/**
 * Scenes of real handwritten digits on textured backgrounds: a segmentation data set of ten classes and background
 * that every installation can make for itself. A scene depends on the options and its index alone; only exactly
 * rounded arithmetic is used, so every engine composes the same bytes.
 */

import { Random, STREAM } from '../tensor/random.js';
import { IGNORE_LABEL, type LabelImage, type RgbImage } from './image.js';
import { texture } from './texture.js';

export const DIGIT_SIDE = 28;

/** Handwritten digits, grouped by class. */
export interface Digits {
  /** 28x28 bytes a digit, 0 for paper and 255 for ink. */
  readonly bitmaps: Uint8Array;
  /** Class of each digit, 0 to 9. */
  readonly classes: Uint8Array;
}

export type Split = 'train' | 'val';
export type Range = readonly [number, number];

export interface SceneOptions {
  readonly seed: number;
  /** Height and width of a scene in pixels. */
  readonly size: number;
  /** Fewest and most digits in a scene. Later ones are drawn over earlier ones. */
  readonly digitsPerScene: Range;
  /** Factor from the 28 pixels of a bitmap to the scene. */
  readonly scale: Range;
  /** Pixels of the bitmap by which strokes are thickened on every side. */
  readonly thicken: number;
  /** Whether all digits are bright, or each is bright or dark. */
  readonly polarity: 'bright' | 'either';
  /** Ranges of each colour channel, 0 to 1: of the two colours of a background, of bright and of dark digits. */
  readonly background: Range;
  readonly bright: Range;
  readonly dark: Range;
  /** Standard deviation of the noise added to each channel, on the scale of 0 to 1. */
  readonly noise: number;
  /** Width in pixels of the band around digits that is labelled 255. */
  readonly ignoreBorder: number;
  /** Fraction of each class's digits that only held-out scenes use. */
  readonly heldOut: number;
}

export const EASY_SCENES: SceneOptions = {
  seed: 1,
  size: 32,
  digitsPerScene: [1, 1],
  scale: [0.85, 1.1],
  thicken: 1,
  polarity: 'bright',
  background: [0, 0.45],
  bright: [0.55, 1],
  dark: [0, 0.2],
  noise: 0.03,
  ignoreBorder: 1,
  heldOut: 0.15,
};

/** Several overlapping digits, bright and dark, in larger scenes: for a GPU. */
export const HARD_SCENES: SceneOptions = {
  ...EASY_SCENES,
  size: 64,
  digitsPerScene: [2, 4],
  scale: [0.8, 1.4],
  thicken: 0,
  polarity: 'either',
  background: [0.3, 0.65],
  bright: [0.75, 1],
};

/** Class 0 is the background, class d + 1 the digit d. */
export const DIGIT_CLASSES: readonly string[] = ['background', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

export interface Scene {
  readonly image: RgbImage;
  readonly labels: LabelImage;
}

/** Composes scenes from the digits of one side of the split. */
export class SceneComposer {
  readonly #digits: Digits;
  readonly #split: Split;
  readonly #options: SceneOptions;
  /** Indices of the digits this side may use. */
  readonly #members: number[];
  readonly #decks = new Map<number, Uint32Array>();

  constructor(digits: Digits, split: Split, options: SceneOptions) {
    checkOptions(options);
    this.#digits = digits;
    this.#split = split;
    this.#options = options;
    this.#members = membersOf(digits, split, options.heldOut);
  }

  /** Indices of the digits in scene `index`, in drawing order. All digits are used before any is used again. */
  digitsIn(index: number): number[] {
    const [fewest, most] = this.#options.digitsPerScene;
    const count = this.#random(STREAM.scene, index).integerIn(fewest, most);
    return Array.from({ length: count }, (_, i) => {
      const position = index * most + i;
      const size = this.#members.length;
      return this.#members[this.#deck(Math.floor(position / size))[position % size]!]!;
    });
  }

  compose(index: number): Scene {
    const { size, background, bright, dark, polarity, scale, noise, ignoreBorder } = this.#options;
    const digits = this.digitsIn(index);
    const random = this.#random(STREAM.texture, index);
    const pixels = paintBackground(random, size, background);
    const labels = new Uint8Array(size * size);
    for (const digit of digits) {
      const factor = random.between(...scale);
      const free = size - DIGIT_SIDE * factor;
      const top = random.between(Math.min(free, 0), Math.max(free, 0));
      const left = random.between(Math.min(free, 0), Math.max(free, 0));
      const range = random.boolean() && polarity === 'either' ? dark : bright;
      const colour = [random.between(...range), random.between(...range), random.between(...range)];
      const ink = this.#ink(digit, size, factor, top, left);
      for (let i = 0; i < pixels.length; i++)
        pixels[i] = pixels[i]! + (colour[i % 3]! - pixels[i]!) * ink[Math.floor(i / 3)]!;
      label(labels, ink, size, this.#digits.classes[digit]! + 1, ignoreBorder);
    }
    const data = new Uint8Array(pixels.length);
    for (let i = 0; i < data.length; i++) {
      const noisy = pixels[i]! + noise * nearlyNormal(random.uint32());
      data[i] = Math.round(255 * Math.min(1, Math.max(0, noisy)));
    }
    return { image: { width: size, height: size, data }, labels: { width: size, height: size, data: labels } };
  }

  /** How much of each pixel of the scene a digit covers, 0 to 1: its bitmap, resized bilinearly. */
  #ink(digit: number, size: number, factor: number, top: number, left: number): Float64Array {
    const bitmap = this.#bitmap(digit);
    const at = (y: number, x: number) =>
      y < 0 || x < 0 || y >= DIGIT_SIDE || x >= DIGIT_SIDE ? 0 : bitmap[y * DIGIT_SIDE + x]! / 255;
    const ink = new Float64Array(size * size);
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        const sourceY = (y + 0.5 - top) / factor - 0.5;
        const sourceX = (x + 0.5 - left) / factor - 0.5;
        const y0 = Math.floor(sourceY);
        const x0 = Math.floor(sourceX);
        const ty = sourceY - y0;
        const tx = sourceX - x0;
        ink[y * size + x] =
          (at(y0, x0) * (1 - tx) + at(y0, x0 + 1) * tx) * (1 - ty) +
          (at(y0 + 1, x0) * (1 - tx) + at(y0 + 1, x0 + 1) * tx) * ty;
      }
    return ink;
  }

  /** A digit's bitmap with its strokes thickened: each pixel the darkest of its neighbourhood. */
  #bitmap(digit: number): Uint8Array {
    const size = DIGIT_SIDE * DIGIT_SIDE;
    const plain = this.#digits.bitmaps.subarray(digit * size, (digit + 1) * size);
    const reach = this.#options.thicken;
    if (reach === 0) return plain;
    return plain.map((_, i) => {
      const [row, column] = [Math.floor(i / DIGIT_SIDE), i % DIGIT_SIDE];
      let darkest = 0;
      for (let y = Math.max(0, row - reach); y <= Math.min(DIGIT_SIDE - 1, row + reach); y++)
        for (let x = Math.max(0, column - reach); x <= Math.min(DIGIT_SIDE - 1, column + reach); x++)
          darkest = Math.max(darkest, plain[y * DIGIT_SIDE + x]!);
      return darkest;
    });
  }

  #deck(round: number): Uint32Array {
    let deck = this.#decks.get(round);
    if (!deck) {
      deck = this.#random(STREAM.order, round).permutation(this.#members.length);
      this.#decks.set(round, deck);
    }
    return deck;
  }

  #random(stream: number, index: number): Random {
    return new Random({ seed: this.#options.seed, stream, step: this.#split === 'train' ? 0 : 1, index });
  }
}

function checkOptions({
  size,
  digitsPerScene: [fewest, most],
  heldOut,
  scale,
  ignoreBorder,
  thicken,
}: SceneOptions): void {
  const whole = (value: number, least: number) => Number.isInteger(value) && value >= least;
  if (!whole(size, 8)) throw new RangeError(`scenes: size must be an integer of at least 8 pixels, got ${size}`);
  if (!whole(fewest, 0) || !whole(most, fewest))
    throw new RangeError(`scenes: digitsPerScene must be [fewest, most], got [${fewest}, ${most}]`);
  if (!(scale[0] > 0 && scale[1] >= scale[0]))
    throw new RangeError(`scenes: scale must be [low, high], got [${scale}]`);
  if (!whole(ignoreBorder, 0)) throw new RangeError(`scenes: ignoreBorder must be an integer, got ${ignoreBorder}`);
  if (!whole(thicken, 0)) throw new RangeError(`scenes: thicken must be an integer, got ${thicken}`);
  if (!(heldOut > 0 && heldOut < 1)) throw new RangeError(`scenes: heldOut must lie between 0 and 1, got ${heldOut}`);
}

/** The last digits of each class are held out: neighbours in the collection often have the same writer. */
function membersOf({ classes }: Digits, split: Split, heldOut: number): number[] {
  const members: number[] = [];
  for (let digit = 0; digit < 10; digit++) {
    const all = Array.from(classes.keys()).filter((index) => classes[index] === digit);
    const kept = Math.round(all.length * (1 - heldOut));
    members.push(...(split === 'train' ? all.slice(0, kept) : all.slice(kept)));
  }
  return members;
}

/** A texture between two random colours; three channels a pixel, 0 to 1. */
function paintBackground(random: Random, size: number, range: Range): Float64Array {
  const first = [random.between(...range), random.between(...range), random.between(...range)];
  const second = [random.between(...range), random.between(...range), random.between(...range)];
  const blend = texture(random, size);
  const pixels = new Float64Array(size * size * 3);
  for (let i = 0; i < pixels.length; i++) {
    const a = first[i % 3]!;
    pixels[i] = a + (second[i % 3]! - a) * blend[Math.floor(i / 3)]!;
  }
  return pixels;
}

/** Labels the pixels at least half covered, and ignores a band around them. */
function label(labels: Uint8Array, ink: Float64Array, size: number, digitClass: number, border: number): void {
  const inside = (y: number, x: number) => y >= 0 && x >= 0 && y < size && x < size && ink[y * size + x]! > 0.5;
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      if (inside(y, x)) {
        labels[y * size + x] = digitClass;
        continue;
      }
      for (let dy = -border; dy <= border; dy++)
        for (let dx = -border; dx <= border; dx++) if (inside(y + dy, x + dx)) labels[y * size + x] = IGNORE_LABEL;
    }
}

/** A sum of four uniform bytes, with mean 0 and standard deviation 1. */
function nearlyNormal(bits: number): number {
  const sum = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);
  return (sum - 510) / NORMAL_DEVIATION;
}
const NORMAL_DEVIATION = Math.sqrt((4 * (256 ** 2 - 1)) / 12);
