/** Files for tests, the same in Node and in Chrome, where Vite serves them. */
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** The project's folder, absolute, with a slash at its end. */
    root: string;
    /** The folder of the real data sets, absolute; empty where there is none. */
    data: string;
  }
}

export const inNode = typeof process !== 'undefined' && process.versions?.node !== undefined;

/** Whether the real data sets are here (`SEGSORT_DATA`, else `../shared/data`). Tests that need them skip without. */
export const dataAvailable = inject('data') !== '';

/** Reads a file of `test/`, such as `goldens/conv2d.json`. */
export function readFixture(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return read(`${inject('root')}test/${path}`);
}

/** Reads and parses a JSON file of `test/`. */
export async function readJsonFixture<T>(path: string): Promise<T> {
  return JSON.parse(new TextDecoder().decode(await readFixture(path))) as T;
}

/** Reads a file of the real data sets, such as `voc-animals/train.txt`. */
export function readData(path: string): Promise<Uint8Array<ArrayBuffer>> {
  if (!dataAvailable) throw new Error(`readData: ${path}: no data sets here; see \`dataAvailable\``);
  return read(`${inject('data')}/${path}`);
}

async function read(path: string): Promise<Uint8Array<ArrayBuffer>> {
  if (inNode) {
    const { readFile } = await import(/* @vite-ignore */ 'node:fs/promises');
    return new Uint8Array(await readFile(path));
  }
  const response = await fetch(`/@fs${path.startsWith('/') ? '' : '/'}${path}`);
  // For a file that is missing Vite answers with its index page.
  if (!response.ok || response.headers.get('content-type')?.startsWith('text/html'))
    throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
