/**
 * What a browser loads of the library, page by page of `bench/size/`: the page's own bundle and what it imports, and the
 * worker if it starts one, minified by esbuild and gzipped at level 9, each file by itself as a server would.
 * test/size.node.test.ts checks in Chrome that these are the files it loads.
 *
 *   node scripts/build.mjs --js && node scripts/measure_size.mjs [--out bench/results/size.json]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

export const PAGES = ['engine', 'tensors', 'folder', 'described', 'everything'];

/**
 * Bundles a page of `bench/size/`; with `outdir`, into it. Sizes are in bytes. `files` are those a browser loads while the
 * page trains, `groups` what they consist of, before compression.
 *
 * @param {string} root of the project
 * @param {string} page
 * @param {string} [outdir]
 * @returns {Promise<{ page: string, minified: number, gzipped: number, files: { name: string, minified: number, gzipped: number }[], groups: Record<string, number> }>}
 */
export async function measurePage(root, page, outdir) {
  const alone = await bundlePage(root, { [page]: `bench/size/${page}.js` });
  const startsWorker = alone.outputFiles.some(({ text }) => text.includes('decode_worker.js'));
  const { metafile, outputFiles } = startsWorker
    ? // esbuild does not follow `new Worker(new URL('./decode_worker.js', import.meta.url))`.
      await bundlePage(root, { [page]: `bench/size/${page}.js`, decode_worker: 'dist/browser/data/decode_worker.js' })
    : alone;
  const outputs = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output]));
  const contents = new Map(outputFiles.map((file) => [basename(file.path), file]));
  if (outdir) await Promise.all([...contents].map(([name, file]) => writeFile(join(outdir, name), file.contents)));

  const loaded = new Set();
  const load = (name) => {
    if (loaded.has(name)) return;
    loaded.add(name);
    for (const { path, kind } of outputs.get(name).imports) if (kind === 'import-statement') load(basename(path));
  };
  load(`${page}.js`);
  if (startsWorker) load('decode_worker.js');

  const files = [...loaded].map((name) => {
    const bytes = contents.get(name).contents;
    return { name, minified: bytes.length, gzipped: gzipSync(bytes, { level: 9 }).length };
  });
  const groups = {};
  for (const name of loaded)
    for (const [path, { bytesInOutput }] of Object.entries(outputs.get(name).inputs)) {
      const group = groupOf(relative(root, join(root, path)).replaceAll('\\', '/'));
      if (bytesInOutput > 0) groups[group] = (groups[group] ?? 0) + bytesInOutput;
    }
  const total = (key) => files.reduce((sum, file) => sum + file[key], 0);
  return { page, minified: total('minified'), gzipped: total('gzipped'), files, groups };
}

const bundlePage = (root, entryPoints) =>
  build({
    absWorkingDir: root,
    entryPoints,
    alias: { 'segsort-webgpu': join(root, 'dist/browser/index.js') },
    outdir: 'bundled',
    write: false,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });

/** A package, a room of the library, or the page. */
function groupOf(path) {
  const inPackage = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path);
  if (inPackage) return inPackage[1];
  const inLibrary = /dist\/browser\/((?:tensor|segsort)\/ops|[^/]+)\//.exec(path);
  return inLibrary ? inLibrary[1] : 'page';
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const pages = await Promise.all(PAGES.map((page) => measurePage(root, page)));
  const kilobytes = (bytes) => (bytes / 1000).toFixed(1).padStart(7);
  for (const { page, minified, gzipped, files, groups } of pages) {
    console.log(`${page.padEnd(22)}${kilobytes(minified)} kB minified${kilobytes(gzipped)} kB gzipped`);
    for (const file of files) console.log(`    ${file.name.padEnd(26)}${kilobytes(file.gzipped)} gzipped`);
    for (const [group, bytes] of Object.entries(groups).sort(([, a], [, b]) => b - a))
      console.log(`  ${group.padEnd(20)}${kilobytes(bytes)}`);
  }
  const out = process.argv[process.argv.indexOf('--out') + 1];
  if (process.argv.includes('--out')) {
    const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    await writeFile(out, `${JSON.stringify({ esbuild: devDependencies.esbuild, pages }, null, 2)}\n`);
  }
}
