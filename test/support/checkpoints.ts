/** Checkpoints written by torch.save and numpy.save, and what those libraries read of them (scripts/goldens/checkpoints.py). */
import type { DType, StoredTensor, TensorFile } from '../../src/checkpoints/tensor_file.js';
import { memoryFile, type RandomAccessFile } from '../../src/platform/files.js';
import { readFixture, readJsonFixture } from './files.js';

export interface ExpectedTensor {
  readonly dtype: DType | null;
  readonly shape: readonly number[];
  /** Bytes of the elements, row-major, little-endian; absent where there are too many or they cannot be read. */
  readonly hex?: string;
}

type Listed = Readonly<Record<string, ExpectedTensor>> | { readonly refused: string };

const listed = await readJsonFixture<Readonly<Record<string, Listed | string>>>('goldens/checkpoints/expected.json');

/** By file; `refused` has what the error must name. */
export const expectedCheckpoints: Readonly<Record<string, Listed>> = Object.fromEntries(
  Object.entries(listed).map(([name, found]) => [name, typeof found === 'string' ? (listed[found] as Listed) : found]),
);

export async function checkpointGolden(name: string): Promise<RandomAccessFile> {
  return memoryFile(await readFixture(`goldens/checkpoints/${name}`), name);
}

/** What a file holds, in the form of `ExpectedTensor`. */
export async function contentsOf(file: TensorFile): Promise<Record<string, ExpectedTensor>> {
  const contents: Record<string, ExpectedTensor> = {};
  for (const { name, dtype, shape } of file.entries.values())
    contents[name] = { dtype, shape, ...(dtype ? { hex: hexOf(await file.read(name)) } : {}) };
  return contents;
}

function hexOf({ data }: StoredTensor): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
