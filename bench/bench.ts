/**
 * Benchmarks in Node: the engine and its peers in turn, on the same adapter, beside the ceilings of that adapter.
 *
 *   npm run bench -- [--suite table|resnet|quick|large|segsort|networks|all] [--only PART OF A NAME] [--contenders a,b]
 *     [--rounds 10] [--budget SECONDS] [--batch 1] [--out results.json]
 *
 * `--out` writes everything as JSON, and a roofline beside it as SVG. Peers are installed by `cd bench && npm ci
 * --ignore-scripts`; without them the engine runs alone. Bundled (`npm run bench -- --bundle-only FOLDER`), it needs that folder,
 * Node and the package `webgpu`.
 */
import { parseArgs } from 'node:util';
import { VERSION } from '../src/cli/version.js';
import { parseKernelOverrides } from '../src/tensor/select.js';
import { writeResults } from './harness/files.node.js';
import { nodeHost } from './harness/host.node.js';
import { loadPeers } from './harness/load_peers.js';
import { OPTIONS, sessionOptions } from './harness/options.js';
import { engineFails } from './harness/outcome.js';
import { runSession } from './harness/session.js';
import { report } from './harness/table.js';

const { values } = parseArgs({ options: { ...OPTIONS, out: { type: 'string' }, verbose: { type: 'boolean' } } });
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error('stopped')));

const results = await runSession(
  nodeHost,
  VERSION,
  loadPeers,
  { ...sessionOptions(values), kernels: parseKernelOverrides(process.env.KERNEL) },
  {
    signal: stop.signal,
    log: (line) => values.verbose && console.error(line),
    async progress(soFar) {
      console.error(`${soFar.rows.length}: ${soFar.rows.at(-1)?.name}`);
      // A run of hours that is killed leaves what it has.
      if (values.out) await writeResults(values.out, soFar);
    },
  },
);
console.log(report(results));
if (values.out) console.log(`written: ${(await writeResults(values.out, results)).join(', ')}`);
if (engineFails(results)) process.exitCode = 1;
