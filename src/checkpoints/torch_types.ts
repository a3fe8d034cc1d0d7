/** PyTorch's element types, by the names that pickles give them. */
import type { DType } from './tensor_file.js';

export interface TorchType {
  /** Null for what is listed but cannot be read as numbers. */
  readonly dtype: DType | null;
  /** Bytes of an element. */
  readonly bytes: number;
}

const type = (dtype: DType | null, bytes: number): TorchType => ({ dtype, bytes });

/** Element types of storages: `torch.FloatStorage` of `Float`. */
export const STORAGES: ReadonlyMap<string, TorchType> = new Map([
  ['Double', type('F64', 8)],
  ['Float', type('F32', 4)],
  ['Half', type('F16', 2)],
  ['BFloat16', type('BF16', 2)],
  ['Long', type('I64', 8)],
  ['Int', type('I32', 4)],
  ['Short', type('I16', 2)],
  ['Char', type('I8', 1)],
  ['Byte', type('U8', 1)],
  ['Bool', type('BOOL', 1)],
  ['ComplexDouble', type(null, 16)],
  ['ComplexFloat', type(null, 8)],
  ['QInt32', type(null, 4)],
  ['QInt8', type(null, 1)],
  ['QUInt8', type(null, 1)],
]);

/** `torch.float32` and the others that a pickle may name beside an untyped storage. */
export const DTYPES: ReadonlyMap<string, TorchType> = new Map([
  ['float64', type('F64', 8)],
  ['float32', type('F32', 4)],
  ['float16', type('F16', 2)],
  ['bfloat16', type('BF16', 2)],
  ['int64', type('I64', 8)],
  ['int32', type('I32', 4)],
  ['int16', type('I16', 2)],
  ['int8', type('I8', 1)],
  ['uint64', type('U64', 8)],
  ['uint32', type('U32', 4)],
  ['uint16', type('U16', 2)],
  ['uint8', type('U8', 1)],
  ['bool', type('BOOL', 1)],
  ['complex128', type(null, 16)],
  ['complex64', type(null, 8)],
  ['complex32', type(null, 4)],
  ['float8_e4m3fn', type(null, 1)],
  ['float8_e4m3fnuz', type(null, 1)],
  ['float8_e5m2', type(null, 1)],
  ['float8_e5m2fnuz', type(null, 1)],
]);

/** The type of `torch.FloatStorage`, `torch.cuda.FloatStorage` or an untyped storage, whose elements are bytes. */
export function storageType(global: string): TorchType | undefined {
  if (/^torch\.storage\._?UntypedStorage$/.test(global)) return type('U8', 1);
  const name = /^torch\.(?:cuda\.)?(\w+)Storage$/.exec(global)?.[1];
  return name === undefined ? undefined : STORAGES.get(name);
}
