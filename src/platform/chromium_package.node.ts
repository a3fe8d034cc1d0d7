/**
 * What the npm package `@sparticuz/chromium` carries, unpacked into the user's cache: SwiftShader with a Vulkan
 * loader, and a whole headless Chromium with the libraries and fonts it needs. x86-64 Linux only.
 *
 * Its own `executablePath()` unpacks in place to a fixed name in /tmp, so a second process runs a half-written file.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';
import { extract } from 'tar-fs';
import { homeFolder, removeAbandoned } from './files.node.js';

/** The folder with `libvk_swiftshader.so`, `vk_swiftshader_icd.json` and `libvulkan.so.1`. */
export function unpackSwiftShader(): Promise<string> {
  return unpacked('swiftshader', async (bin, folder) => {
    // The GL libraries of the archive are only for the browser.
    await untar(join(bin, 'swiftshader.tar.br'), folder, (name) => !/libGLESv2|libEGL/.test(name));
  });
}

export interface UnpackedChromium {
  readonly executable: string;
  /** Environment it needs on a system without its libraries and without fonts. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A headless Chromium that needs nothing of the system but the C library. */
export async function unpackChromium(): Promise<UnpackedChromium> {
  const folder = await unpacked('chromium', async (bin, folder) => {
    await Promise.all([
      inflate(join(bin, 'chromium.br'), join(folder, 'chromium')),
      untar(join(bin, 'swiftshader.tar.br'), folder),
      untar(join(bin, 'al2023.tar.br'), folder),
      untar(join(bin, 'fonts.tar.br'), join(folder, 'fonts')),
    ]);
    // The archive's own names a folder of AWS Lambda.
    const fonts = '<?xml version="1.0"?><fontconfig><dir prefix="relative">fonts</dir></fontconfig>\n';
    await writeFile(join(folder, 'fonts', 'fonts.conf'), fonts);
  });
  return {
    executable: join(folder, 'chromium'),
    environment: { LD_LIBRARY_PATH: join(folder, 'lib'), FONTCONFIG_PATH: join(folder, 'fonts') },
  };
}

/** Fills a folder of the cache once, for all processes: under a temporary name, then renamed. */
async function unpacked(name: string, fill: (bin: string, folder: string) => Promise<void>): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(`@sparticuz/chromium is for linux-x64, this is ${process.platform}-${process.arch}`);
  const { bin, version } = await locate();
  const cache = await cacheFolder();
  const folder = join(cache, `${name}-${version}`);
  if (await exists(folder)) return folder;
  await removeAbandoned(cache, (name) => name.startsWith('unpacking-'));
  const temporary = await mkdtemp(join(cache, 'unpacking-'));
  try {
    await fill(bin, temporary);
    await rename(temporary, folder).catch(async (error) => {
      if (!(await exists(folder))) throw error; // else another process was first, with the same files
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return folder;
}

async function locate(): Promise<{ bin: string; version: string }> {
  const root = join(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')), '..', '..');
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return { bin: join(root, 'bin'), version };
}

/**
 * `~/.cache/segsort-webgpu`, or where no home can be written, a folder of the user's own in the temporary folder:
 * libraries are loaded from it, so nobody else may own it.
 */
async function cacheFolder(): Promise<string> {
  const own = process.getuid!(); // `userInfo` throws for a user that has no name
  const home = homeFolder();
  const caches = process.env.XDG_CACHE_HOME || (home && join(home, '.cache'));
  const candidates = [...(caches ? [join(caches, 'segsort-webgpu')] : []), join(tmpdir(), `segsort-webgpu-${own}`)];
  for (const folder of candidates) {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const { uid } = await stat(folder);
      if (uid !== own) continue;
      await rm(await mkdtemp(join(folder, 'unpacking-')), { recursive: true });
      return folder;
    } catch {}
  }
  throw new Error(`cannot write to ${candidates.join(' or ')}; set XDG_CACHE_HOME to a folder that can be written`);
}

async function inflate(archive: string, file: string): Promise<void> {
  await pipeline(createReadStream(archive), createBrotliDecompress(), createWriteStream(file, { mode: 0o755 }));
}

async function untar(archive: string, folder: string, wanted: (name: string) => boolean = () => true): Promise<void> {
  const owner = { uid: process.getuid!(), gid: process.getgid!() }; // or root would keep the archive's
  const files = extract(folder, { ignore: (name) => !wanted(name), map: (header) => ({ ...header, ...owner }) });
  await pipeline(createReadStream(archive), createBrotliDecompress(), files);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
