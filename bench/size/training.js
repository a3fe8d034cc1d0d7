/** What the pages that train have in common: ResNet with PSP head, learning to segment by SegSort. */
import {
  assembleNetwork,
  openGpu,
  pspHead,
  Runtime,
  resNet,
  resnet101,
  segsortObjective,
  Trainer,
} from 'segsort-webgpu';

/*
 * ResNet-101 and batches of 8 crops of 336x336; or, with `?small`, of all that the least there is, for a check that takes
 * seconds. `?kernels={"conv2d":"naive"}` chooses kernels.
 */
const query = new URLSearchParams(location.search);
const small = query.has('small');

const SMALL = {
  ...resnet101(4),
  stem: { filters: 4, kernel: 3, stride: 2, pool: true },
  blocks: [{ units: 1, filters: 4, stride: 1 }],
};
const HEAD = small ? { bins: [1, 2], filters: 4 } : undefined;

export const batch = small ? 2 : 8;
export const side = small ? 24 : 336;
export const steps = Number(query.get('steps') ?? 30000);
const classes = 21;

export async function openTrainer() {
  const gpu = await openGpu();
  const runtime = new Runtime(gpu, { kernels: JSON.parse(query.get('kernels') ?? '{}') });
  const network = assembleNetwork(
    { outputs: small ? 8 : 32 },
    { backbone: resNet(small ? SMALL : resnet101(8)), head: pspHead(HEAD) },
  );
  const objective = segsortObjective({
    classes,
    ignore: 255,
    concentration: 10,
    numerator: 'nca',
    cells: [5, 5],
    kmeansIterations: 10,
    banks: 2,
    capacity: 200,
  });
  return new Trainer(runtime, network, objective, {
    batch,
    crop: [side, side],
    steps,
    learningRate: 2e-3,
    warmup: 0,
    power: 0.9,
    momentum: 0.9,
    weightDecay: 5e-4,
    headRateFactor: 10,
    mean: [122.675, 116.669, 104.008],
    seed: 1,
  });
}

/** Trains on what `batchOf` gives for a step, then saves a checkpoint and goes back to it. */
export async function train(trainer, batchOf) {
  const losses = [];
  for (let step = 0; step < steps; step++) {
    const submitted = await trainer.step(await batchOf(step), step);
    losses.push((await submitted.read()).loss);
  }
  const checkpoint = await trainer.checkpoint(steps);
  globalThis.trained = { losses, bytes: checkpoint.length, restored: trainer.restore(checkpoint, 'checkpoint') };
}
