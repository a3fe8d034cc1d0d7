import crc32c from 'crc-32/crc32c.js';

/**
 * CRC32C of the parts one after the other, masked as LevelDB and TensorFlow store it: rotated and offset, so that the
 * checksum of data that hold checksums stays a good one (leveldb, util/crc32c.h).
 */
export function maskedCrc32c(...parts: readonly Uint8Array[]): number {
  const crc = parts.reduce((sum, part) => crc32c.buf(part, sum), 0) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
