import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveConfig } from '../../src/cli/config/config.js';
import { buildProgram } from '../../src/cli/program.js';
import { RunFolder } from '../../src/cli/run_folder.js';
import { run } from '../support/command.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-command-'));
  await mkdir(join(folder, 'empty'));
  await mkdir(join(folder, 'photos'));
  await writeFile(join(folder, 'photos', 'train.txt'), 'a.jpg a.png\n');
  await writeFile(join(folder, 'photos', 'blank.txt'), '\n');
  await writeFile(join(folder, 'photos', 'bare.txt'), 'a.jpg\n');
  await writeFile(join(folder, 'photos', 'classes.json'), '{"classes": ["background", "cat"]}');
  await writeFile(join(folder, 'broken.json'), '{');
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const path = (...parts: string[]) => join(folder, ...parts);

describe('--help', () => {
  const commands = buildProgram().commands.map((command) => command.name());

  it('lists the commands', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    expect(commands).toEqual([
      'demo',
      'train',
      'prototypes',
      'predict',
      'evaluate',
      'explain',
      'data',
      'contours',
      'profile',
      'inspect',
      'convert',
      'doctor',
    ]);
    for (const command of commands) expect(out).toMatch(new RegExp(`^ +${command}\\b`, 'm'));
  });

  it.each(commands)('of %s explains every flag in lines of at most 120 characters', async (name) => {
    const { code, out, err } = await run(name, '--help');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain(`Usage: segsort ${name}`);
    const command = buildProgram().commands.find((each) => each.name() === name)!;
    for (const option of command.options) {
      expect(out).toContain(option.flags);
      expect(option.description, option.flags).not.toBe('');
    }
    if (command.commands.length === 0) expect(out).toMatch(/--verbose +print the stack of an error/);
    expect(out).toMatch(/-h, --help +print this help/);
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(120);
  });

  it('of train describes the presets', async () => {
    const { out } = await run('train', '--help');
    for (const preset of ['voc12-supervised', 'voc12-multi', 'small', 'digits'])
      expect(out).toMatch(new RegExp(`^ {2}${preset} +\\w`, 'm'));
  });
});

it('prints its version', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(await run('--version')).toEqual({ code: 0, out: `${version}\n`, err: '' });
});

describe('a wrong call ends with code 2 and one clear message', () => {
  const cases: [string, string[], string][] = [
    ['an unknown command', ['trian'], "unknown command 'trian'"],
    ['an unknown flag', ['train', '--stepz', '3'], 'Did you mean --steps?'],
    ['an unknown preset', ['train', '--preset', 'big'], 'Allowed choices are voc12-supervised'],
    ['a missing argument', ['evaluate'], "missing required argument 'run'"],
    ['a limit that is no number', ['evaluate', 'x', '--limit', 'few'], 'It must be an integer of at least 1.'],
    ['nothing to start from', ['train', '--data', 'PHOTOS'], 'name what to start from: --preset'],
    ['no data', ['train', '--preset', 'small'], '--data names the folder'],
    ['no such data folder', ['train', '--preset', 'small', '--data', 'NONE'], 'has no train.txt'],
    ['no such list', ['train', '--preset', 'digits', '--data', 'PHOTOS', '--list', 'x.txt', '--out', 'OUT1'], 'x.txt'],
    ['no class names', ['train', '--preset', 'small', '--data', 'EMPTY', '--list', 'x.txt'], 'no classes.json'],
    ['one class', ['train', '--preset', 'small', '--data', 'PHOTOS', '--classes', '1'], 'must be from 2 to 255'],
    ['no file of classes', ['train', '--preset', 'small', '--data', 'PHOTOS', '--classes', 'c.txt'], 'no file c.txt'],
    ['no such configuration', ['train', '--config', 'none.json'], '--config: there is no file none.json'],
    ['a configuration that is no JSON', ['train', '--config', 'BROKEN'], 'is not JSON'],
    ['a wrong crop', ['train', '--preset', 'small', '--data', 'PHOTOS', '--crop', '50'], 'use 48 or 96'],
    ['no run', ['prototypes', 'NONE'], 'is not the folder of a run'],
    ['no run to resume', ['train', '--resume', 'NONE'], 'is not the folder of a run'],
    ['a list without labels', ['train', '--preset', 'small', '--data', 'PHOTOS', '--list', 'bare.txt'], 'no labels to'],
    [
      'held-out images without labels',
      ['train', '--preset', 'small', '--data', 'PHOTOS', '--val-list', 'bare.txt', '--validate-every', '5'],
      'bare.txt has no labels, which validation needs (--validate-every none: there is none)',
    ],
    ['no such adapter', ['train', '--adapter', 'tpu'], 'Allowed choices are auto, gpu, cpu'],
  ];
  it.each(cases)('%s', async (_, args, message) => {
    const places: Record<string, string> = {
      PHOTOS: path('photos'),
      EMPTY: path('empty'),
      NONE: path('none'),
      BROKEN: path('broken.json'),
      OUT1: path('out1'),
    };
    const { code, out, err } = await run(...args.map((arg) => places[arg] ?? arg));
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^segsort: /);
    expect(err).toContain(message);
    expect(err).not.toContain('    at ');
  });
});

describe('a run', () => {
  const data = { root: '', train: 'train.txt', classes: ['background', 'cat'] };

  beforeAll(async () => {
    const flags = { data: { ...data, root: path('photos') }, training: { steps: 7 } };
    await RunFolder.create(path('run'), resolveConfig({ preset: 'digits', file: null, flags }));
  });

  it('is not started, and leaves nothing behind, where its list is empty', async () => {
    const { code, err } = await run(
      ...['train', '--preset', 'digits', '--data', path('photos'), '--list', 'blank.txt', '--out', path('blank')],
    );
    expect(code).toBe(1);
    expect(err).toContain('lists no images');
    await expect(access(path('blank'))).rejects.toThrow();
  });

  it('keeps its configuration', async () => {
    const { config, resolved } = await RunFolder.open(path('run'));
    expect(config.training.steps).toBe(7);
    expect(config.data).toMatchObject({ ...data, root: path('photos'), validation: null });
    expect(resolved.preset).toBe('digits');
  });

  it('is not overwritten', async () => {
    const { code, err } = await run('train', '--preset', 'digits', '--data', path('photos'), '--out', path('run'));
    expect(code).toBe(2);
    expect(err).toContain(`continue it with \`segsort train --resume ${path('run')}\``);
  });

  it('is only resumed with its own settings', async () => {
    const { code, err } = await run('train', '--resume', path('run'), '--steps', '9', '--data', 'x');
    expect(code).toBe(2);
    expect(err).toContain('so --data, --steps cannot be given');
  });

  it.each([
    ['be scored without a list', ['train', '--resume', 'RUN', '--validate-every', '5'], 'for a new run with --config'],
    ['give prototypes', ['prototypes', 'RUN'], 'has no checkpoint yet'],
    ['be evaluated', ['evaluate', 'RUN', '--list', 'train.txt'], 'has no checkpoint yet'],
    [
      'go on with other settings, planned or not',
      ['train', '--resume', 'RUN', '--plan', '--crop', '48'],
      'so --crop cannot',
    ],
    ['be evaluated on nothing', ['evaluate', 'RUN'], 'has no validation list'],
    ['predict', ['predict', 'RUN', '--list', 'train.txt'], 'has no checkpoint yet'],
  ])('cannot %s before it has trained', async (_, args, message) => {
    const { code, err } = await run(...args.map((arg) => (arg === 'RUN' ? path('run') : arg)));
    expect(err).toContain(message);
    expect(code).toBe(2);
  });

  it('prints the stack where it is asked to', async () => {
    const { err } = await run('prototypes', path('none'), '--verbose');
    expect(err).toContain('is not the folder of a run');
    expect(err).toMatch(/\n +at /);
  });
});
