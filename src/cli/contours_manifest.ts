/** What has been made of which image file, so that it need not be made again. */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../platform/files.node.js';
import { UsageError } from './errors.js';
import { exists, readJson } from './run_folder.js';

const schema = z.object({
  /** Everything but the images that the results depend on. */
  settings: z.string(),
  /** A digest of the image's bytes, by its path in the list. */
  images: z.record(z.string(), z.string()),
});

/** Results between two writes of the file: so many are made again, at worst, after a crash. */
const SAVE_EVERY = 20;

export class Manifest {
  readonly #file: string;
  readonly #settings: string;
  readonly #images: Map<string, string>;
  #unsaved = 0;

  private constructor(file: string, settings: string, images: Map<string, string>) {
    this.#file = file;
    this.#settings = settings;
    this.#images = images;
  }

  /**
   * Reads what is known; nothing where there is no file yet. Results of other settings don't count and will be
   * made again.
   *
   * @throws UsageError where the file is something else
   */
  static async open(file: string, settings: string): Promise<Manifest> {
    if (!(await exists(file))) return new Manifest(file, settings, new Map());
    const read = schema.safeParse(await readJson(file));
    if (!read.success)
      throw new UsageError(`${file} is not what \`segsort contours\` keeps there; name another folder with --out`);
    const same = read.data.settings === settings;
    return new Manifest(file, settings, new Map(same ? Object.entries(read.data.images) : []));
  }

  /** Whether the result was made from exactly these bytes, and is still there. */
  async has(image: string, bytes: Uint8Array, result: string): Promise<boolean> {
    return this.#images.get(image) === digest(bytes) && (await exists(result));
  }

  async add(image: string, bytes: Uint8Array): Promise<void> {
    this.#images.set(image, digest(bytes));
    if (++this.#unsaved >= SAVE_EVERY) await this.save();
  }

  async save(): Promise<void> {
    this.#unsaved = 0;
    const images = Object.fromEntries([...this.#images].sort(([a], [b]) => (a < b ? -1 : 1)));
    await mkdir(dirname(this.#file), { recursive: true });
    await writeFileAtomic(this.#file, `${JSON.stringify({ settings: this.#settings, images }, null, 1)}\n`);
  }
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);
