/** Zip archives of entries that are not compressed, as PyTorch and NumPy write them. */
import crc32 from 'crc-32';

/** @param alignment of each entry's contents, by padding in the extra field, as PyTorch does */
export function storedZip(entries: ReadonlyMap<string, Uint8Array>, alignment = 64): Uint8Array<ArrayBuffer> {
  const pieces: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  const append = (piece: Uint8Array) => {
    pieces.push(piece);
    offset += piece.length;
  };
  for (const [name, contents] of entries) {
    const label = new TextEncoder().encode(name);
    const crc = crc32.buf(contents) >>> 0;
    const at = offset;
    const padding = (alignment - ((at + 30 + label.length + 4) % alignment)) % alignment;
    const shared = (extra: number) => [
      20,
      0x0800,
      0,
      0,
      0x21,
      crc,
      contents.length,
      contents.length,
      label.length,
      extra,
    ];
    append(fields('42222244422', [0x04034b50, ...shared(4 + padding)]));
    append(label);
    append(fields('22', [0x4246, padding]));
    append(new Uint8Array(padding));
    append(contents);
    directory.push(fields('42222224442222244', [0x02014b50, 20, ...shared(0), 0, 0, 0, 0, at]), label);
  }
  const start = offset;
  for (const piece of directory) append(piece);
  append(fields('42222442', [0x06054b50, 0, 0, entries.size, entries.size, offset - start, start, 0]));
  const bytes = new Uint8Array(offset);
  let position = 0;
  for (const piece of pieces) {
    bytes.set(piece, position);
    position += piece.length;
  }
  return bytes;
}

/** Little-endian numbers of 2 and 4 bytes. */
function fields(widths: string, values: readonly number[]): Uint8Array {
  const sizes = [...widths].map(Number);
  if (sizes.length !== values.length) throw new Error(`${values.length} values for ${sizes.length} fields`);
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const [i, size] of sizes.entries()) {
    if (size === 2) view.setUint16(offset, values[i]!, true);
    else view.setUint32(offset, values[i]!, true);
    offset += size;
  }
  return bytes;
}

/** The entries of an archive that nothing in is compressed, as their directory lists them. */
export function unzipStored(bytes: Uint8Array<ArrayBuffer>): Map<string, Uint8Array<ArrayBuffer>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const entries = new Map<string, Uint8Array<ArrayBuffer>>();
  let at = view.getUint32(bytes.length - 6, true);
  while (view.getUint32(at, true) === 0x02014b50) {
    const [size, header] = [view.getUint32(at + 24, true), view.getUint32(at + 42, true)];
    const label = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + label));
    const start = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
    entries.set(name, bytes.subarray(start, start + size));
    at += 46 + label + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}
