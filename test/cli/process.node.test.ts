/** The built command, as a process of its own: `npm run build` comes first. */
import { type ChildProcess, spawn } from 'node:child_process';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { parseSafetensors } from '../../src/checkpoints/safetensors.js';
import { writeDigitScenes } from '../../src/data/digits.node.js';

const cli = join(inject('root'), 'dist', 'cli.js');
const KERNELS = ['matmul', 'conv2d', 'conv2dInputGrad', 'conv2dFilterGrad'].map((op) => `${op}:naive`).join();

let folder: string;
beforeAll(async () => {
  await access(cli).catch(() => {
    throw new Error('dist/cli.js is not there: run `npm run build` first');
  });
  folder = await mkdtemp(join(tmpdir(), 'segsort-process-'));
  await writeDigitScenes(join(folder, 'scenes'), { size: 16, scale: [0.5, 0.6], train: 8, val: 2 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Starts the command; `watch` sees what it writes to standard error so far. */
function start(args: string[], watch: (err: string, child: ChildProcess) => void = () => {}): Promise<Ended> {
  const child = spawn(process.execPath, [cli, ...args], { env: { ...process.env, KERNEL: KERNELS }, cwd: folder });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
    watch(err, child);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

it('ends at Ctrl-C with the last step saved, and can go on', async () => {
  const run = join(folder, 'run');
  let interrupted = false;
  const { code, out, err } = await start(
    [
      ...['train', '--preset', 'digits', '--data', 'scenes', '--out', run, '--workers', '1'],
      ...['--steps', '1000000', '--batch', '2', '--crop', '16', '--log-every', '1', '--kmeans', '2'],
    ],
    (written, child) => {
      if (interrupted || !/training \d+\/1000000 {2}loss \d/.test(written)) return;
      interrupted = true;
      child.kill('SIGINT');
    },
  );
  expect(err).toContain('stopping after this step');
  expect(code).toBe(130);
  const step = Number(/stopped after step (\d+) of 1000000/.exec(out)?.[1]);
  expect(out).toContain(`\`segsort train --resume ${run}\` goes on`);
  const checkpoint = parseSafetensors(
    new Uint8Array(await readFile(join(run, 'checkpoint.safetensors'))),
    'checkpoint',
  );
  expect(Number(checkpoint.metadata.step)).toBe(step);
  const metrics = (await readFile(join(run, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n');
  expect(JSON.parse(metrics[metrics.length - 1]!).step).toBe(step);
});

it('ends by itself with code 1 where the data is wrong', async () => {
  const { code, out, err } = await start([
    'train',
    '--preset',
    'digits',
    '--data',
    'scenes',
    '--list',
    'manifest.json',
  ]);
  expect([code, out]).toEqual([1, '']);
  expect(err).toMatch(/^segsort: .*manifest\.json: line \d+ has \d+ fields, expected `image label`/);
});

it('says in JSON what the doctor found', async () => {
  const { code, out } = await start(['doctor', '--json']);
  expect(code).toBe(0);
  const { facts, variants } = JSON.parse(out);
  expect(typeof facts.cpu).toBe('boolean');
  expect(variants.map(({ op }: { op: string }) => op)).toContain('conv2d');
});
