/** Maps of one integer a pixel, and what lies where in them: edges, distances, connected pieces. */

/** Labels, segments or instances, row-major: `data.length === height * width`. */
export interface LabelMap {
  readonly width: number;
  readonly height: number;
  readonly data: ArrayLike<number>;
}

export interface MapSize {
  readonly width: number;
  readonly height: number;
}

/** @throws Error naming `metric` if the maps differ in size, or a map's data is not of its size */
export function checkSameSize(metric: string, maps: Readonly<Record<string, LabelMap>>): void {
  const entries = Object.entries(maps);
  for (const [name, { width, height, data }] of entries) {
    if (data.length !== width * height)
      throw new Error(`${metric}: the ${name} map of ${width}x${height} has ${data.length} pixels`);
    const [first, { width: firstWidth, height: firstHeight }] = entries[0]!;
    if (width !== firstWidth || height !== firstHeight)
      throw new Error(
        `${metric}: the ${name} map is ${width}x${height}, the ${first} map ${firstWidth}x${firstHeight}; resize one first`,
      );
  }
}

/** 1 where a pixel differs from one of its 4 neighbours, on both sides of an edge. The frame of the map is no edge. */
export function edges({ width, height, data }: LabelMap): Uint8Array<ArrayBuffer> {
  const edge = new Uint8Array(width * height);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) {
      if (x + 1 < width && data[i] !== data[i + 1]) edge[i] = edge[i + 1] = 1;
      if (y + 1 < height && data[i] !== data[i + width]) edge[i] = edge[i + width] = 1;
    }
  return edge;
}

export interface Distances {
  /** Squared Euclidean distance of each pixel to the nearest site, in pixels; infinite if there is no site. */
  readonly squared: Float64Array<ArrayBuffer>;
  /** Index of that site, of equally near ones always the same; -1 if there is none. */
  readonly nearest: Int32Array<ArrayBuffer>;
}

/**
 * Exact distances to the pixels where `sites` is not 0, in linear time: the nearest site of the own column first, then
 * along each row the lower envelope of the parabolas (x - column)^2 + distance^2 (Meijster et al., A General Algorithm
 * for Computing Distance Transforms in Linear Time, 2000; Felzenszwalb and Huttenlocher, 2012). All in integers.
 */
export function distancesTo(sites: ArrayLike<number>, { width, height }: MapSize): Distances {
  const size = width * height;
  const nearest = new Int32Array(size).fill(-1);
  for (let x = 0; x < width; x++) {
    let above = -1;
    for (let i = x; i < size; i += width) {
      if (sites[i]) above = i;
      nearest[i] = above;
    }
    let below = -1;
    for (let i = size - width + x; i >= 0; i -= width) {
      if (sites[i]) below = i;
      const up = nearest[i]!;
      if (below >= 0 && (up < 0 || below - i < i - up)) nearest[i] = below;
    }
  }
  const squared = new Float64Array(size);
  const columns = new Int32Array(width);
  const starts = new Int32Array(width);
  const found = new Int32Array(width);
  const heights = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    let last = -1;
    for (let x = 0; x < width; x++) {
      const site = nearest[row + x]!;
      if (site < 0) continue;
      const down = (site - row - x) / width;
      heights[x] = x * x + down * down;
      // The first pixel from which on this parabola lies below the one before it.
      let start = 0;
      while (last >= 0) {
        const before = columns[last]!;
        start = Math.floor((heights[x]! - heights[before]!) / (2 * (x - before))) + 1;
        if (start > starts[last]!) break;
        last--;
        start = 0;
      }
      if (start >= width) continue;
      last++;
      columns[last] = x;
      starts[last] = Math.max(0, start);
    }
    for (let x = width - 1; x >= 0; x--) {
      while (last > 0 && starts[last]! > x) last--;
      const column = last >= 0 ? columns[last]! : -1;
      squared[row + x] = column >= 0 ? heights[column]! + x * x - 2 * x * column : Number.POSITIVE_INFINITY;
      found[x] = column >= 0 ? nearest[row + column]! : -1;
    }
    nearest.set(found, row);
  }
  return { squared, nearest };
}

export interface Pieces {
  /** Piece of each pixel, numbered by their first pixels; -1 where the map is negative. */
  readonly ids: Int32Array<ArrayBuffer>;
  /** Pixels of each piece. */
  readonly sizes: readonly number[];
}

/** The connected pieces (4 neighbours) of equal non-negative values. */
export function connectedPieces({ width, height, data }: LabelMap): Pieces {
  const ids = new Int32Array(width * height).fill(-1);
  const stack = new Int32Array(width * height);
  const sizes: number[] = [];
  for (let first = 0; first < ids.length; first++) {
    const value = data[first]!;
    if (value < 0 || ids[first]! >= 0) continue;
    const id = sizes.length;
    let waiting = 0;
    let size = 0;
    const visit = (i: number) => {
      if (data[i] !== value || ids[i]! >= 0) return;
      ids[i] = id;
      size++;
      stack[waiting++] = i;
    };
    visit(first);
    while (waiting > 0) {
      const i = stack[--waiting]!;
      const x = i % width;
      if (x > 0) visit(i - 1);
      if (x + 1 < width) visit(i + 1);
      if (i >= width) visit(i - width);
      if (i + width < ids.length) visit(i + width);
    }
    sizes.push(size);
  }
  return { ids, sizes };
}
