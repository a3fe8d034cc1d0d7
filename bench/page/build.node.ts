/** Bundles the page, and serves it. */
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { build, type Plugin } from 'esbuild';

/** Packages that are not installed fail when they are asked for, and not the whole page. */
const missingPackages: Plugin = {
  name: 'missing-packages',
  setup(bundle) {
    bundle.onResolve({ filter: /^[@a-z]/ }, async ({ path, resolveDir, kind, importer, pluginData }) => {
      if (pluginData === missingPackages || !importer.includes('peers')) return undefined;
      const found = await bundle.resolve(path, { resolveDir, kind, importer, pluginData: missingPackages });
      return found.errors.length > 0 ? { path, external: true } : found;
    });
  },
};

/** @param root the project's folder */
export async function buildPage(root: string, folder: string): Promise<void> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  await mkdir(folder, { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: ['bench/page/page.ts'],
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['browser'],
    target: 'es2022',
    loader: { '.wgsl': 'text' },
    external: ['node:*'],
    plugins: [missingPackages],
    define: { SEGSORT_VERSION: JSON.stringify(version) },
    logLevel: 'error',
  });
  await copyFile(join(root, 'bench/page/index.html'), join(folder, 'index.html'));
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/**
 * Serves the page, and below `/node_modules/` what peers load beside their scripts. Headers isolate the page, for threads of
 * WebAssembly and a finer clock.
 *
 * @param port 0: any that is free
 */
export async function servePage(root: string, folder: string, port = 0): Promise<{ server: Server; address: string }> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const path = normalize(decodeURIComponent(pathname === '/' ? '/index.html' : pathname));
    const [base, below] = path.startsWith(`${sep}node_modules${sep}`) ? [join(root, 'bench'), path] : [folder, path];
    try {
      const body = await readFile(join(base, below));
      response.writeHead(200, {
        'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream',
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
      });
      response.end(body);
    } catch {
      response.writeHead(404).end(`there is no ${pathname}`);
    }
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the server has no port');
  return { server, address: `http://localhost:${bound.port}/` };
}
