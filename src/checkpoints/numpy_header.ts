/** The header of an `.npy` file: a Python dictionary of the element type, the order of the axes and the shape. */
import { type Shape, showShape, sizeOf } from '../tensor/types.js';
import { isSize } from './reading.js';
import { ARRAYS, CheckpointFormatError, type DType, type StoredTensor } from './tensor_file.js';

export interface NpyType {
  readonly dtype: DType;
  readonly bytes: number;
  readonly bigEndian: boolean;
}

export interface NpyHeader {
  /** Null where the elements are no numbers that can be read. */
  readonly type: NpyType | null;
  /** As it stands there: `<f4`. */
  readonly storedAs: string;
  readonly columnMajor: boolean;
  readonly shape: Shape;
}

/** NumPy's names of element types, without the order of their bytes. */
const DTYPES: ReadonlyMap<string, DType> = new Map([
  ['f8', 'F64'],
  ['f4', 'F32'],
  ['f2', 'F16'],
  ['i8', 'I64'],
  ['i4', 'I32'],
  ['i2', 'I16'],
  ['i1', 'I8'],
  ['u8', 'U64'],
  ['u4', 'U32'],
  ['u2', 'U16'],
  ['u1', 'U8'],
  ['b1', 'BOOL'],
]);

/** The most axes that NumPy allows. */
const MAX_AXES = 64;

/** One `'key': value` of the dictionary: a text, a truth value, a tuple of integers (Python 2's end in L), or a list. */
const FIELD =
  /\s*(['"])(descr|fortran_order|shape)\1\s*:\s*(?:(['"])(?<text>[^'"]*)\3|(?<truth>True|False)|\((?<tuple>[\dL,\s]*)\)|(?<list>\[.*\]))\s*(?:,|(?=\}))/sy;

/** The header, or what is wrong with it. */
export function parseNpyHeader(bytes: Uint8Array<ArrayBuffer>, version: number): NpyHeader | string {
  const text = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(bytes).trim();
  const wrong = `its header ${JSON.stringify(text.slice(0, 200))} is none`;
  const fields = new Map<string, Record<string, string | undefined>>();
  if (!text.startsWith('{')) return wrong;
  FIELD.lastIndex = 1;
  let end = 1;
  for (let match = FIELD.exec(text); match; match = FIELD.exec(text)) {
    fields.set(match[2]!, match.groups ?? {});
    end = FIELD.lastIndex;
  }
  if (text.slice(end).trim() !== '}') return wrong;
  const { text: descr, list } = fields.get('descr') ?? {};
  const truth = fields.get('fortran_order')?.truth;
  const shape = parseShape(fields.get('shape')?.tuple);
  const storedAs = descr ?? list;
  if (storedAs === undefined || truth === undefined || !shape) return wrong;
  const type = descr === undefined ? null : parseType(descr);
  if (!isSize(sizeOf(shape) * (type?.bytes ?? 1))) return `its shape ${showShape(shape)} is beyond any file`;
  return { type, storedAs, columnMajor: truth === 'True', shape };
}

function parseShape(text: string | undefined): number[] | null {
  if (text === undefined) return null;
  const items = text.split(',').map((item) => item.trim());
  // A tuple of one has a comma behind it.
  if (items.at(-1) === '') items.pop();
  else if (items.length === 1) return null;
  const shape = items.map((item) => (/^\d+L?$/.test(item) ? Number.parseInt(item, 10) : Number.NaN));
  return shape.length <= MAX_AXES && shape.every(isSize) ? shape : null;
}

function parseType(descr: string): NpyType | null {
  const [, order, name] = /^([<>|=])([a-z]\d)$/.exec(descr) ?? [];
  const dtype = DTYPES.get(name ?? '');
  if (!dtype || (order === '|' && !name?.endsWith('1'))) return null;
  return { dtype, bytes: ARRAYS[dtype].BYTES_PER_ELEMENT, bigEndian: order === '>' };
}

/** Digits that NumPy leaves room for, so that a file can be appended to in place. */
const GROWTH_DIGITS = 21;

/**
 * The bytes of an `.npy` file, as `numpy.save` writes them: version 1.0, row-major, little-endian.
 *
 * @throws CheckpointFormatError where NumPy has no such element type (BF16)
 */
export function serializeNpy({ dtype, shape, data }: StoredTensor): Uint8Array<ArrayBuffer> {
  const name = [...DTYPES].find(([, known]) => known === dtype)?.[0];
  if (name === undefined)
    throw new CheckpointFormatError('npy', {}, `NumPy has no element type ${dtype}; convert the tensor to F32`);
  if (data.length !== sizeOf(shape))
    throw new CheckpointFormatError('npy', {}, `${data.length} elements do not fill ${showShape(shape)}`);
  const descr = `${name.endsWith('1') ? '|' : '<'}${name}`;
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const growth = shape.length > 0 ? ' '.repeat(GROWTH_DIGITS - `${shape[0]}`.length) : '';
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }${growth}`;
  const begin = Math.ceil((10 + text.length + 1) / 64) * 64;
  const bytes = new Uint8Array(begin + data.byteLength);
  bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0]);
  new DataView(bytes.buffer).setUint16(8, begin - 10, true);
  bytes.set(new TextEncoder().encode(`${text.padEnd(begin - 11)}\n`), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), begin);
  return bytes;
}
