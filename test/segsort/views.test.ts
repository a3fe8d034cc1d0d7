/** Windows, scales, mirrored views and softmax, against plain loops. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Network } from '../../src/models/network.js';
import { PrototypeTable } from '../../src/segsort/prototype_table.js';
import {
  type ImageBatch,
  type SegmentedImage,
  Segmenter,
  type SegmenterOptions,
  wholeCanvas,
} from '../../src/segsort/segmenter.js';
import { checkViews, type ViewOptions, windowOrigins } from '../../src/segsort/views.js';
import { avgPool } from '../../src/tensor/ops/pool.js';
import { pad } from '../../src/tensor/ops/slice.js';
import { Random } from '../../src/tensor/random.js';
import type { Runtime } from '../../src/tensor/runtime.js';
import { hostTensor } from '../../src/tensor/types.js';
import { tinyNetwork, tinyRuntime } from '../support/tiny_training.js';
import { unit } from './plain.js';
import {
  blend,
  interpolate,
  mapOf,
  type PlainMap,
  type PlainTable,
  placesInView,
  plainFeatures,
  plainOrigins,
  plainSoftmax,
  plainVotes,
  viewOf,
} from './plain_views.js';

const [HEIGHT, WIDTH, STRIDE, CLASSES] = [22, 29, 2, 4] as const;
const MEAN = [120, 110, 100] as const;
const MAP = [Math.ceil(HEIGHT / STRIDE), Math.ceil(WIDTH / STRIDE)] as const;

/** Means over 4 by 4 pixels, every 2, and a constant: what a window shows near its edges depends on where they lie. */
const network: Network = {
  ...tinyNetwork(4),
  parameters: [],
  normalized: [],
  inputMultiple: 4,
  outputStride: 2,
  featureSize: (height, width) => [height / 2, width / 2],
  forward: (images) =>
    pad(
      avgPool(images, { size: 4, stride: 2, padding: [1, 1, 1, 1], countIncludePad: true }),
      [
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 1],
      ],
      40,
    ),
};

/** Four colours and noise, in the canvas of a batch that is larger than the image. */
const COLOURS = [
  [220, 60, 60],
  [60, 200, 70],
  [50, 70, 210],
  [200, 190, 40],
] as const;
const random = new Random({ seed: 5, stream: 40 });
const pixels = Array.from({ length: HEIGHT * WIDTH }, (_, p) => {
  const [y, x] = [Math.floor(p / WIDTH), p % WIDTH];
  const kind = (y > 9 ? 2 : 0) + (x > 12 + (y % 3) ? 1 : 0);
  return { kind, colour: COLOURS[kind]!.map((value) => value + random.integer(20) - 10) };
});
const image: PlainMap = mapOf(HEIGHT, WIDTH, (y, x) => pixels[y * WIDTH + x]!.colour.map((v, i) => v - MEAN[i]!));

const canvas = new Uint32Array(24 * 32).fill(0xff00ff00);
const ids = new Uint32Array(24 * 32).fill(0xffffffff);
for (const [p, { kind, colour }] of pixels.entries()) {
  const at = Math.floor(p / WIDTH) * 32 + (p % WIDTH);
  canvas[at] = (colour[0]! | (colour[1]! << 8) | (colour[2]! << 16) | (kind << 24)) >>> 0;
  // Two objects of class 3, above each other; class 0 has none.
  if (kind > 0) ids[at] = 0xffff | ((kind === 3 && p > 16 * WIDTH ? 8 : 7) << 16);
}
const batch: ImageBatch = {
  canvas: hostTensor([1, 24, 32], canvas, 'u32'),
  ids: hostTensor([1, 24, 32], ids, 'u32'),
  placement: hostTensor([1, 8], Float32Array.of(HEIGHT, WIDTH, 1, 1, 0, 0, 0, 0)),
  names: ['image'],
};

const plainTable: PlainTable = {
  features: Array.from({ length: 12 }, (_, row) => {
    const colour = COLOURS[row % 4]!.map((value, i) => value - MEAN[i]! + random.integer(60) - 30);
    return unit([...colour, 40]);
  }),
  labels: Array.from({ length: 12 }, (_, row) => (row === 7 ? 0 : row % 4)),
  classes: CLASSES,
  k: 3,
};

const options: SegmenterOptions = {
  canvas: [24, 32],
  cells: [3, 3],
  kmeansIterations: 4,
  neighbours: plainTable.k,
  classes: CLASSES,
  ignore: 255,
  mean: MEAN,
  stride: STRIDE,
  parameters: 'shared',
};
const VIEWS: ViewOptions = { scales: [1, 0.6, 1.4], mirror: true, window: [16, 16], windowStride: [10, 10] };
const whole: ViewOptions = { scales: [1], mirror: false, window: null };

let runtime: Runtime;
beforeAll(async () => {
  runtime = await tinyRuntime();
});

function withTable(changes: Partial<SegmenterOptions>): Segmenter {
  const segmenter = new Segmenter(runtime, network, { ...options, ...changes });
  const table = new PrototypeTable(4);
  for (const [row, feature] of plainTable.features.entries())
    table.push(feature, { label: plainTable.labels[row]!, instance: null, origin: null });
  segmenter.usePrototypes(table);
  return segmenter;
}

/** All views of the image, and where the pixels of its map lie in each. */
function* plainViews({ scales, mirror }: ViewOptions) {
  for (const flipped of mirror ? [false, true] : [false])
    for (const scale of scales) {
      const view = viewOf(image, scale, flipped);
      yield { view, scale, mirror: flipped, places: placesInView(image, view, flipped, STRIDE) };
    }
}

/** Labels must agree wherever the sums of the views decide clearly, which is nearly everywhere. */
function expectLabels(labels: Int32Array, sums: readonly number[][]): void {
  let clear = 0;
  for (const [p, sum] of sums.entries()) {
    const [first, second] = [...sum].sort((a, b) => b - a) as [number, number];
    if (first - second < 1e-3 * first) continue;
    clear++;
    expect(labels[p], `pixel ${p}: ${sum}`).toBe(sum.indexOf(first));
  }
  expect(clear).toBeGreaterThan(0.95 * labels.length);
}

const addTo = (sums: number[][], said: readonly (readonly number[])[]) =>
  said.map((values, p) => values.map((value, i) => value + (sums[p]?.[i] ?? 0)));

describe('windowOrigins', () => {
  it('covers every pixel, keeps to the stride, and stays inside', () => {
    for (const [extent, window, stride] of [
      [500, 480, 320],
      [1024, 480, 320],
      [2049, 480, 480],
      [100, 480, 320],
      [17, 16, 1],
    ] as const) {
      const rows = [...new Set(windowOrigins([extent, 8], [window, 8], [stride, 8]).map(([row]) => row))];
      expect(rows).toEqual(plainOrigins(extent, window, stride));
      expect(rows[0]).toBe(0);
      expect(rows.at(-1)).toBe(Math.max(0, extent - window));
      for (const [i, row] of rows.slice(1).entries()) expect(row - rows[i]!).toBeLessThanOrEqual(stride);
    }
    expect(windowOrigins([30, 40], [20, 20])).toHaveLength(2 * 3);
  });
});

describe('checkViews', () => {
  it.each([
    [{ scales: [0.5, 2] }, 'scales must include 1, whose clusters'],
    [{ scales: [1, -1] }, 'scales must be greater than 0'],
    [{ scales: [1, 1] }, 'scales must differ'],
    [{ windowStride: [8, 17] as const }, 'windows of 16x16 must be 1 to 16x16 pixels from one to the next, got 8x17'],
    [{ window: null }, 'a stride of windows needs windows'],
  ])('refuses %j', (changes, message) => {
    expect(() => checkViews({ ...VIEWS, ...changes })).toThrow(message);
  });
});

describe('retrieval by views', () => {
  it('adds up the votes of every scale and mirrored view, through blended windows', async () => {
    using segmenter = withTable({ views: VIEWS });
    const [found] = await segmenter.predict(batch);
    let sums: number[][] = [];
    for (const { view, scale, mirror, places } of plainViews(VIEWS)) {
      const own = placesInView(view, view, false, STRIDE);
      const data = blend(view, { side: 16, stride: 10 }, unit, own);
      const map = { height: Math.ceil(view.height / STRIDE), width: Math.ceil(view.width / STRIDE), data };
      const { ids: clusters, votes } = plainVotes(map, 3, 4, plainTable);
      const spread = mapOf(map.height, map.width, (y, x) => votes[clusters[y * map.width + x]!]!);
      sums = addTo(
        sums,
        places.map(([y, x]) => interpolate(spread, y / STRIDE, x / STRIDE)),
      );
      if (scale !== 1 || mirror) continue;
      expect(Array.from(found!.segments!.clusters)).toEqual(clusters);
      for (const [p, vector] of data.entries())
        for (const [c, value] of vector.entries()) expect(found!.segments!.embedding[p * 4 + c]).toBeCloseTo(value, 4);
    }
    expect([found!.height, found!.width]).toEqual(MAP);
    expectLabels(found!.labels, sums);
    expect(new Set(found!.labels).size).toBe(CLASSES);
  });

  it('of one view that is seen whole is what is segmented without views', async () => {
    using plain = withTable({});
    using viewed = withTable({ views: whole });
    const [expected] = await plain.predict(batch);
    const [found] = await viewed.predict(batch);
    expect(found!.labels).toEqual(expected!.labels);
    expect(found!.truth).toEqual(expected!.truth);
    for (const name of ['clusters', 'oracle'] as const)
      expect(found!.segments![name]).toEqual(expected!.segments![name]);
    expect(found!.segments!.neighbours.map(({ rows }) => rows)).toEqual(
      expected!.segments!.neighbours.map(({ rows }) => rows),
    );
  });

  it('is that of an image seen whole at strides that do not divide the input, too', async () => {
    const stride = 3;
    const canvas = wholeCanvas(network, stride, [HEIGHT, WIDTH]);
    expect(canvas).toEqual([24, 36]);
    expect(() => withTable({ stride })).toThrow('a canvas of 24x32 does not divide into a map');
    using plain = withTable({ stride, canvas });
    using viewed = withTable({ stride, views: whole });
    const [[expected], [found]] = await Promise.all([plain.predict(batch), viewed.predict(batch)]);
    expect(expected!.labels).toEqual(found!.labels);
    const kinds = Array.from({ length: 8 * 10 }, (_, p) => pixels[3 * Math.floor(p / 10) * WIDTH + 3 * (p % 10)]!.kind);
    for (const { truth } of [expected!, found!]) expect(Array.from(truth)).toEqual(kinds);
  });

  it('takes calls at the same time one after the other', async () => {
    using segmenter = withTable({ views: whole });
    // The colours of the image inverted.
    const other = canvas.map((word) => (word ^ 0xffffff) >>> 0);
    const batches = [batch, { ...batch, canvas: hostTensor([1, 24, 32], other, 'u32') }];
    const labelsOf = (found: SegmentedImage[]) => found[0]!.labels;
    const expected: Int32Array[] = [];
    for (const each of batches) expected.push(labelsOf(await segmenter.predict(each)));
    expect(expected[0]).not.toEqual(expected[1]);
    const together = await Promise.all(batches.map((each) => segmenter.predict(each)));
    expect(together.map(labelsOf)).toEqual(expected);
  });

  it('searches prototypes of its classes alone', async () => {
    using segmenter = withTable({});
    const table = new PrototypeTable(4);
    for (const label of [0, 3, 4]) table.push([1, 0, 0, 0], { label, instance: null, origin: null });
    expect(() => segmenter.usePrototypes(table)).toThrow('a prototype has the label 4, there are 4 classes');
  });

  it('extracts prototypes through windows, whole images or not, of classes or of single objects', async () => {
    const tables: PrototypeTable[] = [];
    for (const [views, panoptic] of [
      [undefined, false],
      [whole, false],
      [VIEWS, false],
      [VIEWS, true],
    ] as const) {
      using segmenter = new Segmenter(runtime, network, { ...options, ...(views ? { views } : {}) });
      const table = new PrototypeTable(4);
      await segmenter.extract(batch, table, { panoptic });
      tables.push(table);
    }
    const [plain, seenWhole, windowed, objects] = tables as [
      PrototypeTable,
      PrototypeTable,
      PrototypeTable,
      PrototypeTable,
    ];
    const entries = (table: PrototypeTable) => Array.from({ length: table.size }, (_, row) => table.entry(row));
    expect(entries(seenWhole)).toEqual(entries(plain));
    for (const [i, value] of plain.features.entries()) expect(seenWhole.features[i]).toBeCloseTo(value, 5);
    expect(new Set(windowed.labels)).toEqual(new Set([0, 1, 2, 3]));
    expect(windowed.instances).toBeNull();
    expect(new Set(entries(objects).map(({ label, instance }) => `${label} ${instance}`))).toEqual(
      new Set(['0 -1', '1 7', '2 7', '3 7', '3 8']),
    );
    // The last column of the map stands for two pixels, of which the image has one.
    const boxes = [plain, windowed].map((table) => entries(table).map(({ origin }) => origin!.box));
    for (const each of boxes) expect(Math.max(...each.map(({ right }) => right))).toBe(WIDTH);
    for (const { label, instance, origin } of entries(objects))
      if (label === 3) expect(origin!.box.top >= 16).toBe(instance === 8);
  });

  it('refuses batches without instances where objects are asked for, and images over the canvas', async () => {
    using segmenter = withTable({ views: VIEWS, canvas: [20, 32] });
    await expect(segmenter.extract({ ...batch, ids: null }, new PrototypeTable(4), { panoptic: true })).rejects.toThrow(
      'panoptic prototypes need instances',
    );
    await expect(segmenter.predict(batch)).rejects.toThrow('image: 22x29 (height x width) is over the canvas of 20x32');
  });
});

describe('softmax', () => {
  const classify = { classifier: 'softmax' } as const;

  it('averages the probabilities of all windows, scales and mirrored views', async () => {
    using segmenter = new Segmenter(runtime, network, { ...options, ...classify, views: VIEWS });
    const [found] = await segmenter.predict(batch);
    let sums: number[][] = [];
    for (const { view, places } of plainViews(VIEWS))
      sums = addTo(sums, blend(view, { side: 16, stride: 10 }, plainSoftmax, places));
    expectLabels(found!.labels, sums);
    expect(found!.segments).toBeNull();
  });

  it('takes the largest logit of an image that is seen whole', async () => {
    using plain = new Segmenter(runtime, network, { ...options, ...classify });
    using viewed = new Segmenter(runtime, network, { ...options, ...classify, views: whole });
    const [expected] = await plain.predict(batch);
    const [found] = await viewed.predict(batch);
    expect(found!.labels).toEqual(expected!.labels);
    const padded = mapOf(24, 32, (y, x) => (y < HEIGHT && x < WIDTH ? image.data[y * WIDTH + x]! : [0, 0, 0]));
    const logits = plainFeatures(padded);
    const at = (p: number) => interpolate(logits, Math.floor(p / MAP[1]), p % MAP[1]);
    expectLabels(
      expected!.labels,
      Array.from({ length: MAP[0] * MAP[1] }, (_, p) => plainSoftmax(at(p))),
    );
  });

  it('needs logits, and nothing to retrieve', () => {
    expect(() => new Segmenter(runtime, network, { ...options, ...classify, classes: 5 })).toThrow(
      'the network has 4 outputs, 5 classes',
    );
    expect(() => withTable(classify)).toThrow('there is nothing to retrieve');
  });
});
