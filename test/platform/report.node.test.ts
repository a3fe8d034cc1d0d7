import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { doctor, doctorCommand } from '../../src/cli/doctor.js';
import type { GpuFacts } from '../../src/platform/gpu.js';
import { adviceFor, bytes, describeGpu, type VariantReport } from '../../src/platform/report.js';
import { parseOsRelease, type SystemFacts, systemFacts } from '../../src/platform/system.node.js';

const VARIANTS: VariantReport[] = [
  { op: 'matmul', variant: 'half', needs: ['shader-f16', 'subgroups'], selected: false },
  { op: 'matmul', variant: 'tiled', needs: [], selected: true },
  { op: 'matmul', variant: 'naive', needs: [], selected: false },
];

const FACTS: GpuFacts = {
  cpu: false,
  vendor: 'nvidia',
  architecture: 'hopper',
  device: 'NVIDIA H100 80GB HBM3',
  description: 'NVIDIA driver 560.35',
  backend: 'vulkan',
  driver: 'NVIDIA driver 560.35',
  features: new Set(['timestamp-query', 'subgroups']),
  limits: {
    maxBufferSize: 2 ** 32,
    maxStorageBufferBindingSize: 2 ** 31,
    maxComputeWorkgroupStorageSize: 49152,
  } as GPUSupportedLimits,
  subgroupMinSize: 32,
  subgroupMaxSize: 32,
  subgroupMatrixConfigs: [{ componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 }],
  matrixUnits: { M: 16, N: 16, K: 16, component: 'f16', dialect: 'vectors', lanes: 32 },
  matrixProbe: '16x16x16 of f16 (vectors) comes out right',
};

describe('describeGpu', () => {
  const text = describeGpu(FACTS, [{ where: 'vulkan', outcome: 'found' }], VARIANTS);

  test('names the adapter, and what it can do', () => {
    expect(text).toMatch(/^adapter +NVIDIA H100 80GB HBM3, nvidia, hopper$/m);
    expect(text).toMatch(/^subgroups +32$/m);
    expect(text).toMatch(/^matrix product +16x16x16, f16 to f32$/m);
    expect(text).toMatch(/^matrix units +16x16x16 of f16 \(vectors\) comes out right$/m);
    expect(text).toMatch(/^ {2}largest buffer +4 GiB$/m);
    expect(text).toMatch(/^ {2}subgroups, timestamp-query$/m);
    expect(text).toMatch(/^ {2}vulkan: found$/m);
  });

  test('says of every kernel variant why it runs or not', () => {
    expect(text).toMatch(/^ {2}matmul +half +lacks shader-f16$/m);
    expect(text).toMatch(/^ +tiled +selected$/m);
    expect(text).toMatch(/^ +naive +not chosen$/m);
  });
});

describe('adviceFor', () => {
  const bare: SystemFacts = {
    platform: 'linux',
    arch: 'x64',
    distribution: '',
    families: [],
    musl: false,
    wsl: false,
    driverVariable: undefined,
    nvidia: false,
    renderNodes: [],
    forbiddenNodes: [],
  };
  const advice = (system: Partial<SystemFacts>) => adviceFor({ ...bare, ...system }).join('\n');

  test.each([
    [['ubuntu', 'debian'], 'apt install libvulkan1 mesa-vulkan-drivers'],
    [['debian'], 'nvidia-vulkan-icd'],
    [['rocky', 'rhel', 'centos', 'fedora'], 'dnf install vulkan-loader'],
    [['arch'], 'pacman -S vulkan-icd-loader'],
    [['opensuse-leap', 'suse', 'opensuse'], 'zypper install libvulkan1'],
    [['slackware'], 'libvulkan.so.1'],
  ])('knows the packages of %s', (families, expected) => {
    expect(advice({ families })).toContain(expected);
  });

  test('tells a container without the Vulkan part of NVIDIA from a machine without a GPU', () => {
    expect(advice({ nvidia: true })).toContain('NVIDIA_DRIVER_CAPABILITIES=all');
    expect(advice({ nvidia: true })).not.toContain('The kernel shows no GPU');
    expect(advice({})).toContain('The kernel shows no GPU');
  });

  test('names what stands in the way', () => {
    const node = '/dev/dri/renderD128';
    expect(advice({ renderNodes: [node], forbiddenNodes: [node] })).toContain(`may not open ${node}`);
    expect(advice({ musl: true })).toContain('glibc');
    expect(advice({ wsl: true })).toContain('WSL');
    expect(advice({ driverVariable: 'VK_ICD_FILENAMES' })).toContain('VK_ICD_FILENAMES is set');
    expect(advice({ platform: 'darwin' })).toContain('Metal');
    expect(advice({ platform: 'win32' })).toContain('driver');
    expect(advice({ platform: 'freebsd' })).toContain('no Dawn for freebsd');
  });
});

describe('doctor', () => {
  test('finds the adapter of this machine, and tries it', async () => {
    const printed: string[] = [];
    expect(
      await doctor(
        {},
        () => VARIANTS,
        (text) => printed.push(text),
      ),
    ).toBe(true);
    const text = printed.join('\n');
    expect(text).toContain(`Node ${process.version}`);
    expect(text).toMatch(/^backend +\w+$/m);
    expect(text).toContain('A test computation came out right.');
  });

  test('prints JSON', async () => {
    const printed: string[] = [];
    await doctor(
      { json: true },
      () => VARIANTS,
      (text) => printed.push(text),
    );
    const { facts, variants, attempts } = JSON.parse(printed.join('\n'));
    expect(facts.limits.maxBufferSize).toBeGreaterThan(0);
    expect(facts.features).toContain('core-features-and-limits');
    expect(attempts.at(-1).outcome).toBe('found');
    expect(variants).toEqual(VARIANTS);
  });

  test('refuses an adapter that is none', async () => {
    const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
    command.addCommand(doctorCommand(() => VARIANTS).copyInheritedSettings(command));
    await expect(command.parseAsync(['doctor', '--adapter', 'tpu'], { from: 'user' })).rejects.toThrow(
      /'tpu' is invalid/,
    );
  });
});

test('parseOsRelease reads quoted and bare values', () => {
  expect(parseOsRelease('ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n# no\nID_LIKE=\'a b\'')).toEqual({
    ID: 'debian',
    PRETTY_NAME: 'Debian GNU/Linux 12 (bookworm)',
    ID_LIKE: 'a b',
  });
});

test('systemFacts describes this process', async () => {
  const { platform, arch, musl } = await systemFacts();
  expect({ platform, arch }).toEqual({ platform: process.platform, arch: process.arch });
  expect(musl).toBe(false); // Dawn would not have loaded
});

test.each([
  [512, '512 bytes'],
  [32768, '32 KiB'],
  [1.5 * 2 ** 30, '1.5 GiB'],
  [2 ** 30, '1 GiB'],
])('bytes(%d) is %s', (count, expected) => {
  expect(bytes(count)).toBe(expected);
});
