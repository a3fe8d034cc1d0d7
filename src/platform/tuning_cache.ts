/** Where choices found by measuring are kept from run to run, for each adapter and driver. */
import type { GpuFacts } from './gpu.js';

/** A place for one text. */
export interface TuningStore {
  /** Its path or name, for messages. */
  readonly where: string;
  read(): Promise<string | undefined>;
  write(text: string): Promise<void>;
}

type Table = Readonly<Record<string, string>>;

/** The store's contents: a table for each adapter and driver. */
interface Contents {
  readonly format: typeof FORMAT;
  readonly adapters: Readonly<Record<string, Table>>;
}

const FORMAT = 'segsort tuning 1';

/** What a table holds for: another driver, or another browser, compiles other code. */
export function tuningAdapter(
  facts: Pick<GpuFacts, 'vendor' | 'architecture' | 'device' | 'backend' | 'driver'>,
): string {
  const { vendor, architecture, device, backend, driver } = facts;
  return [device, vendor, architecture, backend, driver].filter((part) => part !== '').join(' | ') || 'unknown';
}

export class TuningCache {
  readonly where: string;
  readonly adapter: string;
  /** Choices for this adapter. */
  readonly table: Table;
  /** Adapters, drivers counted apart, that there are tables of. */
  readonly adapters: readonly string[];
  /** Why the store's contents are ignored, if they are. */
  readonly note: string | undefined;
  readonly #store: TuningStore;

  private constructor(store: TuningStore, adapter: string, { contents, note }: Awaited<ReturnType<typeof contentsOf>>) {
    this.#store = store;
    this.where = store.where;
    this.adapter = adapter;
    this.adapters = Object.keys(contents.adapters);
    this.table = contents.adapters[adapter] ?? {};
    this.note = note;
  }

  /** Reads the tables. What is no such file is ignored, with a note that says so. */
  static async open(store: TuningStore, facts: Parameters<typeof tuningAdapter>[0]): Promise<TuningCache> {
    return new TuningCache(store, tuningAdapter(facts), await contentsOf(store));
  }

  /** The cache with further choices, which are written at once; those of other adapters stay. */
  async with(choices: Table): Promise<TuningCache> {
    // What another process wrote meanwhile is kept.
    const { contents } = await contentsOf(this.#store);
    const adapters = { ...contents.adapters, [this.adapter]: { ...contents.adapters[this.adapter], ...choices } };
    const changed: Contents = { format: FORMAT, adapters };
    await this.#store.write(`${JSON.stringify(changed, null, 1)}\n`);
    return new TuningCache(this.#store, this.adapter, { contents: changed, note: undefined });
  }
}

async function contentsOf(store: TuningStore): Promise<{ contents: Contents; note: string | undefined }> {
  const contents: Contents = { format: FORMAT, adapters: {} };
  try {
    const text = await store.read();
    return { contents: text === undefined ? contents : parse(text), note: undefined };
  } catch (error) {
    const note = `${store.where} is ignored (${(error as Error).message}); it is written anew when kernels are tuned`;
    return { contents, note };
  }
}

function parse(text: string): Contents {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value) || value.format !== FORMAT) throw new Error(`it is not of the format "${FORMAT}"`);
  if (!isRecord(value.adapters)) throw new Error('it has no `adapters`');
  const adapters: Record<string, Table> = {};
  for (const [adapter, table] of Object.entries(value.adapters)) {
    if (!isTable(table)) throw new Error(`the table of ${adapter} holds something else than names`);
    adapters[adapter] = table;
  }
  return { format: FORMAT, adapters };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isTable = (value: unknown): value is Table =>
  isRecord(value) && Object.values(value).every((choice) => typeof choice === 'string');

/** A page's own storage, or, where it has none, memory. */
export function browserTuningStore(name = 'segsort-tuning'): TuningStore {
  let text: string | undefined;
  // Reading the property throws where a page may store nothing.
  const storage = (() => {
    try {
      return globalThis.localStorage;
    } catch {
      return undefined;
    }
  })();
  return {
    where: storage ? `localStorage ${name}` : 'memory',
    read: async () => storage?.getItem(name) ?? text,
    async write(changed) {
      text = changed;
      storage?.setItem(name, changed);
    },
  };
}
