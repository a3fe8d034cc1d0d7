/** Operands of the cases: seeded noise, the same in every engine and at every call. */
import { Random } from '../../src/tensor/random.js';
import { type HostTensor, hostTensor, type Shape, sizeOf } from '../../src/tensor/types.js';

/** Uniform numbers of mean 0 and this standard deviation. */
export function noise(shape: Shape, seed: number, deviation = 1): HostTensor {
  const random = new Random({ seed, stream: 90 });
  const limit = Math.sqrt(3) * deviation;
  return hostTensor(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.between(-limit, limit)),
  );
}

/** Bytes of tensors of 4 bytes an element that move once. */
export function bytesOfAll(...shapes: readonly Shape[]): number {
  return shapes.reduce((sum, shape) => sum + 4 * sizeOf(shape), 0);
}
