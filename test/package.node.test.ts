/** The package as others get it: packed, installed elsewhere, imported in Node, bundled for browsers, type-checked. */
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { build as esbuild } from 'esbuild';
import { build as vite } from 'vite';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';

const root = inject('root');
const run = promisify(execFile);
let app: string;

beforeAll(async () => {
  await run(process.execPath, ['scripts/build.mjs', '--types'], { cwd: root });
  app = await realpath(await mkdtemp(join(tmpdir(), 'segsort-package-')));
  await writeFile(join(app, 'package.json'), JSON.stringify({ name: 'app', version: '1.0.0', type: 'module' }));
  await linkDependencies();
  const pack = await npm(root, 'pack', '--ignore-scripts', '--json', '--pack-destination', app);
  const [{ filename }] = JSON.parse(pack) as [{ filename: string }];
  await npm(app, 'install', '--offline', '--ignore-scripts', `./${filename}`);
}, 120_000);

afterAll(() => rm(app, { recursive: true, force: true }));

/** Makes what the package's dependencies need installed already, so that npm asks no registry; nothing else. */
async function linkDependencies(): Promise<void> {
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean; peer?: boolean }>;
  };
  for (const [path, { dev, devOptional, peer }] of Object.entries(lock.packages)) {
    if (path === '' || dev || devOptional || peer) continue;
    const present = await access(join(root, path)).then(
      () => true,
      () => false, // for another platform
    );
    if (!present) continue;
    await mkdir(dirname(join(app, path)), { recursive: true });
    await symlink(join(root, path), join(app, path));
  }
}

async function npm(cwd: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('npm', args, { cwd, shell: process.platform === 'win32' });
  return stdout;
}

test('everything package.json points at is in the package', async () => {
  const installed = join(app, 'node_modules', 'segsort-webgpu');
  const { exports, imports, bin } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  const files = JSON.stringify([exports, imports, bin]).match(/"(\.\/)?(dist|src)\/[^"]+"/g)!;
  expect(files.length).toBeGreaterThanOrEqual(11);
  for (const file of files) await access(join(installed, JSON.parse(file)));
});

test('Node imports it, computes, and exits by itself', async () => {
  const script = `
    import { openGpu } from 'segsort-webgpu';
    import { writeFileAtomic } from 'segsort-webgpu/node';
    const gpu = await openGpu();
    console.log(typeof writeFileAtomic, gpu.facts.features.size > 0);
    await gpu.close();`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: app, timeout: 50_000 });
  expect(stdout.trim()).toBe('function true');
});

test('its command runs', async () => {
  const { stdout } = await run(join(app, 'node_modules', '.bin', 'segsort'), ['--help']);
  for (const command of [
    'train',
    'prototypes',
    'predict',
    'evaluate',
    'explain',
    'inspect',
    'convert',
    'doctor',
    'demo',
  ])
    expect(stdout).toMatch(new RegExp(`^ +${command}\\b`, 'm'));
});

const PAGE = `import * as segsort from 'segsort-webgpu'; globalThis.segsort = segsort;`;

test('esbuild bundles it for browsers, without Node', async () => {
  const { metafile, outputFiles } = await esbuild({
    stdin: { contents: PAGE, resolveDir: app },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const inputs = Object.keys(metafile.inputs).join('\n');
  expect(inputs).not.toMatch(/index\.node\.js|node_modules\/(webgpu|koffi|tar-fs|@sparticuz|commander)\//);
  expect(outputFiles[0]!.text).not.toMatch(/\b(import|from|require\()\s*\(?["']node:/);
  expect(outputFiles[0]!.text).toContain('navigator.gpu');
});

test('Vite bundles it for browsers, without Node', async () => {
  await writeFile(join(app, 'index.html'), '<script type="module" src="/page.js"></script>');
  await writeFile(join(app, 'page.js'), PAGE);
  const warnings: string[] = [];
  await vite({
    root: app,
    configFile: false,
    logLevel: 'silent',
    build: {
      outDir: 'site',
      // The page takes everything there is.
      chunkSizeWarningLimit: 2000,
      rollupOptions: { onwarn: (warning) => warnings.push(warning.message) },
    },
  });
  expect(warnings).toEqual([]);
  const html = await readFile(join(app, 'site', 'index.html'), 'utf8');
  const script = await readFile(join(app, 'site', /src="\/(.*?\.js)"/.exec(html)![1]!), 'utf8');
  expect(script).toContain('navigator.gpu');
  // What Vite puts in the place of a module that only Node has.
  expect(script).not.toContain('browser-external');
});

test.each(['bundler', 'nodenext'])('its types resolve with moduleResolution %s', async (moduleResolution) => {
  const folder = join(app, moduleResolution);
  await mkdir(folder);
  await writeFile(
    join(folder, 'main.ts'),
    `import { openGpu, type Gpu, type GpuFacts } from 'segsort-webgpu';
     const gpu: Gpu = await openGpu({ adapter: 'auto' });
     const facts: GpuFacts = gpu.facts;
     const buffer: GPUBuffer = gpu.device.createBuffer({ size: 16, usage: 128 });
     // @ts-expect-error: were the types missing, everything would be any
     const cpu: string = facts.cpu;
     export { buffer, cpu };\n`,
  );
  const compilerOptions = {
    module: moduleResolution === 'nodenext' ? 'nodenext' : 'esnext',
    moduleResolution,
    target: 'es2023',
    lib: ['ES2023', 'ESNext.Disposable', 'DOM'],
    types: [],
    strict: true,
    noEmit: true,
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['main.ts'] }));
  const result = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch(
    (error: { stdout: string }) => error,
  );
  expect(result.stdout).toBe('');
});
