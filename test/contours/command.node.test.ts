/** `segsort contours`: masks for the images of a list. */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openList } from '../../src/cli/data_folder.js';
import { photoRegions } from '../../src/cli/training/region_masks.js';
import { regionsOfGrid } from '../../src/contours/grid.js';
import { decodeIds, decodeImage, decodeLabels, encodePng } from '../../src/data/codecs.js';
import { run } from '../support/command.js';

const SIZE = 32;
let folder: string;
const path = (...parts: string[]) => join(folder, ...parts);

/** Two or three upright stripes of different greys. */
function striped(stripes: number): Uint8Array {
  const data = Uint8Array.from({ length: SIZE * SIZE * 3 }, (_, i) => {
    const x = Math.floor(i / 3) % SIZE;
    return 60 + 60 * Math.floor((x * stripes) / SIZE);
  });
  return encodePng({ width: SIZE, height: SIZE, data });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-contours-'));
  await mkdir(path('data', 'photos'), { recursive: true });
  await writeFile(path('data', 'photos', 'two.png'), striped(2));
  await writeFile(path('data', 'photos', 'three.png'), striped(3));
  await writeFile(path('data', 'all.txt'), 'photos/two.png\nphotos/three.png labels/none.png\n');
  await writeFile(path('data', 'bad.txt'), 'photos/gone.png\nphotos/two.png\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const contours = (list: string, out: string, ...more: string[]) =>
  run('contours', path('data'), list, '--out', path(out), '--workers', '0', ...more);
const mask = async (...parts: string[]) => decodeIds(await readFile(path(...parts)), parts.join('/'));

it('writes a mask for every image, once', async () => {
  const first = await contours('all.txt', 'masks', '--regions', '2');
  expect([first.code, first.out]).toEqual([0, expect.stringContaining('2 images divided; written to')]);
  const { data, width, height } = await mask('masks', 'photos', 'two.png');
  expect([width, height, new Set(data)]).toEqual([SIZE, SIZE, new Set([0, 1])]);
  expect(Array.from(data.subarray(0, SIZE)).filter((id) => id === 0).length).toBeCloseTo(16, -0.5);
  const written = (await stat(path('masks', 'photos', 'two.png'))).mtimeMs;

  const second = await contours('all.txt', 'masks', '--regions', '2');
  expect(second.out).toContain('0 images divided, 2 were already');
  expect((await stat(path('masks', 'photos', 'two.png'))).mtimeMs).toBe(written);

  // Another photo under the same name, and other settings, are other masks.
  await writeFile(path('data', 'photos', 'two.png'), striped(4));
  expect((await contours('all.txt', 'masks', '--regions', '2')).out).toContain('1 images divided, 1 were already');
  expect((await contours('all.txt', 'masks', '--regions', '3')).out).toContain('2 images divided');
  expect(new Set((await mask('masks', 'photos', 'three.png')).data).size).toBe(3);
});

it('divides by the strength of contours, and shows them', async () => {
  const { code } = await contours('all.txt', 'shown', '--level', '0.02', '--ucm', '--outlines');
  expect(code).toBe(0);
  const { data } = await mask('shown', 'photos', 'three.png');
  const ucm = decodeLabels(await readFile(path('shown', 'photos', 'three-ucm.png')), 'ucm');
  expect([ucm.width, ucm.height]).toEqual([2 * SIZE + 1, 2 * SIZE + 1]);
  const grid = { width: SIZE, height: SIZE, data: Float32Array.from(ucm.data, (value) => value / 255) };
  expect(regionsOfGrid(grid, 0.02).count).toBe(new Set(data).size);
  expect(new Set(data).size).toBeGreaterThanOrEqual(3);
  const outlines = decodeImage(await readFile(path('shown', 'photos', 'three-outlines.png')), 'outlines');
  const red = outlines.data.filter((value, i) => i % 3 === 0 && value === 255).length;
  expect(red).toBeGreaterThanOrEqual(2 * SIZE);
});

it('goes on past a bad image and names it', async () => {
  const { code, err } = await contours('bad.txt', 'some');
  expect(code).toBe(1);
  expect(err).toContain('1 of 2 images could not be read');
  expect(err).toContain('photos/gone.png');
  expect((await mask('some', 'photos', 'two.png')).width).toBe(SIZE);
});

it('writes over no photo, and no mask over another', async () => {
  const photo = () => readFile(path('data', 'photos', 'two.png'));
  const before = await photo();
  await mkdir(path('data', 'photos', 'sub'));
  await writeFile(path('data', 'photos', 'sub', 'two.png'), before);
  await writeFile(path('data', 'photos', 'two.jpg'), before);
  const lists: [string, string[], string, RegExp][] = [
    ['outside.txt', ['../data/photos/two.png'], 'regions', /two\.png would lie outside/],
    ['own.txt', ['photos/two.png', 'two.png'], 'data/photos', /photos\/two\.png is an image of the data set/],
    ['label.txt', ['two.jpg photos/two.png'], 'data/photos', /photos\/two\.png is a label file of the data set/],
    ['alike.txt', ['photos/two.png', 'photos/two.jpg'], 'regions', /two\.png and photos\/two\.jpg would share/],
    ['there.txt', ['two.jpg'], 'data/photos', /photos has two\.png already/],
    ['beside.txt', ['photos/two.png', 'photos/two-ucm.png'], 'regions', /two images would share .*two-ucm\.png/],
  ];
  for (const [list, images, out, message] of lists) {
    await writeFile(path('data', list), images.map((line) => `${line}\n`).join(''));
    const { code, err } = await contours(list, out, '--ucm');
    expect([list, code, err]).toEqual([list, 2, expect.stringMatching(message)]);
    expect(await photo()).toEqual(before);
  }
});

it('keeps masks for training by the contents of the photos', async () => {
  const open = (list: string) => openList(path('data'), list, 'list');
  const options = { root: path('data'), regionsPerImage: 2, workers: 0, cache: path('cache') };
  await writeFile(path('data', 'three.txt'), 'photos/three.png\n');
  const { template } = (await photoRegions(await open('three.txt'), options)) as { template: string };
  const made = template.replace('{path}', 'photos/three');
  const { mtimeMs } = await stat(made);
  await photoRegions(await open('three.txt'), options);
  expect((await stat(made)).mtimeMs).toBe(mtimeMs);
  const old = await readFile(made);
  await writeFile(path('data', 'photos', 'three.png'), striped(2));
  await photoRegions(await open('three.txt'), options);
  expect(await readFile(made)).not.toEqual(old);
  await expect(photoRegions(await open('outside.txt'), options)).rejects.toThrow('would lie outside');
});

it('refuses what cannot be meant', async () => {
  expect((await contours('all.txt', 'x', '--regions', '3', '--level', '0.2')).code).toBe(2);
  expect((await contours('all.txt', 'x', '--level', '2')).err).toContain('from 0 to 1');
  const own = await run('contours', path('data'), 'all.txt', '--out', path('data'));
  expect([own.code, own.err]).toEqual([2, expect.stringContaining('must not be the folder of the data set')]);
  await mkdir(path('taken'));
  await writeFile(path('taken', 'contours.json'), '{"mine": true}');
  expect((await contours('all.txt', 'taken')).err).toContain('name another folder with --out');
});
