/** One picture of what a trained network does: an image a row, from the photograph to what was retrieved for it. */
import { IGNORE_LABEL, type LabelImage, type RgbImage } from '../data/image.js';
import { boundaries, colourIds, distinctColour, type IdMap, type Size, scaleIds, scaleImage } from './maps.js';
import { colourFeatures, type FeatureMap, principalComponents } from './pca.js';
import { type Colour, fitText, Raster, textHeight, textWidth } from './raster.js';
import { type SegmentOf, viewSegment } from './segment_view.js';

export interface ShownSegment extends SegmentOf {
  readonly label: number;
  readonly caption: string;
}

export interface SheetRow {
  /** Two short lines to be set under the image, such as its name and its score. */
  readonly caption: string;
  readonly detail: string;
  readonly image: RgbImage;
  /** Null where there is none. */
  readonly truth: LabelImage | null;
  /** These maps may be smaller than the image. */
  readonly embedding: FeatureMap;
  readonly clusters: IdMap;
  readonly prediction: LabelImage;
  /** A segment of this image and, most similar first, the training segments retrieved for it. */
  readonly query: ShownSegment | null;
  readonly nearest: readonly ShownSegment[];
}

export interface SheetOptions {
  readonly title: string;
  readonly subtitle: string;
  /** Class names, by index. */
  readonly classes: readonly string[];
  /** Colours by class index. */
  readonly palette: readonly Colour[];
}

const PAPER: Colour = [250, 250, 248];
const INK: Colour = [34, 34, 40];
const QUIET: Colour = [116, 116, 124];
const RULE: Colour = [208, 208, 204];
const IGNORED: Colour = [214, 214, 214];
const EDGE: Colour = [24, 24, 28];

const MARGIN = 32;
const GAP = 20;
const SECTION_GAP = 40;
/** Pictures are enlarged by whole factors up to this many pixels, or shrunk to it. */
const LARGEST = 192;
const LINE = textHeight() + 4;
const HEADINGS = ['image', 'ground truth', 'embedding (PCA)', 'clusters', 'prediction'];

/** Draws the sheet. Colours of embeddings can be compared between rows: all share their principal components. */
export function contactSheet(rows: readonly SheetRow[], options: SheetOptions): Raster {
  if (rows.length === 0) throw new RangeError('contactSheet: no rows');
  const sizes = rows.map(({ image }) => displaySize(image));
  const cell = Math.max(...sizes.map(({ width }) => width), 96);
  const side = Math.max(...sizes.map(({ width, height }) => Math.min(width, height)), 96);
  const retrieved = Math.max(...rows.map(({ query, nearest }) => (query ? 1 + nearest.length : 0)));
  const columns = HEADINGS.map((_, index) => MARGIN + index * (cell + GAP));
  const queryLeft = columns[columns.length - 1]! + cell + SECTION_GAP;
  const nearestLeft = queryLeft + side + SECTION_GAP;
  const right = retrieved > 0 ? nearestLeft + (retrieved - 1) * (side + GAP) - GAP : queryLeft - SECTION_GAP;

  const legend = legendLines(options, right - MARGIN);
  const headings = MARGIN + textHeight(3) + LINE + 26;
  const tops: number[] = [];
  let bottom = headings + LINE + 2;
  for (const { height } of sizes) {
    tops.push(bottom);
    bottom += Math.max(height, retrieved > 0 ? side : 0) + 2 * LINE + 22;
  }
  const sheet = new Raster(right + MARGIN, bottom + legend.length * (LINE + 4) + MARGIN, PAPER);
  sheet.text(options.title, MARGIN, MARGIN, INK, 3);
  sheet.text(options.subtitle, MARGIN, MARGIN + textHeight(3) + 8, QUIET);
  for (const [index, heading] of HEADINGS.entries()) sheet.text(heading, columns[index]!, headings, QUIET);
  if (retrieved > 0) {
    sheet.text(fitText('one segment', side), queryLeft, headings, QUIET);
    sheet.text(fitText('its nearest training segments', right - nearestLeft), nearestLeft, headings, QUIET);
  }
  const components = principalComponents(
    rows.map(({ embedding }) => embedding),
    3,
  );
  for (const [index, row] of rows.entries()) {
    const top = tops[index]!;
    const size = sizes[index]!;
    const pictures = [
      scaleImage(row.image, size),
      row.truth && labelPicture(row.truth, size, options.palette),
      scaleImage(colourFeatures(row.embedding, components), size),
      clusterPicture(row.clusters, size),
      labelPicture(row.prediction, size, options.palette),
    ];
    for (const [column, picture] of pictures.entries()) {
      if (picture) place(sheet, picture, columns[column]!, top, RULE);
      else sheet.text('none', columns[column]!, top, RULE);
    }
    const under = top + size.height + 8;
    sheet.text(fitText(row.caption, cell), columns[0]!, under, INK);
    sheet.text(fitText(row.detail, cell), columns[0]!, under + LINE, QUIET);
    if (!row.query) continue;
    const segments = [row.query, ...row.nearest];
    for (const [i, segment] of segments.entries()) {
      const left = i === 0 ? queryLeft : nearestLeft + (i - 1) * (side + GAP);
      const colour = visible(options.palette[segment.label] ?? INK);
      place(sheet, viewSegment(segment, side, colour), left, top, colour, 3);
      const [name, ...rest] = segment.caption.split('\n');
      sheet.text(fitText(name!, side), left, top + side + 8, INK);
      sheet.text(fitText(rest.join(' '), side), left, top + side + 8 + LINE, QUIET);
    }
    arrow(sheet, queryLeft + side, nearestLeft, top + Math.floor(side / 2));
  }
  for (const [index, line] of legend.entries())
    for (const { left, colour, text } of line) {
      const top = bottom + index * (LINE + 4);
      sheet.fill(MARGIN + left, top, 14, 14, colour);
      sheet.frame(MARGIN + left, top, 14, 14, RULE);
      sheet.text(text, MARGIN + left + 22, top, INK);
    }
  return sheet;
}

function displaySize({ width, height }: Size): Size {
  const longest = Math.max(width, height);
  const scale = longest <= LARGEST ? Math.floor(LARGEST / longest) : LARGEST / longest;
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

function place(sheet: Raster, picture: RgbImage, left: number, top: number, colour: Colour, thickness = 1): void {
  sheet.draw(picture, left, top);
  sheet.frame(left, top, picture.width, picture.height, colour, thickness);
}

function labelPicture(labels: LabelImage, size: Size, palette: readonly Colour[]): RgbImage {
  return colourIds(scaleIds(labels, size), (id) => (id === IGNORE_LABEL ? IGNORED : (palette[id] ?? EDGE)));
}

function clusterPicture(clusters: IdMap, size: Size): RgbImage {
  const ids = scaleIds(clusters, size);
  const picture = colourIds(ids, distinctColour);
  const edges = boundaries(ids);
  for (let pixel = 0; pixel < size.width * size.height; pixel++)
    if (edges.data[pixel] === 1) picture.data.set(EDGE, pixel * 3);
  return picture;
}

/** VOC's background is black, in which an outline is lost on dark pictures. */
function visible(colour: Colour): Colour {
  return Math.max(...colour) < 40 ? [90, 90, 96] : colour;
}

function arrow(sheet: Raster, from: number, to: number, y: number): void {
  const [left, right] = [from + 10, to - 10];
  sheet.fill(left, y - 1, right - left - 4, 3, QUIET);
  for (let step = 0; step < 7; step++) sheet.fill(right - 7 + step, y - (6 - step), 1, 2 * (6 - step) + 1, QUIET);
}

interface LegendItem {
  readonly left: number;
  readonly colour: Colour;
  readonly text: string;
}

function legendLines({ classes, palette }: SheetOptions, width: number): LegendItem[][] {
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
