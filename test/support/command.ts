/** The `segsort` command in the tests' own process. */
import { vi } from 'vitest';
import { runCli } from '../../src/cli/program.js';

/** Runs the command in this process. */
export async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const written: Record<'out' | 'err', string[]> = { out: [], err: [] };
  const collect = (where: string[]) => (text: unknown) => {
    where.push(String(text));
    return true;
  };
  const collectLine = (where: string[]) => (text: unknown) => {
    where.push(`${text}\n`);
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(collect(written.out));
  vi.spyOn(process.stderr, 'write').mockImplementation(collect(written.err));
  vi.spyOn(console, 'log').mockImplementation(collectLine(written.out));
  vi.spyOn(console, 'error').mockImplementation(collectLine(written.err));
  const code = await runCli(args);
  vi.restoreAllMocks();
  process.exitCode = undefined;
  return { code, out: written.out.join(''), err: written.err.join('') };
}
