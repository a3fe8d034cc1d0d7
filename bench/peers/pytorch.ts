/** PyTorch in a process of its own (`torch_cases.py`), which measures itself: on CUDA where there is one, else on the CPU. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { Case, Contender, Prepared } from '../harness/types.js';

/** Beside this file, or beside the folder of its bundle. */
const SCRIPTS = ['torch_cases.py', '../bench/peers/torch_cases.py'];

interface Description {
  readonly version: string;
  readonly on: string;
  readonly modes: readonly { readonly name: string; readonly tolerance: number | null }[];
}

/**
 * `pytorch` (float32), and on CUDA `pytorch-tf32` and `pytorch-amp` (mixed precision). None where no Python has PyTorch: the
 * environment variable `SEGSORT_PYTHON`, `python3` and `/usr/bin/python3` are asked.
 */
export async function pytorchContenders(): Promise<Contender[]> {
  const [{ spawn }, { existsSync }, { fileURLToPath }] = await Promise.all([
    import('node:child_process'),
    import('node:fs'),
    import('node:url'),
  ]);
  const script = SCRIPTS.map((path) => fileURLToPath(new URL(path, import.meta.url))).find(existsSync);
  if (!script) return [];
  const pythons = process.env.SEGSORT_PYTHON ? [process.env.SEGSORT_PYTHON] : ['python3', '/usr/bin/python3'];
  for (const python of pythons) {
    // Threads that wait for work actively would slow down the others.
    const env = { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' };
    const process_ = new TorchProcess(spawn(python, ['-u', script], { env }));
    const description = await process_.ask<Description>({ request: 'describe' }).catch(() => null);
    if (!description) {
      process_.end();
      continue;
    }
    let open = description.modes.length;
    return description.modes.map(({ name, tolerance }) => ({
      name,
      version: description.version,
      on: description.on,
      ...(tolerance === null ? {} : { tolerance }),
      prepare: (theCase) => prepare(process_, name, theCase),
      dispose() {
        open -= 1;
        if (open === 0) process_.end();
      },
    }));
  }
  return [];
}

async function prepare(torch: TorchProcess, mode: string, { computation, operands }: Case): Promise<Prepared | null> {
  const { handle, note } = await torch.ask<{ handle: number | null; note: string }>({
    ...{ request: 'prepare', mode, computation },
    operands: operands().map(({ shape, data }) => ({ shape, data: Buffer.from(data.buffer).toString('base64') })),
  });
  if (handle === null) return null;
  const runMany = async (count: number): Promise<number> =>
    (await torch.ask<{ milliseconds: number }>({ request: 'run', handle, count })).milliseconds;
  return {
    run: () => runMany(1),
    runMany,
    async read() {
      const { results } = await torch.ask<{ results: string[] }>({ request: 'read', handle });
      return results.map((text) => new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer));
    },
    note: () => note,
    dispose() {
      // Gone, where the process is.
      torch.ask({ request: 'release', handle }).catch(() => {});
    },
  };
}

/** One request a line, answered in order. */
class TorchProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: { resolve(answer: unknown): void; reject(error: Error): void }[] = [];
  readonly #pieces: string[] = [];
  #complaint = '';
  #ended: Error | null = null;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (piece: string) => this.#receive(piece));
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      this.#complaint = (this.#complaint + piece).slice(-2000);
    });
    child.stdin.on('error', (error) => this.#fail(error));
    child.on('error', (error) => this.#fail(error));
    child.on('close', (code) =>
      this.#fail(new Error(`PyTorch's process ended with ${code}: ${this.#complaint.trim()}`)),
    );
  }

  ask<T>(request: object): Promise<T> {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve: (answer) => resolve(answer as T), reject });
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  }

  end(): void {
    this.#child.stdin.end();
  }

  #receive(piece: string): void {
    const lines = piece.split('\n');
    // Answers come in many pieces: they are joined once, at their end.
    for (const line of lines.slice(0, -1)) {
      const text = this.#pieces.splice(0).join('') + line;
      const answer: { error?: string } = JSON.parse(text);
      const waiting = this.#waiting.shift();
      if (answer.error === undefined) waiting?.resolve(answer);
      else waiting?.reject(new Error(answer.error));
    }
    if (lines.at(-1)) this.#pieces.push(lines.at(-1)!);
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }
}
