/** Where regions meet: the borders between pixels, joined to arcs and approximated by straight pieces. */
import type { Basins } from './watershed.js';

/** Borders between pixels of different regions, each one pixel long. */
export interface Arcs {
  /** The two pixels of border i; `inside[i] < outside[i]`. */
  readonly inside: Int32Array;
  readonly outside: Int32Array;
  /**
   * Direction of the straight piece that border i belongs to, not normalised, in x and y. Around a single pixel inside of
   * another region there is none, 0; `watershed` makes no such region, as each minimum takes the pixel below it.
   */
  readonly dx: Float32Array;
  readonly dy: Float32Array;
}

/** Distance in pixels from its chord up to which a piece of an arc counts as straight. */
const STRAIGHT = 1.5;

/**
 * Traces the borders between regions. An arc runs from one meeting of three or four regions, or border of the image, to the
 * next; it is split where it strays farthest from the chord until all pieces are nearly straight (Ramer, 1972).
 */
export function traceArcs({ width, height, labels }: Basins): Arcs {
  const walls = findWalls(labels, width, height);
  const { count, from, to } = walls;
  const dx = new Float32Array(count);
  const dy = new Float32Array(count);
  const stride = width + 1;
  const done = new Uint8Array(count);

  const follow = (start: number, first: number) => {
    const corners = [start];
    const members: number[] = [];
    for (let corner = start, wall = first; wall >= 0 && !done[wall]; ) {
      done[wall] = 1;
      members.push(wall);
      corner = from[wall] === corner ? to[wall]! : from[wall]!;
      corners.push(corner);
      wall = walls.degree(corner) === 2 ? walls.other(corner, wall) : -1;
    }
    for (const { begin, end } of straightPieces(corners, stride))
      for (let i = begin; i < end; i++) {
        dx[members[i]!] = (corners[end]! % stride) - (corners[begin]! % stride);
        dy[members[i]!] = Math.floor(corners[end]! / stride) - Math.floor(corners[begin]! / stride);
      }
  };
  for (let corner = 0; corner < stride * (height + 1); corner++)
    if (walls.degree(corner) % 2 === 1 || walls.degree(corner) === 4)
      for (const wall of walls.at(corner)) if (!done[wall]) follow(corner, wall);
  // What is left are closed curves.
  for (let wall = 0; wall < count; wall++) if (!done[wall]) follow(from[wall]!, wall);
  return { inside: walls.inside, outside: walls.outside, dx, dy };
}

function findWalls(labels: Int32Array, width: number, height: number) {
  const stride = width + 1;
  const inside: number[] = [];
  const outside: number[] = [];
  const from: number[] = [];
  const to: number[] = [];
  /** Up to four walls a corner, from 1; 0 for none. */
  const around = new Int32Array(4 * stride * (height + 1));
  const add = (p: number, q: number, a: number, b: number) => {
    const wall = inside.length;
    inside.push(p);
    outside.push(q);
    from.push(a);
    to.push(b);
    for (const corner of [a, b]) {
      let slot = 4 * corner;
      while (around[slot]! > 0) slot++;
      around[slot] = wall + 1;
    }
  };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const pixel = y * width + x;
      const corner = (y + 1) * stride + x + 1;
      if (x + 1 < width && labels[pixel] !== labels[pixel + 1]) add(pixel, pixel + 1, corner - stride, corner);
      if (y + 1 < height && labels[pixel] !== labels[pixel + width]) add(pixel, pixel + width, corner - 1, corner);
    }
  const at = (corner: number) =>
    Array.from(around.subarray(4 * corner, 4 * corner + 4)).flatMap((w) => (w ? w - 1 : []));
  return {
    count: inside.length,
    inside: Int32Array.from(inside),
    outside: Int32Array.from(outside),
    from,
    to,
    at,
    degree: (corner: number) => {
      let degree = 0;
      while (degree < 4 && around[4 * corner + degree]! > 0) degree++;
      return degree;
    },
    /** The second wall at a corner of two. */
    other: (corner: number, wall: number) => {
      const first = around[4 * corner]! - 1;
      return first === wall ? around[4 * corner + 1]! - 1 : first;
    },
  };
}

/** Splits a chain of corners into pieces from corner `begin` to corner `end`, both in it. */
function straightPieces(corners: readonly number[], stride: number): { begin: number; end: number }[] {
  const x = corners.map((corner) => corner % stride);
  const y = corners.map((corner) => Math.floor(corner / stride));
  const pieces: { begin: number; end: number }[] = [];
  const waiting = [{ begin: 0, end: corners.length - 1 }];
  while (waiting.length > 0) {
    const { begin, end } = waiting.pop()!;
    const [ux, uy] = [x[end]! - x[begin]!, y[end]! - y[begin]!];
    const length = Math.sqrt(ux * ux + uy * uy);
    let farthest = begin;
    let most = STRAIGHT;
    for (let i = begin + 1; i < end; i++) {
      const [vx, vy] = [x[i]! - x[begin]!, y[i]! - y[begin]!];
      // The ends of a closed curve coincide: then the distance from them counts.
      const distance = length > 0 ? Math.abs(ux * vy - uy * vx) / length : Math.sqrt(vx * vx + vy * vy);
      if (distance > most) {
        most = distance;
        farthest = i;
      }
    }
    if (farthest === begin) pieces.push({ begin, end });
    else waiting.push({ begin, end: farthest }, { begin: farthest, end });
  }
  return pieces;
}
