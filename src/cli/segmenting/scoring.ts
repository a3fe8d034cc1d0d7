/** Everything that is measured when a labelled data set is segmented. */
import type { Dataset } from '../../data/dataset.js';
import { DataError } from '../../data/errors.js';
import { IGNORE_LABEL } from '../../data/image.js';
import { BoundaryF, type BoundaryFResult } from '../../evaluation/boundary_f.js';
import { ConfusionMatrix, type SegmentationScore } from '../../evaluation/confusion.js';
import { PanopticQuality, type PanopticResult } from '../../evaluation/panoptic.js';
import { RegionConsistency, type RegionScore } from '../../evaluation/regions.js';
import { Trimap, type TrimapPoint } from '../../evaluation/trimap.js';
import { type ObjectOptions, panopticOf } from '../../segsort/panoptic.js';
import type { Segmenter } from '../../segsort/segmenter.js';
import { UsageError } from '../errors.js';
import { enlarge, instancesOf, type Segmented, segmentAll, truthOf, type Work } from './segmentation.js';

/** What is measured beside labels and segments. */
export interface Measures {
  /** How well contours are followed: boundary F, and IoU near contours. */
  readonly boundaries?: boolean;
  /** Panoptic quality; how objects are put together. The data set must have instances. */
  readonly panoptic?: ObjectOptions | null;
}

/** How one image was labelled. */
export interface ImageScore {
  readonly name: string;
  /** Over the classes that are in it, or were found in it; null where no pixel counts. */
  readonly meanIou: number | null;
  readonly pixelAccuracy: number | null;
}

export interface Scores {
  readonly images: number;
  readonly perImage: readonly ImageScore[];
  readonly confusion: ConfusionMatrix;
  readonly score: SegmentationScore;
  /** The best labelling that the clusters allow; null where there are none. */
  readonly oracle: SegmentationScore | null;
  readonly commonest: SegmentationScore & { readonly label: number };
  /** How well the clusters keep to the regions of the truth, before they are labelled; null where there are none. */
  readonly regions: RegionScore | null;
  readonly boundaries: BoundaryScores | null;
  readonly panoptic: PanopticResult | null;
}

export interface BoundaryScores {
  /** See `BoundaryF`: as a share of the image's diagonal. */
  readonly tolerance: number;
  readonly f: BoundaryFResult;
  /** IoU in bands of 1, 2, ... pixels around the true contours. */
  readonly trimap: readonly TrimapPoint[];
}

/** Adds up the measures of image after image. */
class Scoring {
  readonly #confusion: ConfusionMatrix;
  readonly #best: ConfusionMatrix;
  readonly #regions = new RegionConsistency(IGNORE_LABEL);
  readonly #boundaries: { readonly f: BoundaryF; readonly trimap: Trimap } | null;
  readonly #panoptic: { readonly quality: PanopticQuality; readonly options: ObjectOptions } | null;
  readonly #stride: number;
  readonly #perImage: ImageScore[] = [];
  #segmented = 0;

  constructor(classes: number, stride: number, { boundaries = false, panoptic = null }: Measures) {
    this.#stride = stride;
    this.#confusion = new ConfusionMatrix(classes, IGNORE_LABEL);
    this.#best = new ConfusionMatrix(classes, IGNORE_LABEL);
    this.#boundaries = boundaries ? { f: new BoundaryF(classes), trimap: new Trimap(classes) } : null;
    this.#panoptic = panoptic && {
      quality: new PanopticQuality({ classes, things: panoptic.things }),
      options: panoptic,
    };
  }

  /** Returns the scores of the image alone. */
  add(image: Segmented): ImageScore {
    const { found, height, width, labels } = image;
    const size = { height, width };
    const target = { ...size, stride: this.#stride };
    const truth = truthOf(image);
    const own = new ConfusionMatrix(this.#confusion.classes, IGNORE_LABEL);
    own.add(truth, labels);
    this.#confusion.merge(own);
    const { meanIou, pixelAccuracy } = own.score();
    const score = { name: found.name, meanIou, pixelAccuracy };
    this.#perImage.push(score);
    if (found.segments) {
      this.#segmented++;
      this.#best.add(truth, enlarge(found.segments.oracle, found, target));
      const clusters = { ...size, data: enlarge(found.segments.clusters, found, target) };
      this.#regions.add(clusters, { ...size, data: truth });
    }
    const maps = [
      { ...size, data: truth },
      { ...size, data: labels },
    ] as const;
    this.#boundaries?.f.add(...maps);
    this.#boundaries?.trimap.add(...maps);
    if (this.#panoptic) {
      const { quality, options } = this.#panoptic;
      const instances = instancesOf(image);
      if (!instances)
        throw new UsageError('--panoptic needs true instances: a list whose lines are `image label.png instances.png`');
      const { semantic, instance } = panopticOf(found, options);
      const large = (data: Int32Array) => ({ ...size, data: enlarge(data, found, target) });
      quality.add(
        { semantic: maps[0], instance: { ...size, data: instances } },
        { semantic: large(semantic), instance: large(instance) },
      );
    }
    return score;
  }

  scores(): Scores {
    const boundaries = this.#boundaries;
    return {
      images: this.#perImage.length,
      perImage: this.#perImage,
      confusion: this.#confusion,
      score: this.#confusion.score(),
      oracle: this.#segmented > 0 ? this.#best.score() : null,
      commonest: this.#confusion.commonestClassScore(),
      regions: this.#segmented > 0 ? this.#regions.score() : null,
      boundaries: boundaries && {
        tolerance: boundaries.f.tolerance,
        f: boundaries.f.score(),
        trimap: boundaries.trimap.curve(),
      },
      panoptic: this.#panoptic?.quality.score() ?? null,
    };
  }
}

/**
 * Segments a labelled data set and scores it, at the size of its images. `visit` sees every image.
 *
 * @throws DataError naming a label file with a value that is neither a class nor ignored
 */
export async function scoreDataset(
  work: Work,
  segmenter: Segmenter,
  dataset: Dataset,
  visit: (image: Segmented, score: ImageScore) => Promise<void> | void = () => {},
  measures: Measures = {},
): Promise<Scores> {
  const classes = work.config.data.classes.length;
  const scoring = new Scoring(classes, segmenter.options.stride, measures);
  await segmentAll(work, segmenter, dataset, (image) => {
    const stray = truthOf(image).find((label) => label !== IGNORE_LABEL && label >= classes);
    if (stray !== undefined)
      throw new DataError(
        dataset.pathsOf(image.index).label,
        `holds the label ${stray}, which is none of the ${classes} classes; \`segsort data check\` names all such files`,
      );
    return visit(image, scoring.add(image));
  });
  return scoring.scores();
}
