/**
 * Fits the weights of the contour detector (src/contours/weights.ts) to the human segmentations of BSDS500's training images:
 *
 *   node scripts/run_bench.mjs train_contours [../shared/data/bsds500] [train.txt] [every nth image: 1]
 *
 * Samples are pixels on the ridges of the detector with the weights as they are, so a second run starts from better ones. The
 * target is the share of humans who drew a boundary within three pixels. First the local cues, then how far to
 * trust them and the spectral gradient are fitted by logistic regression. Whether regions gain from a larger weight of the
 * spectral gradient than explains pixels best, and how shallow basins may be, is tried on the benchmark itself, on a part
 * of the images.
 */
import { type Cue, LocalCues } from '../src/contours/cues.js';
import { globalGradients, joinCues, saturated } from '../src/contours/detector.js';
import { gridOfRegions, pixelStrengths } from '../src/contours/grid.js';
import { regionHierarchy } from '../src/contours/oversegmentation.js';
import { ridges, strongestOrientation } from '../src/contours/thinning.js';
import { WEIGHTS, type Weights } from '../src/contours/weights.js';
import { BoundaryBenchmark, boundaryCounts, evenThresholds } from '../src/evaluation/boundaries.js';
import { RegionBenchmark, regionAgreements } from '../src/evaluation/boundaries_regions.js';
import { thin } from '../src/evaluation/boundaries_thinning.js';
import { openBsds } from './bsds.js';

const NEAR = 3;
const SAMPLE_EVERY = 3;
/** Images whose planes are kept for the search. */
const SEARCHED = 16;

const [folder = '../shared/data/bsds500', list = 'train.txt', every = '1'] = process.argv.slice(2);
const images = (await openBsds(folder, list)).filter((_, i) => i % Number(every) === 0);
const cues: Cue[] = WEIGHTS.local.cues.map(({ weight: _, ...cue }) => cue);

/** Log-odds of a linear model of the features, by Newton's method; the first weight is the bias. */
function logistic(features: readonly number[][], targets: readonly number[]): number[] {
  const size = features[0]!.length + 1;
  let weights = new Array<number>(size).fill(0);
  for (let step = 0; step < 12; step++) {
    const gradient = new Array<number>(size).fill(0);
    const hessian = Array.from({ length: size }, (_, i) => {
      const row = new Array<number>(size).fill(0);
      row[i] = 1e-6 * features.length;
      return row;
    });
    for (const [n, row] of features.entries()) {
      const x = [1, ...row];
      const p = 1 / (1 + Math.exp(-x.reduce((sum, value, i) => sum + value * weights[i]!, 0)));
      for (let i = 0; i < size; i++) {
        gradient[i]! += (targets[n]! - p) * x[i]!;
        for (let j = 0; j < size; j++) hessian[i]![j]! += p * (1 - p) * x[i]! * x[j]!;
      }
    }
    const change = solve(hessian, gradient);
    weights = weights.map((weight, i) => weight + change[i]!);
  }
  return weights;
}

/** Gaussian elimination; the matrix is positive definite. */
function solve(matrix: number[][], right: number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  for (let i = 0; i < rows.length; i++)
    for (let j = 0; j < rows.length; j++) {
      if (j === i) continue;
      const factor = rows[j]![i]! / rows[i]![i]!;
      rows[j] = rows[j]!.map((value, k) => value - factor * rows[i]![k]!);
    }
  return rows.map((row, i) => row[rows.length]! / row[i]!);
}

/** The share of humans with a boundary within `NEAR` pixels, for every pixel. */
function targetsOf(width: number, height: number, humans: readonly Uint8Array[]): Float32Array {
  const share = new Float32Array(width * height);
  for (const human of humans) {
    const boundary = thin(Uint8Array.from(pixelStrengths(gridOfRegions(width, height, human))), width, height);
    const near = new Uint8Array(share.length);
    for (const [pixel, marked] of boundary.entries()) {
      if (!marked) continue;
      const [y, x] = [Math.floor(pixel / width), pixel % width];
      for (let dy = -NEAR; dy <= NEAR; dy++)
        for (let dx = -NEAR; dx <= NEAR; dx++)
          if (dy * dy + dx * dx <= NEAR * NEAR && y + dy >= 0 && y + dy < height && x + dx >= 0 && x + dx < width)
            near[pixel + dy * width + dx] = 1;
    }
    for (const [pixel, marked] of near.entries()) share[pixel]! += marked / humans.length;
  }
  return share;
}

function weightedSum(responses: readonly Float32Array[][], weights: readonly number[]): Float32Array[] {
  return responses[0]!.map((first, k) => {
    const sum = first.map((value) => weights[0]! * value);
    for (let i = 1; i < responses.length; i++) {
      const plane = responses[i]![k]!;
      for (let pixel = 0; pixel < sum.length; pixel++) sum[pixel]! += weights[i]! * plane[pixel]!;
    }
    return sum;
  });
}

const features: number[][] = [];
const spectral: number[] = [];
const targets: number[] = [];
/** Planes of each cue and of the spectral gradient, one a pixel and orientation, of some images. */
const kept: {
  responses: Float32Array[][];
  gradients: Float32Array[];
  width: number;
  height: number;
  humans: Uint8Array[];
}[] = [];
const keepEvery = Math.max(1, Math.floor(images.length / SEARCHED));
for (const [index, entry] of images.entries()) {
  const image = await entry.image();
  const { width, height } = image;
  const local = new LocalCues(image);
  const responses = cues.map((cue) => local.response(cue));
  const sum = weightedSum(
    responses,
    WEIGHTS.local.cues.map(({ weight }) => weight),
  );
  const gradients = globalGradients(sum, local.sizes, WEIGHTS.local.bias);
  const strongest = strongestOrientation(sum);
  const ridge = ridges(strongest, width, height);
  const humans = await entry.humans();
  const share = targetsOf(width, height, humans);
  let count = 0;
  for (let pixel = 0; pixel < ridge.length; pixel++) {
    if (!ridge[pixel] || ++count % SAMPLE_EVERY > 0) continue;
    const k = strongest.orientation[pixel]!;
    features.push(responses.map((planes) => planes[k]![pixel]!));
    spectral.push(saturated(gradients[k]![pixel]!));
    targets.push(share[pixel]!);
  }
  if (index % keepEvery === 0 && kept.length < SEARCHED) kept.push({ responses, gradients, width, height, humans });
  console.log(`${index + 1}/${images.length} ${entry.id}`);
}

const [localBias, ...local] = logistic(features, targets);
const sums = features.map((row) => row.reduce((total, value, i) => total + value * local[i]!, localBias!));
const fitted = logistic(
  sums.map((sum, i) => [sum, spectral[i]!]),
  targets,
);
const round = (value: number) => Number(value.toFixed(3));
const locally = {
  bias: round(localBias!),
  cues: cues.map((cue, i) => ({ ...cue, weight: round(local[i]!) })),
};
console.log(`${targets.length} samples; logistic regression:`, fitted.map(round));

const thresholds = evenThresholds(24);
for (const factor of [1, 1.5, 2]) {
  const weight = fitted[2]! * factor;
  // The bias that keeps the mean of the predictions.
  const offsets = sums.map((sum, i) => fitted[1]! * sum + weight * spectral[i]!);
  const bias = biasFor(offsets);
  const weights: Weights = {
    local: locally,
    global: { bias: round(bias), local: round(fitted[1]!), spectral: round(weight) },
  };
  for (const shallow of [0.2, 0.3, 0.4]) {
    const boundaries = new BoundaryBenchmark(thresholds);
    const regions = new RegionBenchmark(thresholds);
    for (const { responses, gradients, width, height, humans } of kept) {
      const sum = weightedSum(responses, local);
      const planes = joinCues(sum, gradients, weights);
      const grid = regionHierarchy({ width, height, planes }, shallow).grid();
      boundaries.add(boundaryCounts(grid, humans, thresholds));
      regions.add(regionAgreements(grid, humans, thresholds));
    }
    const { ods, ois } = boundaries.score();
    const { covering } = regions.score();
    const shown = [ods.f, ois.f, covering.ods, covering.ois].map((value) => value.toFixed(3));
    console.log(`shallow ${shallow}: F ${shown.slice(0, 2).join(' ')}, covering ${shown.slice(2).join(' ')} with`);
    if (shallow === 0.3) console.log(JSON.stringify(weights));
  }
}

/** By bisection. */
function biasFor(offsets: readonly number[]): number {
  const wanted = targets.reduce((a, b) => a + b, 0);
  let [low, high] = [-20, 20];
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    const predicted = offsets.reduce((sum, offset) => sum + 1 / (1 + Math.exp(-(middle + offset))), 0);
    if (predicted < wanted) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
