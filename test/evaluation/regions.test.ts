/** Consistency of regions against the definitions over sets of pixels. */
import { describe, expect, it } from 'vitest';
import { ConfusionMatrix } from '../../src/evaluation/confusion.js';
import { connectedPieces, type LabelMap } from '../../src/evaluation/label_map.js';
import { RegionConsistency } from '../../src/evaluation/regions.js';
import { blobs, drawn, pixelsOf } from './maps.js';

const size = { width: 22, height: 19 };

function sets(map: LabelMap, among: number[]): number[][] {
  return [...new Set(among.map((i) => map.data[i]!))].map((id) => among.filter((i) => map.data[i] === id));
}

describe('RegionConsistency', () => {
  it('agrees with sets of pixels, image by image and merged', () => {
    const images = [1, 2, 3, 4].map(
      (seed) => [blobs(seed, size, { lowest: -1, highest: 5, voids: 0 }), blobs(seed * 9, size)] as const,
    );
    const regions = new RegionConsistency();
    const [one, other] = [new RegionConsistency(), new RegionConsistency()];
    let [labelled, inSegments, leaks, entropy, pieces, largest, segmented] = [0, 0, 0, 0, 0, 0, 0];
    const purities: number[] = [];
    let segmentCount = 0;
    const best = new ConfusionMatrix(4);
    for (const [index, [segments, truth]] of images.entries()) {
      regions.add(segments, truth);
      (index === 0 ? one : other).add(segments, truth);
      const counted = pixelsOf(truth).filter((i) => truth.data[i] !== 255);
      labelled += counted.length;
      const found = sets(
        segments,
        pixelsOf(segments).filter((i) => segments.data[i]! >= 0),
      );
      const real = sets(truth, counted);
      const oracle = new Array(truth.data.length).fill(-1);
      for (const segment of found) {
        segmentCount++;
        const own = segment.filter((i) => counted.includes(i));
        const parts = real.map((region) => region.filter((i) => own.includes(i)));
        const most = parts.reduce((a, b) => (b.length > a.length ? b : a));
        for (const i of segment) if (most.length > 0) oracle[i] = truth.data[most[0]!];
        if (own.length > 0) purities.push(most.length / own.length);
        inSegments += own.length;
        for (const part of parts) {
          leaks += Math.min(part.length, own.length - part.length);
          if (part.length > 0) entropy -= part.length * Math.log2(part.length / own.length);
        }
        const { sizes } = connectedPieces({
          ...size,
          data: pixelsOf(truth).map((i) => (segment.includes(i) ? 0 : -1)),
        });
        pieces += sizes.length;
        largest += Math.max(...sizes);
        segmented += segment.length;
      }
      best.add(truth.data, oracle);
    }
    const score = regions.score();
    expect(score.images).toBe(4);
    expect(score.segmentsPerImage).toBe(segmentCount / 4);
    expect(score.achievableAccuracy).toBeCloseTo(best.score().pixelAccuracy!, 12);
    expect(score.segmentPurity).toBeCloseTo(purities.reduce((a, b) => a + b, 0) / purities.length, 12);
    expect(score.conditionalEntropy).toBeCloseTo(entropy / inSegments, 12);
    expect(score.undersegmentation).toBeCloseTo(leaks / labelled, 12);
    expect(score.piecesPerSegment).toBeCloseTo(pieces / segmentCount, 12);
    expect(score.largestPieceShare).toBeCloseTo(largest / segmented, 12);
    one.merge(other);
    expect(() => one.merge(new RegionConsistency(0))).toThrow('cannot merge scores that ignore 0');
    for (const [name, value] of Object.entries(score))
      expect(one.score()[name as keyof typeof score]).toBeCloseTo(value, 12);
  });

  it('works out by hand', () => {
    const regions = new RegionConsistency();
    regions.add(drawn('0011', '0112', '---2'), drawn('0001', '0.11', '0111'));
    // Segment 0: 3 of class 0. Segment 1: one of class 0, three of 1... Segment 2: two of 1. Three pixels in no segment.
    expect(regions.score()).toEqual({
      images: 1,
      segmentsPerImage: 3,
      achievableAccuracy: (3 + 2 + 2) / 11,
      segmentPurity: (1 + 2 / 3 + 1) / 3,
      conditionalEntropy: -(Math.log2(1 / 3) + 2 * Math.log2(2 / 3)) / 8,
      undersegmentation: 2 / 11,
      piecesPerSegment: 1,
      largestPieceShare: 1,
    });
  });

  it('sees scattered segments', () => {
    const regions = new RegionConsistency();
    regions.add(drawn('0100', '1100'), drawn('0000', '0000'));
    const { piecesPerSegment, largestPieceShare } = regions.score();
    expect([piecesPerSegment, largestPieceShare]).toEqual([1.5, 7 / 8]);
  });

  it('is perfect for segments within regions, and null for nothing known', () => {
    const regions = new RegionConsistency();
    const empty = regions.score();
    expect([empty.achievableAccuracy, empty.segmentPurity, empty.piecesPerSegment]).toEqual([null, null, null]);
    regions.add(drawn('01', '23'), drawn('..', '..'));
    expect(regions.score()).toMatchObject({ achievableAccuracy: null, segmentPurity: null, segmentsPerImage: 4 });
    regions.add(drawn('01', '23'), drawn('00', '11'));
    expect(regions.score()).toMatchObject({
      achievableAccuracy: 1,
      segmentPurity: 1,
      conditionalEntropy: 0,
      undersegmentation: 0,
    });
  });
});
