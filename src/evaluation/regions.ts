/**
 * How consistent segments are, before any label is given to them: whether each lies within one region of the truth, and
 * whether it is in one piece. SegSort labels whole segments, so this bounds what its retrieval can reach.
 */
import { checkSameSize, connectedPieces, type LabelMap } from './label_map.js';

export interface RegionScore {
  readonly images: number;
  /** Segments an image, on average. */
  readonly segmentsPerImage: number;
  /**
   * Share of the labelled pixels that are right if every segment gets its commonest true label: achievable segmentation
   * accuracy (Liu et al., Entropy Rate Superpixel Segmentation, CVPR 2011), which is the purity of a clustering (Manning et
   * al., Introduction to Information Retrieval, 2008, section 16.3).
   */
  readonly achievableAccuracy: number | null;
  /** Share of a segment's labelled pixels that have its commonest label, averaged over segments, large and small alike. */
  readonly segmentPurity: number | null;
  /**
   * Bits that are missing to know a pixel's label once its segment is known, 0 for pure segments: the conditional
   * entropy H(label | segment), the mean over images weighted by pixels (half of the variation of information, Meila,
   * COLT 2003).
   */
  readonly conditionalEntropy: number | null;
  /**
   * Undersegmentation error of Neubert and Protzel (Superpixel Benchmark and Comparison, 2012): for every true region and every segment
   * that reaches into it the smaller of the parts inside and outside of the region, summed, as a share of the
   * labelled pixels. Without the thresholds of earlier definitions (Levinshtein et al., PAMI 2009; Achanta et al., PAMI 2012).
   */
  readonly undersegmentation: number | null;
  /** Connected pieces (4 neighbours) a segment, on average; 1 if all are in one piece. */
  readonly piecesPerSegment: number | null;
  /** Share of the segments' pixels that lie in the largest piece of their segment. */
  readonly largestPieceShare: number | null;
}

/** Sums over images. */
const sums = () => ({
  images: 0,
  segments: 0,
  labelled: 0,
  majority: 0,
  purity: 0,
  judgedSegments: 0,
  entropy: 0,
  segmentedLabelled: 0,
  leaks: 0,
  pieces: 0,
  segmented: 0,
  largestPieces: 0,
});

export class RegionConsistency {
  readonly ignore: number;
  readonly #sums = sums();

  /** @param ignore the label of pixels that don't count */
  constructor(ignore = 255) {
    this.ignore = ignore;
  }

  /**
   * Compares the segments of an image with the truth: classes, or instances, or their `connectedPieces` where each region
   * counts by itself. Negative segments are none (their labelled pixels count as wrong); negative and ignored truth is
   * unknown.
   */
  add(segments: LabelMap, truth: LabelMap): void {
    checkSameSize('RegionConsistency', { segment: segments, truth });
    const total = this.#sums;
    total.images++;
    const bySegment = new Map<number, Map<number, number>>();
    for (let i = 0; i < segments.data.length; i++) {
      const segment = segments.data[i]!;
      const label = truth.data[i]!;
      const known = label >= 0 && label !== this.ignore;
      if (known) total.labelled++;
      if (segment < 0) continue;
      let counts = bySegment.get(segment);
      if (!counts) {
        counts = new Map();
        bySegment.set(segment, counts);
      }
      if (known) counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    for (const counts of bySegment.values()) {
      total.segments++;
      if (counts.size === 0) continue;
      const inside = [...counts.values()];
      const size = inside.reduce((a, b) => a + b, 0);
      const most = Math.max(...inside);
      total.judgedSegments++;
      total.majority += most;
      total.purity += most / size;
      total.segmentedLabelled += size;
      for (const pixels of inside) {
        total.entropy -= pixels * Math.log2(pixels / size);
        total.leaks += Math.min(pixels, size - pixels);
      }
    }
    this.#addPieces(segments);
  }

  #addPieces(segments: LabelMap): void {
    const { ids, sizes } = connectedPieces(segments);
    const largest = new Map<number, number>();
    const seen = new Set<number>();
    for (const [i, piece] of ids.entries()) {
      if (piece < 0 || seen.has(piece)) continue;
      seen.add(piece);
      const segment = segments.data[i]!;
      largest.set(segment, Math.max(largest.get(segment) ?? 0, sizes[piece]!));
    }
    this.#sums.pieces += sizes.length;
    for (const size of sizes) this.#sums.segmented += size;
    for (const size of largest.values()) this.#sums.largestPieces += size;
  }

  /** Adds what another has seen, of other images. */
  merge(other: RegionConsistency): void {
    if (other.ignore !== this.ignore)
      throw new Error(
        `RegionConsistency: cannot merge scores that ignore ${other.ignore} into some that ignore ${this.ignore}`,
      );
    for (const name of Object.keys(this.#sums) as (keyof ReturnType<typeof sums>)[])
      this.#sums[name] += other.#sums[name];
  }

  score(): RegionScore {
    const total = this.#sums;
    const share = (part: number, whole: number) => (whole > 0 ? part / whole : null);
    return {
      images: total.images,
      segmentsPerImage: total.images > 0 ? total.segments / total.images : 0,
      achievableAccuracy: share(total.majority, total.labelled),
      segmentPurity: share(total.purity, total.judgedSegments),
      conditionalEntropy: share(total.entropy, total.segmentedLabelled),
      undersegmentation: share(total.leaks, total.labelled),
      piecesPerSegment: share(total.pieces, total.segments),
      largestPieceShare: share(total.largestPieces, total.segmented),
    };
  }
}
