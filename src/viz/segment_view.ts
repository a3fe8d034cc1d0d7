/** One segment shown in its image: the surroundings cut out, the rest faded, the segment outlined. */
import type { RgbImage } from '../data/image.js';
import { boundaries, cropIds, cropImage, type IdMap, scaleIds, scaleImage } from './maps.js';
import { type Colour, Raster } from './raster.js';

/** A segment of an image. */
export interface SegmentOf {
  readonly image: RgbImage;
  /** 1 in the segment, of the image's size or any other. */
  readonly mask: IdMap;
}

/** Share of the segment's larger side that is shown around it, on each side. */
const MARGIN = 0.25;
/** How far pixels outside of the segment are faded to white. */
const FADE = 0.6;

/** The segment in a square picture of the given side. */
export function viewSegment({ image, mask }: SegmentOf, side: number, colour: Colour): Raster {
  const full = scaleIds(mask, image);
  const { left, top, size } = surroundings(full);
  // Where the square reaches past the image it stays empty.
  const x0 = Math.max(0, left);
  const y0 = Math.max(0, top);
  const width = Math.min(image.width, left + size) - x0;
  const height = Math.min(image.height, top + size) - y0;
  const scale = side / size;
  const shown = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const picture = scaleImage(cropImage(image, x0, y0, { width, height }), shown);
  const inside = scaleIds(cropIds(full, x0, y0, { width, height }), shown);
  const edges = boundaries(inside);
  const view = new Raster(side, side, [236, 236, 234]);
  const offsetX = Math.round((x0 - left) * scale);
  const offsetY = Math.round((y0 - top) * scale);
  view.draw(picture, offsetX, offsetY);
  for (let y = 0; y < shown.height; y++)
    for (let x = 0; x < shown.width; x++)
      if (inside.data[y * shown.width + x] !== 1) view.set(offsetX + x, offsetY + y, [255, 255, 255], FADE);
  for (let y = 0; y < shown.height; y++)
    for (let x = 0; x < shown.width; x++)
      if (edges.data[y * shown.width + x] === 1) view.fill(offsetX + x, offsetY + y, 2, 2, colour);
  return view;
}

/** The square around a mask, with a margin; it may reach past the image. */
function surroundings({ width, height, data }: IdMap): { left: number; top: number; size: number } {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (data[y * width + x] === 1) {
        left = Math.min(left, x);
        right = Math.max(right, x + 1);
        top = Math.min(top, y);
        bottom = Math.max(bottom, y + 1);
      }
  if (right <= left) [left, top, right, bottom] = [0, 0, width, height];
  const longest = Math.max(right - left, bottom - top);
  const most = Math.max(width, height);
  const size = Math.min(most, Math.ceil(longest * (1 + 2 * MARGIN)));
  // Centred on the segment, but inside of the image as far as it fits.
  const place = (low: number, high: number, extent: number) => {
    if (size >= extent) return Math.round((extent - size) / 2);
    return Math.min(extent - size, Math.max(0, Math.round((low + high - size) / 2)));
  };
  return { left: place(left, right, width), top: place(top, bottom, height), size };
}
