/** What `segsort doctor` prints of an adapter, and its advice where a GPU was not found. */
import type { AdapterAttempt, GpuFacts } from './gpu.js';
import type { SystemFacts } from './system.node.js';

/** A kernel variant, whether the adapter can run it and whether it is the one that runs. */
export interface VariantReport {
  readonly op: string;
  readonly variant: string;
  /** Features it cannot do without. */
  readonly needs: readonly string[];
  readonly selected: boolean;
}

/** The adapter, what it can do, and the kernels that follow from it. */
export function describeGpu(
  facts: GpuFacts,
  attempts: readonly AdapterAttempt[],
  variants: readonly VariantReport[] = [],
): string {
  const name = [facts.device || facts.description || 'not told', facts.vendor, facts.architecture];
  const adapter: [string, string][] = [
    ['adapter', name.filter((part) => part !== '').join(', ')],
    ['driver', facts.driver || 'not told'],
    ['backend', facts.backend],
    ['computes on', facts.cpu ? 'the CPU (a software adapter)' : 'a GPU'],
    ['subgroups', facts.subgroupMaxSize > 0 ? range(facts.subgroupMinSize, facts.subgroupMaxSize) : 'none'],
    ...facts.subgroupMatrixConfigs.map(({ M, N, K, componentType, resultComponentType }): [string, string] => [
      'matrix product',
      `${M}x${N}x${K}, ${componentType} to ${resultComponentType}`,
    ]),
    ['matrix units', facts.matrixProbe],
  ];
  const { limits } = facts;
  const limitRows: [string, string][] = [
    ['largest buffer', bytes(limits.maxBufferSize)],
    ['largest binding', bytes(limits.maxStorageBufferBindingSize)],
    ['storage buffers per stage', `${limits.maxStorageBuffersPerShaderStage}`],
    ['invocations per workgroup', `${limits.maxComputeInvocationsPerWorkgroup}`],
    [
      'workgroup size',
      `${limits.maxComputeWorkgroupSizeX} x ${limits.maxComputeWorkgroupSizeY} x ${limits.maxComputeWorkgroupSizeZ}`,
    ],
    ['workgroup memory', bytes(limits.maxComputeWorkgroupStorageSize)],
    ['workgroups per dimension', `${limits.maxComputeWorkgroupsPerDimension}`],
  ];
  const sections = [
    table(adapter),
    describeAttempts(attempts),
    `Features\n${wrap([...facts.features].sort())}`,
    `Limits\n${table(limitRows, '  ')}`,
  ];
  if (variants.length > 0) sections.push(describeVariants(facts, variants));
  return sections.join('\n\n');
}

export function describeAttempts(attempts: readonly AdapterAttempt[]): string {
  return `Looked for\n${attempts.map(({ where, outcome }) => `  ${where}: ${outcome}`).join('\n')}`;
}

function describeVariants(facts: GpuFacts, variants: readonly VariantReport[]): string {
  const rows = variants.map(({ op, variant, needs, selected }, at): string[] => {
    const missing = needs.filter((feature) => !facts.features.has(feature));
    const state = selected ? 'selected' : missing.length > 0 ? `lacks ${missing.join(', ')}` : 'not chosen';
    return [variants[at - 1]?.op === op ? '' : op, variant, state];
  });
  return `Kernels\n${table(rows, '  ')}`;
}

/** What to install or do so that Node finds a GPU; for a system where it found none, or only a software adapter. */
export function adviceFor(system: SystemFacts): string[] {
  if (system.platform === 'darwin')
    return ['Every Mac since 2012 has Metal. Virtual machines have it only where the host lends its GPU.'];
  if (system.platform === 'win32')
    return ["Install the GPU vendor's driver; the one Windows brings, Microsoft Basic Render Driver, uses the CPU."];
  if (system.platform !== 'linux')
    return [
      `There is no Dawn for ${system.platform} in the npm package webgpu; use Linux, macOS, Windows or a browser.`,
    ];
  const advice: string[] = [];
  if (system.driverVariable)
    advice.push(
      `${system.driverVariable} is set, so that no other driver is looked for: unset it if it is out of date.`,
    );
  if (system.musl)
    advice.push(
      'The npm package webgpu needs glibc, which Alpine lacks: use an image of Debian, such as node:20-slim.',
    );
  if (system.wsl) advice.push('WSL has no Vulkan driver for the GPU of its host: run in Windows itself instead.');
  const install = packagesOf(system);
  if (system.nvidia)
    advice.push(
      `NVIDIA's kernel driver is loaded, but Vulkan does not find its user part: ${install.nvidia}. In a container: ` +
        '`--gpus all -e NVIDIA_DRIVER_CAPABILITIES=all` (`compute,utility`, the default, leaves Vulkan out).',
    );
  if (system.forbiddenNodes.length > 0)
    advice.push(
      `This user may not open ${system.forbiddenNodes.join(', ')}: \`sudo usermod -aG render,video $USER\`, then log in again.`,
    );
  if (system.renderNodes.length > 0 && !system.nvidia)
    advice.push(`For the Vulkan drivers of AMD's and Intel's GPUs: ${install.mesa}.`);
  if (!system.nvidia && system.renderNodes.length === 0 && !system.wsl)
    advice.push(
      'The kernel shows no GPU (no /dev/dri/renderD*, no /dev/nvidiactl). If the machine has one, install its driver: ' +
        `${install.mesa} for AMD and Intel, ${install.nvidia} for NVIDIA.`,
      'In a container, lend it the GPU: `--device /dev/dri` for AMD and Intel, `--gpus all` for NVIDIA.',
    );
  advice.push('`vulkaninfo --summary` (package vulkan-tools) shows what Vulkan finds.');
  return advice;
}

/** Advice for browsers, whose adapter Node cannot see. */
export const BROWSER_ADVICE = [
  'chrome://gpu says whether WebGPU is on, and why not. Chrome needs https, or localhost.',
  'On Linux: `google-chrome --enable-unsafe-webgpu --enable-features=Vulkan`.',
  'Without a GPU: `google-chrome --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader`.',
];

function packagesOf({ families }: SystemFacts): { mesa: string; nvidia: string } {
  const is = (...names: string[]) => names.some((name) => families.includes(name));
  if (is('ubuntu'))
    return {
      mesa: '`sudo apt install libvulkan1 mesa-vulkan-drivers`',
      nvidia: '`sudo ubuntu-drivers install`',
    };
  if (is('debian'))
    return {
      mesa: '`sudo apt install libvulkan1 mesa-vulkan-drivers`',
      nvidia: '`sudo apt install nvidia-driver nvidia-vulkan-icd` (section non-free)',
    };
  if (is('fedora', 'rhel', 'centos'))
    return {
      mesa: '`sudo dnf install vulkan-loader mesa-vulkan-drivers`',
      nvidia: '`sudo dnf install akmod-nvidia` (from RPM Fusion)',
    };
  if (is('arch'))
    return {
      mesa: '`sudo pacman -S vulkan-icd-loader vulkan-radeon vulkan-intel`',
      nvidia: '`sudo pacman -S vulkan-icd-loader nvidia-utils`',
    };
  if (is('suse', 'opensuse'))
    return {
      mesa: '`sudo zypper install libvulkan1 libvulkan_radeon libvulkan_intel`',
      nvidia: "NVIDIA's repository for openSUSE",
    };
  return {
    mesa: 'the Vulkan loader (libvulkan.so.1) and the Vulkan drivers of Mesa',
    nvidia: "NVIDIA's own driver with its Vulkan part (libGLX_nvidia.so.0, nvidia_icd.json)",
  };
}

/** `1 GiB`, `32 KiB`: exact where it comes out even, else to one decimal. */
export function bytes(count: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit++;
  }
  return `${Number.isInteger(count) ? count : count.toFixed(1)} ${units[unit]}`;
}

const range = (low: number, high: number) => (low === high ? `${low}` : `${low} to ${high}`);

/** Columns, padded to their widest cell. */
function table(rows: readonly (readonly string[])[], indent = ''): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  return rows
    .map((row) => `${indent}${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd())
    .join('\n');
}

function wrap(words: readonly string[], width = 100): string {
  const lines = ['  '];
  for (const word of words) {
    const line = lines.at(-1)!;
    if (line.length + word.length > width) lines.push(`  ${word}, `);
    else lines[lines.length - 1] = `${line}${word}, `;
  }
  return lines.join('\n').replace(/, $/, '').replace(/, \n/g, ',\n');
}
