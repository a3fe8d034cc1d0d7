/**
 * Reads event files of TensorBoard with nothing of the code that writes them: framing, CRC32C bit by bit, and just as
 * much of protocol buffers.
 */

export interface ReadEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly fileVersion?: string;
  /** 1: a session starts. */
  readonly sessionStatus?: number;
  readonly values: readonly {
    readonly tag: string;
    readonly scalar?: number;
    readonly image?: {
      readonly height: number;
      readonly width: number;
      readonly colourSpace: number;
      readonly png: Uint8Array;
    };
  }[];
}

/** The events of a file. @throws Error where a checksum is wrong or a record is cut short */
export function readEvents(bytes: Uint8Array): ReadEvent[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const events: ReadEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(view.getBigUint64(at, true));
    if (at + length + 16 > bytes.length) throw new Error(`the record at byte ${at} is cut short`);
    const data = bytes.subarray(at + 12, at + 12 + length);
    if (view.getUint32(at + 8, true) !== masked(crc32c(bytes.subarray(at, at + 8))))
      throw new Error(`the length at byte ${at} has a wrong checksum`);
    if (view.getUint32(at + 12 + length, true) !== masked(crc32c(data)))
      throw new Error(`the record at byte ${at} has a wrong checksum`);
    events.push(eventOf(data));
    at += length + 16;
  }
  return events;
}

const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

type Content = { readonly number: number; readonly bytes: Uint8Array; readonly varint: number };

/** The fields of a message, in order. */
function fieldsOf(bytes: Uint8Array): Content[] {
  const fields: Content[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('a message is cut short');
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(value);
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const number = key >>> 3;
    const kind = key & 7;
    if (kind === 0) fields.push({ number, varint: varint(), bytes: new Uint8Array() });
    else {
      const length = kind === 1 ? 8 : kind === 5 ? 4 : varint();
      fields.push({ number, varint: 0, bytes: bytes.slice(at, at + length) });
      at += length;
    }
  }
  return fields;
}

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function eventOf(data: Uint8Array): ReadEvent {
  const event: { -readonly [K in keyof ReadEvent]: ReadEvent[K] } = { wallTime: 0, step: 0, values: [] };
  for (const { number, bytes, varint } of fieldsOf(data)) {
    if (number === 1) event.wallTime = viewOf(bytes).getFloat64(0, true);
    if (number === 2) event.step = varint;
    if (number === 3) event.fileVersion = textOf(bytes);
    if (number === 5) event.values = fieldsOf(bytes).map((value) => summaryValue(value.bytes));
    if (number === 7) event.sessionStatus = fieldsOf(bytes).find((field) => field.number === 1)!.varint;
  }
  return event;
}

function summaryValue(data: Uint8Array): ReadEvent['values'][number] {
  const fields = new Map(fieldsOf(data).map((field) => [field.number, field]));
  const tag = textOf(fields.get(1)!.bytes);
  if (fields.has(2)) return { tag, scalar: viewOf(fields.get(2)!.bytes).getFloat32(0, true) };
  const image = new Map(fieldsOf(fields.get(4)!.bytes).map((field) => [field.number, field]));
  const { varint: height } = image.get(1)!;
  const { varint: width } = image.get(2)!;
  return { tag, image: { height, width, colourSpace: image.get(3)!.varint, png: image.get(4)!.bytes } };
}
