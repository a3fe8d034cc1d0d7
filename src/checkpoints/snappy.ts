/** Snappy's raw format (https://github.com/google/snappy/blob/main/format_description.txt), for data not to be trusted. */
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { uncompress } from 'snappyjs';

/**
 * Uncompresses a stream. What it holds is measured before anything is allocated, so that memory is bounded by the
 * format's own best ratio, 21 to 1.
 *
 * @throws Error where it is damaged
 */
export function uncompressSnappy(compressed: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const reader = new BinaryReader(compressed);
  const claimed = reader.uint32();
  const held = measure(compressed, reader.pos);
  if (held !== claimed) throw new Error(`the snappy stream holds ${held} bytes and claims ${claimed}`);
  return uncompress(compressed);
}

/**
 * Bytes that the elements of a stream expand to. The library would follow a negative literal length back to where it
 * came from, for ever, take zeros for what a copy's negative offset points to, and drop what is beyond the claimed length.
 */
function measure(bytes: Uint8Array, start: number): number {
  const little = (at: number, count: number) => {
    let value = 0;
    for (let place = 0; place < count; place++) value += (bytes[at + place] ?? 0) * 2 ** (8 * place);
    return value;
  };
  let total = 0;
  for (let at = start; at < bytes.length; ) {
    const tag = bytes[at]!;
    const kind = tag & 3;
    const high = tag >> 2;
    at++;
    if (kind === 0) {
      // Lengths up to 60 lie in the tag; beyond, it counts the bytes that hold length - 1.
      const extra = Math.max(0, high - 59);
      const length = (extra === 0 ? high : little(at, extra)) + 1;
      total += length;
      at += extra + length;
    } else {
      const extra = 2 ** (kind - 1);
      const offset = little(at, extra) + (kind === 1 ? (tag >> 5) * 256 : 0);
      if (offset === 0 || offset > total)
        throw new Error(`the snappy stream copies from ${offset} bytes before byte ${total}`);
      total += kind === 1 ? (high & 7) + 4 : high + 1;
      at += extra;
    }
    if (at > bytes.length) throw new Error('the snappy stream ends inside an element');
  }
  return total;
}
