declare module 'crc-32/crc32c.js' {
  const crc32c: {
    /** CRC32C as a signed integer, going on from `seed`, the checksum of what came before. */
    buf(data: ArrayLike<number>, seed?: number): number;
  };
  export default crc32c;
}
