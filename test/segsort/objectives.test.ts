/** Every objective on a network of two convolutions: it learns, and goes on from a checkpoint to the same bits. */
import { describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../src/checkpoints/safetensors.js';
import { affinityObjective } from '../../src/segsort/objectives/affinity.js';
import type { Objective } from '../../src/segsort/objectives/objective.js';
import { segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { softmaxObjective } from '../../src/segsort/objectives/softmax.js';
import { unsupervisedObjective } from '../../src/segsort/objectives/unsupervised.js';
import { type PartTime, profileStep, timesByPart } from '../../src/segsort/step_parts.js';
import type { Trainer, TrainingMetrics } from '../../src/segsort/trainer.js';
import { tinyBatch, tinyTrainer } from '../support/tiny_training.js';

const labels = { classes: 3, ignore: 255 };
const segsort = { ...labels, cells: [2, 2], kmeansIterations: 2, concentration: 10, capacity: 12 } as const;
const affinity = { ...labels, margin: 3, edgeWeight: 1, notEdgeWeight: 1 };

interface Case {
  readonly objective: Objective;
  readonly outputs: number;
  /** What is kept between steps beside parameters and momenta. */
  readonly state: readonly string[];
  readonly reports: readonly string[];
}

const CASES: Record<string, Case> = {
  segsort: {
    objective: segsortObjective({ ...segsort, numerator: 'nca', banks: 1 }),
    outputs: 8,
    state: ['segsort/bank_0/prototypes', 'segsort/bank_0/labels'],
    reports: ['segments'],
  },
  'segsort of own segments': {
    objective: segsortObjective({ ...segsort, numerator: 'self', banks: 0 }),
    outputs: 8,
    state: [],
    reports: ['segments'],
  },
  'segsort-unsupervised': {
    objective: unsupervisedObjective({ concentration: 10, capacity: 6 }),
    outputs: 8,
    state: [],
    reports: ['segments'],
  },
  softmax: { objective: softmaxObjective(labels), outputs: 3, state: [], reports: ['accuracy'] },
  affinity: {
    objective: affinityObjective({ ...affinity, adaptive: false }),
    outputs: 3,
    state: [],
    reports: ['accuracy', 'crossEntropy', 'affinity'],
  },
  'adaptive-affinity': {
    objective: affinityObjective({ ...affinity, adaptive: true }),
    outputs: 3,
    state: ['affinity/edge_weights', 'affinity/not_edge_weights'],
    reports: ['accuracy', 'crossEntropy', 'affinity'],
  },
};

const STEPS = 11;
const HALF = 7;

const tensorsOf = (bytes: Uint8Array<ArrayBuffer>) => parseSafetensors(bytes, 'checkpoint').tensors;
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

async function train(trainer: Trainer, from: number, to: number): Promise<TrainingMetrics[]> {
  const metrics: TrainingMetrics[] = [];
  for (let step = from; step < to; step++) metrics.push(await (await trainer.step(tinyBatch(step), step)).read());
  return metrics;
}

function checkMetrics(metrics: TrainingMetrics, reports: readonly string[]): void {
  expect(Object.keys(metrics).sort()).toEqual(['learningRate', 'loss', 'validPixels', ...reports].sort());
  // The first row and column of a scene are ignored: of 8 x 8 outputs, 7 x 7 count.
  expect(metrics.validPixels).toBe(2 * 7 * 7);
  const { loss, accuracy, crossEntropy, affinity, segments } = metrics;
  if (affinity !== undefined) expect(loss).toBeCloseTo(crossEntropy! + affinity, 5);
  if (segments !== undefined) expect(segments).toBeGreaterThanOrEqual(4);
  if (accuracy !== undefined) expect(Math.abs(accuracy * 98 - Math.round(accuracy * 98))).toBeLessThan(1e-3);
}

describe.for(Object.entries(CASES))('%s', ([, { objective, outputs, state, reports }]) => {
  it('learns, and resumes bit for bit', async () => {
    using trainer = await tinyTrainer(objective, outputs);
    const metrics = await train(trainer, 0, HALF);
    const half = await trainer.checkpoint(HALF);
    metrics.push(...(await train(trainer, HALF, STEPS)));
    checkMetrics(metrics[0]!, reports);
    const losses = metrics.map(({ loss }) => loss);
    expect(mean(losses.slice(-4))).toBeLessThan(0.8 * mean(losses.slice(0, 3)));
    const whole = await trainer.checkpoint(STEPS);
    for (const name of state) expect([...tensorsOf(whole).keys()]).toContain(name);

    using resumed = await tinyTrainer(objective, outputs);
    expect(resumed.restore(half, 'half.safetensors')).toBe(HALF);
    await train(resumed, HALF, STEPS);
    expect(tensorsOf(await resumed.checkpoint(STEPS))).toEqual(tensorsOf(whole));
  });
});

describe('the adaptive weights', () => {
  it('move to where the loss is larger', async () => {
    const { objective, outputs } = CASES['adaptive-affinity']!;
    using trainer = await tinyTrainer(objective, outputs, { learningRate: 1 });
    const step = async () => (await trainer.step(tinyBatch(0), 0)).read();
    const initial = await Promise.all(trainer.residents.map((resident) => trainer.runtime.read(resident)));
    const before = await step();
    for (const [i, resident] of trainer.residents.entries()) {
      const value = resident.name.startsWith('affinity/') ? await trainer.runtime.read(resident) : initial[i]!;
      if (resident.name === 'affinity/edge_weights') expect(Math.max(...value.data)).toBeGreaterThan(1e-3);
      trainer.runtime.write(resident, value);
    }
    const after = await step();
    expect(after.crossEntropy).toBe(before.crossEntropy);
    expect(after.affinity).toBeGreaterThan(before.affinity! + 1e-4);
  });
});

describe('an objective', () => {
  it('refuses a network with other outputs than classes', async () => {
    for (const name of ['softmax', 'affinity', 'adaptive-affinity'])
      await expect(tinyTrainer(CASES[name]!.objective, 8)).rejects.toThrow(
        'the network has 8 outputs, and there are 3 classes',
      );
  });

  it('says when a label is no class', async () => {
    for (const name of ['softmax', 'affinity', 'segsort']) {
      using trainer = await tinyTrainer(CASES[name]!.objective, CASES[name]!.outputs);
      const step = await trainer.step(tinyBatch(0, { relabel: (label) => (label === 0 ? 0 : 7) }), 0);
      await expect(step.read()).rejects.toThrow('has the label 7, which is neither a class nor the ignored label');
    }
  });

  it('says when a batch has no regions, or too many', async () => {
    const { outputs } = CASES['segsort-unsupervised']!;
    using trainer = await tinyTrainer(unsupervisedObjective({ concentration: 10, capacity: 1 }), outputs);
    await expect(trainer.step({ ...tinyBatch(0), ids: null }, 0)).rejects.toThrow('the batch has no regions');
    await expect((await trainer.step(tinyBatch(0), 0)).read()).rejects.toThrow(
      /more regions than capacity: .* has 2 in its crop, the capacity is 1/,
    );
  });

  it('is not resumed as another', async () => {
    using affine = await tinyTrainer(CASES.affinity!.objective, 3);
    using softmax = await tinyTrainer(CASES.softmax!.objective, 3);
    const bytes = await affine.checkpoint(0);
    expect(() => softmax.restore(bytes, 'a.safetensors')).toThrow(
      'a.safetensors was trained for the objective affinity, this run has softmax',
    );
  });
});

describe('the parts of a step', () => {
  it('have all its time', async () => {
    using trainer = await tinyTrainer(CASES.segsort!.objective, 8);
    const times = await profileStep(trainer, tinyBatch(0));
    const parts = timesByPart(times);
    expect(parts.map(({ part }) => part)).toEqual(
      expect.arrayContaining(['input', 'backbone', 'head', 'clustering', 'loss', 'optimiser']),
    );
    const total = (pick: (time: PartTime) => number) => parts.reduce((sum, time) => sum + pick(time), 0);
    expect(total(({ share }) => share)).toBeCloseTo(1, 9);
    expect(total(({ kernels }) => kernels)).toBe(times.length);
    expect(parts.map(({ part }) => part)).not.toContain('other');
  });
});
