/** `environment.json`: what each start of a run computed with, so that it goes on as it began. */
import type { KernelOverrides } from '../../tensor/select.js';
import type { TuningTable } from '../../tensor/tuning.js';
import { openCheckpoint } from '../checkpoint_file.js';
import { exists, type ResumePoint, type RunFolder, readJson } from '../run_folder.js';
import { environmentOf, type Session } from '../session.js';

const FILE = 'environment.json';

/** A start, as far as it is looked at again. */
export interface Start {
  /** Steps that had been done. */
  readonly step: number;
  readonly adapter?: { readonly device?: string; readonly description?: string; readonly driver?: string };
  readonly kernelOverrides?: KernelOverrides;
  readonly tuning?: TuningTable;
}

async function readStarts(run: RunFolder): Promise<readonly Start[]> {
  const path = run.path(FILE);
  return (await exists(path)) ? (((await readJson(path)) as { starts?: Start[] }).starts ?? []) : [];
}

/** The start that made the last of `step` steps; the one that meant to make the first where there is none yet. */
const startBefore = (starts: readonly Start[], step: number): Start | null =>
  starts.findLast((start) => start.step < step) ?? starts[0] ?? null;

/** The start that wrote a checkpoint; null where that is not known. */
export async function startOf({ run, checkpoint }: ResumePoint): Promise<Start | null> {
  const starts = await readStarts(run);
  if (starts.length === 0 || !(await exists(checkpoint))) return startBefore(starts, 0);
  await using file = await openCheckpoint(checkpoint);
  return startBefore(starts, Number(file.metadata.step));
}

/** Adds this start to `environment.json`, and says what differs from the one that it goes on from. */
export async function recordStart(session: Session, run: RunFolder, step: number): Promise<void> {
  const starts = step > 0 ? await readStarts(run) : [];
  const start = { step, time: new Date().toISOString(), ...environmentOf(session) };
  const before = startBefore(starts, step);
  const differences = before ? differencesOf(before, start) : [];
  if (differences.length > 0)
    console.error(`the last bits may differ from those of a run without a break: ${differences.join('; ')}`);
  await run.writeJson(FILE, { starts: [...starts, start] });
}

/** What decides the last bits of a sum and is not as it was. */
function differencesOf(before: Start, now: Start): string[] {
  const names = ({ adapter = {} }: Start) => ({
    adapter: adapter.device || adapter.description || 'unknown',
    driver: adapter.driver || 'unknown',
  });
  const [then, here] = [names(before), names(now)];
  const differences = (['adapter', 'driver'] as const).flatMap((name) =>
    then[name] === here[name] ? [] : [`the ${name} is ${here[name]}, was ${then[name]}`],
  );
  if (!sameChoices(before.tuning, now.tuning)) differences.push('kernels are tuned otherwise');
  if (!sameChoices(before.kernelOverrides, now.kernelOverrides)) differences.push('other kernels are asked for');
  return differences;
}

const sameChoices = (a: TuningTable = {}, b: TuningTable = {}): boolean => {
  const text = (choices: TuningTable) => JSON.stringify(Object.entries(choices).sort());
  return text(a) === text(b);
};
