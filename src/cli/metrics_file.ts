/** `metrics.jsonl`: a line of JSON for every logged step. */
import { type FileHandle, open } from 'node:fs/promises';
import type { TrainingMetrics } from '../segsort/trainer.js';
import type { RunFolder } from './run_folder.js';

export class MetricsFile implements AsyncDisposable {
  readonly #file: FileHandle;
  /** Seconds of training before this start. */
  readonly #before: number;
  readonly #start = performance.now();

  private constructor(file: FileHandle, before: number) {
    this.#file = file;
    this.#before = before;
  }

  /** Opens the file to go on after `step` steps: what an earlier start logged beyond its last checkpoint is removed. */
  static async open(run: RunFolder, step: number): Promise<MetricsFile> {
    const kept = await run.readMetrics(step);
    const path = await run.write('metrics.jsonl', kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return new MetricsFile(await open(path, 'a'), kept[kept.length - 1]?.seconds ?? 0);
  }

  /** Of training since step 0. */
  get seconds(): number {
    return this.#before + (performance.now() - this.#start) / 1000;
  }

  async append(step: number, metrics: TrainingMetrics): Promise<void> {
    const seconds = Math.round(this.seconds * 1000) / 1000;
    await this.#file.appendFile(`${JSON.stringify({ step, ...metrics, seconds })}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
