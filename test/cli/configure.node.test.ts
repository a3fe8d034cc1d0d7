/**
 * What a new run is put together from: lists found by what they are for, weights looked at before anything is written.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkWeights, configure, type StartOptions } from '../../src/cli/config/configure.js';
import { run } from '../support/command.js';

let folder: string;
const path = (...parts: string[]) => join(folder, ...parts);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-configure-'));
  const lists: Record<string, readonly string[]> = { voc: ['train', 'train+', 'val'], plain: ['train'] };
  for (const [name, own] of Object.entries(lists)) {
    await mkdir(path(name));
    for (const list of own) await writeFile(path(name, `${list}.txt`), 'a.jpg a.png\n');
    await writeFile(path(name, 'classes.json'), '["background", "cat"]');
  }
  await mkdir(path('described', 'lists'), { recursive: true });
  await writeFile(path('described', 'lists', 'augmented.txt'), 'a.jpg a.png\n');
  await writeFile(path('described', 'lists', 'small.txt'), 'a.jpg a.png\n');
  const lists2 = { 'train+': 'lists/augmented.txt', train: 'lists/small.txt' };
  await writeFile(
    path('described', 'dataset.json'),
    JSON.stringify({
      classes: [
        { name: 'road', values: [7] },
        { name: 'car', values: [26] },
      ],
      lists: lists2,
    }),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The configuration, and what was said about it. */
async function configured(options: StartOptions, flags: Parameters<typeof configure>[1] = {}) {
  const said: string[] = [];
  const { config } = await configure(options, flags, (text) => said.push(text));
  return { config, said };
}

describe('the lists of a preset', () => {
  it('are found by what they are for', async () => {
    const { config, said } = await configured({ preset: 'voc12-supervised', data: path('voc') });
    expect(config.data).toMatchObject({ root: path('voc'), train: 'train+.txt', validation: 'val.txt' });
    expect(config.training.stages).toEqual([{ list: 'train.txt', learningRate: 2e-4, newHead: true }]);
    expect(said).toEqual([]);
    const described = await configured({ preset: 'voc12-supervised', data: path('described') });
    expect(described.config.data).toMatchObject({ train: 'lists/augmented.txt', validation: null });
    expect(described.config.data.classes).toEqual(['road', 'car']);
    expect(described.config.training.stages[0]!.list).toBe('lists/small.txt');
  });

  it('are the one there is where there is no other, and that is said', async () => {
    const { config, said } = await configured({ preset: 'voc12-supervised', data: path('plain') });
    expect(config.data.train).toBe('train.txt');
    expect(config.training.stages[0]!.list).toBe('train.txt');
    expect(said).toEqual([`${path('plain')} has no list train+: training on train.txt`]);
  });

  it('give way to those that are named', async () => {
    const stages = [{ list: 'none.txt', steps: 5 }, { list: 'train+' }];
    const { config, said } = await configured(
      { preset: 'small', data: path('voc'), list: 'train+', valList: 'train' },
      { training: { stages } },
    );
    expect(config.data).toMatchObject({ train: 'train+.txt', validation: 'train.txt' });
    expect(config.training.stages).toEqual([{ steps: 5 }, { list: 'train+.txt' }]);
    expect(said).toEqual([`${path('voc')} has no list none.txt: stage 2 trains on train+.txt, too`]);
  });
});

it('lists that lie elsewhere are remembered by their whole path', async () => {
  await writeFile(path('own.txt'), 'a.jpg a.png\n');
  const list = relative(process.cwd(), path('own.txt'));
  const stages = [{ list, steps: 5 }, { list: 'train.txt' }];
  const { config } = await configured(
    { preset: 'small', data: path('voc'), list, valList: list },
    { training: { stages } },
  );
  expect(config.data).toMatchObject({ train: path('own.txt'), validation: path('own.txt') });
  expect(config.training.stages).toEqual([{ steps: 5, list: path('own.txt') }, { list: 'train.txt' }]);
});

it('a file of settings may begin with a byte order mark', async () => {
  await writeFile(path('marked.json'), '\uFEFF{ "preset": "small", "training": { "steps": 7 } }');
  const { config } = await configured({ config: path('marked.json'), data: path('voc') });
  expect(config.training.steps).toBe(7);
});

describe('weights', () => {
  it('are missed where the released run has them', async () => {
    const said: string[] = [];
    for (const preset of ['voc12-softmax', 'small'] as const) {
      const { config } = await configured({ preset, data: path('voc') });
      await checkWeights({ preset, config }, (text) => said.push(text));
    }
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^voc12-softmax: no --weights, so .* released runs start from ImageNet's/);
  });

  it('that are not there leave no run behind', async () => {
    const start = ['train', '--preset', 'small', '--data', path('plain'), '--out', path('out')];
    const { code, err } = await run(...start, '--weights', path('none.ckpt'));
    expect([code, err]).toEqual([1, expect.stringContaining('none.ckpt: no such file')]);
    expect((await run('train', '--resume', path('out'))).err).toContain('is not the folder of a run');
  });

  it('are remembered by their whole path', async () => {
    const { config } = await configured({ preset: 'small', data: path('voc') }, { network: { weights: 'here.pth' } });
    expect(config.network.weights).toBe(join(process.cwd(), 'here.pth'));
  });
});

describe('a run is not started', () => {
  const cases: [string, string[], string][] = [
    ['to be scored without a list', ['plain', '--validate-every', '5'], '--val-list names a list of labelled images'],
    ['with classes that are not its labels', ['described', '--classes', '3'], 'leave --classes out'],
    ['on regions that are no rule', ['plain', '--regions', 'hed'], 'data.regions (--regions): must be photo, a repl'],
    [
      'on region masks that are not there',
      ['plain', '--objective', 'segsort-unsupervised', '--regions', 'a=b'],
      'there is no region mask b.png',
    ],
    ['with a stage of nonsense', ['plain', '--stage', 'steps=0'], 'training.stages[0].steps (--stage): must be'],
  ];
  it.each(cases)('%s', async (_, [data, ...flags], message) => {
    const { code, err } = await run('train', '--preset', 'small', '--data', path(data!), ...flags);
    expect(err).toContain(message);
    expect(code).toBe(2);
  });
});
