/** The prototypes of many images on the host: what retrieval searches, and what is known of where each came from. */
import { parseSafetensors } from '../checkpoints/safetensors.js';
import { serializeSafetensors } from '../checkpoints/safetensors_writer.js';
import { CheckpointFormatError, type StoredTensor } from '../checkpoints/tensor_file.js';
import { type Shape, sameShape, showShape } from '../tensor/types.js';

/** A range of pixels: rows top to bottom, columns left to right, the last two exclusive. */
export interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

export interface SegmentExtent {
  /** Null for a segment without pixels. */
  readonly box: Box | null;
  readonly pixels: number;
}

/** Bounding box and number of pixels of the segments 0 to `segments - 1` of one image; negative ids are left out. */
export function segmentExtents(ids: ArrayLike<number>, width: number, segments: number): SegmentExtent[] {
  const extents = Array.from({ length: segments }, () => ({
    top: Infinity,
    left: Infinity,
    bottom: 0,
    right: 0,
    pixels: 0,
  }));
  for (let i = 0; i < ids.length; i++) {
    const extent = extents[ids[i]!];
    if (!extent) continue;
    const y = Math.floor(i / width);
    const x = i - y * width;
    extent.top = Math.min(extent.top, y);
    extent.left = Math.min(extent.left, x);
    extent.bottom = Math.max(extent.bottom, y + 1);
    extent.right = Math.max(extent.right, x + 1);
    extent.pixels++;
  }
  return extents.map(({ pixels, ...box }) => ({ box: pixels > 0 ? box : null, pixels }));
}

/** What `extractPrototypes` gave for one image, read back. */
export interface ExtractedImage {
  /** [K,D]. */
  readonly prototypes: ArrayLike<number>;
  /** [K]: -1 for empty clusters, which are left out of the table. */
  readonly labels: ArrayLike<number>;
  /** [h*w]. */
  readonly members: ArrayLike<number>;
  /** Width w of the embedding. */
  readonly width: number;
  /** Pixels of the image for one pixel of the embedding, along y and x. Default: 1. */
  readonly scale?: readonly [number, number];
}

export interface TableEntry {
  readonly label: number;
  /** Name of the image it came from. */
  readonly image: string;
  /** Where in the image, in its pixels. */
  readonly box: Box;
  /** Pixels of the embedding it is the mean direction of. */
  readonly pixels: number;
}

export class PrototypeTable {
  /** Length of a prototype. */
  readonly channels: number;
  readonly #features: Float32Array<ArrayBuffer>[] = [];
  readonly #entries: TableEntry[] = [];

  constructor(channels: number) {
    if (!(Number.isInteger(channels) && channels > 0)) throw new Error(`PrototypeTable: ${channels} channels`);
    this.channels = channels;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** [size, channels], row-major: unit vectors. */
  get features(): Float32Array<ArrayBuffer> {
    const features = new Float32Array(this.size * this.channels);
    for (const [row, feature] of this.#features.entries()) features.set(feature, row * this.channels);
    return features;
  }

  get labels(): Int32Array<ArrayBuffer> {
    return Int32Array.from(this.#entries, ({ label }) => label);
  }

  entry(row: number): TableEntry {
    const entry = this.#entries[row];
    if (!entry) throw new Error(`PrototypeTable: row ${row} of ${this.size}`);
    return entry;
  }

  push(feature: ArrayLike<number>, entry: TableEntry): void {
    if (feature.length !== this.channels)
      throw new Error(`PrototypeTable: a prototype of ${feature.length} channels for a table of ${this.channels}`);
    this.#features.push(Float32Array.from(feature));
    this.#entries.push(entry);
  }

  /** Adds the prototypes of an image. */
  addImage(image: string, { prototypes, labels, members, width, scale = [1, 1] }: ExtractedImage): void {
    const clusters = labels.length;
    if (prototypes.length !== clusters * this.channels)
      throw new Error(
        `PrototypeTable: ${image}: ${prototypes.length} numbers for ${clusters} prototypes of ${this.channels} channels`,
      );
    const all = Array.from(prototypes);
    for (const [cluster, { box, pixels }] of segmentExtents(members, width, clusters).entries()) {
      const label = labels[cluster]!;
      if (label < 0 || !box) continue;
      this.push(all.slice(cluster * this.channels, (cluster + 1) * this.channels), {
        label,
        image,
        box: {
          top: Math.floor(box.top * scale[0]),
          left: Math.floor(box.left * scale[1]),
          bottom: Math.ceil(box.bottom * scale[0]),
          right: Math.ceil(box.right * scale[1]),
        },
        pixels,
      });
    }
  }

  /**
   * A safetensors file: `features` [M,D], `labels`, `image` (index into the list of names) and `pixels` [M], `boxes` [M,4]
   * (top, left, bottom, right), and in the metadata the names of the images under `images`, beside `metadata`.
   */
  serialize(metadata: Readonly<Record<string, string>> = {}): Uint8Array<ArrayBuffer> {
    const images = [...new Set(this.#entries.map(({ image }) => image))];
    const indexOf = new Map(images.map((image, index) => [image, index]));
    const integers = (shape: Shape, values: number[]): StoredTensor => ({
      dtype: 'I32',
      shape,
      data: Int32Array.from(values),
    });
    const size = this.size;
    return serializeSafetensors(
      [
        ['features', { dtype: 'F32', shape: [size, this.channels], data: this.features }],
        ['labels', integers([size], [...this.labels])],
        [
          'image',
          integers(
            [size],
            this.#entries.map(({ image }) => indexOf.get(image)!),
          ),
        ],
        [
          'pixels',
          integers(
            [size],
            this.#entries.map(({ pixels }) => pixels),
          ),
        ],
        [
          'boxes',
          integers(
            [size, 4],
            this.#entries.flatMap(({ box }) => [box.top, box.left, box.bottom, box.right]),
          ),
        ],
      ],
      { ...metadata, images: JSON.stringify(images) },
    );
  }

  /**
   * Reads what `serialize` wrote; its metadata comes along.
   *
   * @param file name for messages
   * @throws CheckpointFormatError naming the file and the tensor that is missing or of the wrong shape
   */
  static parse(
    bytes: Uint8Array<ArrayBuffer>,
    file: string,
  ): { table: PrototypeTable; metadata: Readonly<Record<string, string>> } {
    const { tensors, metadata } = parseSafetensors(bytes, file);
    const size = tensors.get('labels')?.shape[0] ?? 0;
    const read = (name: string, dtype: string, shape: Shape) => {
      const tensor = tensors.get(name);
      if (!tensor)
        throw new CheckpointFormatError(file, { tensor: name }, 'is missing; is this a table of prototypes?');
      if (tensor.dtype !== dtype || !sameShape(tensor.shape, shape))
        throw new CheckpointFormatError(
          file,
          { tensor: name },
          `is ${tensor.dtype} ${showShape(tensor.shape)}, expected ${dtype} ${showShape(shape)}`,
        );
      return tensor.data as Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
    };
    const labels = read('labels', 'I32', [size]);
    const channels = tensors.get('features')?.shape[1] ?? 0;
    const features = read('features', 'F32', [size, channels]);
    const image = read('image', 'I32', [size]);
    const pixels = read('pixels', 'I32', [size]);
    const boxes = read('boxes', 'I32', [size, 4]);
    const names = imageNames(metadata.images, file);
    const table = new PrototypeTable(channels);
    for (let row = 0; row < size; row++) {
      const name = names[image[row]!];
      if (name === undefined)
        throw new CheckpointFormatError(
          file,
          { tensor: 'image' },
          `row ${row} is of image ${image[row]}, there are ${names.length} names`,
        );
      const [top, left, bottom, right] = boxes.subarray(row * 4, row * 4 + 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      table.push(features.subarray(row * channels, (row + 1) * channels), {
        label: labels[row]!,
        image: name,
        box: { top, left, bottom, right },
        pixels: pixels[row]!,
      });
    }
    const { images: _, ...rest } = metadata;
    return { table, metadata: rest };
  }
}

function imageNames(text: string | undefined, file: string): string[] {
  const names: unknown = text === undefined ? null : JSON.parse(text);
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
    throw new CheckpointFormatError(
      file,
      {},
      'its metadata has no list of image names; is this a table of prototypes?',
    );
  return names;
}
