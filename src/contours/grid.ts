/** Contour strengths between pixels. */

/**
 * An ultrametric contour map on the double grid of Arbelaez et al. (TPAMI 2011): `(2 height + 1) x (2 width + 1)` values from
 * 0 to 1, row-major. Pixel (y, x) lies at (2y + 1, 2x + 1) and is 0; the places between two pixels that touch hold the
 * strength of the contour between them, and those between four pixels the largest of their neighbours.
 */
export interface ContourGrid {
  /** Of the image, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** An empty grid for an image of `width` x `height` pixels. */
export function emptyGrid(width: number, height: number): ContourGrid {
  return { width, height, data: new Float32Array((2 * width + 1) * (2 * height + 1)) };
}

/** Gives the corners the largest of the four strengths around them, and the outer rim what its neighbours have. */
export function fillCorners({ width, height, data }: ContourGrid): void {
  const stride = 2 * width + 1;
  for (let y = 2; y < 2 * height; y += 2)
    for (let x = 2; x < 2 * width; x += 2) {
      const at = y * stride + x;
      data[at] = Math.max(data[at - 1]!, data[at + 1]!, data[at - stride]!, data[at + stride]!);
    }
  const last = 2 * height * stride;
  for (let x = 0; x < stride; x++) {
    data[x] = x % 2 === 0 ? data[stride + x]! : 0;
    data[last + x] = x % 2 === 0 ? data[last - stride + x]! : 0;
  }
  for (let y = 0; y <= 2 * height; y++) {
    data[y * stride] = y % 2 === 0 ? data[y * stride + 1]! : 0;
    data[y * stride + 2 * width] = y % 2 === 0 ? data[y * stride + 2 * width - 1]! : 0;
  }
}

/** The grid of a map of regions: 1 wherever two pixels of different regions touch. */
export function gridOfRegions(width: number, height: number, regions: ArrayLike<number>): ContourGrid {
  const grid = emptyGrid(width, height);
  const stride = 2 * width + 1;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const here = regions[y * width + x];
      const at = (2 * y + 1) * stride + 2 * x + 1;
      if (x + 1 < width && regions[y * width + x + 1] !== here) grid.data[at + 1] = 1;
      if (y + 1 < height && regions[(y + 1) * width + x] !== here) grid.data[at + stride] = 1;
    }
  fillCorners(grid);
  return grid;
}

/**
 * One strength a pixel, the corner below and to the right of it: how the BSDS benchmark samples contours at the size of the
 * image.
 */
export function pixelStrengths({ width, height, data }: ContourGrid): Float32Array {
  const stride = 2 * width + 1;
  const strengths = new Float32Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) strengths[y * width + x] = data[(2 * y + 2) * stride + 2 * x + 2]!;
  return strengths;
}

/**
 * Regions of a grid at a level: pixels that touch without a stronger contour between them belong together.
 *
 * @returns a number from 0 a pixel, in order of first appearance, and how many there are
 */
export function regionsOfGrid(
  { width, height, data }: ContourGrid,
  level: number,
): { labels: Int32Array; count: number } {
  const stride = 2 * width + 1;
  const labels = new Int32Array(width * height).fill(-1);
  const stack = new Int32Array(width * height);
  let count = 0;
  for (let start = 0; start < labels.length; start++) {
    if (labels[start]! >= 0) continue;
    labels[start] = count;
    let size = 1;
    stack[0] = start;
    const visit = (pixel: number, strength: number) => {
      if (strength > level || labels[pixel]! >= 0) return;
      labels[pixel] = count;
      stack[size++] = pixel;
    };
    while (size > 0) {
      const pixel = stack[--size]!;
      const y = Math.floor(pixel / width);
      const x = pixel - y * width;
      const at = (2 * y + 1) * stride + 2 * x + 1;
      if (x > 0) visit(pixel - 1, data[at - 1]!);
      if (x + 1 < width) visit(pixel + 1, data[at + 1]!);
      if (y > 0) visit(pixel - width, data[at - stride]!);
      if (y + 1 < height) visit(pixel + width, data[at + stride]!);
    }
    count++;
  }
  return { labels, count };
}
