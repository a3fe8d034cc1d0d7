/** Shapes, element types and host arrays: the vocabulary every other file uses. */
import { fromHalf, toHalf } from './half.js';

/**
 * `f16` is a way of storing: two bytes an element, packed as in an `array<f16>`; kernels compute in f32 whatever they read
 * and write, and what is beyond its range (65504) is not finite. Since a word holds two of them, and most kernels take four elements at a time, only tensors whose last
 * extent is a multiple of 4 can be f16 (`canBeHalf`).
 */
export type DType = 'f32' | 'i32' | 'u32' | 'f16';
export type FloatType = Extract<DType, 'f32' | 'f16'>;
export type Shape = readonly number[];

/** What is known of a tensor before it has a value. */
export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** f16 lies in a Uint16Array, as its bits. */
export type HostData =
  | Float32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>;

/** An array on the host, as uploaded to or read back from the GPU. Row-major, last axis fastest. See also `valuesOf`. */
export interface HostTensor extends TensorType {
  readonly data: HostData;
}

/**
 * An array of the float64 reference implementations. Integer dtypes are held in the same Float64Array,
 * exactly (all 32-bit integers fit).
 */
export interface NdArray extends TensorType {
  readonly data: Float64Array;
}

export const BYTES_PER_ELEMENT: Readonly<Record<DType, number>> = { f32: 4, i32: 4, u32: 4, f16: 2 };

/** Whether values of this shape can be stored as f16: the last extent is a multiple of 4. */
export const canBeHalf = (shape: Shape): boolean => shape.length > 0 && shape[shape.length - 1]! % 4 === 0;

export const isFloat = (dtype: DType): dtype is FloatType => dtype === 'f32' || dtype === 'f16';

/** How the result of a product is stored unless its dtype is asked for: as f16 if an operand is, and the shape allows it. */
export const productType = (shape: Shape, inputs: readonly TensorType[]): FloatType =>
  canBeHalf(shape) && inputs.some(({ dtype }) => dtype === 'f16') ? 'f16' : 'f32';

/** Number of elements of a shape; 1 for a scalar (`[]`). */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** Row-major strides in elements: `[2,3,4]` gives `[12,4,1]`. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** `[2,84,84,32]`, as error messages and the plan dump print shapes. */
export function showShape(shape: Shape): string {
  return `[${shape.join(',')}]`;
}

export function f32(shape: Shape): TensorType {
  return { shape, dtype: 'f32' };
}

/** An `NdArray` of the given values (or of zeros). */
export function ndarray(shape: Shape, values?: ArrayLike<number>, dtype: DType = 'f32'): NdArray {
  const size = sizeOf(shape);
  if (values !== undefined && values.length !== size)
    throw new Error(`ndarray: ${values.length} values for shape ${showShape(shape)}, which holds ${size}`);
  const data = new Float64Array(size);
  if (values !== undefined) data.set(values);
  return { shape, dtype, data };
}

/** A host array of the dtype's own typed array, with the values converted. */
export function hostTensor(shape: Shape, values: ArrayLike<number>, dtype: DType = 'f32'): HostTensor {
  const size = sizeOf(shape);
  if (values.length !== size)
    throw new Error(`hostTensor: ${values.length} values for shape ${showShape(shape)}, which holds ${size}`);
  return { shape, dtype, data: hostData(dtype, values) };
}

/** Values in the dtype's own typed array, or so many zeros. */
export function hostData(dtype: DType, values: ArrayLike<number> | number): HostData {
  const data = hostArray(
    dtype,
    new ArrayBuffer((typeof values === 'number' ? values : values.length) * BYTES_PER_ELEMENT[dtype]),
  );
  if (typeof values === 'number') return data;
  if (dtype === 'f16') for (let i = 0; i < values.length; i++) data[i] = toHalf(values[i]!);
  else data.set(values);
  return data;
}

/** Throws, naming `what`, unless the data is of the tensor's dtype and as long as its shape says. */
export function checkHostTensor(what: string, { shape, dtype, data }: HostTensor): void {
  const expected = hostArray(dtype, new ArrayBuffer(0))[Symbol.toStringTag];
  const actual = data[Symbol.toStringTag];
  if (actual !== expected || data.length !== sizeOf(shape))
    throw new Error(
      `${what} ${dtype}${showShape(shape)} takes ${sizeOf(shape)} elements in a ${expected}, got ${data.length} in a ${actual}`,
    );
}

/** Bytes, from the first, as the dtype's own typed array: `length` elements, or all there are. */
export function hostArray(dtype: DType, bytes: ArrayBuffer, length?: number): HostData {
  const TypedArray = { f32: Float32Array, i32: Int32Array, u32: Uint32Array, f16: Uint16Array }[dtype];
  return new TypedArray(bytes, 0, length);
}

/** The elements as numbers: of f16, what its bits stand for. */
export function valuesOf({ dtype, data }: Pick<HostTensor, 'dtype' | 'data'>): HostData {
  return dtype === 'f16' ? Float32Array.from(data, fromHalf) : data;
}
