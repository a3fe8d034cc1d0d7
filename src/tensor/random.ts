/**
 * Counter-based random numbers: Philox-4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). A number depends on its address (seed, stream, step, index, position) alone, so a run can be
 * resumed at any step, and work can be split among any number of workers, without changing a bit.
 */

/** What numbers are drawn for. Two streams of the same seed never share a number. */
export const STREAM = { order: 1, placement: 2, scene: 3, texture: 4, parameter: 5 } as const;

export interface RandomAddress {
  /** A non-negative integer below 2^53. */
  readonly seed: number;
  readonly stream: number;
  /** Two 32-bit integers, such as the step and the index in the batch. */
  readonly step?: number;
  readonly index?: number;
}

/** A sequence of numbers at one address. All values are the same in every JavaScript engine. */
export class Random {
  readonly #key: [number, number];
  readonly #counter: [number, number, number, number];
  readonly #block = new Uint32Array(4);
  #used = 4;

  constructor({ seed, stream, step = 0, index = 0 }: RandomAddress) {
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new RangeError(`seed must be an integer from 0 to 2^53 - 1, got ${seed}`);
    this.#key = [seed >>> 0, Math.floor(seed / 2 ** 32)];
    this.#counter = [0, index >>> 0, step >>> 0, stream >>> 0];
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    if (this.#used === 4) {
      philox(this.#counter, this.#key, this.#block);
      this.#counter[0]++;
      this.#used = 0;
    }
    return this.#block[this.#used++]!;
  }

  /** A number in [0, 1), of 32 random bits. */
  uniform(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A number in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /**
   * An integer in [0, count), each exactly as likely.
   *
   * @throws RangeError unless `count` is an integer from 1 to 2^32
   */
  integer(count: number): number {
    if (!(Number.isInteger(count) && count >= 1 && count <= 2 ** 32))
      throw new RangeError(`Random: there is no integer below ${count}`);
    const limit = 2 ** 32 - (2 ** 32 % count);
    while (true) {
      const value = this.uint32();
      if (value < limit) return value % count;
    }
  }

  /** An integer in [low, high], both included. */
  integerIn(low: number, high: number): number {
    return low + this.integer(high - low + 1);
  }

  boolean(): boolean {
    return this.uint32() >= 2 ** 31;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(choices.length)]!;
  }

  /** The integers 0 to count - 1 in random order (Fisher and Yates). */
  permutation(count: number): Uint32Array<ArrayBuffer> {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}

/** One block of Philox-4x32 with 10 rounds: four 32-bit numbers from a 128-bit counter and a 64-bit key. */
export function philox(counter: readonly number[], key: readonly number[], block: Uint32Array): void {
  let [c0, c1, c2, c3] = counter as [number, number, number, number];
  let [k0, k1] = key as [number, number];
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  block[0] = c0;
  block[1] = c1;
  block[2] = c2;
  block[3] = c3;
}

/** The upper 32 bits of the product of two unsigned 32-bit numbers, from products of 16-bit halves. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (carry >>> 16);
}
