/** Stored tensors as the engine holds them, and back. */
import { fromHalf } from '../tensor/half.js';
import type { HostTensor } from '../tensor/types.js';
import { CheckpointFormatError, type StoredTensor } from './tensor_file.js';
import { bfloat16 } from './values.js';

const STORED = { f32: 'F32', i32: 'I32', u32: 'U32', f16: 'F16' } as const;

/** A tensor of the engine, to be written. Shares its data. */
export function fromHostTensor({ dtype, shape, data }: HostTensor): StoredTensor {
  return { dtype: STORED[dtype], shape, data };
}

/**
 * A tensor as the engine holds it: floats of any size as f32, integers as i32 (u32 for U32).
 *
 * @throws CheckpointFormatError where a 64-bit integer does not fit 32 bits
 */
export function toHostTensor({ dtype, shape, data }: StoredTensor, file: string, name: string): HostTensor {
  switch (dtype) {
    case 'F32':
      return { shape, dtype: 'f32', data: data as Float32Array<ArrayBuffer> };
    case 'I32':
      return { shape, dtype: 'i32', data: data as Int32Array<ArrayBuffer> };
    case 'U32':
      return { shape, dtype: 'u32', data: data as Uint32Array<ArrayBuffer> };
    case 'F64':
      return { shape, dtype: 'f32', data: new Float32Array(data as Float64Array) };
    case 'F16':
      return { shape, dtype: 'f32', data: Float32Array.from(data as Uint16Array, fromHalf) };
    case 'BF16':
      return { shape, dtype: 'f32', data: Float32Array.from(data as Uint16Array, bfloat16) };
    default: {
      const values = new Int32Array(data.length);
      for (let i = 0; i < values.length; i++) {
        const value = Number(data[i]);
        if ((value | 0) !== value)
          throw new CheckpointFormatError(
            file,
            { tensor: name },
            `element ${i} is ${data[i]}, which does not fit 32 bits`,
          );
        values[i] = value;
      }
      return { shape, dtype: 'i32', data: values };
    }
  }
}
