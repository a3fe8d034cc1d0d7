/**
 * What `torch.save` wrote from 0.1.9 to 1.5, among it torchvision's first models: five pickles one after the other (a
 * magic number, the protocol, the machine's number formats, the value, the storages' keys in order), then for each
 * storage its number of elements, 8 bytes, and the elements (`_legacy_load` in PyTorch's `torch/serialization.py`).
 */
import type { RandomAccessFile } from '../platform/files.js';
import { unpickle } from './pickle.js';
import { PickleEnd, PickleError } from './pickle_bytes.js';
import type { PickleHost } from './pickle_machine.js';
import { CheckpointFormatError, type TensorFile } from './tensor_file.js';
import { TORCH_GLOBALS, TorchStorage, torchStorage } from './torch_objects.js';
import { namedTensors, type TorchState } from './torch_state.js';
import { torchTensors, withFormatErrors } from './torch_tensors.js';

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/** How the magic number looks in protocols 2 and up, behind PROTO and FRAME, and in protocol 1. */
const MAGIC_BYTES = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
const MAGIC_TEXT = `L${MAGIC}L\n.`;

/** The pickles are read in growing pieces, up to this many bytes. */
const FIRST_PIECE = 1 << 16;
const MAX_PICKLE_BYTES = 1e8;

/** Bytes before a storage's elements, which count them. */
const COUNT_BYTES = 8;

export async function isLegacyTorch(file: RandomAccessFile): Promise<boolean> {
  const head = await file.read(0, Math.min(32, file.size));
  if (new TextDecoder().decode(head).startsWith(MAGIC_TEXT)) return true;
  if (head[0] !== 0x80) return false;
  const start = head[2] === 0x95 ? 11 : 2;
  return MAGIC_BYTES.every((byte, i) => head[start + i] === byte);
}

/** Opens such a file; tensors are named, and errors thrown, as by `openTorchZip`. */
export async function openLegacyTorch(file: RandomAccessFile): Promise<TensorFile> {
  const { state, keys, storages, end } = await readPickles(file);
  const positions = new Map<string, number>();
  let position = end;
  for (const key of keys) {
    const storage = storages.get(key);
    const fail = (message: string): never => {
      throw new CheckpointFormatError(file.name, { offset: position }, message);
    };
    if (!storage) return fail(`has a storage ${key} that no tensor uses, so that its size is not known`);
    if (positions.has(key)) fail(`lists the storage ${key} twice`);
    positions.set(key, position);
    const next = position + COUNT_BYTES + storage.bytes;
    if (next > file.size) fail(`truncated: storage ${key} ends at byte ${next}, the file at ${file.size}`);
    position = next;
  }
  const missing = [...storages.keys()].find((key) => !positions.has(key));
  if (missing !== undefined)
    throw new CheckpointFormatError(
      file.name,
      { offset: end },
      `does not list the storage ${missing} that a tensor uses`,
    );

  return torchTensors(file, state, async ({ key }, offset, length) => {
    const start = positions.get(key)!;
    const counted = new DataView((await file.read(start, COUNT_BYTES)).buffer).getBigInt64(0, true);
    const { elements } = storages.get(key)!;
    if (counted !== BigInt(elements))
      throw new CheckpointFormatError(
        file.name,
        { offset: start },
        `storage ${key} has ${counted} elements, its tensors were made for ${elements}`,
      );
    return file.read(start + COUNT_BYTES + offset, length);
  });
}

interface LegacyPickles {
  readonly state: TorchState;
  /** Of the storages, in the order in which they lie in the file. */
  readonly keys: readonly string[];
  /** Whole storages by key, also those of which only views are used. */
  readonly storages: ReadonlyMap<string, TorchStorage>;
  /** Where the pickles end. */
  readonly end: number;
}

/** Nothing says how long the pickles are; where what was read is too short, twice as much is read. */
async function readPickles(file: RandomAccessFile): Promise<LegacyPickles> {
  for (let length = FIRST_PIECE; ; length *= 2) {
    const all = length >= file.size;
    const bytes = await file.read(0, Math.min(length, file.size));
    try {
      return parsePickles(bytes);
    } catch (error) {
      if (error instanceof PickleEnd && !all && length < MAX_PICKLE_BYTES) continue;
      return withFormatErrors(file.name, 0, () => {
        throw error;
      });
    }
  }
}

function parsePickles(bytes: Uint8Array<ArrayBuffer>): LegacyPickles {
  const storages = new Map<string, TorchStorage>();
  const host: PickleHost = {
    globals: TORCH_GLOBALS,
    persistent: (id) => {
      const storage = torchStorage(id);
      const { key, type, storedAs } = storage;
      const elements = Array.isArray(id) ? Number(id[4]) : storage.elements;
      const known = storages.get(key);
      if (known && (known.elements !== elements || known.type !== type))
        throw new PickleError(`describes the storage ${key} in two ways`);
      storages.set(key, new TorchStorage(key, type, storedAs, elements));
      return storage;
    },
  };
  let end = 0;
  const next = () => {
    const pickle = unpickle(bytes, end, host);
    const length = pickle.end - end;
    end = pickle.end;
    return { value: pickle.value, length };
  };
  const refuse = (message: string): never => {
    const error = new PickleError(message);
    error.position = end;
    throw error;
  };
  if (next().value !== MAGIC) refuse('does not begin with the number that torch.save writes');
  const protocol = next().value;
  if (protocol !== PROTOCOL) refuse(`is of version ${String(protocol)} of torch.save, and ${PROTOCOL} is known`);
  const machine = next().value;
  if (!(machine instanceof Map) || machine.get('little_endian') !== true)
    refuse('is not from a little-endian machine; save it again on one');
  const { value, length } = next();
  const state = namedTensors(value, length);
  const keys = next().value;
  if (!isTexts(keys)) return refuse('does not list its storages');
  return { state, keys, storages, end };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}
