/** Local contour cues: oriented gradients of brightness, colour and texture at several scales. */
import type { RgbImage } from '../data/image.js';
import { labPlanes } from './colour.js';
import { doubled } from './filters.js';
import { halfDiscGradients } from './half_discs.js';
import { type CellHistograms, classHistograms, halved, valueHistograms } from './histograms.js';
import { smoothAlong } from './oriented_smoothing.js';
import { textons } from './textons.js';

/** Brightness, the colour axes from green to red and from blue to yellow, and texture. */
export type Channel = 'l' | 'a' | 'b' | 'texture';

/** A gradient between half discs. */
export interface Cue {
  readonly channel: Channel;
  /** The disc is `radius` cells wide, of `2 ** octave` pixels each. */
  readonly octave: number;
  readonly radius: number;
}

export interface WeightedCue extends Cue {
  readonly weight: number;
}

const OCTAVES = 3;
const BINS: Readonly<Record<Channel, number>> = { l: 13, a: 13, b: 13, texture: 32 };
/** Half width in cells of the ellipse that a gradient is smoothed over. */
const ACROSS = 1.5;

/** Sizes of an image at each octave. */
function sizesOf(width: number, height: number): { width: number; height: number }[] {
  return Array.from({ length: OCTAVES }, (_, octave) => ({
    width: Math.ceil(width / 2 ** octave),
    height: Math.ceil(height / 2 ** octave),
  }));
}

/** Oriented gradients of an image, before they are smoothed. */
export class LocalCues {
  readonly sizes: readonly { readonly width: number; readonly height: number }[];
  readonly #histograms: Record<Channel, CellHistograms[]>;

  constructor(image: RgbImage) {
    const { width, height } = image;
    this.sizes = sizesOf(width, height);
    const { l, a, b } = labPlanes(image);
    const pyramid = (finest: CellHistograms) => {
      const octaves = [finest];
      while (octaves.length < OCTAVES) octaves.push(halved(octaves[octaves.length - 1]!));
      return octaves;
    };
    this.#histograms = {
      l: pyramid(valueHistograms(l, BINS.l)),
      a: pyramid(valueHistograms(a, BINS.a)),
      b: pyramid(valueHistograms(b, BINS.b)),
      texture: pyramid(classHistograms(width, height, textons(l, BINS.texture), BINS.texture)),
    };
  }

  /** The square root of the chi-square distance (a metric, unlike the distance itself), one plane for each orientation. */
  gradients({ channel, octave, radius }: Cue): Float32Array[] {
    const planes = halfDiscGradients(this.#histograms[channel][octave]!, radius);
    return planes.map((plane) => plane.map((distance) => Math.sqrt(distance)));
  }

  /** A single cue, smoothed along its orientation at its own scale: one plane for each orientation, at the image's size. */
  response(cue: Cue): Float32Array[] {
    return this.combine([{ ...cue, weight: 1 }]);
  }

  /**
   * The weighted sum of cues, each smoothed as by `response`.
   *
   * @returns one plane for each orientation, at the image's size
   */
  combine(cues: readonly WeightedCue[]): Float32Array[] {
    let sum: Float32Array[] | null = null;
    for (let octave = OCTAVES - 1; octave >= 0; octave--) {
      const { width, height } = this.sizes[octave]!;
      const coarser = this.sizes[octave + 1];
      if (sum && coarser) sum = sum.map((data) => doubled({ ...coarser, data }, width, height));
      const here = cues.filter((cue) => cue.octave === octave);
      for (const radius of new Set(here.map((cue) => cue.radius))) {
        let raw: Float32Array[] | null = null;
        for (const cue of here) if (cue.radius === radius) raw = addScaled(raw, this.gradients(cue), cue.weight);
        if (raw) sum = addScaled(sum, smoothAlong(raw, width, height, radius, ACROSS), 1);
      }
    }
    if (!sum) throw new RangeError('LocalCues: no cues to combine');
    return sum;
  }
}

/** Adds planes to others in place; to nothing, it makes them. */
function addScaled(sums: Float32Array[] | null, planes: Float32Array[], weight: number): Float32Array[] {
  if (!sums) return planes.map((plane) => plane.map((value) => weight * value));
  for (const [k, sum] of sums.entries()) {
    const plane = planes[k]!;
    for (let i = 0; i < sum.length; i++) sum[i]! += weight * plane[i]!;
  }
  return sums;
}
