/** What a training step took, as other programs here measured it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BenchResults, isMeasured } from './results.js';

/** As `bench/gpu_check.ts` writes it. */
export interface CheckedTraining {
  readonly backbone: string;
  readonly batch: number;
  readonly crop: number;
  readonly milliseconds: number;
}

/**
 * Milliseconds of a training step in f32 that `bench/gpu_session.sh` left in a folder: the median of the suite `networks`, else the
 * best of `gpu_check`. Null where there is neither, of this network and size.
 */
export async function millisecondsOfStep(
  folder: string,
  backbone: string,
  { batch, crop }: { readonly batch: number; readonly crop: number },
): Promise<number | null> {
  const networks = await readJson<BenchResults>(join(folder, 'networks.json'));
  const named = `${backbone} + PSP + SegSort training step, ${batch}x${crop}x${crop}`;
  const entry = networks?.rows.find(({ name }) => name === named)?.entries.find(isMeasured);
  if (entry) return entry.summary.median;
  for (const place of [folder, join(folder, backbone)])
    for (const file of (await readdir(place).catch(() => [])).filter((name) => /^gpu-check-.*\.json$/.test(name))) {
      const training = (await readJson<{ training?: CheckedTraining }>(join(place, file)))?.training;
      if (training?.backbone === backbone && training.batch === batch && training.crop === crop)
        return training.milliseconds;
    }
  return null;
}

async function readJson<T>(file: string): Promise<T | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as T);
}
