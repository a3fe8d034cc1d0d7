/** `segsort doctor`: which adapter was found, what it can do, and what to install where there is none. */
import { Command } from 'commander';
import { type GpuFacts, GpuUnavailableError, openGpu } from '../platform/gpu.js';
import { adviceFor, BROWSER_ADVICE, describeAttempts, describeGpu, type VariantReport } from '../platform/report.js';
import { selfTest } from '../platform/selftest.js';
import { systemFacts } from '../platform/system.node.js';
import { TuningCache } from '../platform/tuning_cache.js';
import { fileTuningStore } from '../platform/tuning_cache.node.js';
import { type AdapterOptions, addAdapterFlag } from './options.js';
import { commonPlans, tune } from './tune.js';

interface DoctorOptions extends AdapterOptions {
  readonly json?: boolean;
  readonly tune?: boolean;
}

/** @param variants lists the kernel variants of every op, and which of them the adapter's facts select */
export function doctorCommand(variants: (facts: GpuFacts) => readonly VariantReport[]): Command {
  const command = new Command('doctor')
    .description('say which adapter, driver, features and limits were found, and what to install where none was')
    .option('--json', 'print the facts as JSON')
    .option('--tune', 'measure how the convolutions of ResNet-101 run fastest here, and keep it for `train --tune`');
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
    if (options.tune && !failure) await tune(gpu, commonPlans(facts), options.json ? () => {} : print);
    const cache = await TuningCache.open(fileTuningStore(), facts);
    if (options.json) {
      const { where, table, adapters, note } = cache;
      const tuning = { where, table, adapters, note };
      const report = { system, facts: plain(facts), attempts, failure, variants: variants(facts), tuning };
      print(JSON.stringify(report, null, 2));
      return !failure;
    }
    print(`${machine.replace(/, $/, '')}\n\n${describeGpu(facts, attempts, variants(facts))}`);
    print(`\nA test computation ${failure ? `failed: ${failure}` : 'came out right.'}`);
    print(`\n${describeTuning(cache)}`);
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

function describeTuning({ where, table, adapters, note, adapter }: TuningCache): string {
  if (note) return `Tuning\n  ${note}`;
  const choices = Object.entries(table).map(([key, candidate]) => `  ${key}: ${candidate}`);
  const others = adapters.filter((other) => other !== adapter).length;
  const elsewhere = others > 0 ? `; ${others} other adapters or drivers` : '';
  if (choices.length === 0) return `Tuning\n  none for this adapter and driver in ${where}${elsewhere}`;
  return `Tuning\n  ${choices.length} choices in ${where}${elsewhere}\n${choices.join('\n')}`;
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
