/**
 * Bundles a benchmark, `bench/NAME.ts`, into `.cache/NAME.mjs` and runs it: `node scripts/run_bench.mjs NAME [arguments]`.
 * `--bundle-only FOLDER` puts it there instead, and leaves the running to a machine that has Node and the package `webgpu` alone.
 * The whole folder has to be carried along: what is only imported when it is asked for, such as the shaders for matrix units, lies
 * in files of its own.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const [name] = process.argv.splice(2, 1);
if (!existsSync(`${root}bench/${name}.ts`)) {
  const names = readdirSync(`${root}bench`).flatMap((file) => /^(.*)\.ts$/.exec(file)?.[1] ?? []);
  console.error(`there is no benchmark ${name ?? ''}: name one of ${names.join(', ')}`);
  process.exit(2);
}
const flag = process.argv.indexOf('--bundle-only');
const bundleOnly = flag >= 0;
if (bundleOnly && !process.argv[flag + 1]) {
  console.error('--bundle-only takes a folder');
  process.exit(2);
}
const folder = bundleOnly ? resolve(process.argv[flag + 1]) : `${root}.cache`;
const outfile = `${folder}/${name}.mjs`;

/**
 * The packages of `bench/package.json` stay where they are, since some of them look for files beside their own; the bundle,
 * which lies elsewhere, imports them by their place. Two are bundled: parts of them are ES modules that Node does not take
 * for such.
 */
const BUNDLED = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-webgpu'];
const peers = new Set(Object.keys(JSON.parse(readFileSync(`${root}bench/package.json`, 'utf8')).dependencies ?? {}));
const leavePeers = {
  name: 'leave-peers',
  setup(bundle) {
    bundle.onResolve({ filter: /^[@\w]/ }, async ({ path, resolveDir, kind, importer, pluginData }) => {
      const packageName = /^(@[^/]+\/)?[^/]+/.exec(path)[0];
      if (pluginData === leavePeers || !peers.has(packageName)) return undefined;
      const found = await bundle.resolve(path, { resolveDir, kind, importer, pluginData: leavePeers });
      // Not installed: whoever imports it says so when it runs.
      if (found.errors.length > 0) return { path, external: true };
      if (BUNDLED.includes(packageName)) return { path: found.path };
      return { path: relative(dirname(outfile), found.path).replaceAll('\\', '/'), external: true };
    });
  },
};

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: [`bench/${name}.ts`],
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  chunkNames: `${name}-[name]-[hash]`,
  bundle: true,
  splitting: true,
  metafile: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  conditions: [], // as Node itself resolves, which knows no condition `module`
  loader: { '.wgsl': 'text' },
  external: ['webgpu', 'koffi', '@sparticuz/chromium', 'esbuild', 'playwright-core'],
  plugins: [leavePeers],
  // What is bundled of CommonJS asks for Node's modules with `require`.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
  },
  logLevel: 'warning',
});
const written = new Set(Object.keys(metafile.outputs).map((file) => file.replace(/^.*\//, '')));
for (const file of readdirSync(folder))
  if (file.startsWith(`${name}-`) && file.endsWith('.mjs') && !written.has(file)) rmSync(`${folder}/${file}`);
if (!bundleOnly) await import(pathToFileURL(outfile).href);
