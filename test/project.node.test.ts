/** The rules of the project's own code. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';

/** What a tool of `node_modules` prints where it ends with an error; undefined where it is content. */
const complaint = (script: string, ...args: string[]) =>
  promisify(execFile)(process.execPath, [`node_modules/${script}`, ...args], { cwd: inject('root') }).then(
    () => undefined,
    ({ stdout, stderr }: { stdout: string; stderr: string }) => `${stdout}${stderr}` || 'failed without a word',
  );

test('the linter and the formatter have nothing to say', async () => {
  const text = await complaint('@biomejs/biome/bin/biome', 'ci', '--colors=off');
  if (text) expect.fail(text);
});

test('the types are right', async () => {
  const text = await complaint('typescript/bin/tsc');
  if (text) expect.fail(text);
});
