/** What both of TensorFlow's formats say of tensors: element types, shapes, versions (tensorflow/core/framework/*.proto). */
import { type Shape, showShape } from '../tensor/types.js';
import { bytesField, integerField, readMessage } from './protobuf.js';
import type { DType } from './tensor_file.js';

export interface TensorFlowType {
  /** `DT_FLOAT` and so on. */
  readonly name: string;
  /** Null for what is no plain number. */
  readonly dtype: DType | null;
  /** Bytes of an element; 0 where they differ in size. */
  readonly bytes: number;
}

const TYPES: Readonly<Record<number, readonly [string, DType | null, number]>> = {
  1: ['FLOAT', 'F32', 4],
  2: ['DOUBLE', 'F64', 8],
  3: ['INT32', 'I32', 4],
  4: ['UINT8', 'U8', 1],
  5: ['INT16', 'I16', 2],
  6: ['INT8', 'I8', 1],
  7: ['STRING', null, 0],
  8: ['COMPLEX64', null, 8],
  9: ['INT64', 'I64', 8],
  10: ['BOOL', 'BOOL', 1],
  11: ['QINT8', null, 1],
  12: ['QUINT8', null, 1],
  13: ['QINT32', null, 4],
  14: ['BFLOAT16', 'BF16', 2],
  15: ['QINT16', null, 2],
  16: ['QUINT16', null, 2],
  17: ['UINT16', 'U16', 2],
  18: ['COMPLEX128', null, 16],
  19: ['HALF', 'F16', 2],
  20: ['RESOURCE', null, 0],
  21: ['VARIANT', null, 0],
  22: ['UINT32', 'U32', 4],
  23: ['UINT64', 'U64', 8],
};

/** @param number of the type in the `DataType` enum; those added since are listed without being known */
export function tensorFlowType(number: number): TensorFlowType {
  const [name, dtype, bytes] = TYPES[number] ?? [String(number), null, 0];
  return { name: `DT_${name}`, dtype, bytes };
}

/** Of complex doubles, the largest elements. */
const MAX_ELEMENT_BYTES = 16;
/** The limit of TensorFlow itself (tensorflow/core/framework/tensor_shape.h). */
const MAX_AXES = 254;

/**
 * Reads a `TensorShapeProto`.
 *
 * @throws Error where it is no shape: rank or extents unknown, or more elements than can be counted
 */
export function readShape(bytes: Uint8Array): Shape {
  const shape: number[] = [];
  let unknown = false;
  readMessage(bytes, {
    2: bytesField((axis) => {
      let extent = 0;
      readMessage(axis, {
        1: integerField((value) => {
          extent = value;
        }),
      });
      shape.push(extent);
      if (extent < 0) throw new Error(`the shape has an extent of ${extent}`);
      if (shape.length > MAX_AXES) throw new Error(`the shape has more than ${MAX_AXES} axes`);
    }),
    3: integerField((value) => {
      unknown = value !== 0;
    }),
  });
  if (unknown) throw new Error('the shape is not known');
  const nonEmpty = shape
    .filter((extent) => extent > 0)
    .reduce((product, extent) => product * extent, MAX_ELEMENT_BYTES);
  if (!Number.isSafeInteger(nonEmpty)) throw new Error(`the shape ${showShape(shape)} has too many elements`);
  return shape;
}

/**
 * Checks a `VersionDef`: what a reader must understand to read the file.
 *
 * @throws Error where that is more than version 1, which all checkpoints have had so far
 */
export function checkVersions(bytes: Uint8Array): void {
  readMessage(bytes, {
    2: integerField((version) => {
      if (version > 1) throw new Error(`it is for readers of version ${version}; this one knows version 1`);
    }),
  });
}
