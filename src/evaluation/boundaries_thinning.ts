/** Thinning of boundary maps. */

/**
 * Whether a pixel with these neighbours may go, for both halves of a round, by the conditions G1 to G3 of Guo and Hall as
 * Lam, Lee and Suen state them ("Thinning Methodologies: A Comprehensive Survey", TPAMI 1992, page 879), which are those of
 * Matlab's `bwmorph(..., 'thin')`. Bit i of an index is neighbour i, counted anticlockwise from the east.
 */
const REMOVABLE: readonly [Uint8Array, Uint8Array] = [0, 4].map((half) =>
  Uint8Array.from({ length: 256 }, (_, bits) => {
    const x = (i: number) => (bits >> (i & 7)) & 1;
    let crossings = 0;
    let pairs = 0;
    let otherPairs = 0;
    for (let i = 0; i < 8; i += 2) {
      if (!x(i) && (x(i + 1) || x(i + 2))) crossings++;
      pairs += x(i) | x(i + 1);
      otherPairs += x(i + 1) | x(i + 2);
    }
    const neighbours = Math.min(pairs, otherPairs);
    const open = (x(half + 1) | x(half + 2) | (1 - x(half + 7))) & x(half);
    return crossings === 1 && neighbours >= 2 && neighbours <= 3 && !open ? 1 : 0;
  }),
) as [Uint8Array, Uint8Array];

/**
 * Thins the marked pixels to lines one pixel wide, joined where they were joined (8-connected).
 *
 * @param mask 1 where marked, row-major, `height * width`; left as it is
 */
export function thin(mask: Uint8Array, width: number, height: number): Uint8Array {
  // A rim of blanks saves the tests at the borders.
  const stride = width + 2;
  const padded = new Uint8Array(stride * (height + 2));
  let marked: number[] = [];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (mask[y * width + x]) {
        const at = (y + 1) * stride + x + 1;
        padded[at] = 1;
        marked.push(at);
      }
  const around = [1, 1 - stride, -stride, -stride - 1, -1, stride - 1, stride, stride + 1];
  const neighbours = (at: number) => {
    let bits = 0;
    for (let i = 0; i < 8; i++) bits |= padded[at + around[i]!]! << i;
    return bits;
  };
  for (let removed = 1; removed > 0; ) {
    removed = 0;
    for (const removable of REMOVABLE) {
      const gone = marked.filter((at) => removable[neighbours(at)]);
      for (const at of gone) padded[at] = 0;
      removed += gone.length;
      if (gone.length > 0) marked = marked.filter((at) => padded[at]);
    }
  }
  const thinned = new Uint8Array(width * height);
  for (const at of marked) {
    const y = Math.floor(at / stride);
    thinned[(y - 1) * width + (at - y * stride) - 1] = 1;
  }
  return thinned;
}
