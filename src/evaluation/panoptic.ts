/**
 * Panoptic quality (Kirillov et al., Panoptic Segmentation, CVPR 2019): how well the segments of an image are found, where a
 * segment is an instance of a thing, or all of a stuff class.
 */
import { checkSameSize, type LabelMap } from './label_map.js';

/** A panoptic segmentation: a class and, for things, an instance for every pixel. */
export interface PanopticMap {
  /** Classes. In the truth `ignore` is void; in a prediction a negative class is void. */
  readonly semantic: LabelMap;
  /**
   * Any integer per instance of a thing, which need only be unique in its class; not looked at for stuff. A negative one in the
   * truth is a crowd: things of that class that were not told apart.
   */
  readonly instance: LabelMap;
}

export interface PanopticOptions {
  readonly classes: number;
  /** The classes that have instances. */
  readonly things: Iterable<number>;
  /** Void in the truth. Default: 255. */
  readonly ignore?: number;
}

export interface PanopticScore {
  /** Panoptic quality: `sq * rq`. */
  readonly pq: number;
  /** Segmentation quality: mean IoU of the matched segments; 0 if there is none. */
  readonly sq: number;
  /** Recognition quality: F1 of finding segments. */
  readonly rq: number;
}

export interface PanopticClassScore extends PanopticScore {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
}

export interface PanopticResult {
  /** Null for a class without segments, true or predicted, which is left out of the means. */
  readonly classes: readonly (PanopticClassScore | null)[];
  /** Means over the classes; null if none has segments. */
  readonly all: PanopticScore | null;
  readonly things: PanopticScore | null;
  readonly stuff: PanopticScore | null;
}

interface Segment {
  readonly label: number;
  readonly crowd: boolean;
  area: number;
}

/** The segment of every pixel of an image, -1 for void. */
interface Segments {
  readonly ids: Int32Array<ArrayBuffer>;
  readonly segments: readonly Segment[];
}

/** Sums over images: IoU of the matched, and the three counts of each class. */
const TALLIES = ['iou', 'truePositives', 'falsePositives', 'falseNegatives'] as const;

export class PanopticQuality {
  readonly classes: number;
  readonly things: ReadonlySet<number>;
  readonly ignore: number;
  readonly #tallies: Record<(typeof TALLIES)[number], Float64Array<ArrayBuffer>>;

  constructor({ classes, things, ignore = 255 }: PanopticOptions) {
    if (!(Number.isInteger(classes) && classes > 0)) throw new Error(`PanopticQuality: ${classes} classes`);
    this.classes = classes;
    this.things = new Set(things);
    this.ignore = ignore;
    for (const thing of this.things)
      if (!(Number.isInteger(thing) && thing >= 0 && thing < classes))
        throw new Error(`PanopticQuality: the thing ${thing} is none of ${classes} classes`);
    const zeros = () => new Float64Array(classes);
    this.#tallies = { iou: zeros(), truePositives: zeros(), falsePositives: zeros(), falseNegatives: zeros() };
  }

  /**
   * Scores an image by the rules of the paper (section 4) and its API: a predicted and a true segment of one class match if
   * their IoU exceeds 1/2, where true void counts for no union. An unmatched true segment is a miss unless it is a
   * crowd; an unmatched predicted one is a false alarm, unless more than half of it is void or crowd of its class.
   *
   * @throws Error if the maps differ in size, a class is none, or a predicted thing has a negative instance
   */
  add(truth: PanopticMap, predicted: PanopticMap): void {
    checkSameSize('PanopticQuality', {
      'true semantic': truth.semantic,
      'true instance': truth.instance,
      'predicted semantic': predicted.semantic,
      'predicted instance': predicted.instance,
    });
    const real = this.#segmentsOf(truth, 'true');
    const found = this.#segmentsOf(predicted, 'predicted');
    const { onVoid, onCrowd, overlaps } = intersect(real, found);
    const tally = this.#tallies;
    const matched = { real: new Set<number>(), found: new Set<number>() };
    for (const { a, b, pixels } of overlaps) {
      const [r, f] = [real.segments[a]!, found.segments[b]!];
      if (r.label !== f.label || r.crowd) continue;
      const iou = pixels / (r.area + f.area - pixels - onVoid[b]!);
      if (iou <= 0.5) continue;
      // No other pair of these two can exceed 1/2 (the paper's theorem 1).
      tally.iou[r.label]! += iou;
      tally.truePositives[r.label]!++;
      matched.real.add(a);
      matched.found.add(b);
    }
    for (const [a, { label, crowd }] of real.segments.entries())
      if (!crowd && !matched.real.has(a)) tally.falseNegatives[label]!++;
    for (const [b, { label, area }] of found.segments.entries())
      if (!matched.found.has(b) && onVoid[b]! + onCrowd[b]! <= area / 2) tally.falsePositives[label]!++;
  }

  #segmentsOf({ semantic, instance }: PanopticMap, whose: 'true' | 'predicted'): Segments {
    const ids = new Int32Array(semantic.data.length).fill(-1);
    const segments: Segment[] = [];
    const byKey = new Map<number, number>();
    for (let i = 0; i < ids.length; i++) {
      const label = semantic.data[i]!;
      if (whose === 'true' ? label === this.ignore : label < 0) continue;
      if (!(label >= 0 && label < this.classes))
        throw new Error(`PanopticQuality: pixel ${i} has the ${whose} class ${label}, with ${this.classes} classes`);
      const thing = this.things.has(label);
      const number = thing ? instance.data[i]! : 0;
      if (number < 0 && whose === 'predicted')
        throw new Error(`PanopticQuality: pixel ${i} is predicted as instance ${number} of the thing ${label}`);
      const key = label * 2 ** 33 + Math.max(0, number + 1);
      let id = byKey.get(key);
      if (id === undefined) {
        id = segments.length;
        byKey.set(key, id);
        segments.push({ label, crowd: number < 0, area: 0 });
      }
      segments[id]!.area++;
      ids[i] = id;
    }
    return { ids, segments };
  }

  /** Adds what another has seen, of other images. */
  merge(other: PanopticQuality): void {
    const setting = ({ classes, things, ignore }: PanopticQuality) =>
      `${classes} classes, ignore ${ignore}, things ${[...things].sort((a, b) => a - b).join(' ')}`;
    if (setting(other) !== setting(this))
      throw new Error(`PanopticQuality: cannot merge ${setting(other)} into ${setting(this)}`);
    for (const name of TALLIES)
      for (const [label, value] of other.#tallies[name].entries()) this.#tallies[name][label]! += value;
  }

  score(): PanopticResult {
    const classes = Array.from({ length: this.classes }, (_, label): PanopticClassScore | null => {
      const [iou, truePositives, falsePositives, falseNegatives] = TALLIES.map(
        (name) => this.#tallies[name][label]!,
      ) as [number, number, number, number];
      if (truePositives + falsePositives + falseNegatives === 0) return null;
      const weight = truePositives + falsePositives / 2 + falseNegatives / 2;
      const sq = truePositives > 0 ? iou / truePositives : 0;
      return { pq: iou / weight, sq, rq: truePositives / weight, truePositives, falsePositives, falseNegatives };
    });
    const mean = (which: (label: number) => boolean): PanopticScore | null => {
      const chosen = classes.filter((score, label): score is PanopticClassScore => score !== null && which(label));
      if (chosen.length === 0) return null;
      const of = (name: 'pq' | 'sq' | 'rq') => chosen.reduce((sum, score) => sum + score[name], 0) / chosen.length;
      return { pq: of('pq'), sq: of('sq'), rq: of('rq') };
    };
    return {
      classes,
      all: mean(() => true),
      things: mean((label) => this.things.has(label)),
      stuff: mean((label) => !this.things.has(label)),
    };
  }
}

interface Overlap {
  readonly a: number;
  readonly b: number;
  pixels: number;
}

/** Pixels that true and predicted segments share, and those of each predicted one on void and on crowd of its class. */
function intersect(real: Segments, found: Segments) {
  const onVoid = new Float64Array(found.segments.length);
  const onCrowd = new Float64Array(found.segments.length);
  const overlaps = new Map<number, Overlap>();
  for (const [i, b] of found.ids.entries()) {
    if (b < 0) continue;
    const a = real.ids[i]!;
    if (a < 0) {
      onVoid[b]!++;
      continue;
    }
    const segment = real.segments[a]!;
    if (segment.crowd && segment.label === found.segments[b]!.label) onCrowd[b]!++;
    const key = a * found.segments.length + b;
    const overlap = overlaps.get(key);
    if (overlap) overlap.pixels++;
    else overlaps.set(key, { a, b, pixels: 1 });
  }
  return { onVoid, onCrowd, overlaps: overlaps.values() };
}
