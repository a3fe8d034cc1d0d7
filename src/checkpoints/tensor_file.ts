/** What every checkpoint format is read into: named tensors that are listed first and read one at a time. */
import type { Shape } from '../tensor/types.js';

/** Element types that checkpoints hold, and the arrays they are read into; 16-bit floats as their bits. */
export const ARRAYS = {
  F64: Float64Array<ArrayBuffer>,
  F32: Float32Array<ArrayBuffer>,
  F16: Uint16Array<ArrayBuffer>,
  BF16: Uint16Array<ArrayBuffer>,
  I64: BigInt64Array<ArrayBuffer>,
  I32: Int32Array<ArrayBuffer>,
  I16: Int16Array<ArrayBuffer>,
  I8: Int8Array<ArrayBuffer>,
  U64: BigUint64Array<ArrayBuffer>,
  U32: Uint32Array<ArrayBuffer>,
  U16: Uint16Array<ArrayBuffer>,
  U8: Uint8Array<ArrayBuffer>,
  BOOL: Uint8Array<ArrayBuffer>,
} as const;

export type DType = keyof typeof ARRAYS;
export type TensorData = InstanceType<(typeof ARRAYS)[DType]>;

/** A tensor in memory, its elements in row-major order. */
export interface StoredTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: TensorData;
}

/** A tensor in a file. */
export interface TensorEntry {
  readonly name: string;
  /** Null for what is listed but cannot be read as numbers: strings, objects, quantised or complex values. */
  readonly dtype: DType | null;
  /** The format's own name of the type, for messages: `DT_FLOAT`, `torch.HalfStorage`, `<f4`. */
  readonly storedAs: string;
  readonly shape: Shape;
  /** Bytes of its elements. */
  readonly bytes: number;
}

export type CheckpointFormat = 'safetensors' | 'pytorch' | 'tensorflow-v1' | 'tensorflow-v2' | 'numpy';

/** An open checkpoint. Opening reads its index; a tensor's elements are read when asked for. */
export interface TensorFile extends AsyncDisposable {
  readonly format: CheckpointFormat;
  /** The file's name, for messages. */
  readonly file: string;
  /** In the file's order. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /** What else the file says of itself; empty for most formats. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Reads one tensor into memory of its own.
   *
   * @throws CheckpointFormatError where it is not there, is no tensor of numbers, or is damaged
   */
  read(name: string): Promise<StoredTensor>;
}

/** A file is not what its format demands. */
export class CheckpointFormatError extends Error {
  override readonly name = 'CheckpointFormatError';
  readonly file: string;
  /** Null where no single tensor is at fault. */
  readonly tensor: string | null;
  /** Byte of the file at which it goes wrong; null where that is not known, or the file is sound and the request is not. */
  readonly offset: number | null;

  constructor(
    file: string,
    { tensor = null, offset = null }: { readonly tensor?: string | null; readonly offset?: number | null },
    message: string,
    options?: ErrorOptions,
  ) {
    const where = [
      file,
      ...(offset === null ? [] : [`at byte ${offset}`]),
      ...(tensor === null ? [] : [`tensor ${tensor}`]),
    ];
    super(`${where.join(': ')}: ${message}`, options);
    this.file = file;
    this.tensor = tensor;
    this.offset = offset;
  }
}
