/** The watershed transform: basins of a height map, one label a pixel. */

export interface Basins {
  readonly width: number;
  readonly height: number;
  /** A number from 0 a pixel. */
  readonly labels: Int32Array;
  readonly count: number;
}

const LEVELS = 1024;

/**
 * Floods a height map from its regional minima (Meyer, 1992; 4-connected). Every pixel belongs to a basin, so that basins meet
 * between pixels, along the ridges.
 *
 * @param heights from 0 to 1, row-major, `height * width`; compared in steps of 1/1024
 */
export function watershed(heights: Float32Array, width: number, height: number): Basins {
  const levels = Uint16Array.from(heights, (value) => Math.floor(Math.min(1, Math.max(0, value)) * (LEVELS - 1) + 0.5));
  const labels = new Int32Array(width * height).fill(-1);
  const count = labelMinima(levels, labels, width, height);

  // One queue a level, as linked lists, first come first served.
  const next = new Int32Array(width * height).fill(-1);
  const head = new Int32Array(LEVELS).fill(-1);
  const tail = new Int32Array(LEVELS).fill(-1);
  let lowest = LEVELS;
  const reach = (pixel: number, label: number, from: number) => {
    if (labels[pixel]! >= 0) return;
    labels[pixel] = label;
    const level = Math.max(from, levels[pixel]!);
    if (head[level]! < 0) head[level] = pixel;
    else next[tail[level]!] = pixel;
    tail[level] = pixel;
    if (level < lowest) lowest = level;
  };
  const spread = (pixel: number, level: number) => {
    const x = pixel % width;
    const label = labels[pixel]!;
    if (pixel >= width) reach(pixel - width, label, level);
    if (x > 0) reach(pixel - 1, label, level);
    if (x + 1 < width) reach(pixel + 1, label, level);
    if (pixel + width < labels.length) reach(pixel + width, label, level);
  };
  const seeds = Int32Array.from(labels.keys()).filter((pixel) => labels[pixel]! >= 0);
  for (const pixel of seeds) spread(pixel, levels[pixel]!);
  while (lowest < LEVELS) {
    const pixel = head[lowest]!;
    if (pixel < 0) {
      lowest++;
      continue;
    }
    head[lowest] = next[pixel]!;
    spread(pixel, lowest);
  }
  return { width, height, labels, count };
}

/** Numbers the connected sets of equal height whose whole surroundings are higher. */
function labelMinima(levels: Uint16Array, labels: Int32Array, width: number, height: number): number {
  const seen = new Uint8Array(width * height);
  const members = new Int32Array(width * height);
  let count = 0;
  for (let start = 0; start < seen.length; start++) {
    if (seen[start]) continue;
    const level = levels[start]!;
    let minimum = true;
    let size = 1;
    members[0] = start;
    seen[start] = 1;
    const look = (pixel: number) => {
      const other = levels[pixel]!;
      if (other < level) minimum = false;
      if (other !== level || seen[pixel]) return;
      seen[pixel] = 1;
      members[size++] = pixel;
    };
    for (let i = 0; i < size; i++) {
      const pixel = members[i]!;
      const x = pixel % width;
      if (pixel >= width) look(pixel - width);
      if (x > 0) look(pixel - 1);
      if (x + 1 < width) look(pixel + 1);
      if (pixel + width < seen.length) look(pixel + width);
    }
    if (!minimum) continue;
    for (let i = 0; i < size; i++) labels[members[i]!] = count;
    count++;
  }
  return count;
}

/**
 * Joins basins that are hardly deeper than the pass to a deeper neighbour (their dynamics; Grimaud, 1992), the lowest passes
 * first. Two ridges side by side along one contour leave such a basin between them, whose floor is nearly as high as they are.
 *
 * @param share how much lower than the pass, as a share of the pass's height, the floor of a basin has to be
 */
export function joinShallow(basins: Basins, heights: Float32Array, share: number): Basins {
  const { width, height, labels, count } = basins;
  const floor = new Float32Array(count).fill(Number.POSITIVE_INFINITY);
  for (let pixel = 0; pixel < labels.length; pixel++)
    if (heights[pixel]! < floor[labels[pixel]!]!) floor[labels[pixel]!] = heights[pixel]!;
  const passes = new Map<number, { a: number; b: number; pass: number }>();
  const meet = (p: number, q: number) => {
    const a = Math.min(labels[p]!, labels[q]!);
    const b = Math.max(labels[p]!, labels[q]!);
    if (a === b) return;
    const pass = Math.max(heights[p]!, heights[q]!);
    const known = passes.get(a * count + b);
    if (!known) passes.set(a * count + b, { a, b, pass });
    else if (pass < known.pass) known.pass = pass;
  };
  for (let pixel = 0; pixel < labels.length; pixel++) {
    if ((pixel + 1) % width > 0) meet(pixel, pixel + 1);
    if (pixel + width < labels.length) meet(pixel, pixel + width);
  }
  const parent = Int32Array.from({ length: count }, (_, i) => i);
  const find = (basin: number) => {
    let root = basin;
    while (parent[root] !== root) root = parent[root]!;
    while (parent[basin] !== root) [basin, parent[basin]] = [parent[basin]!, root];
    return root;
  };
  for (const { a, b, pass } of [...passes.values()].sort((x, y) => x.pass - y.pass)) {
    const [x, y] = [find(a), find(b)];
    if (x === y) continue;
    const [deep, shallow] = floor[x]! <= floor[y]! ? [x, y] : [y, x];
    if (pass - floor[shallow]! < share * pass) parent[shallow] = deep;
  }
  const names = new Int32Array(count).fill(-1);
  let kept = 0;
  const joined = labels.map((label) => {
    const root = find(label);
    if (names[root]! < 0) names[root] = kept++;
    return names[root]!;
  });
  return { width, height, labels: joined, count: kept };
}
