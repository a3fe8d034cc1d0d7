import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import {
  checkConfig,
  flaggedFields,
  formatConfigFile,
  type PartialConfig,
  resolveConfig,
} from '../../src/cli/config/config.js';
import { networkOf } from '../../src/cli/config/objective.js';
import { PRESETS, type PresetName, VOC_CLASSES } from '../../src/cli/config/presets.js';
import { prototypeList, stagesOf, totalSteps } from '../../src/cli/config/stages.js';
import { UsageError } from '../../src/cli/errors.js';
import { addConfigFlags, configFromFlags } from '../../src/cli/options.js';

const data = { root: '/photos', train: 'train.txt', validation: null, classes: ['background', 'cat'] };
const resolve = (preset: PresetName, flags: PartialConfig = {}, contents?: unknown) =>
  resolveConfig({
    preset,
    file: contents === undefined ? null : { name: 'file.json', contents },
    flags: { ...flags, data: { ...data, ...flags.data } },
  });

/** What resolving the configuration complains of. */
function complaint(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  return '';
}

describe('presets', () => {
  it.each(Object.keys(PRESETS) as PresetName[])('%s is a whole configuration once it has data', (preset) => {
    expect(resolve(preset).preset).toBe(preset);
  });

  it('gives the released single-GPU settings', () => {
    const { config } = resolveConfig({
      preset: 'voc12-supervised',
      file: null,
      flags: { data: { root: '/voc', train: 'train.txt' } },
    });
    expect(config.data.classes).toEqual(VOC_CLASSES);
    expect(config.data.classes).toHaveLength(21);
    expect(config.network).toMatchObject({ backbone: 'resnet101', embedding: 32, newHead: true, weights: null });
    expect(config.training).toMatchObject({ batch: 8, crop: [336, 336], steps: 30_000, learningRate: 2e-3 });
    expect(config.training).toMatchObject({ power: 0.9, momentum: 0.9, weightDecay: 5e-4, headRateFactor: 10 });
    expect(config.segments).toMatchObject({ cells: [5, 5], kmeansIterations: 10, concentration: 10, banks: 2 });
    expect(config.retrieval.neighbours).toBe(15);
  });
});

describe('resolveConfig', () => {
  it('lets a file count more than the preset, and flags more than both', () => {
    const contents = { training: { steps: 77, batch: 3 }, segments: { banks: 4 } };
    const { config } = resolve('small', { training: { batch: 5 } }, contents);
    expect(config.training.steps).toBe(77);
    expect(config.training.batch).toBe(5);
    expect(config.segments.banks).toBe(4);
    expect(config.training.momentum).toBe(PRESETS.small.config.training!.momentum);
  });

  it('takes back what it wrote, exactly', () => {
    const resolved = resolve('digits', { training: { learningRate: 0.123456789, crop: [48, 96] } });
    const text = formatConfigFile(resolved);
    const again = resolveConfig({ preset: null, file: { name: 'c', contents: JSON.parse(text) }, flags: {} });
    expect(again).toEqual(resolved);
    expect(formatConfigFile(again)).toBe(text);
  });

  it('lets a file that an earlier version wrote be what it was', () => {
    // Everything that there was then, and nothing of what its preset has had since.
    const { config } = resolve('voc12-supervised');
    const { head: _h, outputStride: _o, weights: _w, newHead: _n, ...network } = config.network;
    const { objective: _b, accumulate: _a, batchNorm: _s, stages: _t, ...training } = config.training;
    const { regions: _r, regionsPerImage: _i, ...oldData } = config.data;
    const { logEvery, checkpointEvery, workers, cacheMegabytes } = config.run;
    const contents = {
      ...{ format: 1, preset: 'voc12-supervised', data: oldData, network, training, segments: config.segments },
      ...{ retrieval: config.retrieval, run: { logEvery, checkpointEvery, workers, cacheMegabytes } },
    };
    const again = resolveConfig({ preset: null, file: { name: 'c', contents }, flags: {} });
    expect(again.preset).toBe('voc12-supervised');
    expect(again.config).toMatchObject({ network, training, segments: config.segments });
    expect(again.config.training).toMatchObject({
      objective: 'segsort',
      accumulate: 1,
      batchNorm: 'batch',
      stages: [],
    });
    expect(again.config.network).toMatchObject({ head: null, weights: null, newHead: false });
    expect(again.config.run).toMatchObject({ recompute: 'none', tensorboard: false, validateEvery: null, keep: 1 });
    // What names a preset and a setting or two means the preset as it is now.
    const { config: now } = resolve('voc12-supervised', {}, { training: { seed: 2 } });
    expect(now.training.stages).toHaveLength(1);
  });

  it('names the preset a file was made with', () => {
    const contents = { format: 1, preset: 'digits', data, training: { steps: 5 } };
    const { preset, config } = resolveConfig({ preset: null, file: { name: 'c', contents }, flags: {} });
    expect(preset).toBe('digits');
    expect(config.training).toMatchObject({ ...PRESETS.digits.config.training, steps: 5 });
  });

  it.each([
    [[1, 2], 'file.json: a configuration is a JSON object'],
    [{ format: 2 }, 'file.json: format 2 is not known to this version'],
    [{ preset: 'huge' }, 'file.json: preset "huge" is none of voc12-supervised'],
    [{ training: 7 }, 'training: must be an object of settings'],
    [{ training: { stepz: 3 } }, 'stepz in training: no such setting'],
    [{ extra: {} }, 'extra at the top: no such setting'],
    [{ data: { classes: ['one'] } }, ''],
  ])('refuses the file %j', (contents, message) => {
    if (message === '')
      expect(() => resolve('small', {}, contents)).not.toThrow(); // flags name the classes
    else expect(complaint(() => resolve('small', {}, contents))).toContain(message);
  });

  it('lists everything that is missing without a preset', () => {
    const message = complaint(() => resolveConfig({ preset: null, file: null, flags: { data } }));
    for (const section of ['network', 'training', 'segments', 'retrieval', 'run']) expect(message).toContain(section);
  });
});

describe('errors', () => {
  const { config } = resolve('digits');

  /** A value that each kind of field refuses. */
  const wrong: Record<string, unknown> = { mean: [1, 2, 999], scale: [2, 1], mirror: 'yes', crop: [40], cells: [0, 4] };

  it.each(flaggedFields)('names $flag and what it may hold', ({ path, flag, allowed }) => {
    const [section, setting] = path as [keyof typeof config, string];
    const value = setting in wrong ? wrong[setting] : -1;
    const message = complaint(() =>
      checkConfig({ ...config, [section]: { ...config[section], [setting]: value } }, 'x'),
    );
    expect(message).toContain(`${section}.${setting} (${flag!.split(' ')[0]}): must be ${allowed}; got`);
    expect(message).toContain(JSON.stringify(value));
  });

  it('are all listed at once', () => {
    const flags = { training: { batch: 0, momentum: 1 }, segments: { concentration: 0 } };
    const message = complaint(() => resolve('digits', flags));
    expect(message.split('\n')).toHaveLength(4);
    expect(message).toContain('3 settings are wrong');
    expect(message).toContain('training.batch (--batch): must be an integer from 1 to 1024; got 0');
    expect(message).toContain('segments.concentration (--concentration): must be a number greater than 0');
  });

  it.each([
    [[100, 100], '100x100 does not fit resnet101, whose input sides must be multiples of 48; use 96 or 144'],
    [[20, 96], 'use 48 high and 96 wide'],
    [[336, 340], 'use 336 high and 336 or 384 wide'],
  ])('say which crops the network takes instead of %j', (crop, message) => {
    expect(complaint(() => resolve('voc12-supervised', { training: { crop: crop as [number, number] } }))).toContain(
      message,
    );
  });

  it('say it together with other mistakes', () => {
    const message = complaint(() => resolve('voc12-supervised', { training: { crop: [100, 100], batch: 0 } }));
    expect(message).toContain('training.batch');
    expect(message).toContain('training.crop (--crop): 100x100 does not fit');
  });
});

describe('flags', () => {
  const parse = (flag: string, text: string) =>
    flaggedFields.find((field) => field.flag?.startsWith(flag))!.parse(text);

  it('are read as the fields need them', () => {
    expect(parse('--crop', '96x144')).toEqual([96, 144]);
    expect(parse('--crop', '96')).toEqual([96, 96]);
    expect(parse('--scale', '0.5,2')).toEqual([0.5, 2]);
    expect(parse('--learning-rate', '2e-3')).toBe(0.002);
    expect(parse('--workers', 'none')).toBe(null);
    expect(parse('--workers', '2')).toBe(2);
    expect(parse('--mirror', '')).toBe(true);
  });

  it('reach the configuration, also where they say none or are given twice', () => {
    const command = addConfigFlags(new Command());
    const stages = ['--stage', 'steps=5', '--stage', 'steps=6 not-restore-head'];
    const run = ['--validate-every', 'none', '--workers', '2', '--recompute', 'blocks'];
    command.parse([...run, '--no-mirror', '--not-restore-head', ...stages], { from: 'user' });
    expect(configFromFlags(command)).toEqual({
      network: { newHead: true },
      training: { mirror: false, stages: [{ steps: 5 }, { steps: 6, newHead: true }] },
      run: { validateEvery: null, workers: 2, recompute: 'blocks' },
    });
  });

  it('turn mirroring on where it is off, and off where it is on', () => {
    const mirrored = (...args: string[]) => {
      const command = addConfigFlags(new Command());
      command.parse(args, { from: 'user' });
      return configFromFlags(command).training?.mirror;
    };
    expect([mirrored('--mirror'), mirrored('--no-mirror'), mirrored()]).toEqual([true, false, undefined]);
    expect(parse('--stage', 'mirror')).toEqual([{ mirror: true }]);
  });

  it.each([
    ['--steps', 'many'],
    ['--steps', ''],
    ['--steps', '1.5'],
    ['--crop', '96x'],
    ['--crop', '1x2x3'],
    ['--scale', '0.5'],
    ['--numerator', 'both'],
    ['--regions', 'hed'],
    ['--head', 'unet'],
    ['--recompute', 'everything'],
  ])('refuse %s %s', (flag, text) => {
    const field = flaggedFields.find((candidate) => candidate.flag?.startsWith(flag))!;
    const [section, setting] = field.path as [string, string];
    const message = complaint(() => resolve('digits', { [section]: { [setting]: field.parse(text) } }));
    expect(message).toContain(`(${flag})`);
    // What was typed is quoted, where it is not the number that it should be.
    if (!/^[\d.,x]*\d$/.test(text)) expect(message).toContain(`got ${JSON.stringify(text)}`);
  });
});

describe('stages', () => {
  const stageField = flaggedFields.find(({ path }) => path.join('.') === 'training.stages')!;

  it('are those of the released scripts', () => {
    const [first, second, ...none] = stagesOf(resolve('voc12-supervised').config);
    expect(none).toEqual([]);
    expect(first).toMatchObject({ number: 1, of: 2, firstStep: 0, lastStep: 30_000, firstBatch: 0, newHead: true });
    expect(second).toMatchObject({ number: 2, firstStep: 30_000, lastStep: 60_000, firstBatch: 30_000, newHead: true });
    expect(second!.config.training).toMatchObject({ learningRate: 2e-4, steps: 30_000, batch: 8, stages: [] });
    expect(second!.config.data.train).toBe('train');
    expect(prototypeList(resolve('voc12-supervised').config)).toBe('train');
    const multi = resolve('voc12-multi').config;
    expect(stagesOf(multi)[1]).toMatchObject({ firstStep: 100_000, lastStep: 130_000, newHead: false });
    expect(totalSteps(multi)).toBe(130_000);
    const unsupervised = resolve('voc12-unsupervised').config;
    expect(unsupervised.data.regions).toBe('segcls=hed');
    expect(stagesOf(unsupervised)).toMatchObject([{ lastStep: 10_000 }]);
    for (const name of ['softmax', 'affinity', 'aaf'] as const) {
      const { training } = resolve(`voc12-${name}`).config;
      expect(training).toMatchObject({ objective: name, steps: 30_000, batch: 8, learningRate: 1e-3 });
      expect(training.stages).toEqual([{ list: 'train', learningRate: 1e-4 }]);
    }
  });

  it('see other batches than the stages before, however many they take a step', () => {
    const stages = [{ steps: 5 }, { accumulate: 1 }];
    const { config } = resolve('digits', { training: { steps: 7, accumulate: 3, stages } });
    expect(stagesOf(config).map(({ firstBatch }) => firstBatch)).toEqual([0, 21, 36]);
    expect(stagesOf(config).map(({ lastStep }) => lastStep)).toEqual([7, 12, 19]);
  });

  it('are given by flags of flags', () => {
    const first = stageField.parse('list=train.txt steps=500 learning-rate=2e-4 not-restore-head no-mirror');
    expect(first).toEqual([{ list: 'train.txt', steps: 500, learningRate: 2e-4, newHead: true, mirror: false }]);
    const both = stageField.parse(' crop=96x144  scale=0.5,2 restore-head ', first);
    expect(both).toEqual([...(first as []), { crop: [96, 144], scale: [0.5, 2], newHead: false }]);
    expect(stageField.parse('none', both)).toEqual([]);
    const { config } = resolve('digits', { training: { stages: first as [] } });
    expect(formatConfigFile({ preset: 'digits', config })).toContain('"list": "train.txt"');
  });

  it.each([
    ['steps=0', 'training.stages[0].steps (--stage): must be an integer of at least 1; got 0'],
    [
      'stepz=3',
      'stepz in training.stages.0 (--stage): no such setting; there are list, not-restore-head, steps, batch',
    ],
    ['seed=3', 'seed in training.stages.0 (--stage): no such setting'],
    ['crop=50', 'stage 2: training.crop (--crop): 50x50 does not fit digits'],
  ])('with %s are refused', (text, message) => {
    expect(complaint(() => resolve('digits', { training: { stages: stageField.parse(text) as [] } }))).toContain(
      message,
    );
  });
});

describe('networks', () => {
  it('that do not go together are refused by name', () => {
    const message = complaint(() =>
      resolve('small', { network: { backbone: 'digits', head: 'deeplab-v3plus', outputStride: 3 } }),
    );
    expect(message).toContain('network (--backbone, --head, --output-stride): ');
  });

  it('take heads and output strides of others', () => {
    const { config } = resolve('voc12-softmax', {
      network: { backbone: 'resnet18', head: 'deeplab-v3plus', outputStride: 16 },
    });
    expect(networkOf(config)).toMatchObject({
      ...{ head: 'deeplab-v3plus', backbone: { outputStride: 16 }, spec: { outputs: 2 } },
    });
  });
});
