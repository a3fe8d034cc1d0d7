/** SegSort without labels: pixels are drawn to their own region of an oversegmentation by contours. */
import { scope } from '../../tensor/graph.js';
import { toFloat } from '../../tensor/ops/elementwise.js';
import { max, sum } from '../../tensor/ops/reduce.js';
import { shrinkLabels } from '../label_maps.js';
import { segsortUnsupervisedLoss } from '../loss.js';
import { type Objective, stateless } from './objective.js';

export interface UnsupervisedOptions {
  /** What cosines are multiplied by. Reference: 10. */
  readonly concentration: number;
  /** Most regions a crop may have at the resolution of the network's output. */
  readonly capacity: number;
}

/** Region ids are 16-bit numbers, the last of which says that there is none. */
const REGION_IDS = 65535;

/**
 * The network's output is an embedding; batches must have region ids. Segments are the regions as they are (the release
 * neither clusters them nor keeps memory banks), and labels take no part. Reports `segments`, the number of regions
 * of the batch.
 */
export function unsupervisedObjective({ concentration, capacity }: UnsupervisedOptions): Objective {
  return {
    name: 'segsort-unsupervised',
    wantsRegions: true,
    figures: { means: [], sums: ['segments'], largest: ['segments of an image'] },
    withoutPixels: 'no pixel since the last report belongs to a region: check the region masks and the crop size',
    check(largest) {
      const most = largest['segments of an image']!;
      if (most > capacity)
        throw new Error(
          `more regions than capacity: an image since the last report has ${most} in its crop, the capacity is ${capacity}; raise the option \`capacity\`, or use coarser regions`,
        );
    },
    prepare: () =>
      stateless(({ output, regions }) =>
        scope('loss', () => {
          const shrunk = shrinkLabels(regions!, [output.shape[1]!, output.shape[2]!]);
          const { loss, validPixels, segmentCounts } = segsortUnsupervisedLoss(
            { embedding: output, regions: shrunk },
            { concentration, regions: REGION_IDS, capacity },
          );
          const counts = toFloat(segmentCounts);
          return { loss, validPixels, figures: { segments: sum(counts), 'segments of an image': max(counts) } };
        }),
      ),
  };
}
