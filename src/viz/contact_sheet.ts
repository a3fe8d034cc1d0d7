/** One picture of what a trained network does: an image a row, from the photograph to what was retrieved for it. */
import type { LabelImage, RgbImage } from '../data/image.js';
import { type IdMap, scaleImage } from './maps.js';
import { colourFeatures, type FeatureMap, principalComponents } from './pca.js';
import { fitText, Raster, textHeight } from './raster.js';
import {
  arrow,
  clusterPicture,
  displaySize,
  drawLegend,
  drawSegment,
  GAP,
  INK,
  LEGEND_LINE,
  type Legend,
  LINE,
  labelPicture,
  legendLines,
  MARGIN,
  PAPER,
  place,
  QUIET,
  RULE,
  SECTION_GAP,
  type ShownSegment,
} from './sheet_parts.js';

export type { ShownSegment } from './sheet_parts.js';

export interface SheetRow {
  /** Two short lines to be set under the image, such as its name and its score. */
  readonly caption: string;
  readonly detail: string;
  readonly image: RgbImage;
  /** Null where there is none. */
  readonly truth: LabelImage | null;
  /** These maps may be smaller than the image; null where there are none. */
  readonly embedding: FeatureMap | null;
  readonly clusters: IdMap | null;
  readonly prediction: LabelImage;
  /** A segment of this image and, most similar first, the training segments retrieved for it. */
  readonly query: ShownSegment | null;
  readonly nearest: readonly ShownSegment[];
}

export interface SheetOptions extends Legend {
  readonly title: string;
  readonly subtitle: string;
}

/** Pictures are enlarged by whole factors up to this many pixels, or shrunk to it. */
const LARGEST = 192;
const HEADINGS = ['image', 'ground truth', 'embedding (PCA)', 'clusters', 'prediction'];

/** Draws the sheet. Colours of embeddings can be compared between rows: all share their principal components. */
export function contactSheet(rows: readonly SheetRow[], options: SheetOptions): Raster {
  if (rows.length === 0) throw new RangeError('contactSheet: no rows');
  const sizes = rows.map(({ image }) => displaySize(image, LARGEST));
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
  const sheet = new Raster(right + MARGIN, bottom + legend.length * LEGEND_LINE + MARGIN, PAPER);
  sheet.text(options.title, MARGIN, MARGIN, INK, 3);
  sheet.text(options.subtitle, MARGIN, MARGIN + textHeight(3) + 8, QUIET);
  for (const [index, heading] of HEADINGS.entries()) sheet.text(heading, columns[index]!, headings, QUIET);
  if (retrieved > 0) {
    sheet.text(fitText('one segment', side), queryLeft, headings, QUIET);
    sheet.text(fitText('its nearest training segments', right - nearestLeft), nearestLeft, headings, QUIET);
  }
  const embeddings = rows.flatMap(({ embedding }) => (embedding ? [embedding] : []));
  const components = embeddings.length > 0 ? principalComponents(embeddings, 3) : null;
  for (const [index, row] of rows.entries()) {
    const top = tops[index]!;
    const size = sizes[index]!;
    const pictures = [
      scaleImage(row.image, size),
      row.truth && labelPicture(row.truth, size, options.palette),
      row.embedding && components && scaleImage(colourFeatures(row.embedding, components), size),
      row.clusters && clusterPicture(row.clusters, size),
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
      drawSegment(sheet, segment, { left, top, side }, options.palette);
    }
    arrow(sheet, queryLeft + side, nearestLeft, top + Math.floor(side / 2));
  }
  drawLegend(sheet, legend, MARGIN, bottom);
  return sheet;
}
