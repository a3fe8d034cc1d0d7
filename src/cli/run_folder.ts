/** The folder of a run: what it was asked to compute, what came of it, and how to go on. */
import { copyFile, link, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { writeFileAtomic } from '../platform/files.node.js';
import { formatConfigFile, type ResolvedConfig, resolveConfig } from './config/config.js';
import { UsageError } from './errors.js';

/**
 * A line of `metrics.jsonl`: with these, and with what the objective reports beside, such as `segments` or `accuracy`.
 */
export interface MetricsLine {
  /** Steps done, counted from 1 over all stages. */
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly validPixels: number;
  /** Of training since step 0, over all resumptions. */
  readonly seconds: number;
  readonly [name: string]: number;
}

/** A line of `validation.jsonl`: scores on held-out images, from 0 to 1; null where nothing could be scored. */
export interface ValidationLine {
  readonly step: number;
  readonly meanIou: number | null;
  readonly pixelAccuracy: number | null;
  /** Had every segment been given its best label; null without segments. */
  readonly oracleMeanIou: number | null;
  readonly images: number;
  /** That were searched; null without retrieval. */
  readonly prototypes: number | null;
}

/** Where a run goes on from. */
export interface ResumePoint {
  readonly run: RunFolder;
  /** The checkpoint's file. */
  readonly checkpoint: string;
}

const LAST = 'checkpoint.safetensors';
/** The folder of checkpoints that are kept beside the last. */
const KEPT = 'checkpoints';
const keptName = (step: number): string => `step-${step}.safetensors`;

export class RunFolder {
  readonly folder: string;
  readonly resolved: ResolvedConfig;
  /** The checkpoint that is looked at; the last one, unless another was named. */
  readonly checkpoint: string;

  private constructor(folder: string, resolved: ResolvedConfig, checkpoint = join(folder, LAST)) {
    this.folder = folder;
    this.resolved = resolved;
    this.checkpoint = checkpoint;
  }

  get config() {
    return this.resolved.config;
  }

  /** Path of a file of the run. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /** Where what is made with the checkpoint goes: the run's folder for the last, one named like the file for others. */
  get results(): string {
    return this.checkpoint === this.path(LAST) ? this.folder : this.checkpoint.replace(/\.safetensors$/, '');
  }

  get prototypes(): string {
    return join(this.results, 'prototypes.safetensors');
  }

  /**
   * Makes the folder of a new run and writes its configuration.
   *
   * @throws UsageError where the folder holds a run already
   */
  static async create(folder: string, resolved: ResolvedConfig): Promise<RunFolder> {
    const run = new RunFolder(resolve(folder), resolved);
    if (await exists(run.path('config.json')))
      throw new UsageError(
        `${folder} holds a run already; continue it with \`segsort train --resume ${folder}\`, or name another folder with --out`,
      );
    await mkdir(run.folder, { recursive: true });
    await writeFileAtomic(run.path('config.json'), formatConfigFile(resolved));
    return run;
  }

  /** @throws UsageError where there is no run, or its configuration cannot be used */
  static async open(folder: string): Promise<RunFolder> {
    const file = join(folder, 'config.json');
    const contents = await readJson(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
      throw new UsageError(`${folder} is not the folder of a run: it has no config.json`);
    });
    return new RunFolder(resolve(folder), resolveConfig({ preset: null, file: { name: file, contents }, flags: {} }));
  }

  /**
   * A run by its folder, which goes on from its last checkpoint, or by any checkpoint in it.
   *
   * @throws UsageError where there is no run
   */
  static async find(path: string): Promise<ResumePoint> {
    const isFile = (await stat(path).catch(() => null))?.isFile() ?? false;
    if (!isFile) {
      const run = await RunFolder.open(path);
      return { run, checkpoint: run.checkpoint };
    }
    const above = dirname(resolve(path));
    for (const folder of [above, dirname(above)])
      if (await exists(join(folder, 'config.json')))
        return { run: await RunFolder.open(folder), checkpoint: resolve(path) };
    throw new UsageError(
      `${path} is not a checkpoint in the folder of a run: there is no config.json beside or above it`,
    );
  }

  /** The same run with other settings, which are not written. */
  with(resolved: ResolvedConfig): RunFolder {
    return new RunFolder(this.folder, resolved, this.checkpoint);
  }

  /** The same run, for looking at a checkpoint other than the last. */
  at(checkpoint: string): RunFolder {
    return new RunFolder(this.folder, this.resolved, checkpoint);
  }

  /** Writes a file of the run; a crash leaves either the old contents or the new. */
  async write(name: string, contents: Uint8Array | string): Promise<string> {
    const path = this.path(name);
    await writeFileAtomic(path, contents);
    return path;
  }

  writeJson(name: string, value: unknown): Promise<string> {
    return this.write(name, `${JSON.stringify(value, null, 2)}\n`);
  }

  /** Writes what was made with the checkpoint. */
  async writeResult(name: string, contents: Uint8Array | string): Promise<string> {
    const path = join(this.results, name);
    await mkdir(this.results, { recursive: true });
    await writeFileAtomic(path, contents);
    return path;
  }

  /** Whether training has left a checkpoint, be it not the last. */
  async hasCheckpoints(): Promise<boolean> {
    const names = await Promise.all([this.folder, this.path(KEPT)].map((folder) => readdir(folder).catch(() => [])));
    return names.flat().some((name) => name.endsWith('.safetensors'));
  }

  /** @throws UsageError where training has not written one yet, or it is gone */
  async readCheckpoint(file: string = this.checkpoint): Promise<Uint8Array<ArrayBuffer>> {
    return this.#read(
      file,
      (await this.hasCheckpoints())
        ? `has no ${basename(file)}; name one of its other checkpoints`
        : `has no checkpoint yet; \`segsort train --resume ${this.folder}\` trains it`,
    );
  }

  /** Keeps the present checkpoint under a further name. */
  async keepCheckpoint(name: string): Promise<void> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.tmp`;
    await rm(temporary, { force: true });
    // A link takes no room; not all file systems have them.
    await link(this.checkpoint, temporary).catch(() => copyFile(this.checkpoint, temporary));
    await rename(temporary, path);
    // Two names of one file are both left where they are.
    await rm(temporary, { force: true });
  }

  /** Keeps the present checkpoint, of step `step`, as one of the last `count`; earlier ones are removed. */
  async keepLast(step: number, count: number): Promise<void> {
    if (count > 1) await this.keepCheckpoint(join(KEPT, keptName(step)));
    const names = await readdir(this.path(KEPT)).catch(() => []);
    const steps = names.map((name) => Number(/^step-(\d+)\.safetensors$/.exec(name)?.[1] ?? Number.NaN));
    const kept = steps.filter((each) => each <= step).sort((a, b) => b - a);
    // Those of later steps are of what the run did before it was taken back.
    const stale = [...kept.slice(count > 1 ? count : 0), ...steps.filter((each) => each > step)];
    for (const each of stale) await rm(this.path(join(KEPT, keptName(each))), { force: true });
  }

  /** @throws UsageError where they have not been extracted yet */
  async readPrototypes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#read(
      this.prototypes,
      `has no prototypes yet; extract them with \`segsort prototypes ${this.argument}\``,
    );
  }

  /** What names the run, and the checkpoint, on a command line. */
  get argument(): string {
    return this.results === this.folder ? this.folder : this.checkpoint;
  }

  async #read(path: string, missing: string): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return new Uint8Array(await readFile(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new UsageError(`${this.argument} ${missing}`);
    }
  }

  /** The lines of a file of JSON lines up to a step, in order; a torn last line is left out. */
  async readLines<L extends { readonly step: number }>(
    name: string,
    lastStep = Number.POSITIVE_INFINITY,
  ): Promise<L[]> {
    const text = await readFile(this.path(name), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return '';
    });
    const lines = text.split('\n').slice(0, -1);
    const parsed = lines.map((line, index) => parseJson(line, `${this.path(name)}: line ${index + 1}`) as L);
    return parsed.filter(({ step }) => step <= lastStep);
  }
}

/** Parses a JSON file; some editors begin one with a byte order mark. */
export async function readJson(file: string): Promise<unknown> {
  return parseJson((await readFile(file, 'utf8')).replace(/^\uFEFF/, ''), file);
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${where}: is not JSON: ${(error as Error).message}`);
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Where a run goes that was not told: `runs/digits-20240131-235959`. */
export function defaultRunFolder(name: string, now = new Date()): string {
  const digits = (value: number, length = 2) => String(value).padStart(length, '0');
  const day = `${digits(now.getFullYear(), 4)}${digits(now.getMonth() + 1)}${digits(now.getDate())}`;
  const time = `${digits(now.getHours())}${digits(now.getMinutes())}${digits(now.getSeconds())}`;
  return join('runs', `${name}-${day}-${time}`);
}
