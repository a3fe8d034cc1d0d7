/** Prototypes and retrieval against brute force, and the table that keeps them. */
import { describe, expect, it } from 'vitest';
import { PrototypeTable, segmentExtents } from '../../src/segsort/prototype_table.js';
import { extractPrototypes, oracleLabels } from '../../src/segsort/prototypes.js';
import { nearestPrototypes, predictLabels, segmentImages } from '../../src/segsort/retrieval.js';
import { constant } from '../../src/tensor/graph.js';
import { sampleIntegers, sampleValues } from '../../src/tensor/ops/sample_values.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { traceStep } from '../../src/tensor/trace.js';
import { testGpu } from '../support/gpu.js';
import { dot, plainGrid, plainKMeans, unit, vectors } from './plain.js';

const runtime = async () => new Runtime(await testGpu());

const [images, height, width, channels] = [2, 8, 6, 4] as const;
const pixels = height * width;
const embedding = sampleValues([images, height, width, channels], 1);
const table = sampleValues([13, channels], 2);
const tableUnits = vectors(table).map(unit);
const tableLabels = Array.from(sampleIntegers([13], 0, 4, 3).data);
const clustering = { cells: [2, 2], iterations: 5 } as const;
const embeddingUnits = (n: number) =>
  vectors(embedding)
    .slice(n * pixels, (n + 1) * pixels)
    .map(unit);

function plainClusters(n: number, valid: (p: number) => boolean = () => true): number[] {
  const features = embeddingUnits(n).map((v, p) => unit([...v, Math.floor(p / width) / height, (p % width) / width]));
  const initial = plainGrid(height, width, clustering.cells).map((id, p) => (valid(p) ? id : -1));
  return plainKMeans(features, initial, 4, clustering.iterations).ids;
}

const direction = (members: number[][]) => unit(members.reduce((a, b) => a.map((value, i) => value + b[i]!)));

/** Rows by falling dot product, and the commonest label of the first k, the lower of equals. */
function plainVote(query: number[], k: number): { rows: number[]; label: number } {
  const similarities = tableUnits.map((v) => dot(query, v));
  const rows = [...similarities.keys()].sort((a, b) => similarities[b]! - similarities[a]! || a - b).slice(0, k);
  const counts = [0, 0, 0, 0];
  for (const row of rows) counts[tableLabels[row]!]!++;
  return { rows, label: counts.indexOf(Math.max(...counts)) };
}

describe('nearestPrototypes', () => {
  it('agrees with brute force', async () => {
    const queries = sampleValues([7, channels], 5);
    const { similarities, indices } = await (await runtime()).evaluate(() => ({
      ...nearestPrototypes(constant([7, channels], queries.data), constant([13, channels], tableUnits.flat()), 5),
    }));
    for (const [q, query] of vectors(queries).entries()) {
      const { rows } = plainVote(query, 5);
      expect(Array.from(indices.data.subarray(q * 5, q * 5 + 5))).toEqual(rows);
      for (const [j, row] of rows.entries())
        expect(similarities.data[q * 5 + j]).toBeCloseTo(dot(query, tableUnits[row]!), 5);
    }
  });

  it('refuses more neighbours than there are prototypes', () => {
    const trace = () =>
      traceStep(() => nearestPrototypes(constant([1, 2], [1, 0]), constant([3, 2], [1, 0, 0, 1, 1, 1]), 4).indices, []);
    expect(trace).toThrow('nearestPrototypes: k = 4, but the table [3,2] has only 3 prototypes');
  });
});

describe('predictLabels', () => {
  it('gives every pixel the vote of the nearest prototypes of its cluster', async () => {
    const prediction = await (await runtime()).evaluate(() => ({
      ...predictLabels(
        {
          embedding: constant(embedding.shape, embedding.data),
          table: constant([13, channels], tableUnits.flat()),
          tableLabels: constant([13], tableLabels, 'i32'),
        },
        { ...clustering, k: 3 },
      ),
    }));
    expect(prediction.labels.shape).toEqual([images, height, width]);
    expect(prediction.neighbours.shape).toEqual([images, 4, 3]);
    for (let n = 0; n < images; n++) {
      const ids = plainClusters(n);
      expect(Array.from(prediction.clusters.data.subarray(n * pixels, (n + 1) * pixels))).toEqual(ids);
      for (const k of new Set(ids)) {
        const members = embeddingUnits(n).filter((_, p) => ids[p] === k);
        const { rows, label } = plainVote(direction(members), 3);
        expect(Array.from(prediction.neighbours.data.subarray((n * 4 + k) * 3, (n * 4 + k) * 3 + 3))).toEqual(rows);
        for (const [p, id] of ids.entries()) if (id === k) expect(prediction.labels.data[n * pixels + p]).toBe(label);
      }
    }
  });

  it('answers -1 in the padding', async () => {
    const { labels } = await (await runtime()).evaluate(() => ({
      labels: predictLabels(
        {
          embedding: constant(embedding.shape, embedding.data),
          sizes: constant([2, 2], [5, 6, 0, 0]),
          table: constant([13, channels], tableUnits.flat()),
          tableLabels: constant([13], tableLabels, 'i32'),
        },
        { ...clustering, k: 1 },
      ).labels,
    }));
    for (const [p, label] of labels.data.entries()) expect(label >= 0).toBe(p < 5 * width);
  });
});

describe('segmentImages', () => {
  it('gives the mean direction of each cluster, and zeros for an empty one', async () => {
    const { clusters, prototypes } = await (await runtime()).evaluate(() => ({
      ...segmentImages(
        { embedding: constant(embedding.shape, embedding.data), sizes: constant([2, 2], [8, 6, 1, 1]) },
        clustering,
      ),
    }));
    expect(Array.from(clusters.data.subarray(pixels)).filter((id) => id >= 0)).toEqual([0]);
    const rows = vectors({ shape: prototypes.shape, dtype: 'f32', data: Float64Array.from(prototypes.data) });
    for (let k = 0; k < 4; k++) {
      const members = embeddingUnits(0).filter((_, p) => clusters.data[p] === k);
      const expected = direction(members);
      for (let c = 0; c < channels; c++) expect(rows[k]![c]).toBeCloseTo(expected[c]!, 5);
      if (k > 0) expect(rows[4 + k]).toEqual([0, 0, 0, 0]);
    }
  });
});

describe('extractPrototypes', () => {
  const labels = sampleIntegers([images, height, width], 0, 4, 6).data.map((label, p) =>
    p % 11 === 0 ? 255 : label % 3,
  );

  it('takes the majority label of a cluster, and the mean direction of the pixels that have it', async () => {
    const result = await (await runtime()).evaluate(() => ({
      ...extractPrototypes(
        {
          embedding: constant(embedding.shape, embedding.data),
          labels: constant([images, height, width], labels, 'i32'),
        },
        { ...clustering, classes: 3, ignore: 255 },
      ),
    }));
    for (let n = 0; n < images; n++) {
      const label = (p: number) => labels[n * pixels + p]!;
      const ids = plainClusters(n, (p) => label(p) !== 255);
      for (let k = 0; k < 4; k++) {
        const members = [...ids.keys()].filter((p) => ids[p] === k);
        const counts = [0, 1, 2].map((c) => members.filter((p) => label(p) === c).length);
        const majority = counts.indexOf(Math.max(...counts));
        const chosen = members.filter((p) => label(p) === majority);
        expect(result.labels.data[n * 4 + k]).toBe(majority);
        for (let p = 0; p < pixels; p++)
          if (ids[p] === k) expect(result.members.data[n * pixels + p]).toBe(chosen.includes(p) ? k : -1);
        const expected = direction(chosen.map((p) => embeddingUnits(n)[p]!));
        for (let c = 0; c < channels; c++)
          expect(result.prototypes.data[(n * 4 + k) * channels + c]).toBeCloseTo(expected[c]!, 5);
      }
    }
  });

  it('has no prototypes for an image that is ignored altogether', async () => {
    const result = await (await runtime()).evaluate(() => ({
      ...extractPrototypes(
        {
          embedding: constant(embedding.shape, embedding.data),
          labels: constant([images, height, width], new Float32Array(images * pixels).fill(255), 'i32'),
        },
        { ...clustering, classes: 3, ignore: 255 },
      ),
    }));
    expect(Array.from(result.labels.data)).toEqual(new Array(8).fill(-1));
    expect(Array.from(result.members.data).every((id) => id === -1)).toBe(true);
    expect(Array.from(result.prototypes.data).every((value) => value === 0)).toBe(true);
  });
});

describe('oracleLabels', () => {
  it('answers the commonest label of each cluster, the lower of equals', async () => {
    const clusters = [0, 0, 0, 1, 1, 2, -1, 3];
    const labels = [2, 2, 0, 1, 0, 255, 1, 1];
    const { data } = await (await runtime()).evaluate(() =>
      oracleLabels(constant([1, 8], clusters, 'i32'), constant([1, 8], labels, 'i32'), {
        clusters: 4,
        classes: 3,
        ignore: 255,
      }),
    );
    expect(Array.from(data)).toEqual([2, 2, 2, 0, 0, -1, -1, 1]);
  });
});

describe('segmentExtents', () => {
  it('bounds the pixels of each segment', () => {
    const ids = [-1, 0, 0, 1, -1, 0, -1, -1, 1, -1, -1, 1];
    expect(segmentExtents(ids, 4, 3)).toEqual([
      { box: { top: 0, left: 1, bottom: 2, right: 3 }, pixels: 3 },
      { box: { top: 0, left: 0, bottom: 3, right: 4 }, pixels: 3 },
      { box: null, pixels: 0 },
    ]);
  });
});

describe('PrototypeTable', () => {
  function filled(): PrototypeTable {
    const made = new PrototypeTable(2);
    made.addImage('a.jpg', {
      prototypes: [1, 0, 0, 0, 0.6, 0.8],
      labels: [4, -1, 2],
      members: [0, 0, 2, -1, 2, -1],
      width: 3,
      scale: [8, 7.5],
    });
    made.addImage('b.jpg', { prototypes: [0, 1], labels: [0], members: [-1, -1, -1, 0], width: 2 });
    return made;
  }

  it('keeps the prototypes in use, with where they came from in pixels of the image', () => {
    const made = filled();
    expect(made.size).toBe(3);
    expect(made.images).toEqual(['a.jpg', 'b.jpg']);
    expect(Array.from(made.labels)).toEqual([4, 2, 0]);
    expect(Array.from(made.features)).toEqual(Array.from(Float32Array.of(1, 0, 0.6, 0.8, 0, 1)));
    expect(made.entry(1)).toEqual({
      label: 2,
      instance: null,
      origin: { image: 'a.jpg', box: { top: 0, left: 7, bottom: 16, right: 23 }, pixels: 2 },
    });
    expect(() => made.entry(3)).toThrow('row 3 of 3');
  });

  it('is written and read back', () => {
    const bytes = filled().serialize({ classes: '5' });
    const { table: read, metadata } = PrototypeTable.parse(bytes, 'prototypes.safetensors');
    expect(metadata).toEqual({ classes: '5' });
    expect(read.serialize(metadata)).toEqual(bytes);
    for (let row = 0; row < 3; row++) expect(read.entry(row)).toEqual(filled().entry(row));
    const empty = PrototypeTable.parse(new PrototypeTable(3).serialize(), 'empty').table;
    expect([empty.size, empty.channels]).toEqual([0, 3]);
  });

  it('keeps instances where they are known, and prototypes that came from nowhere', () => {
    const made = new PrototypeTable(2);
    const image = { prototypes: [1, 0, 0, 1], labels: [4, 4], members: [0, 1], width: 2 };
    made.addImage('a.jpg', { ...image, instances: [7, -1] });
    made.push([0.6, 0.8], { label: 1, instance: null, origin: null });
    expect(Array.from(made.instances!)).toEqual([7, -1, -1]);
    expect(filled().instances).toBeNull();
    const { table: read } = PrototypeTable.parse(made.serialize(), 'prototypes.safetensors');
    expect([0, 1].map((row) => read.entry(row))).toEqual([0, 1].map((row) => made.entry(row)));
    expect(read.entry(2)).toEqual({ label: 1, instance: -1, origin: null });
  });

  it('refuses other files and prototypes of another length', () => {
    const bytes = filled().serialize();
    expect(() => PrototypeTable.parse(bytes.slice(0, -4), 'cut.safetensors')).toThrow('cut.safetensors');
    const unnamed = new TextDecoder('latin1').decode(bytes).replace('"[\\"a.jpg', '"{\\"a.jpg');
    expect(() =>
      PrototypeTable.parse(
        Uint8Array.from(unnamed, (c) => c.charCodeAt(0)),
        'x.safetensors',
      ),
    ).toThrow('x.safetensors: its metadata has no list of image names');
    expect(() =>
      new PrototypeTable(3).addImage('c', { prototypes: [1, 0], labels: [1], members: [0], width: 1 }),
    ).toThrow('c: 2 numbers for 1 prototypes of 3 channels');
  });
});
