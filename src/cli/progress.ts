/** Progress on a terminal as a bar; elsewhere a line now and then. */
import { SingleBar } from 'cli-progress';

export interface ProgressOptions {
  /** What is being done: `training`. */
  readonly label: string;
  readonly total: number;
  /** Where it starts, for what was done before. */
  readonly from?: number;
  /** Things done in one of `total`, and their name: 16 images a step. */
  readonly each?: { readonly count: number; readonly unit: string };
  readonly stream?: NodeJS.WriteStream;
  /** Milliseconds between lines where there is no terminal. */
  readonly interval?: number;
}

const INTERVAL = 10_000;
/** The speed shown is that of the last so many milliseconds. */
const WINDOW = 15_000;

export class Progress implements Disposable {
  readonly #options: ProgressOptions;
  readonly #stream: NodeJS.WriteStream;
  readonly #bar: SingleBar | null;
  /** Past (time, done), oldest first; not the start, because the first step also waits for kernels to compile. */
  #history: { readonly time: number; readonly done: number }[] = [];
  #lastLine = 0;
  #done: number;
  #note = '';
  #stopped = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#stream = options.stream ?? process.stderr;
    this.#done = options.from ?? 0;
    const format = `${options.label} {bar} {value}/{total}{rest}`;
    this.#bar = this.#stream.isTTY
      ? new SingleBar({
          format,
          stream: this.#stream,
          barsize: 24,
          barCompleteChar: '\u2588',
          barIncompleteChar: '\u2591',
          hideCursor: true,
          fps: 8,
          linewrap: false,
          gracefulExit: false,
        })
      : null;
    this.#bar?.start(options.total, this.#done, { rest: '' });
  }

  /** `note` is put behind the speed: `loss 1.2345`; it stays until the next one. */
  update(done: number, note = this.#note): void {
    const finished = this.#done === this.#options.total;
    if (this.#stopped || finished) return;
    this.#done = done;
    this.#note = note;
    const now = performance.now();
    this.#history.push({ time: now, done });
    while (this.#history.length > 2 && now - this.#history[1]!.time > WINDOW) this.#history.shift();
    this.#bar?.update(done, { rest: this.#rest() });
    if (this.#bar) return;
    const { total, label, interval = INTERVAL } = this.#options;
    if (done !== total && now - this.#lastLine < interval) return;
    this.#lastLine = now;
    this.#stream.write(`${label} ${done}/${total}${this.#rest()}\n`);
  }

  /** Ends the bar and gives the line back to the terminal. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#bar?.stop();
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #rest(): string {
    const first = this.#history[0];
    const last = this.#history[this.#history.length - 1];
    const parts = this.#note === '' ? [] : [this.#note];
    const seconds = first && last ? (last.time - first.time) / 1000 : 0;
    const rate = seconds > 0 ? (last!.done - first!.done) / seconds : 0;
    if (rate > 0) {
      const { count, unit } = this.#options.each ?? { count: 1, unit: 'images' };
      parts.push(`${formatRate(rate * count)} ${unit}/s`);
      if (this.#done < this.#options.total)
        parts.push(`${formatDuration((this.#options.total - this.#done) / rate)} left`);
    }
    return parts.map((part) => `  ${part}`).join('');
  }
}

const formatRate = (rate: number): string =>
  rate < 10 ? rate.toFixed(2) : rate < 100 ? rate.toFixed(1) : rate.toFixed(0);

/** `42s`, `3m 07s`, `5h 02m`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
}
