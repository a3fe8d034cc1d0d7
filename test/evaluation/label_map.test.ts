/** Edges, distances and pieces against brute force. */
import { describe, expect, it } from 'vitest';
import { connectedPieces, distancesTo, edges } from '../../src/evaluation/label_map.js';
import { blobs, distance, drawn, neighbours, pixelsOf } from './maps.js';

const sizes = [
  { width: 1, height: 1 },
  { width: 17, height: 1 },
  { width: 1, height: 9 },
  { width: 24, height: 19 },
  { width: 13, height: 31 },
];

describe.for(sizes)('$width x $height', (size) => {
  it('edges lie on both sides of a change', () => {
    const map = blobs(3, size);
    const expected = pixelsOf(map).map((i) => Number(neighbours(size, i).some((j) => map.data[j] !== map.data[i])));
    expect(Array.from(edges(map))).toEqual(expected);
  });

  it.for([0.005, 0.05, 0.5, 1])('distances to %f of the pixels are exact', (share) => {
    const map = blobs(7, size, { lowest: 0, highest: 999, speckle: 1, voids: 0 });
    const sites = Array.from(map.data, (value) => Number(value < share * 1000));
    const { squared, nearest } = distancesTo(sites, size);
    const all = pixelsOf(map).filter((i) => sites[i]);
    for (const i of pixelsOf(map)) {
      const least = Math.min(...all.map((site) => distance(size, i, site)));
      expect(Math.sqrt(squared[i]!)).toBeCloseTo(least, 10);
      if (all.length === 0) expect(nearest[i]).toBe(-1);
      else expect([sites[nearest[i]!], distance(size, i, nearest[i]!)]).toEqual([1, Math.sqrt(squared[i]!)]);
    }
  });

  it('pieces are what neighbours of one value reach', () => {
    const map = blobs(5, size, { lowest: -1, highest: 1, voids: 0, speckle: 0.3 });
    const { ids, sizes } = connectedPieces(map);
    // Spreads the lowest index of a piece until nothing changes.
    const lowest = pixelsOf(map);
    for (let changed = true; changed; ) {
      changed = false;
      for (const i of pixelsOf(map))
        for (const j of neighbours(size, i))
          if (map.data[i] === map.data[j] && lowest[j]! < lowest[i]!) {
            lowest[i] = lowest[j]!;
            changed = true;
          }
    }
    const roots = [...new Set(pixelsOf(map).filter((i) => map.data[i]! >= 0 && lowest[i] === i))];
    expect(Array.from(ids)).toEqual(lowest.map((root, i) => (map.data[i]! < 0 ? -1 : roots.indexOf(root))));
    expect(sizes).toEqual(roots.map((root) => lowest.filter((other) => other === root).length));
  });
});

it('pieces do not touch at corners', () => {
  expect(connectedPieces(drawn('01', '10')).sizes).toEqual([1, 1, 1, 1]);
});
