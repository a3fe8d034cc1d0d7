/** A picture to draw on: 8-bit RGB, with rectangles, other pictures and text. */
import type { RgbImage } from '../data/image.js';
import { GLYPH_HEIGHT, glyphOf } from './glyphs.js';

/** `[r, g, b]`, 0 to 255. */
export type Colour = readonly [number, number, number];

export class Raster implements RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;

  constructor(width: number, height: number, background: Colour = [255, 255, 255]) {
    this.width = width;
    this.height = height;
    this.data = new Uint8Array(width * height * 3);
    this.fill(0, 0, width, height, background);
  }

  /** Sets a pixel; outside of the picture nothing happens. `opacity` is 0 to 1. */
  set(x: number, y: number, colour: Colour, opacity = 1): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = (y * this.width + x) * 3;
    for (let channel = 0; channel < 3; channel++) {
      const old = this.data[at + channel]!;
      this.data[at + channel] = Math.round(old + (colour[channel]! - old) * opacity);
    }
  }

  fill(left: number, top: number, width: number, height: number, colour: Colour): void {
    const x0 = Math.max(0, left);
    const x1 = Math.min(this.width, left + width);
    const y0 = Math.max(0, top);
    const y1 = Math.min(this.height, top + height);
    if (x0 >= x1 || y0 >= y1) return;
    const first = (y0 * this.width + x0) * 3;
    const end = (y0 * this.width + x1) * 3;
    for (let at = first; at < end; at += 3) this.data.set(colour, at);
    for (let y = y0 + 1; y < y1; y++) this.data.copyWithin((y * this.width + x0) * 3, first, end);
  }

  /** A frame of `thickness` pixels around a rectangle, outside of it. */
  frame(left: number, top: number, width: number, height: number, colour: Colour, thickness = 1): void {
    const outerWidth = width + 2 * thickness;
    this.fill(left - thickness, top - thickness, outerWidth, thickness, colour);
    this.fill(left - thickness, top + height, outerWidth, thickness, colour);
    this.fill(left - thickness, top, thickness, height, colour);
    this.fill(left + width, top, thickness, height, colour);
  }

  /** Draws a picture with its top left corner at (left, top); what reaches past the edges is cut off. */
  draw(image: RgbImage, left: number, top: number): void {
    const first = Math.max(0, -left);
    const end = Math.min(image.width, this.width - left);
    for (let y = Math.max(0, -top); y < Math.min(image.height, this.height - top) && first < end; y++) {
      const row = image.data.subarray((y * image.width + first) * 3, (y * image.width + end) * 3);
      this.data.set(row, ((top + y) * this.width + left + first) * 3);
    }
  }

  /** Writes a line of text with its top left corner at (left, top); returns its width. */
  text(line: string, left: number, top: number, colour: Colour, scale = 2): number {
    let x = left;
    for (const character of line) {
      const { width, ink } = glyphOf(character);
      for (const [column, row] of ink) this.fill(x + column * scale, top + row * scale, scale, scale, colour);
      x += (width + 1) * scale;
    }
    return x - left;
  }
}

/** Width of a line of text in pixels, with the gap behind its last character. */
export function textWidth(line: string, scale = 2): number {
  let width = 0;
  for (const character of line) width += (glyphOf(character).width + 1) * scale;
  return width;
}

/** Height of a line of text in pixels, from the top of capitals to the end of descenders. */
export const textHeight = (scale = 2): number => GLYPH_HEIGHT * scale;

/** The line, cut short with two dots where it is wider than `width` pixels. */
export function fitText(line: string, width: number, scale = 2): string {
  if (textWidth(line, scale) <= width) return line;
  let cut = line;
  while (cut.length > 0 && textWidth(`${cut}..`, scale) > width) cut = cut.slice(0, -1);
  return `${cut.trimEnd()}..`;
}
