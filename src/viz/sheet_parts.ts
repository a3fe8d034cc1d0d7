/** What sheets of pictures are put together from. */
import { IGNORE_LABEL, type LabelImage, type RgbImage } from '../data/image.js';
import { boundaries, colourIds, distinctColour, type IdMap, type Size, scaleIds } from './maps.js';
import { type Colour, fitText, type Raster, textHeight, textWidth } from './raster.js';
import { type SegmentOf, viewSegment } from './segment_view.js';

export const PAPER: Colour = [250, 250, 248];
export const INK: Colour = [34, 34, 40];
export const QUIET: Colour = [116, 116, 124];
export const RULE: Colour = [208, 208, 204];
const IGNORED: Colour = [214, 214, 214];
const EDGE: Colour = [24, 24, 28];

/** Around a sheet, between pictures, and between groups of them. */
export const MARGIN = 32;
export const GAP = 20;
export const SECTION_GAP = 40;
/** Height of a line of text. */
export const LINE = textHeight() + 4;
/** Height of a line of a legend. */
export const LEGEND_LINE = LINE + 4;

/** What the colours stand for. */
export interface Legend {
  /** Class names, by index. */
  readonly classes: readonly string[];
  /** Colours by class index. */
  readonly palette: readonly Colour[];
}

/** The size in which a picture is shown: enlarged by a whole factor up to `largest` pixels, or shrunk to it. */
export function displaySize({ width, height }: Size, largest: number): Size {
  const longest = Math.max(width, height);
  const scale = longest <= largest ? Math.floor(largest / longest) : largest / longest;
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

export function place(
  sheet: Raster,
  picture: RgbImage,
  left: number,
  top: number,
  colour: Colour,
  thickness = 1,
): void {
  sheet.draw(picture, left, top);
  sheet.frame(left, top, picture.width, picture.height, colour, thickness);
}

export function labelPicture(labels: LabelImage, size: Size, palette: readonly Colour[]): RgbImage {
  return colourIds(scaleIds(labels, size), (id) => (id === IGNORE_LABEL ? IGNORED : (palette[id] ?? EDGE)));
}

export function clusterPicture(clusters: IdMap, size: Size): RgbImage {
  const ids = scaleIds(clusters, size);
  const picture = colourIds(ids, distinctColour);
  const edges = boundaries(ids);
  for (let pixel = 0; pixel < size.width * size.height; pixel++)
    if (edges.data[pixel] === 1) picture.data.set(EDGE, pixel * 3);
  return picture;
}

/** A segment, as it is shown in a sheet. */
export interface ShownSegment extends SegmentOf {
  readonly label: number;
  /** One line of ink, the others under it in grey. */
  readonly caption: string;
}

export interface SegmentPlace {
  readonly left: number;
  readonly top: number;
  /** Side of the picture, which is square; two lines of text follow under it. */
  readonly side: number;
}

/** A segment in its surroundings, framed in the colour of its label, with its caption. */
export function drawSegment(
  sheet: Raster,
  segment: ShownSegment,
  { left, top, side }: SegmentPlace,
  palette: readonly Colour[],
): void {
  const colour = visible(palette[segment.label] ?? INK);
  place(sheet, viewSegment(segment, side, colour), left, top, colour, 3);
  drawCaption(sheet, segment.caption, { left, top, side });
}

/** A caption under the place of a segment: one line of ink, the others under it in grey. */
export function drawCaption(sheet: Raster, caption: string, { left, top, side }: SegmentPlace): void {
  const [name, ...rest] = caption.split('\n');
  sheet.text(fitText(name!, side), left, top + side + 8, INK);
  sheet.text(fitText(rest.join(' '), side), left, top + side + 8 + LINE, QUIET);
}

/** VOC's background is black, in which an outline is lost on dark pictures. */
function visible(colour: Colour): Colour {
  return Math.max(...colour) < 40 ? [90, 90, 96] : colour;
}

export function arrow(sheet: Raster, from: number, to: number, y: number): void {
  const [left, right] = [from + 10, to - 10];
  sheet.fill(left, y - 1, right - left - 4, 3, QUIET);
  for (let step = 0; step < 7; step++) sheet.fill(right - 7 + step, y - (6 - step), 1, 2 * (6 - step) + 1, QUIET);
}

export interface LegendItem {
  readonly left: number;
  readonly colour: Colour;
  readonly text: string;
}

/** A legend set in lines of a width. */
export function legendLines({ classes, palette }: Legend, width: number): LegendItem[][] {
  const items = classes.map((text, index) => ({ text, colour: palette[index] ?? EDGE }));
  items.push({ text: 'not labelled', colour: IGNORED });
  const lines: LegendItem[][] = [[]];
  let left = 0;
  for (const { text, colour } of items) {
    const extent = 22 + textWidth(text) + 22;
    if (left > 0 && left + extent > width) {
      lines.push([]);
      left = 0;
    }
    lines[lines.length - 1]!.push({ left, colour, text });
    left += extent;
  }
  return lines;
}

export function drawLegend(sheet: Raster, legend: readonly (readonly LegendItem[])[], left: number, top: number): void {
  for (const [index, line] of legend.entries())
    for (const { left: offset, colour, text } of line) {
      const y = top + index * LEGEND_LINE;
      sheet.fill(left + offset, y, 14, 14, colour);
      sheet.frame(left + offset, y, 14, 14, RULE);
      sheet.text(text, left + offset + 22, y, INK);
    }
}
