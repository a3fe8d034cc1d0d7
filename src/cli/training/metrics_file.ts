/** Files with a line of JSON for some of the steps: `metrics.jsonl` and `validation.jsonl`. */
import { type FileHandle, open } from 'node:fs/promises';
import type { TrainingMetrics } from '../../segsort/trainer.js';
import type { MetricsLine, RunFolder } from '../run_folder.js';

/** A file of lines that grows with the steps of a run. */
export class StepLines<L extends { readonly step: number }> implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #lines: L[];

  private constructor(file: FileHandle, lines: L[]) {
    this.#file = file;
    this.#lines = lines;
  }

  /** Opens the file to go on after `step` steps: what an earlier start wrote beyond its last checkpoint is removed. */
  static async open<L extends { readonly step: number }>(
    run: RunFolder,
    name: string,
    step: number,
  ): Promise<StepLines<L>> {
    const kept = await run.readLines<L>(name, step);
    const path = await run.write(name, kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return new StepLines<L>(await open(path, 'a'), kept);
  }

  get lines(): readonly L[] {
    return this.#lines;
  }

  async append(line: L): Promise<void> {
    this.#lines.push(line);
    await this.#file.appendFile(`${JSON.stringify(line)}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

export class MetricsFile implements AsyncDisposable {
  readonly #lines: StepLines<MetricsLine>;
  /** Seconds of training before this start. */
  readonly #before: number;
  readonly #start = performance.now();

  private constructor(lines: StepLines<MetricsLine>) {
    this.#lines = lines;
    this.#before = lines.lines.at(-1)?.seconds ?? 0;
  }

  /** Opens `metrics.jsonl` to go on after `step` steps. */
  static async open(run: RunFolder, step: number): Promise<MetricsFile> {
    return new MetricsFile(await StepLines.open<MetricsLine>(run, 'metrics.jsonl', step));
  }

  /** Of training since step 0. */
  get seconds(): number {
    return this.#before + (performance.now() - this.#start) / 1000;
  }

  async append(step: number, metrics: TrainingMetrics): Promise<MetricsLine> {
    const line = { step, ...metrics, seconds: Math.round(this.seconds * 1000) / 1000 };
    await this.#lines.append(line);
    return line;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lines[Symbol.asyncDispose]();
  }
}
