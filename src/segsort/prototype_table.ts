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
  /** [K]: the object in the image that each is a part of, -1 for none. Default: not known. */
  readonly instances?: ArrayLike<number>;
  /** [h*w]. */
  readonly members: ArrayLike<number>;
  /** Width w of the embedding. */
  readonly width: number;
  /** Pixels of the image for one pixel of the embedding, along y and x. Default: 1. */
  readonly scale?: readonly [number, number];
  /** Height and width of the image, which boxes end at. Default: what the embedding stands for. */
  readonly size?: readonly [number, number];
}

export interface TableEntry {
  readonly label: number;
  /** Number of the object in the image that it is a part of; -1 for none, null where instances were not told apart. */
  readonly instance: number | null;
  /** Where it came from; null where that is not known. */
  readonly origin: PrototypeOrigin | null;
}

export interface PrototypeOrigin {
  /** Name of the image. */
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

  /** Numbers of objects in their images, -1 for none; null where they were not told apart. */
  get instances(): Int32Array<ArrayBuffer> | null {
    const known = this.#entries.some(({ instance }) => instance !== null);
    return known ? Int32Array.from(this.#entries, ({ instance }) => instance ?? -1) : null;
  }

  /** Names of the images that the prototypes came from, each once. */
  get images(): string[] {
    return [...new Set(this.#entries.flatMap(({ origin }) => (origin ? [origin.image] : [])))];
  }

  /** The prototype of a row, [channels]. */
  feature(row: number): Float32Array<ArrayBuffer> {
    this.entry(row);
    return this.#features[row]!;
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
  addImage(image: string, extracted: ExtractedImage): void {
    const { prototypes, labels, instances, members, width, scale = [1, 1] } = extracted;
    const [lowest, rightmost] = extracted.size ?? [Infinity, Infinity];
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
        instance: instances ? instances[cluster]! : null,
        origin: {
          image,
          box: {
            top: Math.floor(box.top * scale[0]),
            left: Math.floor(box.left * scale[1]),
            bottom: Math.min(lowest, Math.ceil(box.bottom * scale[0])),
            right: Math.min(rightmost, Math.ceil(box.right * scale[1])),
          },
          pixels,
        },
      });
    }
  }

  /**
   * A safetensors file: `features` [M,D], `labels`, `image` (index into the list of names, -1 if not known) and `pixels` [M],
   * `boxes` [M,4] (top, left, bottom, right), `instances` [M] where they were told apart, and in the metadata the names
   * of the images under `images`, beside `metadata`.
   */
  serialize(metadata: Readonly<Record<string, string>> = {}): Uint8Array<ArrayBuffer> {
    const entries = this.#entries;
    const { images } = this;
    const indexOf = new Map(images.map((image, index) => [image, index]));
    const size = this.size;
    const integers = (shape: Shape, valuesOf: (entry: TableEntry) => readonly number[]): StoredTensor => ({
      dtype: 'I32',
      shape,
      data: Int32Array.from(entries.flatMap(valuesOf)),
    });
    const { instances } = this;
    return serializeSafetensors(
      [
        ['features', { dtype: 'F32', shape: [size, this.channels], data: this.features }],
        ['labels', integers([size], ({ label }) => [label])],
        ['image', integers([size], ({ origin }) => [origin ? indexOf.get(origin.image)! : -1])],
        ['pixels', integers([size], ({ origin }) => [origin?.pixels ?? 0])],
        ['boxes', integers([size, 4], ({ origin }) => cornersOf(origin?.box ?? NO_BOX))],
        ...(instances
          ? [['instances', { dtype: 'I32', shape: [size], data: instances }] satisfies [string, StoredTensor]]
          : []),
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
    if (channels === 0) throw new CheckpointFormatError(file, { tensor: 'features' }, 'has no channels');
    const image = read('image', 'I32', [size]);
    const pixels = read('pixels', 'I32', [size]);
    const boxes = read('boxes', 'I32', [size, 4]);
    const names = imageNames(metadata.images, file);
    const instances = tensors.has('instances') ? read('instances', 'I32', [size]) : null;
    const table = new PrototypeTable(channels);
    for (let row = 0; row < size; row++) {
      const index = image[row]!;
      const name = names[index];
      if (name === undefined && index >= 0)
        throw new CheckpointFormatError(
          file,
          { tensor: 'image' },
          `row ${row} is of image ${index}, there are ${names.length} names`,
        );
      const [top, left, bottom, right] = boxes.subarray(row * 4, row * 4 + 4) as unknown as Corners;
      table.push(features.subarray(row * channels, (row + 1) * channels), {
        label: labels[row]!,
        instance: instances && instances[row]!,
        origin: name === undefined ? null : { image: name, box: { top, left, bottom, right }, pixels: pixels[row]! },
      });
    }
    const { images: _, ...rest } = metadata;
    return { table, metadata: rest };
  }
}

type Corners = readonly [top: number, left: number, bottom: number, right: number];

const NO_BOX: Box = { top: 0, left: 0, bottom: 0, right: 0 };

const cornersOf = ({ top, left, bottom, right }: Box): Corners => [top, left, bottom, right];

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function imageNames(text: string | undefined, file: string): string[] {
  const names = text === undefined ? null : parsedOrNull(text);
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
    throw new CheckpointFormatError(
      file,
      {},
      'its metadata has no list of image names; is this a table of prototypes?',
    );
  return names;
}
