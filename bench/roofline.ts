/**
 * Draws the roofline of results that `npm run bench -- --out` wrote:
 *
 *   node scripts/run_bench.mjs roofline results.json [roofline.svg]
 */
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../src/platform/files.node.js';
import { type BenchResults, FORMAT } from './harness/results.js';
import { rooflineSvg } from './harness/roofline.js';

const [from, to = from?.replace(/(\.json)?$/, '.svg')] = process.argv.slice(2);
if (!from || !to) throw new Error('usage: node scripts/run_bench.mjs roofline results.json [roofline.svg]');
const results = JSON.parse(await readFile(from, 'utf8')) as BenchResults;
if (results.format !== FORMAT) throw new Error(`${from}: its format is ${results.format}, not ${FORMAT}`);
await writeFileAtomic(to, rooflineSvg(results));
console.log(`written: ${to}`);
