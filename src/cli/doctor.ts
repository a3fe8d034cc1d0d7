/** `segsort doctor`: which adapter was found, what it can do, and what to install where there is none. */
import { Command } from 'commander';
import { type GpuFacts, GpuUnavailableError, openGpu } from '../platform/gpu.js';
import { adviceFor, BROWSER_ADVICE, describeAttempts, describeGpu, type VariantReport } from '../platform/report.js';
import { selfTest } from '../platform/selftest.js';
import { systemFacts } from '../platform/system.node.js';
import { type AdapterOptions, addAdapterFlag } from './options.js';

interface DoctorOptions extends AdapterOptions {
  readonly json?: boolean;
}

/** @param variants lists the kernel variants of every op, and which of them the adapter's facts select */
export function doctorCommand(variants: (facts: GpuFacts) => readonly VariantReport[]): Command {
  const command = new Command('doctor')
    .description('say which adapter, driver, features and limits were found, and what to install where none was')
    .option('--json', 'print the facts as JSON');
  return addAdapterFlag(command).action(async (options: DoctorOptions) => {
    const healthy = await doctor(options, variants, (text) => console.log(text));
    if (!healthy) process.exitCode = 1;
  });
}

/** Prints the report. True where an adapter was found and computes correctly. */
export async function doctor(
  options: DoctorOptions,
  variants: (facts: GpuFacts) => readonly VariantReport[],
  print: (text: string) => void,
): Promise<boolean> {
  const system = await systemFacts();
  const machine = `Node ${process.version}, ${system.platform}-${system.arch}, ${system.distribution}`;
  try {
    await using gpu = await openGpu({ adapter: options.adapter, notice: () => {} });
    const { facts, attempts } = gpu;
    const failure = await selfTest(gpu.device);
    if (options.json) {
      print(JSON.stringify({ system, facts: plain(facts), attempts, failure, variants: variants(facts) }, null, 2));
      return !failure;
    }
    print(`${machine.replace(/, $/, '')}\n\n${describeGpu(facts, attempts, variants(facts))}`);
    print(`\nA test computation ${failure ? `failed: ${failure}` : 'came out right.'}`);
    if (facts.cpu) print(list('To compute on a GPU', adviceFor(system)));
    print(list('In browsers', BROWSER_ADVICE));
    return !failure;
  } catch (error) {
    if (!(error instanceof GpuUnavailableError)) throw error;
    const { attempts } = error;
    if (options.json) {
      print(JSON.stringify({ system, attempts }, null, 2));
      return false;
    }
    print(`${machine.replace(/, $/, '')}\n\nNo adapter was found.\n\n${describeAttempts(attempts)}`);
    print(list('What to do', adviceFor(system)));
    print(list('In browsers', BROWSER_ADVICE));
    return false;
  }
}

const list = (title: string, lines: readonly string[]) => `\n${title}\n${lines.map((line) => `- ${line}`).join('\n')}`;

/** Sets and limits as JSON can hold them. */
function plain(facts: GpuFacts): object {
  const limits: Record<string, number> = {};
  for (const name in facts.limits) {
    const value = facts.limits[name as keyof GPUSupportedLimits];
    if (typeof value === 'number') limits[name] = value;
  }
  return { ...facts, features: [...facts.features], limits };
}
