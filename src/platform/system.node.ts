/** What `segsort doctor` knows of the machine, to say what to install on it. */
import { constants } from 'node:fs';
import { access, readdir, readFile } from 'node:fs/promises';
import { release } from 'node:os';

/** Environment variables that name Vulkan's drivers, so that it looks for no others; the first one set counts. */
export const DRIVER_VARIABLES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'];

export interface SystemFacts {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  /** Name of the distribution, and its family as in `ID` and `ID_LIKE` of /etc/os-release. Linux only. */
  readonly distribution: string;
  readonly families: readonly string[];
  /** A C library other than glibc, for which there is no Dawn. */
  readonly musl: boolean;
  readonly wsl: boolean;
  /** The environment variable that names a Vulkan driver, if one is set. */
  readonly driverVariable: string | undefined;
  /** NVIDIA's kernel driver is there. */
  readonly nvidia: boolean;
  /** GPUs as the kernel sees them (`/dev/dri/renderD128`), and those of them this user may not open. */
  readonly renderNodes: readonly string[];
  readonly forbiddenNodes: readonly string[];
}

export async function systemFacts(): Promise<SystemFacts> {
  const osRelease = parseOsRelease(await readFile('/etc/os-release', 'utf8').catch(() => ''));
  const nodes = await readdir('/dev/dri').catch(() => []);
  const renderNodes = nodes.filter((name) => name.startsWith('renderD')).map((name) => `/dev/dri/${name}`);
  const usable = await Promise.all(renderNodes.map((node) => canAccess(node, constants.R_OK | constants.W_OK)));
  const { platform, arch } = process;
  const report =
    platform === 'linux' ? (process.report.getReport() as { header?: { glibcVersionRuntime?: string } }) : {};
  return {
    platform,
    arch,
    distribution: osRelease.PRETTY_NAME ?? '',
    families: [osRelease.ID ?? '', ...(osRelease.ID_LIKE ?? '').split(' ')].filter((family) => family !== ''),
    musl: platform === 'linux' && !report.header?.glibcVersionRuntime,
    wsl: platform === 'linux' && /microsoft/i.test(release()),
    driverVariable: DRIVER_VARIABLES.find((name) => process.env[name]),
    nvidia: (await canAccess('/proc/driver/nvidia/version')) || (await canAccess('/dev/nvidiactl')),
    renderNodes,
    forbiddenNodes: renderNodes.filter((_, at) => !usable[at]),
  };
}

/** `KEY=value` and `KEY="value"` lines. */
export function parseOsRelease(text: string): Record<string, string> {
  const entries: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const match = /^([A-Z_]+)=(["']?)(.*)\2$/.exec(line.trim());
    if (match) entries[match[1]!] = match[3]!;
  }
  return entries;
}

function canAccess(path: string, mode = constants.R_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
