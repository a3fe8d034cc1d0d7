/** A list of images and labels in a folder (or on a server), opened one sample at a time. */
import { FileError, type FileSource } from '../platform/files.js';
import type { NamedFile, PackedImage, SampleFiles } from './decode.js';
import { DataError } from './errors.js';
import { imageSize } from './image_size.js';
import { type LabelReading, PLAIN_LABELS } from './label_reading.js';
import { type ImageList, type ListEntry, parseList } from './lists.js';
import { type RegionRule, regionPath } from './region_rule.js';

export interface Sample extends PackedImage {
  /** The image's path in the list. */
  readonly name: string;
}

export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

export interface SamplePaths {
  readonly image: string;
  readonly label: string | null;
  readonly instances: string | null;
  readonly regions: string | null;
}

export interface DatasetOptions {
  /** What the values of label and instance files mean. Default: classes, and instances as VOC numbers them. */
  readonly reading?: LabelReading;
  /** Where the region masks lie. Default: there are none. */
  readonly regions?: RegionRule | null;
  /** Whether label and instance files that are listed are read. Default: they are. */
  readonly labels?: boolean;
}

/** Enough for the header of a JPEG with an EXIF thumbnail; longer headers cost a second read. */
const HEAD_BYTES = 65536;
const CONCURRENT_READS = 16;

export class Dataset {
  readonly source: FileSource;
  readonly list: ImageList;
  readonly options: DatasetOptions;
  #largest: Promise<ImageSize> | null = null;

  constructor(source: FileSource, list: ImageList, options: DatasetOptions = {}) {
    if (list.entries.length === 0) throw new DataError(list.file, 'lists no images; each line is `image label`');
    this.source = source;
    this.list = list;
    this.options = options;
  }

  /** The data set of a list file inside the source. */
  static async open(source: FileSource, listFile: string, options: DatasetOptions = {}): Promise<Dataset> {
    const text = new TextDecoder().decode(await source.read(listFile).catch(asDataError));
    return new Dataset(source, parseList(text, listFile), options);
  }

  get reading(): LabelReading {
    return this.options.reading ?? PLAIN_LABELS;
  }

  get length(): number {
    return this.list.entries.length;
  }

  /** Whether samples come with ids: region masks, or instance maps in the list. */
  get hasIds(): boolean {
    const { regions, labels = true } = this.options;
    return regions != null || (labels && this.list.entries.some(({ instances }) => instances !== undefined));
  }

  /** Image paths, as in the list. */
  get names(): string[] {
    return this.list.entries.map((entry) => entry.image);
  }

  /**
   * Reads and decodes a sample.
   *
   * @throws DataError where a file is missing or broken, or holds what it may not, or image and label differ in size
   */
  async load(index: number): Promise<Sample> {
    const [files, { decodeSample }] = await Promise.all([this.readFiles(index), import('./decode.js')]);
    return { name: files.image.file, ...decodeSample(files) };
  }

  /** Reads a sample's files without decoding them. */
  async readFiles(index: number): Promise<SampleFiles> {
    const entry = this.#entry(index);
    const paths = this.pathsOf(index);
    const read = async (file: string, role: string) => ({ file, bytes: await this.#read(file, entry, role) });
    const readIf = async (file: string | null, role: string): Promise<NamedFile | null> =>
      file === null ? null : read(file, role);
    const [image, label, instances, regions] = await Promise.all([
      read(paths.image, 'image'),
      readIf(paths.label, 'label'),
      readIf(paths.instances, 'instance map'),
      readIf(paths.regions, 'region mask of the image'),
    ]);
    return { image, label, instances, regions, reading: this.reading };
  }

  /**
   * Paths of a sample's files, relative to the root; null for those that there are not, or that are not read.
   *
   * @throws DataError where the rule for region masks does not fit the sample
   */
  pathsOf(index: number): SamplePaths {
    const entry = this.#entry(index);
    const { regions, labels = true } = this.options;
    return {
      image: entry.image,
      label: labels ? entry.label : null,
      instances: (labels && entry.instances) || null,
      regions: regions ? regionPath(regions, entry, this.list.file) : null,
    };
  }

  /** Size of an image, from its header alone. */
  async sizeOf(index: number): Promise<ImageSize> {
    const entry = this.#entry(index);
    const head = await this.source
      .readHead(entry.image, HEAD_BYTES)
      .catch((error) => this.#rethrow(error, entry, 'image'));
    const size = imageSize(head, entry.image) ?? imageSize(await this.#read(entry.image, entry, 'image'), entry.image);
    if (!size) throw new DataError(entry.image, 'truncated: it ends before its header gives a size');
    return { width: size.width, height: size.height };
  }

  /** The largest height and the largest width of all images, from their headers; found once. */
  largestSize(): Promise<ImageSize> {
    this.#largest ??= this.#findLargest();
    return this.#largest;
  }

  async #findLargest(): Promise<ImageSize> {
    let width = 0;
    let height = 0;
    let next = 0;
    const scan = async () => {
      while (next < this.length) {
        const size = await this.sizeOf(next++);
        width = Math.max(width, size.width);
        height = Math.max(height, size.height);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT_READS }, scan));
    return { width, height };
  }

  #entry(index: number): ListEntry {
    const entry = this.list.entries[index];
    if (!entry) throw new RangeError(`${this.list.file} has ${this.length} samples, none with index ${index}`);
    return entry;
  }

  #read(path: string, entry: ListEntry, role: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.source.read(path).catch((error) => this.#rethrow(error, entry, role));
  }

  #rethrow(error: unknown, entry: ListEntry, role: string): never {
    if (!(error instanceof FileError)) throw error;
    throw new DataError(error.path, `${role} listed in line ${entry.line} of ${this.list.file}: ${error.reason}`, {
      cause: error,
    });
  }
}

function asDataError(error: unknown): never {
  if (!(error instanceof FileError)) throw error;
  throw new DataError(error.path, error.reason, { cause: error });
}
