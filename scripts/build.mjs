/**
 * Builds `dist/`: the library for Node (`index.node.js`, with `node.js` for what only Node has), the command (`cli.js`) and
 * the workers that decode images and make region masks; the library for browsers (`browser/`, and `development/`, see
 * browser_modules.mjs); and the types. `--node` builds what Node runs alone, `--js` that and the library for browsers,
 * `--types` the types.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { browserModules } from './browser_modules.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** @type {import('esbuild').BuildOptions} */
const common = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  packages: 'external',
  loader: { '.wgsl': 'text' },
  sourcemap: true,
  sourcesContent: false, // `src` is published too
  logLevel: 'warning',
};
const node = { ...common, platform: 'node', target: 'node20' };

const bundles = [
  {
    ...node,
    entryPoints: { 'index.node': 'src/index.ts', node: 'src/node.ts', cli: 'src/cli/main.ts' },
    splitting: true, // what two entries share exists once, also in memory
    chunkNames: 'chunk-[hash]',
  },
  // Files of their own, which threads are started with.
  {
    ...node,
    entryPoints: {
      decode_worker: 'src/data/decode_worker.ts',
      region_worker: 'src/cli/training/region_worker.ts',
    },
  },
];

/** Bundles what is there, and removes chunks of earlier builds. */
async function forNode() {
  const results = await Promise.all(
    bundles.map(({ entryPoints, ...options }) => {
      const present = Object.entries(entryPoints).filter(([, file]) => existsSync(join(root, file)));
      return build({ ...options, entryPoints: Object.fromEntries(present), outdir: 'dist', metafile: true });
    }),
  );
  const written = new Set(results.flatMap(({ metafile }) => Object.keys(metafile.outputs)));
  for (const name of await readdir(join(root, 'dist')))
    if (name.startsWith('chunk-') && !written.has(`dist/${name}`)) await rm(join(root, 'dist', name), { force: true });
  if (written.has('dist/cli.js')) await chmod(join(root, 'dist/cli.js'), 0o755);
}

async function types() {
  await rm(join(root, 'dist/types'), { recursive: true, force: true });
  // Not `npx`, which takes longer to start than the compiler to run.
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const run = spawn(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  const code = await new Promise((resolve, reject) => run.on('close', resolve).on('error', reject));
  if (code !== 0) throw new Error(`tsc ended with ${code}`);
}

try {
  const only = process.argv[2];
  await Promise.all([
    only !== '--types' && forNode(),
    only !== '--types' && only !== '--node' && browserModules(root, common),
    (only === undefined || only === '--types') && types(),
  ]);
} catch (error) {
  console.error(`build: ${error.message}`);
  process.exitCode = 1;
}
