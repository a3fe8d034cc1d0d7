/** One picture of why an image was labelled as it was: every segment beside the training segments that voted on it. */
import type { LabelImage, RgbImage } from '../data/image.js';
import { type IdMap, scaleImage } from './maps.js';
import { colourFeatures, type FeatureMap, principalComponents } from './pca.js';
import { fitText, Raster, textHeight } from './raster.js';
import {
  arrow,
  clusterPicture,
  displaySize,
  drawCaption,
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
  type SegmentPlace,
  type ShownSegment,
} from './sheet_parts.js';

export interface ExplainedSegment {
  readonly query: ShownSegment;
  /** Most similar first; null for one whose image is not at hand, shown by its caption alone. */
  readonly nearest: readonly (ShownSegment | { readonly caption: string })[];
}

export interface Explanation extends Legend {
  readonly title: string;
  readonly subtitle: string;
  readonly image: RgbImage;
  readonly truth: LabelImage | null;
  /** These maps may be smaller than the image. */
  readonly embedding: FeatureMap;
  readonly clusters: IdMap;
  readonly prediction: LabelImage;
  readonly segments: readonly ExplainedSegment[];
}

/** Pictures of the whole image are enlarged by whole factors up to this many pixels, or shrunk to it. */
const LARGEST = 256;
/** Side of a segment's picture. */
const SIDE = 128;

/** Draws the sheet: the image and its maps above, then a row a segment. */
export function explanationSheet(explanation: Explanation): Raster {
  const { image, truth, embedding, clusters, prediction, segments, palette } = explanation;
  const size = displaySize(image, LARGEST);
  const maps = [
    { title: 'image', picture: scaleImage(image, size) },
    ...(truth ? [{ title: 'ground truth', picture: labelPicture(truth, size, palette) }] : []),
    {
      title: 'embedding (PCA)',
      picture: scaleImage(colourFeatures(embedding, principalComponents([embedding], 3)), size),
    },
    { title: 'clusters', picture: clusterPicture(clusters, size) },
    { title: 'prediction', picture: labelPicture(prediction, size, palette) },
  ];
  const cell = Math.max(size.width, 96);
  const most = Math.max(1, ...segments.map(({ nearest }) => nearest.length));
  const nearestLeft = MARGIN + SIDE + SECTION_GAP;
  const right = Math.max(MARGIN + maps.length * (cell + GAP) - GAP, nearestLeft + most * (SIDE + GAP) - GAP);
  const mapsTop = MARGIN + textHeight(3) + 2 * LINE + 26;
  const rowsTop = mapsTop + size.height + SECTION_GAP + LINE;
  const rowHeight = SIDE + 2 * LINE + 22;
  const bottom = rowsTop + LINE + segments.length * rowHeight;
  const legend = legendLines(explanation, right - MARGIN);
  const sheet = new Raster(right + MARGIN, bottom + legend.length * LEGEND_LINE + MARGIN, PAPER);
  sheet.text(fitText(explanation.title, right - MARGIN, 3), MARGIN, MARGIN, INK, 3);
  sheet.text(fitText(explanation.subtitle, right - MARGIN), MARGIN, MARGIN + textHeight(3) + 8, QUIET);
  for (const [column, { title, picture }] of maps.entries()) {
    const left = MARGIN + column * (cell + GAP);
    sheet.text(fitText(title, cell), left, mapsTop - LINE - 2, QUIET);
    place(sheet, picture, left, mapsTop, RULE);
  }
  sheet.text(fitText('segment', SIDE), MARGIN, rowsTop - LINE, QUIET);
  sheet.text(fitText('its nearest training segments', right - nearestLeft), nearestLeft, rowsTop - LINE, QUIET);
  for (const [index, { query, nearest }] of segments.entries()) {
    const top = rowsTop + 2 + index * rowHeight;
    drawSegment(sheet, query, { left: MARGIN, top, side: SIDE }, palette);
    arrow(sheet, MARGIN + SIDE, nearestLeft, top + SIDE / 2);
    for (const [i, segment] of nearest.entries()) {
      const left = nearestLeft + i * (SIDE + GAP);
      if ('image' in segment) drawSegment(sheet, segment, { left, top, side: SIDE }, palette);
      else drawMissing(sheet, segment.caption, { left, top, side: SIDE });
    }
  }
  drawLegend(sheet, legend, MARGIN, bottom);
  return sheet;
}

/** In place of a segment whose image is not at hand. */
function drawMissing(sheet: Raster, caption: string, place: SegmentPlace): void {
  const { left, top, side } = place;
  sheet.frame(left, top, side, side, RULE);
  sheet.text(fitText('not at hand', side - 16), left + 8, top + side / 2 - 7, QUIET);
  drawCaption(sheet, caption, place);
}
