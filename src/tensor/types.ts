/** Shapes, element types and host arrays: the vocabulary every other file uses. */

export type DType = 'f32' | 'i32' | 'u32';
export type Shape = readonly number[];

/** What is known of a tensor before it has a value. Every dtype takes 4 bytes an element. */
export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

export type HostData = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** An array on the host, as uploaded to or read back from the GPU. Row-major, last axis fastest. */
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

export const BYTES_PER_ELEMENT = 4;

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

export function hostData(dtype: DType, values: ArrayLike<number> | number): HostData {
  const TypedArray = dtype === 'f32' ? Float32Array : dtype === 'i32' ? Int32Array : Uint32Array;
  if (typeof values === 'number') return new TypedArray(values);
  const data = new TypedArray(values.length);
  data.set(values);
  return data;
}
