/** Files with a line of JSON for some of the steps: `metrics.jsonl` and `validation.jsonl`. */
import { type FileHandle, open } from 'node:fs/promises';
import type { TrainingMetrics } from '../../segsort/trainer.js';
import type { MetricsLine, RunFolder } from '../run_folder.js';

/** A file of lines that grows with the steps of a run. */
export class StepLines<L extends { readonly step: number }> implements AsyncDisposable {
  readonly #run: RunFolder;
  readonly #name: string;
  readonly #lines: L[];
  #file: Promise<FileHandle> | null = null;

  private constructor(run: RunFolder, name: string, lines: L[]) {
    this.#run = run;
    this.#name = name;
    this.#lines = lines;
  }

  /** Reads what the file holds of the first `step` steps, to go on after them. */
  static async open<L extends { readonly step: number }>(
    run: RunFolder,
    name: string,
    step: number,
  ): Promise<StepLines<L>> {
    return new StepLines<L>(run, name, await run.readLines<L>(name, step));
  }

  /** Removes what the file holds of later steps, which an earlier start wrote. The first line does so, too. */
  async start(): Promise<void> {
    await this.#started();
  }

  #started(): Promise<FileHandle> {
    const text = () => this.#lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    this.#file ??= this.#run.write(this.#name, text()).then((path) => open(path, 'a'));
    return this.#file;
  }

  get lines(): readonly L[] {
    return this.#lines;
  }

  async append(line: L): Promise<void> {
    const file = await this.#started();
    this.#lines.push(line);
    await file.appendFile(`${JSON.stringify(line)}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Why it could not be opened has been said.
    await (await this.#file?.catch(() => null))?.close();
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

  /** Removes what the file holds of later steps. */
  start(): Promise<void> {
    return this.#lines.start();
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
