/** The version of the package. */
import { readFileSync } from 'node:fs';

/** From `src/cli` and, bundled, from `dist`. */
const PLACES = ['../package.json', '../../package.json'];

export const VERSION: string = findVersion();

function findVersion(): string {
  for (const place of PLACES) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
      if (name === 'segsort-webgpu') return version;
    } catch {
      // Not there: it is looked for one folder up.
    }
  }
  return 'unknown';
}
