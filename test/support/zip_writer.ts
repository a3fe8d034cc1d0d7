/** Zip archives of entries that are not compressed, as PyTorch and NumPy write them. */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

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
    const crc = crc32(contents);
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
