/** Damages protocol buffers so that they stay well-formed: what is read is what is wrong, not how it is written. */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { Random } from '../../src/tensor/random.js';
import { damage } from './damage.js';

interface Field {
  readonly number: number;
  readonly wireType: WireType;
  /** As it is encoded, without tag; of a message, its fields. */
  readonly value: Uint8Array | readonly Field[];
}

const EXTREMES = [
  0n,
  1n,
  2n,
  3n,
  7n,
  100n,
  2n ** 16n,
  2n ** 28n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 52n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Changes, removes, repeats or renumbers one field somewhere in a message. */
export function mutateMessage(bytes: Uint8Array, random: Random): Uint8Array {
  const fields = parse(bytes);
  return fields ? write(mutate(fields, random)) : damage(bytes, random);
}

function mutate(fields: readonly Field[], random: Random): readonly Field[] {
  if (fields.length === 0)
    return [{ number: random.integerIn(1, 8), wireType: WireType.Varint, value: varint(random.pick(EXTREMES)) }];
  const place = random.integer(fields.length);
  const field = fields[place]!;
  const nested = !(field.value instanceof Uint8Array);
  const kind = random.integer(nested ? 12 : 6);
  if (kind === 0) return fields.toSpliced(place, 1);
  if (kind === 1) return fields.toSpliced(random.integer(fields.length + 1), 0, field);
  if (kind === 2) return fields.with(place, { ...field, number: random.integerIn(1, 8) });
  return fields.with(place, { ...field, value: changed(field, random) });
}

function changed({ wireType, value }: Field, random: Random): Field['value'] {
  if (!(value instanceof Uint8Array)) return mutate(value, random);
  if (wireType === WireType.Varint) return varint(random.pick(EXTREMES));
  if (wireType === WireType.LengthDelimited) return damage(value, random);
  return value.map(() => random.integer(256));
}

function varint(value: bigint): Uint8Array {
  return new BinaryWriter().uint64(value).finish();
}

/** The fields, and those of fields that may be messages; undefined where it is none. */
function parse(bytes: Uint8Array): Field[] | undefined {
  const reader = new BinaryReader(bytes);
  const fields: Field[] = [];
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (wireType === WireType.StartGroup || wireType === WireType.EndGroup) return undefined;
      if (wireType !== WireType.LengthDelimited) fields.push({ number, wireType, value: reader.skip(wireType) });
      else {
        const value = reader.bytes();
        fields.push({ number, wireType, value: parse(value) ?? value });
      }
    }
  } catch {
    return undefined;
  }
  return fields;
}

function write(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { number, wireType, value } of fields) {
    writer.tag(number, wireType);
    if (!(value instanceof Uint8Array)) writer.bytes(write(value));
    else if (wireType === WireType.LengthDelimited) writer.bytes(value);
    else writer.raw(value);
  }
  return writer.finish();
}
