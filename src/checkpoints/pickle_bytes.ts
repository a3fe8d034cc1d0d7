/** The bytes of a pickle, read in order and never past their end. */

/** A pickle is damaged, or names what is not allowed. */
export class PickleError extends Error {
  override readonly name: string = 'PickleError';
  /** Byte of the pickle at which it goes wrong; null until it is known. */
  position: number | null = null;
}

/** The bytes end before the pickle does; with more of them it may be sound. */
export class PickleEnd extends PickleError {
  override readonly name = 'PickleEnd';
}

/** Decimal digits of an integer in text: parsing takes quadratic time, and nothing in a checkpoint is longer. */
const MAX_DIGITS = 1000;
const MAX_LONG_BYTES = 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class PickleBytes {
  position: number;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  constructor(bytes: Uint8Array<ArrayBuffer>, position: number) {
    this.position = position;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Goes `length` bytes on and returns where they begin. */
  #take(length: number): number {
    const start = this.position;
    if (length > this.#bytes.length - start)
      throw new PickleEnd(`ends after ${this.#bytes.length} bytes, where ${start + length} are needed`);
    this.position += length;
    return start;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  /** Rounded beyond 2^53, which is past the end of any pickle. */
  u64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    const start = this.#take(length);
    return this.#bytes.slice(start, start + length);
  }

  text(length: number): string {
    const start = this.#take(length);
    try {
      return utf8.decode(this.#bytes.subarray(start, start + length));
    } catch (error) {
      throw new PickleError('has a text that is no UTF-8', { cause: error });
    }
  }

  /** Text up to the end of a line. */
  line(): string {
    const end = this.#bytes.indexOf(10, this.position);
    if (end < 0) throw new PickleEnd('ends within a line');
    const text = this.text(end - this.position);
    this.position++;
    return text;
  }

  /** An integer of `length` bytes, two's complement, little-endian. */
  long(length: number): number | bigint {
    if (length > MAX_LONG_BYTES) throw new PickleError(`has an integer of ${length} bytes`);
    const bytes = this.bytes(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    return narrowed(BigInt.asIntN(8 * length, value));
  }

  /** An integer in decimal. */
  decimal(text: string): number | bigint {
    if (text.length > MAX_DIGITS || !/^-?\d+$/.test(text))
      throw new PickleError(`has ${JSON.stringify(text.slice(0, 20))} where an integer should be`);
    return narrowed(BigInt(text));
  }
}

function narrowed(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
