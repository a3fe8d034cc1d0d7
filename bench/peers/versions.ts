import lock from '../package-lock.json' with { type: 'json' };

/** The version that `bench/package-lock.json` installs. */
export function versionOf(name: string): string {
  const packages: Readonly<Record<string, object>> = lock.packages;
  const found = packages[`node_modules/${name}`];
  return found && 'version' in found ? String(found.version) : 'unknown';
}
