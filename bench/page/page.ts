/** The page of benchmarks: for a user's own browser, and driven by `bench/chrome.ts` in a headless one. */
import { SUITES } from '../cases/suites.js';
import { loadPeers } from '../harness/load_peers.js';
import { type OptionValues, sessionOptions } from '../harness/options.js';
import { type BenchResults, entryOf, isMeasured } from '../harness/results.js';
import { rooflineSvg } from '../harness/roofline.js';
import { DEFAULTS, runSession, type SessionEvents } from '../harness/session.js';
import { remarks, tableOf } from '../harness/table.js';
import { browserHost } from './host.js';

/** Of the package; the bundler puts it in. */
declare const SEGSORT_VERSION: string;

declare global {
  interface Window {
    /** For whoever drives the page: runs, and resolves with the results as JSON. */
    runBenchmarks(values: OptionValues): Promise<string>;
  }
}

const run = (values: OptionValues, events: SessionEvents): Promise<BenchResults> =>
  runSession(browserHost, SEGSORT_VERSION, loadPeers, sessionOptions(values), events);

window.runBenchmarks = async (values) =>
  JSON.stringify(
    await run(values, {
      log: (line) => console.debug(line),
      progress: ({ rows }) => console.info(`${rows.length}: ${rows.at(-1)?.name}`),
    }),
  );

function element<T extends Element>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return found;
}

const form = element<HTMLFormElement>('#options');
const status = element<HTMLElement>('#status');
const stopButton = element<HTMLButtonElement>('#stop');
const runButton = element<HTMLButtonElement>('#run');

for (const name of Object.keys(SUITES)) element<HTMLSelectElement>('select').add(new Option(name, name));
for (const [name, value] of [
  ['rounds', DEFAULTS.rounds],
  ['budget', DEFAULTS.budgetSeconds],
  ['batch', DEFAULTS.batch],
] as const)
  element<HTMLInputElement>(`[name=${name}]`).value = String(value);

// The form asks for this page again with its fields in the address: peers do not open a second time in one page.
const asked = new URLSearchParams(location.search);
for (const [name, value] of asked) element<HTMLInputElement>(`[name="${CSS.escape(name)}"]`).value = value;
if (asked.size > 0) await runForm();

async function runForm(): Promise<void> {
  const filled = [...new FormData(form)].filter(([, value]) => value !== '');
  const stop = new AbortController();
  stopButton.onclick = () => stop.abort();
  runButton.disabled = true;
  stopButton.disabled = false;
  try {
    const results = await run(Object.fromEntries(filled) as OptionValues, {
      signal: stop.signal,
      progress: show,
      log(line) {
        status.textContent = line;
      },
    });
    show(results);
    offer(results);
    status.textContent = 'Done.';
  } catch (error) {
    status.textContent = error instanceof Error ? error.message : String(error);
  } finally {
    runButton.disabled = false;
    stopButton.disabled = true;
  }
}

function show(results: BenchResults): void {
  const { heading, rows } = tableOf(results);
  const table = document.createElement('table');
  const head = table.createTHead().insertRow();
  for (const title of heading) {
    const cell = document.createElement('th');
    cell.textContent = title;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const text of row) line.insertCell().textContent = text;
  }
  element('#results').replaceChildren(table);
  element('#notes').textContent = remarks(results).join('\n');
  const measured = results.rows.some((row) => results.contenders.some(({ name }) => isMeasured(entryOf(row, name))));
  if (measured) element('#roofline').innerHTML = rooflineSvg(results);
}

function offer(results: BenchResults): void {
  const link = (selector: string, content: string, type: string) => {
    const anchor = element<HTMLAnchorElement>(selector);
    URL.revokeObjectURL(anchor.href);
    anchor.href = URL.createObjectURL(new Blob([content], { type }));
    anchor.hidden = false;
  };
  link('#json', JSON.stringify(results, null, 1), 'application/json');
  const picture = element('#roofline').innerHTML;
  if (picture) link('#svg', picture, 'image/svg+xml');
}
