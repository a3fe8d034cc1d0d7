/** The folder of a run: what it was asked to compute, what came of it, and how to go on. */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { writeFileAtomic } from '../platform/files.node.js';
import { formatConfigFile, type ResolvedConfig, resolveConfig } from './config.js';
import { UsageError } from './errors.js';

/** A line of `metrics.jsonl`. */
export interface MetricsLine {
  /** Steps done, counted from 1. */
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly validPixels: number;
  readonly segments: number;
  /** Of training since step 0, over all resumptions. */
  readonly seconds: number;
}

export class RunFolder {
  readonly folder: string;
  readonly resolved: ResolvedConfig;

  private constructor(folder: string, resolved: ResolvedConfig) {
    this.folder = folder;
    this.resolved = resolved;
  }

  get config() {
    return this.resolved.config;
  }

  /** Path of a file of the run. */
  path(name: string): string {
    return join(this.folder, name);
  }

  get checkpoint(): string {
    return this.path('checkpoint.safetensors');
  }

  get prototypes(): string {
    return this.path('prototypes.safetensors');
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

  /** The same run with other settings, which are not written. */
  with(resolved: ResolvedConfig): RunFolder {
    return new RunFolder(this.folder, resolved);
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

  /** @throws UsageError where training has not written one yet */
  async readCheckpoint(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#read(
      this.checkpoint,
      `has no checkpoint yet; start over with \`segsort train --config ${this.path('config.json')} --out NEW_FOLDER\``,
    );
  }

  /** @throws UsageError where they have not been extracted yet */
  async readPrototypes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#read(
      this.prototypes,
      `has no prototypes yet; extract them with \`segsort prototypes ${this.folder}\``,
    );
  }

  async #read(path: string, missing: string): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return new Uint8Array(await readFile(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new UsageError(`${this.folder} ${missing}`);
    }
  }

  /** The metrics written up to a step, in order; a torn last line is left out. */
  async readMetrics(lastStep = Number.POSITIVE_INFINITY): Promise<MetricsLine[]> {
    const text = await readFile(this.path('metrics.jsonl'), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return '';
    });
    const lines = text.split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as MetricsLine).filter(({ step }) => step <= lastStep);
  }
}

/** Parses a JSON file. */
export async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${file}: is not JSON: ${(error as Error).message}`);
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
