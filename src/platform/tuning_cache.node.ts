/** The file of tuned choices. */
import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { homeFolder, writeFileAtomic } from './files.node.js';
import type { TuningStore } from './tuning_cache.js';

/** In the user's cache folder, as the system has it; `SEGSORT_TUNING` names another file. */
export function defaultTuningFile(
  env: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  if (env.SEGSORT_TUNING) return env.SEGSORT_TUNING;
  const home = homeFolder() ?? tmpdir();
  const cache =
    platform === 'darwin'
      ? join(home, 'Library', 'Caches')
      : platform === 'win32'
        ? env.LOCALAPPDATA || join(home, 'AppData', 'Local')
        : env.XDG_CACHE_HOME || join(home, '.cache');
  return join(cache, 'segsort-webgpu', 'tuning.json');
}

export function fileTuningStore(path: string = defaultTuningFile()): TuningStore {
  return {
    where: path,
    async read() {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async write(text) {
      await mkdir(dirname(path), { recursive: true });
      await writeFileAtomic(path, text);
    },
  };
}
