import { describe, expect, it } from 'vitest';
import { DIGIT_CLASSES, type Digits, EASY_SCENES, HARD_SCENES, SceneComposer } from '../../src/data/digits.js';

/** Stand-ins for handwriting: digit k of class d is a bar of its own length. */
function bars(perClass: number): Digits {
  const classes = Uint8Array.from({ length: perClass * 10 }, (_, i) => Math.floor(i / perClass));
  const bitmaps = new Uint8Array(classes.length * 784);
  for (const i of classes.keys())
    for (let y = 4; y < 14 + (i % perClass); y++) bitmaps.fill(255, i * 784 + y * 28 + 10, i * 784 + y * 28 + 18);
  return { bitmaps, classes };
}
const digits = bars(10);

describe('digit scenes', () => {
  it('depend on seed, split and index alone', () => {
    const scene = (index: number, split: 'train' | 'val' = 'train', seed = 1) =>
      new SceneComposer(digits, split, { ...EASY_SCENES, seed }).compose(index);
    const composer = new SceneComposer(digits, 'train', EASY_SCENES);
    composer.compose(5);
    expect(composer.compose(3)).toEqual(scene(3));
    expect(scene(4)).not.toEqual(scene(3));
    expect(scene(3, 'val')).not.toEqual(scene(3));
    expect(scene(3, 'train', 2)).not.toEqual(scene(3));
  });

  it('are the same bytes in every engine', async () => {
    const digest = async (data: Uint8Array) => {
      const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(data)));
      return Array.from(bytes.subarray(0, 6), (byte) => byte.toString(16).padStart(2, '0')).join('');
    };
    const hashes: string[] = [];
    for (const options of [EASY_SCENES, HARD_SCENES]) {
      const composer = new SceneComposer(digits, 'train', options);
      const scenes = Array.from({ length: 12 }, (_, index) => composer.compose(index));
      hashes.push(
        await digest(Uint8Array.from(scenes.flatMap(({ image, labels }) => [...image.data, ...labels.data]))),
      );
    }
    expect(hashes).toEqual(['cfb6ba3debce', '5bbc37714431']);
  });

  it('use every digit of their side of the split before any again, and never one of the other', () => {
    const drawn = (['train', 'val'] as const).map((split) => {
      const composer = new SceneComposer(digits, split, { ...EASY_SCENES, heldOut: 0.2 });
      const size = split === 'train' ? 80 : 20;
      const first = Array.from({ length: size }, (_, index) => composer.digitsIn(index)[0]!);
      const second = Array.from({ length: size }, (_, index) => composer.digitsIn(size + index)[0]!);
      expect(new Set(first).size).toBe(size);
      expect(second).not.toEqual(first);
      expect(new Set([...first, ...second]).size).toBe(size);
      return new Set(first);
    });
    expect([...drawn[0]!].some((digit) => drawn[1]!.has(digit))).toBe(false);
    // The last fifth of each class is held out.
    for (const digit of drawn[1]!) expect(digit % 10).toBeGreaterThanOrEqual(8);
  });

  it('label the digit, and ignore a border of one pixel around it', () => {
    const composer = new SceneComposer(digits, 'train', EASY_SCENES);
    const { size } = EASY_SCENES;
    for (let index = 0; index < 20; index++) {
      const { labels } = composer.compose(index);
      const digit = digits.classes[composer.digitsIn(index)[0]!]! + 1;
      expect(new Set(labels.data)).toEqual(new Set([0, digit, 255]));
      const at = (y: number, x: number) => (y < 0 || x < 0 || y >= size || x >= size ? -1 : labels.data[y * size + x]!);
      let wrong = 0;
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++) {
          const around = [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => at(y + dy, x + dx)));
          const touches = around.includes(digit);
          if ((at(y, x) === 0) === touches) wrong++;
        }
      expect(wrong).toBe(0);
    }
  });

  it('show bright digits on dark ground, and in hard scenes bright and dark ones', () => {
    const brightness = (options: typeof EASY_SCENES) => {
      const composer = new SceneComposer(digits, 'train', { ...options, noise: 0 });
      return Array.from({ length: 40 }, (_, index) => {
        const { image, labels } = composer.compose(index);
        const mean = (wanted: (label: number) => boolean) => {
          const values = Array.from(image.data).filter((_, i) => wanted(labels.data[Math.floor(i / 3)]!));
          return values.reduce((a, b) => a + b, 0) / values.length;
        };
        return mean((label) => label > 0 && label < 255) - mean((label) => label === 0);
      });
    };
    expect(Math.min(...brightness(EASY_SCENES))).toBeGreaterThan(25);
    const hard = brightness({ ...HARD_SCENES, digitsPerScene: [1, 1] });
    expect(hard.filter((difference) => difference > 25).length).toBeGreaterThan(8);
    expect(hard.filter((difference) => difference < -25).length).toBeGreaterThan(8);
    expect(hard.filter((difference) => Math.abs(difference) < 10)).toEqual([]);
  });

  it('hold as many digits as they should', () => {
    const composer = new SceneComposer(digits, 'train', HARD_SCENES);
    const counts = Array.from({ length: 60 }, (_, index) => composer.digitsIn(index).length);
    expect(new Set(counts)).toEqual(new Set([2, 3, 4]));
  });

  it('refuse options that make no scene', () => {
    const compose = (options: object) => () => new SceneComposer(digits, 'train', { ...EASY_SCENES, ...options });
    expect(compose({ size: 0 })).toThrow('size must be');
    expect(compose({ digitsPerScene: [3, 2] })).toThrow('digitsPerScene must be');
    expect(compose({ scale: [0, 1] })).toThrow('scale must be');
    expect(compose({ heldOut: 1 })).toThrow('heldOut must lie between 0 and 1');
  });

  it('have a name for every class', () => {
    expect(DIGIT_CLASSES).toHaveLength(11);
    expect(DIGIT_CLASSES[10]).toBe('9');
  });
});
