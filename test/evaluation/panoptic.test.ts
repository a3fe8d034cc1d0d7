/** Panoptic quality against the definition over sets of pixels. */
import { describe, expect, it } from 'vitest';
import { type PanopticMap, PanopticQuality } from '../../src/evaluation/panoptic.js';
import { blobs, drawn, pixelsOf } from './maps.js';

const THINGS = [2, 3];

/** Sets of pixels by `class` for stuff and `class/instance` for things. */
function setsOf({ semantic, instance }: PanopticMap, isVoid: (label: number) => boolean) {
  const sets = new Map<string, { label: number; crowd: boolean; pixels: Set<number> }>();
  for (const i of pixelsOf(semantic)) {
    const label = semantic.data[i]!;
    if (isVoid(label)) continue;
    const thing = THINGS.includes(label);
    const crowd = thing && instance.data[i]! < 0;
    const key = `${label}/${thing ? (crowd ? 'crowd' : instance.data[i]) : ''}`;
    const set = sets.get(key) ?? { label, crowd, pixels: new Set() };
    set.pixels.add(i);
    sets.set(key, set);
  }
  return [...sets.values()];
}

/** The panoptic API's rules for one image, as [iou, tp, fp, fn] of each class. */
function plain(truth: PanopticMap, predicted: PanopticMap, classes: number): number[][] {
  const real = setsOf(truth, (label) => label === 255);
  const found = setsOf(predicted, (label) => label < 0);
  const tallies = Array.from({ length: classes }, () => [0, 0, 0, 0]);
  const known = (pixels: Set<number>) => new Set([...pixels].filter((i) => truth.semantic.data[i] !== 255));
  const hit = new Set<object>();
  for (const r of real)
    for (const f of found) {
      if (r.crowd || r.label !== f.label) continue;
      const shared = [...r.pixels].filter((i) => f.pixels.has(i)).length;
      const union = new Set([...r.pixels, ...known(f.pixels)]).size;
      if (shared / union <= 0.5) continue;
      tallies[r.label]![0]! += shared / union;
      tallies[r.label]![1]!++;
      hit.add(r).add(f);
    }
  for (const r of real) if (!r.crowd && !hit.has(r)) tallies[r.label]![3]!++;
  for (const f of found) {
    if (hit.has(f)) continue;
    const crowd = real.find(({ label, crowd }) => crowd && label === f.label)?.pixels ?? new Set();
    const excused = [...f.pixels].filter((i) => truth.semantic.data[i] === 255 || crowd.has(i)).length;
    if (excused / f.pixels.size <= 0.5) tallies[f.label]![2]!++;
  }
  return tallies;
}

describe('PanopticQuality', () => {
  it('agrees with sets of pixels on random maps, image by image and merged', () => {
    const size = { width: 24, height: 18 };
    const quality = new PanopticQuality({ classes: 4, things: THINGS });
    const [one, other] = [0, 1].map(() => new PanopticQuality({ classes: 4, things: THINGS })) as [
      PanopticQuality,
      PanopticQuality,
    ];
    const total = Array.from({ length: 4 }, () => [0, 0, 0, 0]);
    for (let seed = 1; seed <= 12; seed++) {
      // Truth and prediction share their cells, so that many segments match.
      const truth = {
        semantic: blobs(seed, size, { voids: 0.2 }),
        instance: blobs(seed + 200, size, { lowest: -1, highest: 2, voids: 0, speckle: 0, cells: 3 }),
      };
      const predicted = {
        semantic: blobs(seed, size, { voids: 0, speckle: 0.15, lowest: seed % 3 ? 0 : -1 }),
        instance: {
          ...truth.instance,
          data: Array.from(truth.instance.data, (id) => (seed % 2 ? Math.max(0, id) : Math.abs(id))),
        },
      };
      quality.add(truth, predicted);
      (seed < 7 ? one : other).add(truth, predicted);
      for (const [label, tally] of plain(truth, predicted, 4).entries())
        for (const [i, value] of tally.entries()) total[label]![i]! += value;
    }
    const { classes, all, things, stuff } = quality.score();
    for (const [label, [iou, tp, fp, fn]] of total.entries()) {
      const score = classes[label]!;
      expect([score.truePositives, score.falsePositives, score.falseNegatives]).toEqual([tp, fp, fn]);
      expect(score.pq).toBeCloseTo(iou! / (tp! + fp! / 2 + fn! / 2), 12);
      expect(score.sq * score.rq).toBeCloseTo(score.pq, 12);
      // The maps are such that everything occurs.
      expect(Math.min(tp!, fp!, fn!)).toBeGreaterThan(0);
    }
    const mean = (labels: number[]) => labels.reduce((sum, label) => sum + classes[label]!.pq, 0) / labels.length;
    expect(all!.pq).toBeCloseTo(mean([0, 1, 2, 3]), 12);
    expect(things!.pq).toBeCloseTo(mean([2, 3]), 12);
    expect(stuff!.pq).toBeCloseTo(mean([0, 1]), 12);
    one.merge(other);
    for (const [label, score] of one.score().classes.entries()) expect(score!.pq).toBeCloseTo(classes[label]!.pq, 12);
  });

  const score = (truth: PanopticMap, predicted: PanopticMap) => {
    const quality = new PanopticQuality({ classes: 4, things: THINGS });
    quality.add(truth, predicted);
    return quality.score();
  };

  it('works out by hand', () => {
    // Thing 2: instance 1 of 4 pixels is found with 3 of them (3/4); instance 2 is found by halves only. Stuff 0: 2/3.
    const truth = { semantic: drawn('0022222222'), instance: drawn('0011112222') };
    const predicted = { semantic: drawn('0002222222'), instance: drawn('0005556677') };
    const { classes, all } = score(truth, predicted);
    expect(classes).toEqual([
      { pq: 2 / 3, sq: 2 / 3, rq: 1, truePositives: 1, falsePositives: 0, falseNegatives: 0 },
      null,
      { pq: 3 / 4 / 2.5, sq: 3 / 4, rq: 1 / 2.5, truePositives: 1, falsePositives: 2, falseNegatives: 1 },
      null,
    ]);
    expect(all!.pq).toBeCloseTo((2 / 3 + 0.3) / 2, 12);
  });

  it('leaves void out of unions, and out of the false alarms what is mostly void or crowd', () => {
    const truth = { semantic: drawn('22...333333'), instance: drawn('11000-----1') };
    // Thing 2 reaches 3 pixels into void, a second one lies there with 2 of 2; two things 3 in the crowd; 1 of 1.
    const predicted = { semantic: drawn('2222-333333'), instance: drawn('11110112223') };
    const { classes, stuff } = score(truth, predicted);
    expect(classes[2]).toMatchObject({ pq: 1, falsePositives: 0 });
    expect(classes[3]).toMatchObject({ pq: 1, truePositives: 1, falsePositives: 0, falseNegatives: 0 });
    expect(stuff).toBe(null);
    // Exactly half void is not most of it.
    const half = score(
      { semantic: drawn('00..'), instance: drawn('0000') },
      { semantic: drawn('0112'), instance: drawn('0001') },
    );
    expect(half.classes[1]).toMatchObject({ pq: 0, sq: 0, falsePositives: 1 });
    expect(half.classes[2]).toBe(null);
  });

  it('does not match at an IoU of one half', () => {
    const flat = drawn('0000');
    expect(
      score(
        { semantic: drawn('11--'.replaceAll('-', '.')), instance: flat },
        { semantic: drawn('1---'), instance: flat },
      ).classes[1],
    ).toMatchObject({ truePositives: 0, falsePositives: 1, falseNegatives: 1 });
  });

  it('has no score for nothing', () => {
    const nothing = score(
      { semantic: drawn('...'), instance: drawn('000') },
      { semantic: drawn('012'), instance: drawn('000') },
    );
    expect(nothing).toEqual({ classes: [null, null, null, null], all: null, things: null, stuff: null });
  });

  it('refuses what is no panoptic segmentation', () => {
    const map = { semantic: drawn('02'), instance: drawn('00') };
    expect(() => score(map, { ...map, instance: drawn('0-') })).toThrow(
      'pixel 1 is predicted as instance -1 of the thing 2',
    );
    expect(() => score({ ...map, semantic: drawn('09') }, map)).toThrow('pixel 1 has the true class 9');
    expect(() => score(map, { ...map, instance: drawn('0') })).toThrow('the predicted instance map is 1x1');
    expect(() => new PanopticQuality({ classes: 2, things: [2] })).toThrow('the thing 2 is none of 2 classes');
  });
});
