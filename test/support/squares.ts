/** A data set on disk that trains in seconds: squares of two colours on noise, with labels and region masks. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodePalettePng, encodePng } from '../../src/data/codecs.js';
import { encodeIdPng } from '../../src/data/png.js';
import { Random } from '../../src/tensor/random.js';

/** Height and width of the images. */
export const SIDE = 24;
export const SQUARE_CLASSES = ['background', 'green', 'blue'];

/**
 * Eight images: `train.txt` lists six and `val.txt` two. Region masks lie in `regions/` under the names of the images:
 * the square and what is left and right of its middle.
 */
export async function writeSquares(root: string): Promise<void> {
  for (const part of ['images', 'labels', 'regions']) await mkdir(join(root, part), { recursive: true });
  const lines: string[] = [];
  for (let index = 0; index < 8; index++) {
    const random = new Random({ seed: 3, stream: 50, index });
    const [top, left, kind] = [random.integer(12), random.integer(12), 1 + random.integer(2)];
    const image = new Uint8Array(SIDE * SIDE * 3);
    const labels = new Uint8Array(SIDE * SIDE);
    const regions = new Uint16Array(SIDE * SIDE);
    for (let p = 0; p < SIDE * SIDE; p++) {
      const [y, x] = [Math.floor(p / SIDE), p % SIDE];
      const inside = y >= top && y < top + 11 && x >= left && x < left + 11;
      labels[p] = inside ? kind : 0;
      regions[p] = inside ? 2 : Number(x > left + 5);
      for (let c = 0; c < 3; c++) image[p * 3 + c] = (inside && c === kind ? 180 : 60) + random.integer(40);
    }
    const size = { width: SIDE, height: SIDE };
    await writeFile(join(root, 'images', `${index}.png`), encodePng({ ...size, data: image }));
    await writeFile(join(root, 'labels', `${index}.png`), encodePalettePng({ ...size, data: labels }));
    await writeFile(join(root, 'regions', `${index}.png`), encodeIdPng({ ...size, data: regions }));
    lines.push(`images/${index}.png labels/${index}.png\n`);
  }
  await writeFile(join(root, 'train.txt'), lines.slice(0, 6).join(''));
  await writeFile(join(root, 'val.txt'), lines.slice(6).join(''));
}
