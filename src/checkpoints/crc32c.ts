import { Crc32c } from '@aws-crypto/crc32c';

/**
 * CRC32C of the parts one after the other, masked as LevelDB and TensorFlow store it: rotated and offset, so that the
 * checksum of data that hold checksums stays a good one (leveldb, util/crc32c.h).
 */
export function maskedCrc32c(...parts: readonly Uint8Array[]): number {
  const sum = new Crc32c();
  for (const part of parts) if (part.length > 0) sum.update(part);
  const crc = sum.digest();
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
