/** What decided on the segments of an image, as data. */
import { type Box, type PrototypeTable, segmentExtents } from '../../segsort/prototype_table.js';
import type { Segmented } from './segmentation.js';

/** A segment of an image; what `segsort explain` writes. */
export interface SegmentExplanation {
  /** Number of the cluster. */
  readonly segment: number;
  /** The label that most of its pixels were given. */
  readonly label: number;
  readonly class: string;
  /** Share of the image, from 0 to 1. */
  readonly share: number;
  /** In pixels of the image. */
  readonly box: Box;
  /** How many of the nearest prototypes have each label, most first. */
  readonly votes: readonly { readonly label: number; readonly class: string; readonly count: number }[];
  /** All that voted, most similar first. */
  readonly nearest: readonly NearestSegment[];
}

export interface NearestSegment {
  /** Row of the prototype in its table. */
  readonly prototype: number;
  /** Cosine. */
  readonly similarity: number;
  readonly label: number;
  readonly class: string;
  /** The training image, and where in it, in pixels; null where the prototypes don't say. */
  readonly image: string | null;
  readonly box: Box | null;
}

/** Segments of an image, the largest first. Empty for an image that was not segmented by retrieval. */
export function explainSegments(
  { found, height, width }: Segmented,
  stride: number,
  table: PrototypeTable,
  classes: readonly string[],
): SegmentExplanation[] {
  if (!found.segments) return [];
  const { clusters, neighbours } = found.segments;
  const nameOf = (label: number) => classes[label] ?? `class ${label}`;
  const explained = segmentExtents(clusters, found.width, neighbours.length).flatMap(
    ({ box, pixels }, segment): SegmentExplanation[] => {
      if (!box) return [];
      const given = new Map<number, number>();
      for (const [pixel, cluster] of clusters.entries())
        if (cluster === segment) given.set(found.labels[pixel]!, (given.get(found.labels[pixel]!) ?? 0) + 1);
      const [[label] = [-1]] = byCount(given);
      const nearest = nearestSegments(neighbours[segment]!, table, nameOf);
      const votes = new Map<number, number>();
      for (const { label: own } of nearest) votes.set(own, (votes.get(own) ?? 0) + 1);
      return [
        {
          ...{ segment, label, class: nameOf(label), share: pixels / clusters.length },
          box: {
            top: box.top * stride,
            left: box.left * stride,
            bottom: Math.min(height, box.bottom * stride),
            right: Math.min(width, box.right * stride),
          },
          votes: byCount(votes).map(([own, count]) => ({ label: own, class: nameOf(own), count })),
          nearest,
        },
      ];
    },
  );
  return explained.sort((a, b) => b.share - a.share || a.segment - b.segment);
}

/** What was retrieved for a segment, most similar first. */
export function nearestSegments(
  { rows, similarities }: { readonly rows: readonly number[]; readonly similarities: readonly number[] },
  table: PrototypeTable,
  nameOf: (label: number) => string,
): NearestSegment[] {
  return rows.map((prototype, i) => {
    const { label, origin } = table.entry(prototype);
    return {
      ...{ prototype, similarity: similarities[i]!, label, class: nameOf(label) },
      ...{ image: origin?.image ?? null, box: origin?.box ?? null },
    };
  });
}

/** The largest count first; of equal ones the lower label. */
const byCount = (counts: ReadonlyMap<number, number>) => [...counts].sort(([a, m], [b, n]) => n - m || a - b);
