/** Counts the memory of a device's buffers. */

export interface BufferCount {
  /** Of buffers that were created since counting began and are not destroyed. */
  readonly bytes: number;
  readonly buffers: number;
}

/** Counts from here on, by stepping in where buffers are created. */
export function countBuffers(device: GPUDevice): BufferCount {
  const count = { bytes: 0, buffers: 0 };
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    let there = true;
    count.bytes += descriptor.size;
    count.buffers++;
    buffer.destroy = () => {
      if (there) {
        count.bytes -= descriptor.size;
        count.buffers--;
      }
      there = false;
      return destroy();
    };
    return buffer;
  };
  return count;
}
