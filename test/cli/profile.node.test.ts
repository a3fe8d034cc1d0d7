import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { StepProfile } from '../../src/cli/profiling/profile.js';
import { groupKernels } from '../../src/cli/profiling/table.js';
import type { TraceEvent } from '../../src/cli/profiling/trace_events.js';
import { run } from '../support/command.js';
import { PLAIN_KERNELS } from '../support/plain_kernels.js';
import { writeSquares } from '../support/squares.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-profile-'));
  vi.stubEnv(
    'KERNEL',
    Object.entries(PLAIN_KERNELS)
      .map(([op, variant]) => `${op}:${variant}`)
      .join(),
  );
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const json = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(folder, name), 'utf8'));
const TINY = ['--preset', 'digits', '--batch', '2', '--crop', '16', '--kmeans', '1', '--steps', '3'];

describe('a training step on images', () => {
  let out: string;
  beforeAll(async () => {
    await writeSquares(join(folder, 'data'));
    const files = ['--json', join(folder, 'step.json'), '--trace', join(folder, 'trace.json')];
    const classes = join(folder, 'classes.txt');
    await writeFile(classes, 'background\ngreen\nblue\n');
    const data = ['--data', join(folder, 'data'), '--classes', classes, '--workers', '0', '--log-every', '1'];
    const ended = await run('profile', ...TINY, ...data, ...files, '--by', 'layer');
    expect(ended.err).toContain(`written: ${join(folder, 'trace.json')}`);
    expect(ended.code).toBe(0);
    out = ended.out;
  });

  it('is a table by layer, part and host, with memory', () => {
    expect(out).toMatch(/^layer +calls +ms +% +GFLOP\/s +GB\/s +FLOP\/B$/m);
    for (const part of ['input', 'backbone', 'head', 'clustering', 'loss', 'optimiser'])
      expect(out).toMatch(new RegExp(`^${part} +\\d+ +[\\d.]+ +[\\d.]+$`, 'm'));
    for (const phase of ['upload', 'encode', 'finish', 'submit'])
      expect(out).toMatch(new RegExp(`^${phase} +[\\d.]+ +[\\d.]+$`, 'm'));
    expect(out).toMatch(/^readback +[\d.]+ +-$/m);
    expect(out).toMatch(/^training step: \d+ slots of [\d.]+ MiB, of which [\d.]+ MiB must be alive at once \(.+\)$/m);
    expect(out).toMatch(/^a training step: \d+ kernels in [\d.]+ ms of [\d.]+ ms on the GPU \(medians of 3, /m);
  });

  it('has every kernel in the file, and adds up', async () => {
    const profile = (await json('step.json')) as StepProfile & { settings: { training: { batch: number } } };
    const { kernels, milliseconds, repeats, memory } = profile;
    expect(repeats).toBe(3);
    expect(profile.settings.training.batch).toBe(2);
    const busy = kernels.reduce((sum, kernel) => sum + kernel.milliseconds, 0);
    // Medians do not add up, but nearly.
    expect(busy).toBeLessThan(2 * milliseconds);
    const convolutions = kernels.filter(({ op }) => op.startsWith('conv2d'));
    expect(convolutions.length).toBeGreaterThan(5);
    for (const { flops, bytes, samples, layer, part } of convolutions) {
      expect(flops).toBeGreaterThan(0);
      expect(bytes).toBeGreaterThan(0);
      expect(samples).toHaveLength(3);
      expect(layer).toMatch(/^(backbone|head)\//);
      expect(['backbone', 'head']).toContain(part);
    }
    expect(memory).toHaveLength(1);
    expect(Math.max(...kernels.map(({ alive }) => alive))).toBe(memory[0]!.liveBytes);
    expect(memory[0]!.plannedBytes).toBeGreaterThanOrEqual(memory[0]!.liveBytes);
    for (const by of ['kernel', 'op', 'layer'] as const) {
      const groups = groupKernels(kernels, by);
      expect(groups.reduce((sum, { calls }) => sum + calls, 0)).toBe(kernels.length);
      expect(groups.reduce((sum, group) => sum + group.milliseconds, 0)).toBeCloseTo(busy, 6);
    }
  });

  it('is a trace in which the host submits a step while the one before runs or is read', async () => {
    const { traceEvents } = (await json('trace.json')) as { traceEvents: TraceEvent[] };
    const named = (name: string, ph: TraceEvent['ph']) =>
      traceEvents.filter((event) => event.name === name && event.ph === ph);
    expect(named('process_name', 'M').map(({ pid }) => pid)).toEqual([1, 2]);
    for (const event of traceEvents.filter(({ ph }) => ph !== 'M')) {
      expect(event.ts).toBeGreaterThanOrEqual(0);
      if (event.ph === 'X') expect(event.dur).toBeGreaterThanOrEqual(0);
    }
    const kernels = traceEvents.filter(({ pid, ph }) => pid === 2 && ph === 'X');
    // One track: no two overlap.
    let end = 0;
    for (const { ts, dur } of kernels) {
      expect(ts).toBeGreaterThanOrEqual(end - 0.002);
      end = ts! + dur!;
    }
    expect(kernels.length % 3).toBe(0);
    expect(named('alive', 'C')).toHaveLength(kernels.length + 3);
    const submits = named('submit', 'X');
    expect(submits).toHaveLength(3);
    const reads = named('readback', 'e');
    // Neither images nor figures hold up the next step: it is there before the one before it is done.
    const each = kernels.length / 3;
    const early = [1, 2].filter((step) => {
      const last = kernels[step * each - 1]!;
      return submits[step]!.ts! < last.ts! + last.dur!;
    });
    expect(early.length).toBeGreaterThan(0);
    expect(named('readback', 'b')).toHaveLength(reads.length);
    expect(named('wait for images', 'b')).toHaveLength(3);
    expect(named('upload', 'X')).toHaveLength(3);
  });
});

it('profiles a prediction of noise, without any data', async () => {
  // In a folder that is not there yet.
  const file = join(folder, 'out', 'prediction.json');
  const { out, code } = await run('profile', ...TINY, '--inference', '--eval-batch', '2', '--by', 'op', '--json', file);
  expect(code).toBe(0);
  expect(out).toMatch(/^a prediction: \d+ kernels in /m);
  const { kernels, noise } = (await json('out/prediction.json')) as StepProfile & { noise: boolean };
  expect(noise).toBe(true);
  const ops = new Set(kernels.map(({ op }) => op));
  expect(ops).toContain('conv2d');
  expect([...ops].some((op) => op.includes('Grad'))).toBe(false);
  for (const { samples } of kernels) expect(samples).toHaveLength(3);
});

it.each([
  ['nothing', [], 'name what to profile: --preset'],
  ['two sources of images', ['--preset', 'small', '--data', 'x', '--synthetic'], 'give one of them'],
  ['predictions of a data set', ['--preset', 'small', '--data', 'x', '--inference'], 'leave --data out'],
  ['a list of no images', ['--preset', 'small', '--list', 'x.txt'], 'leave it out, or give --data'],
  ['weights, which change nothing', ['--preset', 'small', '--weights', 'x.pth'], "unknown option '--weights'"],
  ['an unknown grouping', ['--preset', 'small', '--by', 'colour'], 'Allowed choices are kernel, op, layer'],
  ['no steps', ['--preset', 'small', '--steps', '0'], 'It must be an integer of at least 1.'],
])('says so where %s is given', async (_, args, message) => {
  const { code, err } = await run('profile', ...args);
  expect(code).toBe(2);
  expect(err).toContain(message);
});
