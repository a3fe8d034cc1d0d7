/** Objects out of labelled segments. */
import { describe, expect, it } from 'vitest';
import { PanopticQuality } from '../../src/evaluation/panoptic.js';
import { panopticOf } from '../../src/segsort/panoptic.js';
import { PrototypeTable } from '../../src/segsort/prototype_table.js';
import type { SegmentedImage } from '../../src/segsort/segmenter.js';

const [HEIGHT, WIDTH] = [4, 8];

/** Rows of digits, `.` for -1. */
const parse = (...rows: string[]) => Int32Array.from(rows.join(''), (digit) => (digit === '.' ? -1 : Number(digit)));

/** Class 0 is stuff; 1 and 2 are things. */
const labels = parse('11.00022', '11100022', '00000002', '11000111');
const clusters = parse('00.33344', '01133344', '33333334', '22333555');
/** Two directions: clusters 0, 2, 5 point one way, the others another. */
const prototypes = Float32Array.from([1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0]);
const neighbours = [
  [0, 1, 2],
  [3, 2, 0],
  [1, 0, 3],
  [4, 4, 4],
  [5, 6, 5],
  [3, 0, 0],
].map((rows) => ({
  rows,
  similarities: rows.map(() => 1),
}));

const image: SegmentedImage = {
  ...{ name: 'image', height: HEIGHT, width: WIDTH, labels, truth: labels },
  segments: { clusters, oracle: labels, embedding: new Float32Array(), prototypes, neighbours },
};
const things = [1, 2];

/** Prototypes of class 1 from three objects, two of them number 1 of different images; of stuff; of class 2. */
function table(known = true): PrototypeTable {
  const made = new PrototypeTable(2);
  const add = (label: number, instance: number, name: string) =>
    made.push([1, 0], {
      label,
      instance: known ? instance : null,
      origin: { image: name, box: { top: 0, left: 0, bottom: 1, right: 1 }, pixels: 1 },
    });
  add(1, 1, 'a.png');
  add(1, 1, 'a.png');
  add(1, 2, 'a.png');
  add(1, 1, 'b.png');
  add(0, -1, 'a.png');
  add(2, 4, 'a.png');
  add(2, 5, 'b.png');
  return made;
}

describe('objects that touch', () => {
  it('are numbered by size in each class, stuff is one, and what has no label is void', () => {
    const { semantic, instance, segments } = panopticOf(image, { things });
    expect(semantic).toEqual(labels);
    expect(instance).toEqual(parse('11011111', '11111111', '11111111', '33111222'));
    expect(segments).toEqual([
      { label: 0, instance: 1, pixels: 16 },
      { label: 1, instance: 1, pixels: 5 },
      { label: 1, instance: 2, pixels: 3 },
      { label: 1, instance: 3, pixels: 2 },
      { label: 2, instance: 1, pixels: 5 },
    ]);
  });

  it('are told apart where the prototypes of their clusters differ', () => {
    const { instance } = panopticOf(image, { things, similarity: 0.5 });
    // Clusters 0 and 1 touch and point different ways.
    expect(instance).toEqual(
      parse('11011111', '13311111', '11111111', '44111222').map((n, p) => (labels[p]! < 0 ? 0 : n)),
    );
  });

  it('are left out where they are too small; stuff never is', () => {
    const { semantic, segments } = panopticOf(
      { ...image, labels: labels.map((l) => (l === 0 ? 1 : l)) },
      {
        things: [2],
        leastPixels: 6,
      },
    );
    expect(segments.map(({ label }) => label)).toEqual([1]);
    expect(Array.from(semantic).filter((label) => label === 2)).toEqual([]);
  });

  it('are found without clusters, too', () => {
    const unclustered = { ...image, segments: null };
    const { segments } = panopticOf(unclustered, { things, similarity: -1 });
    expect(segments.map(({ pixels }) => pixels)).toEqual([16, 5, 3, 2, 5]);
    expect(() => panopticOf(unclustered, { things, similarity: 0.9 })).toThrow('that needs retrieval');
  });

  it('are scored perfectly against themselves', () => {
    const { semantic, instance } = panopticOf(image, { things });
    const size = { height: HEIGHT, width: WIDTH };
    const quality = new PanopticQuality({ classes: 3, things });
    const truth = semantic.map((label) => (label < 0 ? 255 : label));
    quality.add(
      { semantic: { ...size, data: truth }, instance: { ...size, data: instance } },
      { semantic: { ...size, data: semantic }, instance: { ...size, data: instance } },
    );
    expect(quality.score().all).toEqual({ pq: 1, sq: 1, rq: 1 });
  });
});

describe('objects that retrieve one training object', () => {
  it('are one, touching or not, by a vote among the prototypes of their class', () => {
    const { instance } = panopticOf(image, { things, objects: 'retrieved', table: table() });
    // Clusters 0 and 2 retrieve number 1 of a.png, so does 5; 1 is nearest to number 1 of b.png.
    expect(instance).toEqual(parse('11011111', '12211111', '11111111', '11111111'));
  });

  it('need prototypes with instances', () => {
    expect(() => panopticOf(image, { things, objects: 'retrieved', table: table(false) })).toThrow(
      'extract them anew with `segsort prototypes --panoptic`',
    );
    expect(() => panopticOf(image, { things, objects: 'retrieved' })).toThrow('that needs prototypes');
  });
});
