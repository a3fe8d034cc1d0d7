/**
 * Event files, as TensorBoard reads them: records with checksums (tensorflow/core/lib/io/record_writer.h), each an
 * `Event` (tensorflow/core/util/event.proto) that holds scalars or images (tensorflow/core/framework/summary.proto).
 */
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { maskedCrc32c } from '../../checkpoints/crc32c.js';

/** A picture for TensorBoard. */
export interface EventImage {
  readonly width: number;
  readonly height: number;
  readonly png: Uint8Array;
}

const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 } as const;
const SUMMARY_VALUE = 1;
const VALUE = { tag: 1, scalar: 2, image: 4 } as const;
const IMAGE = { height: 1, width: 2, colourSpace: 3, encoded: 4 } as const;
const RGB = 3;
const SESSION_LOG_STATUS = 1;
const SESSION_START = 1;

export class EventFile implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /**
   * Begins a file in a folder for a run that has made so many steps. TensorBoard reads the files of a folder one after
   * the other, and forgets what earlier ones have of later steps.
   */
  static async open(folder: string, stepsDone: number): Promise<EventFile> {
    await mkdir(folder, { recursive: true });
    const name = `events.out.tfevents.${Math.floor(Date.now() / 1000)}.${hostname()}.${process.pid}`;
    const { path, file } = await openNew(join(folder, name));
    const events = new EventFile(path, file);
    await events.#write(0, (event) => event.tag(EVENT.fileVersion, WireType.LengthDelimited).string('brain.Event:2'));
    if (stepsDone > 0)
      await events.#write(stepsDone + 1, (event) =>
        message(event, EVENT.sessionLog, (log) => log.tag(SESSION_LOG_STATUS, WireType.Varint).int32(SESSION_START)),
      );
    return events;
  }

  /** Adds values by name, such as `training/loss`. */
  scalars(step: number, values: Readonly<Record<string, number>>): Promise<void> {
    return this.#summary(step, Object.entries(values), (value, scalar) =>
      value.tag(VALUE.scalar, WireType.Bit32).float(scalar),
    );
  }

  /** Adds pictures by name. */
  images(step: number, images: Readonly<Record<string, EventImage>>): Promise<void> {
    return this.#summary(step, Object.entries(images), (value, { width, height, png }) =>
      message(value, VALUE.image, (image) => {
        image.tag(IMAGE.height, WireType.Varint).int32(height);
        image.tag(IMAGE.width, WireType.Varint).int32(width);
        image.tag(IMAGE.colourSpace, WireType.Varint).int32(RGB);
        image.tag(IMAGE.encoded, WireType.LengthDelimited).bytes(png);
      }),
    );
  }

  #summary<V>(
    step: number,
    values: readonly (readonly [string, V])[],
    write: (message: BinaryWriter, value: V) => void,
  ): Promise<void> {
    return this.#write(step, (event) =>
      message(event, EVENT.summary, (summary) => {
        for (const [tag, content] of values)
          message(summary, SUMMARY_VALUE, (value) => {
            value.tag(VALUE.tag, WireType.LengthDelimited).string(tag);
            write(value, content);
          });
      }),
    );
  }

  async #write(step: number, content: (event: BinaryWriter) => void): Promise<void> {
    const event = new BinaryWriter();
    event.tag(EVENT.wallTime, WireType.Bit64).double(Date.now() / 1000);
    event.tag(EVENT.step, WireType.Varint).int64(step);
    content(event);
    await this.#file.appendFile(record(event.finish()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** Two starts within a second have files of their own. */
async function openNew(name: string): Promise<{ path: string; file: FileHandle }> {
  for (let number = 0; ; number++) {
    const path = `${name}.${number}`;
    try {
      return { path, file: await open(path, 'ax') };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Appends a message as a field of another. */
function message(writer: BinaryWriter, field: number, content: (message: BinaryWriter) => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  content(writer);
  writer.join();
}

/** Length, its checksum, the data, their checksum. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(data.length + 12, maskedCrc32c(data), true);
  return bytes;
}
