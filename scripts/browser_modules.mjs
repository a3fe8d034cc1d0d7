/**
 * The library for browsers, module by module as it is written, so that bundlers leave out what a page does not use; a
 * bundle of it all would be one module, from which little can be left out.
 *
 * Made twice. For production, shaders lose their comments and blanks, and ops their float64 references and samples, which
 * only tests and `interpret` need. For development (the export condition of that name) nothing is left out.
 */
import { readFile, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';
import { minifyWgsl } from './minify_wgsl.mjs';
import { withoutSpecifications } from './without_specifications.mjs';

const ENTRIES = ['src/index.ts', 'src/data/decode_worker.ts'];

/**
 * @param {string} root of the project
 * @param {import('esbuild').BuildOptions} common for every build
 */
export async function browserModules(root, common) {
  const options = {
    ...common,
    platform: 'browser',
    target: 'es2022',
    conditions: ['browser'],
    outbase: 'src',
    metafile: true,
  };
  const { metafile } = await build({ ...options, entryPoints: ENTRIES, outdir: 'dist', write: false });
  const entryPoints = Object.keys(metafile.inputs).map((path) => ({
    in: path,
    out: outputName(relative('src', path)),
  }));
  await Promise.all(
    [
      { outdir: 'dist/browser', plugins: [modules, production] },
      { outdir: 'dist/development', plugins: [modules] },
    ].map(async (kind) => {
      await rm(join(root, kind.outdir), { recursive: true, force: true });
      await build({ ...options, ...kind, entryPoints });
    }),
  );
}

/** Without the `.js`, which esbuild adds. */
const outputName = (path) => path.replace(/\.ts$/, '');

/** Leaves imports of the library's own modules as imports. */
const modules = {
  name: 'modules',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^[.#]/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (kind === 'entry-point' || pluginData === modules) return undefined;
      const found = await resolve(path, { kind, importer, resolveDir, pluginData: modules });
      if (found.errors.length > 0) return found;
      const name = `${outputName(relative(dirname(importer), found.path))}.js`;
      // None of them does anything when it is imported, but for the worker, which nothing imports.
      return { path: name.startsWith('.') ? name : `./${name}`, external: true, sideEffects: false };
    });
  },
};

const production = {
  name: 'production',
  setup({ onLoad }) {
    onLoad({ filter: /\.wgsl$/ }, async ({ path }) => ({
      contents: minifyWgsl(await readFile(path, 'utf8')),
      loader: 'text',
    }));
    onLoad({ filter: /[/\\]ops[/\\][^/\\]+\.ts$/ }, async ({ path }) => ({
      contents: withoutSpecifications(await readFile(path, 'utf8')),
      loader: 'ts',
    }));
  },
};
