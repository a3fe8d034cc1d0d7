import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Dataset } from '../../src/data/dataset.js';
import { DIGIT_CLASSES, EASY_SCENES, SceneComposer } from '../../src/data/digits.js';
import { loadDigits, writeDigitScenes } from '../../src/data/digits.node.js';
import { folderFiles } from '../../src/platform/files.node.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-digits-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('loads 10,000 real digits of ten classes', async () => {
  const { bitmaps, classes } = await loadDigits();
  expect(classes).toHaveLength(10_000);
  expect(bitmaps).toHaveLength(10_000 * 784);
  const counts = DIGIT_CLASSES.slice(1).map((_, digit) => classes.filter((value) => value === digit).length);
  expect(Math.min(...counts)).toBeGreaterThan(850);
  expect(Math.max(...bitmaps.subarray(0, 784))).toBeGreaterThan(250);
});

describe('writeDigitScenes', () => {
  const options = { train: 12, val: 4 };

  it('writes a data set that the reader reads as any other', async () => {
    const progress: number[] = [];
    const target = join(folder, 'scenes');
    const result = await writeDigitScenes(target, { ...options, onProgress: (written) => progress.push(written) });
    expect(result).toMatchObject({ folder: target, written: true, classes: DIGIT_CLASSES });
    expect(progress.at(-1)).toBe(16);

    const composer = new SceneComposer(await loadDigits(), 'val', EASY_SCENES);
    const val = await Dataset.open(folderFiles(target), result.valList);
    expect((await Dataset.open(folderFiles(target), result.trainList)).length).toBe(12);
    expect(val.length).toBe(4);
    expect(val.list.entries[0]).toMatchObject({
      image: 'JPEGImages/val_000000.png',
      label: 'SegmentationClass/val_000000.png',
    });
    for (let index = 0; index < 4; index++) {
      const { pixels, width, height } = await val.load(index);
      expect([width, height]).toEqual([32, 32]);
      const scene = composer.compose(index);
      let difference = 0;
      expect(Array.from(pixels, (word) => word >>> 24)).toEqual(Array.from(scene.labels.data));
      for (const [pixel, word] of pixels.entries())
        for (let c = 0; c < 3; c++)
          difference += Math.abs(((word >> (8 * c)) & 255) - scene.image.data[pixel * 3 + c]!) / (pixels.length * 3);
      expect(difference).toBeLessThan(4); // what JPEG at quality 95 costs
    }
    expect(JSON.parse(await readFile(join(target, 'classes.json'), 'utf8'))).toEqual({
      classes: DIGIT_CLASSES,
      ignore: 255,
    });
  });

  it('leaves a folder alone that holds exactly this, and refuses one with other options', async () => {
    const target = join(folder, 'scenes');
    const image = join(target, 'JPEGImages/train_000003.png');
    const before = await stat(image);
    expect((await writeDigitScenes(target, options)).written).toBe(false);
    expect((await stat(image)).ino).toBe(before.ino);
    await expect(writeDigitScenes(target, { ...options, seed: 2 })).rejects.toThrow(
      `${target} holds digit scenes of other options`,
    );
    expect((await stat(image)).ino).toBe(before.ino);
  });

  it('is written once by processes that start together, and removes what killed ones have left', async () => {
    const target = join(folder, 'shared', 'scenes');
    const [old, fresh] = ['00c0ffee', '12345678'].map((id) => `${target}.${id}.tmp`) as [string, string];
    for (const left of [old, fresh]) await mkdir(left, { recursive: true });
    const yesterday = Date.now() / 1000 - 86_400;
    await utimes(old, yesterday, yesterday);
    const results = await Promise.all([1, 2, 3].map(() => writeDigitScenes(target, options)));
    expect(results.filter(({ written }) => written)).toHaveLength(1);
    expect((await readdir(join(folder, 'shared'))).sort()).toEqual(['scenes', 'scenes.12345678.tmp']);
  });

  it('does not touch a folder that holds anything else', async () => {
    const target = join(folder, 'photos');
    await mkdir(target);
    await writeFile(join(target, 'holiday.jpg'), 'x');
    await expect(writeDigitScenes(target, options)).rejects.toThrow(`${target} holds other files`);
    await rm(join(target, 'holiday.jpg'));
    expect((await writeDigitScenes(target, options)).written).toBe(true);
  });
});
