/** Results as Markdown. */
import {
  type BenchResults,
  type Entry,
  entryOf,
  isMeasured,
  type Measured,
  type Metric,
  millisecondsOf,
  type Row,
  shareOfCeiling,
} from './results.js';

/** Times with three digits, `0.374`, `37.4`, `374`, `69600`. */
export function showTime(milliseconds: number): string {
  return milliseconds >= 100 ? milliseconds.toFixed(0) : milliseconds.toPrecision(3);
}

/** Half the distance of the quartiles, in percent of the median; nothing for a single sample. */
function spread({ summary, samples }: Measured): string {
  if (samples.length < 2) return ' n=1';
  const percent = (50 * (summary.upperQuartile - summary.lowerQuartile)) / summary.median;
  return ` ±${percent.toFixed(0)}%${samples.length < 5 ? ` n=${samples.length}` : ''}`;
}

function cell(entry: Entry | undefined, metric: Metric, engine: number | null): string {
  if (!entry || entry.status === 'absent') return '-';
  if (entry.status === 'wrong') return `wrong (error ${entry.error.toExponential(1)})`;
  if (entry.status !== 'measured') return entry.status;
  const value = millisecondsOf(entry, metric);
  if (value === null) return '-';
  const ratio = engine === null ? '' : ` (${(value / engine).toPrecision(2)}x)`;
  return `${showTime(value)}${metric === 'clock' ? spread(entry) : ''}${ratio}`;
}

export interface Table {
  readonly heading: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** As Markdown, padded so that it also reads well as it stands. */
export function markdownTable({ heading, rows }: Table): string {
  const widths = heading.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((text, i) => text.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(heading), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/**
 * A row a case: the first contender's milliseconds, rate and share of the ceiling that binds it, then the others' milliseconds
 * and how many times longer they take. What refuses or is wrong is explained below.
 */
export function tableOf(results: BenchResults, metric: Metric = 'clock'): Table {
  const [first, ...others] = results.contenders.map(({ name }) => name);
  if (first === undefined) return { heading: [], rows: [] };
  const asked = results.rows.some(({ ask }) => ask);
  const heading = [
    `case, ms${metric === 'cpu' ? ' of CPU time' : ''}`,
    first,
    metric === 'cpu' ? 'GFLOP a CPU second' : 'GFLOP/s',
    'of ceiling',
    ...others,
    ...(asked ? ['asked'] : []),
  ];
  const rows = results.rows.map((row) => {
    const own = entryOf(row, first);
    const value = isMeasured(own) ? millisecondsOf(own, metric) : null;
    const share = isMeasured(own) ? shareOfCeiling(results, row, own, metric) : null;
    return [
      row.name,
      cell(own, metric, null),
      value === null ? '-' : (row.flops / value / 1e6).toPrecision(3),
      share ? `${(100 * share.share).toFixed(0)}%${share.bound === 'memory' ? ' (memory)' : ''}` : '-',
      ...others.map((name) => cell(entryOf(row, name), metric, value)),
      ...(asked ? [verdict(row, first, metric)] : []),
    ];
  });
  return { heading, rows };
}

/** `4x jax-js: met`, or by how much it is missed. */
function verdict(row: Row, engine: string, metric: Metric): string {
  if (!row.ask) return '';
  const asked = `${row.ask.times}x ${row.ask.contender}`;
  const [own, other] = [entryOf(row, engine), entryOf(row, row.ask.contender)];
  if (!isMeasured(own) || !isMeasured(other)) return asked;
  const [mine, theirs] = [millisecondsOf(own, metric), millisecondsOf(other, metric)];
  if (mine === null || theirs === null) return asked;
  return `${asked}: ${theirs / mine >= row.ask.times ? 'met' : `${(theirs / mine).toPrecision(2)}x`}`;
}

/** Everything of a run: where, the table by the clock and by CPU time, and what has to be said beside. */
export function report(results: BenchResults): string {
  const timed = results.rows.some(({ entries }) => entries.some((entry) => isMeasured(entry) && entry.cpu !== null));
  const [where, ...below] = remarks(results);
  const tables = [tableOf(results), ...(timed ? [tableOf(results, 'cpu')] : [])];
  return [where, ...tables.map(markdownTable), below.join('\n')].join('\n\n');
}

/** The machine first; then the options, contenders, ceilings, and who refused what. */
export function remarks({ environment, adapter, options, ceilings, notes, rows, contenders }: BenchResults): string[] {
  const load = [environment.loadBefore, environment.loadAfter].map((value) => value?.toFixed(1) ?? '?').join(' to ');
  return [
    `${adapter.device || adapter.description || adapter.architecture} (${adapter.driver || 'driver not told'}), ${adapter.cpu ? 'on the CPU' : 'a GPU'}; ${environment.runtime}; ${environment.processor}; load ${load}`,
    `suite ${options.suite}, up to ${options.rounds} rounds in turn, ${options.budgetSeconds} s a contender and case; medians, ± half the distance of the quartiles; CPU times are means`,
    contenders.map(({ name, version, on }) => `${name} ${version} (${on})`).join(', '),
    ...ceilings.map(showCeiling),
    ...refusals(rows),
    ...notes,
  ];
}

function showCeiling({ kind, rate, variant }: BenchResults['ceilings'][number]): string {
  const unit = kind.startsWith('copy') ? 'GB/s' : 'GFLOP/s';
  return `ceiling, ${kind}: ${(rate / 1e9).toPrecision(4)} ${unit} (${variant})`;
}

function refusals(rows: readonly Row[]): string[] {
  const told = new Map<string, string[]>();
  for (const { name, entries } of rows)
    for (const entry of entries)
      if ('message' in entry) {
        const what = `${entry.contender} ${entry.status}: ${entry.message.split('\n')[0]}`;
        told.set(what, [...(told.get(what) ?? []), name]);
      }
  return Array.from(told, ([what, where]) => `${what} (${where.join('; ')})`);
}
