/**
 * Bundles a benchmark, `bench/NAME.ts`, into `.cache/NAME.mjs` and runs it: `node scripts/run_bench.mjs NAME [arguments]`.
 * `--bundle-only` leaves the running to a machine that has Node and the package `webgpu` alone.
 */
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const [name] = process.argv.splice(2, 1);
if (!existsSync(`${root}bench/${name}.ts`)) {
  const names = readdirSync(`${root}bench`).flatMap((file) => /^(.*)\.ts$/.exec(file)?.[1] ?? []);
  console.error(`there is no benchmark ${name ?? ''}: name one of ${names.join(', ')}`);
  process.exit(2);
}
const outfile = `${root}.cache/${name}.mjs`;
await build({
  absWorkingDir: root,
  entryPoints: [`bench/${name}.ts`],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  loader: { '.wgsl': 'text' },
  external: ['webgpu', 'koffi', '@sparticuz/chromium'],
  // What is bundled of CommonJS asks for Node's modules with `require`.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
  },
  logLevel: 'warning',
});
if (process.argv.includes('--bundle-only')) console.log(outfile);
else await import(pathToFileURL(outfile).href);
