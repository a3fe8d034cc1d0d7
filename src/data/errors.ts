/** Something is wrong with the data: a file, a list, or how the two fit together. The message names the file. */
export class DataError extends Error {
  override readonly name = 'DataError';
  /** Path of the offending file, relative to the root of its source; null where no single file is at fault. */
  readonly file: string | null;
  /** The message without the file's name. */
  readonly reason: string;

  constructor(file: string | null, reason: string, options?: ErrorOptions) {
    super(file === null ? reason : `${file}: ${reason}`, options);
    this.file = file;
    this.reason = reason;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
