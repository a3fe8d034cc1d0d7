/** Reading protocol buffers field by field, and saying where one is damaged. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { CheckpointFormatError } from './tensor_file.js';

/** The wire types a field may have, and what is done with each of its values. */
export interface Field {
  readonly wireTypes: readonly WireType[];
  readonly read: (reader: BinaryReader, wireType: WireType) => void;
}

/**
 * Reads a message; fields that are not asked for are skipped.
 *
 * @param fields by field number
 * @throws Error where the bytes are no message, or a field has another wire type
 */
export function readMessage(bytes: Uint8Array, fields: Readonly<Record<number, Field>>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = fields[number];
    if (!field) reader.skip(wireType, number);
    else if (!field.wireTypes.includes(wireType))
      throw new Error(`field ${number} has wire type ${wireType} and should have ${field.wireTypes.join(' or ')}`);
    else field.read(reader, wireType);
    if (reader.pos > reader.len) throw new Error(`field ${number} is cut short`);
  }
}

/** A field that is a message or bytes; the bytes are a view. */
export function bytesField(take: (bytes: Uint8Array) => void): Field {
  return { wireTypes: [WireType.LengthDelimited], read: (reader) => take(reader.bytes()) };
}

export function stringField(take: (text: string) => void): Field {
  return { wireTypes: [WireType.LengthDelimited], read: (reader) => take(reader.string(true)) };
}

/** A field of type int32, int64 or an enum. Values beyond 2^53 are an error. */
export function integerField(take: (value: number) => void): Field {
  return { wireTypes: [WireType.Varint], read: (reader) => take(exactInteger(reader.int64())) };
}

/** A repeated field of numbers; `take` gets their encodings without tags, all at once where the field is packed. */
export function numbersField(wireType: WireType, take: (encoded: Uint8Array) => void): Field {
  return {
    wireTypes: [WireType.LengthDelimited, wireType],
    read: (reader, actual) => take(actual === WireType.LengthDelimited ? reader.bytes() : reader.skip(actual)),
  };
}

/** A field of 32 bits, unsigned. */
export function wordField(take: (value: number) => void): Field {
  return { wireTypes: [WireType.Bit32], read: (reader) => take(reader.fixed32()) };
}

/** A 64-bit integer as a number. */
export function exactInteger(value: bigint | string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new Error(`${value} is beyond 2^53`);
  return number;
}

/** Where in a checkpoint something is read. */
export interface Place {
  readonly file: string;
  readonly tensor?: string | null;
  readonly offset?: number | null;
}

/** Runs a decoder of bytes that may be damaged; whatever it throws becomes a `CheckpointFormatError` that says where. */
export function decoding<R>(place: Place, what: string, decode: () => R): R {
  try {
    return decode();
  } catch (error) {
    if (error instanceof CheckpointFormatError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CheckpointFormatError(place.file, place, `${what} cannot be read: ${reason}`, { cause: error });
  }
}
