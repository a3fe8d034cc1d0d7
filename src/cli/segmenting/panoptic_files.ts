/** Panoptic segmentations as files: the PNG and JSON of COCO's format, which its tools and Cityscapes' converters read. */
import { encodePng } from '../../data/codecs.js';
import type { DataDescription } from '../../data/description.js';
import type { PanopticSegmentation } from '../../segsort/panoptic.js';
import { enlarge } from './segmentation.js';

/** What the JSON file says of one image. */
export interface PanopticEntry {
  readonly image: {
    readonly id: string;
    readonly file_name: string;
    readonly height: number;
    readonly width: number;
  };
  readonly annotation: {
    readonly image_id: string;
    readonly file_name: string;
    readonly segments_info: readonly {
      readonly id: number;
      readonly category_id: number;
      /** In pixels. */
      readonly area: number;
      /** Left, top, width, height. */
      readonly bbox: readonly [number, number, number, number];
      readonly iscrowd: 0;
    }[];
  };
}

/** The id of a segment in its image: `class * 1000 + object`, objects counted from 1; 0 is void. */
const idOf = (label: number, instance: number): number => label * 1000 + instance;

interface ImageSize {
  readonly height: number;
  readonly width: number;
  readonly stride: number;
}

/** The PNG of an image, at its own size: ids as `r + 256 * g + 65536 * b`. Also what the JSON file says of it. */
export function panopticImage(
  segmentation: PanopticSegmentation,
  size: ImageSize,
  names: { readonly image: string; readonly png: string },
): { png: Uint8Array; entry: PanopticEntry } {
  const { height, width } = size;
  const [semantic, instance] = [segmentation.semantic, segmentation.instance].map((data) =>
    enlarge(data, segmentation, size),
  ) as [Int32Array, Int32Array];
  const data = new Uint8Array(height * width * 3);
  const extents = new Map<
    number,
    { label: number; area: number; left: number; top: number; right: number; bottom: number }
  >();
  for (const [pixel, label] of semantic.entries()) {
    if (label < 0) continue;
    const id = idOf(label, instance[pixel]!);
    data.set([id & 255, (id >>> 8) & 255, id >>> 16], pixel * 3);
    const y = Math.floor(pixel / width);
    const x = pixel - y * width;
    const extent = extents.get(id) ?? { label, area: 0, left: x, top: y, right: x, bottom: y };
    extent.area++;
    extent.left = Math.min(extent.left, x);
    extent.right = Math.max(extent.right, x);
    extent.bottom = y;
    extents.set(id, extent);
  }
  const segments = [...extents].sort(([a], [b]) => a - b);
  return {
    png: encodePng({ height, width, data }),
    entry: {
      image: { id: names.image, file_name: names.image, height, width },
      annotation: {
        image_id: names.image,
        file_name: names.png,
        segments_info: segments.map(([id, { label, area, left, top, right, bottom }]) => ({
          id,
          category_id: label,
          area,
          bbox: [left, top, right - left + 1, bottom - top + 1],
          iscrowd: 0,
        })),
      },
    },
  };
}

/** The contents of the JSON file; categories are numbered as classes are. */
export function panopticIndex({ classes }: DataDescription, entries: readonly PanopticEntry[]) {
  return {
    images: entries.map(({ image }) => image),
    annotations: entries.map(({ annotation }) => annotation),
    categories: classes.map(({ name, thing, colour }, id) => ({ id, name, isthing: thing ? 1 : 0, color: colour })),
  };
}
