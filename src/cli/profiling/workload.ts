/** What is profiled: a few training steps, or a few predictions, recorded as they would run. */
import { IGNORE_LABEL } from '../../data/image.js';
import { Segmenter, wholeCanvas } from '../../segsort/segmenter.js';
import { type SubmittedStep, Trainer, type TrainingBatch } from '../../segsort/trainer.js';
import { type Recording, record } from '../../tensor/recorder.js';
import type { RunConfig } from '../config/config.js';
import { networkOf, objectiveOf } from '../config/objective.js';
import type { Stage } from '../config/stages.js';
import { retrieves } from '../segmenting/segmentation.js';
import type { Session } from '../session.js';
import { setUpTraining, trainerOptions } from '../training/setup.js';
import { noiseBatch, noisePrototypes } from './noise.js';

export interface Profiled {
  readonly recording: Recording;
  /** How many times the same was done. */
  readonly repeats: number;
  /** Bytes of what outlives a step: parameters, statistics, momenta, banks. */
  readonly residentBytes: number;
}

interface Source extends AsyncDisposable {
  readonly trainer: Trainer;
  batches(step: number): Promise<readonly TrainingBatch[]>;
}

function noiseSource({ runtime }: Session, config: RunConfig): Source {
  const trainer = new Trainer(runtime, networkOf(config), objectiveOf(config), trainerOptions(config));
  const batches = new Array<TrainingBatch>(config.training.accumulate).fill(noiseBatch(config));
  return {
    trainer,
    batches: () => Promise.resolve(batches),
    async [Symbol.asyncDispose]() {
      trainer[Symbol.dispose]();
    },
  };
}

/** Training steps of a stage, one after the other without a wait between, on its images or on noise. */
export async function profileTraining(
  session: Session,
  stage: Stage,
  { noise, repeats }: { readonly noise: boolean; readonly repeats: number },
): Promise<Profiled> {
  const { config } = stage;
  await using source = noise ? noiseSource(session, config) : await setUpTraining(session, stage);
  const { trainer } = source;
  // The first step also waits for shaders and memory.
  await (await trainer.step(await source.batches(0), 0)).read();
  const recording = await record(session.runtime, async (recorder) => {
    let reading: Promise<unknown> | null = null;
    for (let step = 1; step <= repeats; step++) {
      const batches = await recorder.waits('wait for images', source.batches(step));
      const submitted: SubmittedStep = await trainer.step(batches, step);
      // As in training: figures are read while the next step runs.
      await reading;
      reading = step % config.run.logEvery === 0 || step === repeats ? submitted.read() : null;
      reading?.catch(() => {});
    }
    await reading;
  });
  return { recording, repeats, residentBytes: trainer.residents.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Predictions for a batch of noise, with the network's running statistics, by retrieval where an embedding is learnt. */
export async function profileInference(session: Session, config: RunConfig, repeats: number): Promise<Profiled> {
  const { segments, retrieval, training, data } = config;
  const network = networkOf(config);
  using segmenter = new Segmenter(session.runtime, network, {
    canvas: wholeCanvas(network, retrieval.stride, training.crop),
    cells: segments.cells,
    kmeansIterations: segments.kmeansIterations,
    neighbours: retrieval.neighbours,
    stride: retrieval.stride,
    classes: data.classes.length,
    ignore: IGNORE_LABEL,
    mean: data.mean,
    classifier: retrieves(config) ? 'retrieval' : 'softmax',
    seed: training.seed,
  });
  if (retrieves(config)) segmenter.usePrototypes(noisePrototypes(config));
  const batch = noiseBatch(config, retrieval.batch);
  await segmenter.predict(batch);
  const recording = await record(session.runtime, async () => {
    for (let i = 0; i < repeats; i++) await segmenter.predict(batch);
  });
  return { recording, repeats, residentBytes: network.parameters.reduce((sum, { bytes }) => sum + bytes, 0) };
}
