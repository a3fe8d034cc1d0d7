/**
 * The benchmarks of `bench/bench.ts` in a headless Chrome, with the same options:
 *
 *   npm run bench:chrome -- [--suite table] [--only PART OF A NAME] [--contenders a,b] [--rounds 10] [--budget SECONDS]
 *     [--batch 1] [--out results.json]
 *
 * `npm run bench:page` (`--serve [--port 8080]`) serves the page instead, for a browser of one's own.
 */
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Browser, chromium } from 'playwright-core';
import { chromeForTests } from '../scripts/chrome.js';
import { writeResults } from './harness/files.node.js';
import { OPTIONS, sessionOptions } from './harness/options.js';
import { engineFails } from './harness/outcome.js';
import type { BenchResults } from './harness/results.js';
import { report } from './harness/table.js';
import { buildPage, servePage } from './page/build.node.js';

const { values } = parseArgs({
  options: {
    ...OPTIONS,
    ...{ out: { type: 'string' }, verbose: { type: 'boolean' }, serve: { type: 'boolean' }, port: { type: 'string' } },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = fileURLToPath(new URL('bench-page', import.meta.url));
const { serve, port, out, verbose, ...chosen } = values;
// What is wrong with them is better said here than in the page.
sessionOptions(chosen);
await buildPage(root, folder);
const { server, address } = await servePage(root, folder, Number(port ?? (serve ? 8080 : 0)));
if (serve) console.log(`${address} until Ctrl+C`);
else
  try {
    await runInChrome();
  } finally {
    server.close();
  }

async function runInChrome(): Promise<void> {
  const browser = await chromium.launch(await chromeForTests());
  try {
    const page = await browser.newPage();
    page.on('console', (message) => {
      if (verbose || message.type() === 'info') console.error(message.text());
    });
    await page.exposeFunction('browserCpuMilliseconds', await cpuClock(browser));
    await page.goto(address);
    const loadBefore = loadavg()[0]!;
    const told = JSON.parse(await page.evaluate((wanted) => window.runBenchmarks(wanted), chosen)) as BenchResults;
    const environment = { ...told.environment, loadBefore, loadAfter: loadavg()[0]! };
    const results: BenchResults = { ...told, environment };
    console.log(report(results));
    if (out) console.log(`written: ${(await writeResults(out, results)).join(', ')}`);
    if (engineFails(results)) process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

/** CPU time of all processes of the browser; its GPU process does what there is to measure. */
async function cpuClock(browser: Browser): Promise<() => Promise<number>> {
  const session = await browser.newBrowserCDPSession();
  return async () => {
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    return 1000 * processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
  };
}
