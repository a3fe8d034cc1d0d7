/** Held-out images beside what was made of them, for TensorBoard. */
import { encodePng } from '../../data/codecs.js';
import { paletteOf } from '../../data/description.js';
import { type RgbImage, vocPalette } from '../../data/image.js';
import { colourIds, scaleImage } from '../../viz/maps.js';
import { colourFeatures, type FeatureMap, principalComponents } from '../../viz/pca.js';
import { Raster } from '../../viz/raster.js';
import { findDescription } from '../data_folder.js';
import { imageOf, type Segmented, truthOf } from '../segmenting/segmentation.js';
import { embeddingMap } from '../segmenting/sheet.js';
import type { EventImage } from './tensorboard.js';

/** How many images are shown. */
export const SHOWN = 4;
/** Longest side of a panel; larger images are made smaller. */
const LONGEST = 320;
const GAP = 4;

type Palette = readonly (readonly [number, number, number])[];

/** The colours of a data set's classes, 256 of them. */
export async function paletteOfFolder(root: string): Promise<Palette> {
  const description = await findDescription(root);
  return description ? paletteOf(description) : vocPalette();
}

/**
 * Image, ground truth, prediction and, of a network that learns one, the embedding in the colours of its principal
 * components.
 */
export function validationPanels(segmented: Segmented, palette: Palette): EventImage {
  const { found, height, width, labels } = segmented;
  const colours = (data: ArrayLike<number>) =>
    colourIds({ height, width, data }, (label) => palette[label] ?? [0, 0, 0]);
  const panels: RgbImage[] = [
    imageOf(segmented),
    colours(truthOf(segmented)),
    colours(labels),
    ...(found.segments ? [coloursOfEmbedding(embeddingMap(found, found.segments))] : []),
  ];
  const share = Math.min(1, LONGEST / Math.max(height, width));
  const size = { height: Math.max(1, Math.round(height * share)), width: Math.max(1, Math.round(width * share)) };
  const strip = new Raster(panels.length * (size.width + GAP) - GAP, size.height);
  for (const [place, panel] of panels.entries()) strip.draw(scaleImage(panel, size), place * (size.width + GAP), 0);
  return { width: strip.width, height: strip.height, png: encodePng(strip) };
}

function coloursOfEmbedding(features: FeatureMap): RgbImage {
  return colourFeatures(features, principalComponents([features], 3));
}
