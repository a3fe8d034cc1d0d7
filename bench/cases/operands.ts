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

/**
 * Wraps what makes large values, so that they are made once for all contenders of a case: they are kept until another that was
 * wrapped is asked. Cases are measured one after the other, and the values of all of them do not fit.
 */
function oneAtATime<T>(): (make: () => T) => () => T {
  let held: { readonly make: () => T; readonly value: T } | null = null;
  return (make) => () => {
    if (held?.make !== make) {
      held = null; // before others take its place in memory
      held = { make, value: make() };
    }
    return held.value;
  };
}

/** For the operands of a case, which nobody may change. */
export const heldOperands = oneAtATime<HostTensor[]>();

/** For what is expected of a case. */
export const heldReference = oneAtATime<Float64Array[]>();
