/** `segsort data`, in this process. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { findClasses, findList, openList } from '../../src/cli/data_folder.js';
import { makeScenes } from '../../src/cli/demo.js';
import { runCli } from '../../src/cli/program.js';
import { decodeLabels, encodeGreyPng, encodePng } from '../../src/data/codecs.js';
import { parseDescription } from '../../src/data/description_file.js';

let folder = '';
const path = (...parts: string[]) => join(folder, ...parts);
const size = { width: 3, height: 2 };
const image = encodePng({ ...size, data: new Uint8Array(18) });
const labels = (...values: number[]) => encodeGreyPng({ ...size, data: Uint8Array.from(values) });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-data-'));
  for (const name of ['train', 'trainannot', 'val', 'valannot', 'none']) await mkdir(path(name));
  for (const name of ['a', 'b', 'c']) await writeFile(path('train', `${name}.png`), image);
  await writeFile(path('val', 'd.png'), image);
  await writeFile(path('trainannot', 'a.png'), labels(0, 1, 2, 3, 4, 5));
  await writeFile(path('trainannot', 'b.png'), labels(6, 7, 8, 9, 10, 11));
  await writeFile(path('valannot', 'd.png'), labels(0, 0, 0, 0, 0, 255));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const written = { out: '', err: '' };
  const collect = (where: 'out' | 'err', end: string) => (text: unknown) => {
    written[where] += `${text}${end}`;
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(collect('out', ''));
  vi.spyOn(process.stderr, 'write').mockImplementation(collect('err', ''));
  vi.spyOn(console, 'log').mockImplementation(collect('out', '\n'));
  vi.spyOn(console, 'error').mockImplementation(collect('err', '\n'));
  const code = await runCli(['data', ...args]);
  vi.restoreAllMocks();
  process.exitCode = undefined;
  return { code, ...written };
}

describe('segsort data', () => {
  it('lists what has all its files, and only then checks it', async () => {
    const refused = await run('lists', 'camvid', folder);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('1 file missing: trainannot/c; --skip-missing leaves their images out');
    const { code, out } = await run('lists', 'camvid', folder, '--skip-missing');
    expect(code).toBe(0);
    expect(out).toContain('train.txt: 2 images\nval.txt: 1 image\n');
    expect(out).toContain(`written to ${folder}: dataset.json, train.txt, val.txt`);
    expect(await readFile(path('train.txt'), 'utf8')).toBe(
      'train/a.png trainannot/a.png\ntrain/b.png trainannot/b.png\n',
    );
  });

  it('checks all lists of the description', async () => {
    const { code, out, err } = await run('check', folder, '--workers', '0');
    expect(code).toBe(0);
    expect(out).toMatch(/train\.txt: 2 images, 2 x 3 pixels \(height x width\), 2 with labels \(2 grey, 0 palette\)/);
    expect(out).toMatch(/^Sky +1 +8\.3 +1$/m);
    expect(out).toMatch(/^ignored +1 +8\.3 +1$/m);
    expect(out).toMatch(/warning: .*val\.txt: no image has any pixel of Building, Pole/);
    expect(out.trimEnd()).toMatch(/0 errors, 1 warning$/);
    expect(err).toMatch(/train\.txt 2\/2/);
  });

  it('ends with 1 where there are errors, the same as JSON', async () => {
    await writeFile(path('trainannot', 'b.png'), labels(6, 7, 8, 9, 10, 13));
    await writeFile(path('train2.txt'), 'val/d.png valannot/d.png\ntrain/b.png trainannot/b.png\nno.png no.png\n');
    const lists = ['train2.txt', 'val.txt', '--workers', '0'];
    const { code, out } = await run('check', folder, ...lists, '--show', '2');
    expect(code).toBe(1);
    expect(out).toContain('error: line 2: trainannot/b.png: holds the value 13, which is none of the 11 classes');
    expect(out).toContain('error: line 3: no.png: image: no such file in');
    expect(out).toMatch(/\.\.\. and 2 more; --show 0 prints all/);
    expect(out).toMatch(/warning: .*val\.txt: 1 of its images are in train2\.txt too, the first is val\/d\.png/);
    const json = await run('check', folder, ...lists, '--json');
    expect(json.code).toBe(1);
    const report = JSON.parse(json.out);
    expect(report).toMatchObject({ description: 'CamVid', errors: 3, lists: [{ samples: 3 }, { samples: 1 }] });
  });

  it('judges by --as or --classes where asked to', async () => {
    const two = await run('check', folder, 'val.txt', '--classes', '2', '--workers', '0');
    expect([two.code, two.out.includes('class 1')]).toEqual([0, true]);
    const voc = await run('check', folder, 'val.txt', '--as', 'voc2012', '--workers', '0');
    expect(voc.out).toMatch(/^background +5 +83\.3 +1$/m);
    const both = await run('check', folder, '--as', 'voc2012', '--classes', '2');
    expect([both.code, both.err]).toEqual([2, expect.stringContaining('--as and --classes')]);
  });

  it('describes data sets, in what it reads itself', async () => {
    const { code, out } = await run('describe', 'cityscapes');
    expect(code).toBe(0);
    expect(parseDescription(JSON.parse(out), 'out').classes).toHaveLength(19);
    expect((await run('describe', folder)).out).toContain('"name": "CamVid"');
    expect((await run('describe', path('none'))).err).toContain('is neither a data set known by name');
  });

  it('encodes predictions as the benchmark wants them', async () => {
    await mkdir(path('predictions', 'ulm'), { recursive: true });
    await writeFile(path('predictions', 'ulm', 'x.png'), labels(0, 1, 18, 11, 255, 13));
    const args = ['encode', path('predictions'), '--as', 'cityscapes', '--out'];
    const { code, out } = await run(...args, path('ids'));
    expect([code, out]).toEqual([0, `1 prediction encoded; written to ${path('ids')}\n`]);
    const encoded = decodeLabels(await readFile(path('ids', 'ulm', 'x.png')), 'x.png');
    expect(Array.from(encoded.data)).toEqual([7, 8, 33, 24, 0, 26]);
    expect((await run(...args, path('predictions'))).code).toBe(2);
    const again = await run(...args, path('ids'));
    expect([again.code, again.err]).toEqual([2, expect.stringContaining(`${path('ids')} has ulm/x.png already`)]);
    expect((await run(...args, path('ids'), '--force')).code).toBe(0);
  });

  it("adds a list of one's own folders to those there are", async () => {
    const out = path('lists');
    const { code } = await run('lists', 'folders', folder, '--images', 'val', '--name', 'extra', '--out', out);
    expect(code).toBe(0);
    expect(await readFile(join(out, 'extra.txt'), 'utf8')).toBe('val/d.png\n');
    const { lists } = parseDescription(JSON.parse(await readFile(join(out, 'dataset.json'), 'utf8')), 'dataset.json');
    expect(lists).toEqual({ train: 'train.txt', val: 'val.txt', extra: 'extra.txt' });
    // In place the description is brought up to date; lists that differ are not written over.
    expect((await run('lists', 'folders', folder, '--images', 'val', '--name', 'extra')).code).toBe(0);
    expect(await readFile(path('dataset.json'), 'utf8')).toContain('"extra": "extra.txt"');
    const again = await run('lists', 'folders', folder, '--images', 'train', '--name', 'extra');
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('has extra.txt already')]);
  });

  it.each<[string, string[], string]>([
    ['an unknown kind', ['lists', 'coco', '.'], 'coco is none of voc2012, cityscapes, camvid, bsds500, folders'],
    ['no folder', ['lists', 'camvid', 'NONE'], 'there is no folder NONE'],
    ['no images', ['lists', 'folders', '.'], '--images names the folder'],
    ['an unknown sub-command', ['chek'], "unknown command 'chek'"],
    ['no list', ['check', 'src'], 'src has neither train.txt nor val.txt'],
    ['no such list', ['check', 'src', 'x.txt'], 'there is no list x.txt'],
    ['no number', ['check', 'src', '--workers', ''], 'It must be an integer of at least 0'],
  ])('ends with 2 for %s', async (_, args, message) => {
    const { code, err } = await run(...args);
    expect(code).toBe(2);
    expect(err).toMatch(/^segsort: /);
    expect(err).toContain(message);
  });
});

it('gives the scenes of every demo a folder of their own', async () => {
  const scenes = path('demos');
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const made = async (trainScenes: number) => (await makeScenes({ scenes, trainScenes, valScenes: 4 })).folder;
  expect([await made(12), await made(3)]).toEqual([join(scenes, 'digits-12-4'), join(scenes, 'digits-3-4')]);
  expect(await readdir(join(scenes, 'digits-12-4', 'JPEGImages'))).toHaveLength(16);
});

describe('a described folder', () => {
  it('says which lists and classes it has, and what its labels mean', async () => {
    const root = path('described');
    await mkdir(root);
    await writeFile(join(root, 'x.png'), image);
    await writeFile(join(root, 'y.png'), labels(7, 7, 9, 9, 0, 255));
    await writeFile(join(root, 'first.txt'), 'x.png y.png\n');
    const classes = [
      { name: 'road', values: 7 },
      { name: 'car', values: 9 },
    ];
    await writeFile(
      join(root, 'dataset.json'),
      JSON.stringify({ classes, ignore: [0, 255], lists: { train: 'first.txt' } }),
    );
    expect(await findList(root, 'train')).toBe('first.txt');
    expect(await findList(root, 'val')).toBeNull();
    expect(await findClasses(root, undefined)).toEqual(['road', 'car']);
    const { pixels } = await (await openList(root, 'first.txt', 'list')).load(0);
    expect(Array.from(pixels, (word) => word >>> 24)).toEqual([0, 0, 1, 1, 255, 255]);
  });
});
