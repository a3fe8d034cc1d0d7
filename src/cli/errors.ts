/** What ends a command with one clear message. */

/** The command was given something it cannot work with; its message says what and what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Exit codes: of a wrong call, of anything else that failed, and of an interruption (128 + SIGINT). */
export const EXIT = { failure: 1, usage: 2, interrupted: 130 } as const;

export function exitCodeOf(error: unknown): number {
  return error instanceof UsageError ? EXIT.usage : EXIT.failure;
}

/** The message to print; with `verbose` also the stack, and the stacks of causes. */
export function describeError(error: unknown, verbose: boolean): string {
  if (!(error instanceof Error)) return String(error);
  if (!verbose) return error.message;
  const stacks: string[] = [];
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
    stacks.push(cause.stack ?? cause.message);
  return stacks.join('\ncaused by: ');
}
