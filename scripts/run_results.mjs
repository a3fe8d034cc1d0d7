/**
 * Trains and scores softmax, SegSort and unsupervised SegSort on real data with one backbone, budget and seed each, and writes
 * what came out as JSON, from which `scripts/write_results.mjs` makes docs/results.md:
 *
 *   node scripts/run_results.mjs --data FOLDER --out bench/results/real-data-DEVICE.json [--seeds 1,2,3] [--only camvid]
 *        [--every 2] [--every-unsupervised 6] [--profile='--preset small --batch 4'] [-- further flags of `segsort train`, such as --preset voc12-supervised --steps 30000]
 *
 * FOLDER holds the data sets `voc-animals` and `camvid`; `--every n` trains on every n-th image of their lists. (Finding
 * the regions of a photograph takes seconds, so that unsupervised runs can have fewer.) `--profile`, which may be repeated, adds what the parts of a training step with such flags of
 * `segsort profile` cost. Every run is a `segsort` command as a user would type it. Runs that
 * OUT holds already are not repeated, so that it can be stopped and started again.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string' },
    out: { type: 'string' },
    runs: { type: 'string', default: 'runs/results' },
    seeds: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    every: { type: 'string', default: '1' },
    'every-unsupervised': { type: 'string' },
    profile: { type: 'string', multiple: true, default: [] },
    prototypes: { type: 'string', default: '200' },
    images: { type: 'string', default: '60' },
  },
});
if (!values.data || !values.out) {
  console.error(
    'usage: node scripts/run_results.mjs --data FOLDER --out FILE.json [--seeds 1,2,3] [--only NAME] [-- flags]',
  );
  process.exit(2);
}

/** What the runs have in common, for a CPU adapter; later flags of the command line count more. */
const COMMON = ['--preset', 'small'];
/** Data sets and the names of their classes. */
const DATASETS = { 'voc-animals': 'voc2012', camvid: 'camvid' };
const OBJECTIVES = {
  softmax: ['--objective', 'softmax'],
  segsort: ['--objective', 'segsort'],
  'segsort-unsupervised': ['--objective', 'segsort-unsupervised', '--regions', 'photo'],
};

const results = existsSync(values.out) ? JSON.parse(readFileSync(values.out, 'utf8')) : { runs: [] };
for (const seed of values.seeds.split(','))
  for (const [dataset, classes] of Object.entries(DATASETS))
    for (const [objective, flags] of Object.entries(OBJECTIVES)) {
      const name = `${dataset}-${objective}-${seed}`;
      if (!name.includes(values.only) || results.runs.some((run) => run.name === name)) continue;
      const run = join(values.runs, name);
      const data = join(values.data, dataset);
      if (!existsSync(join(run, 'checkpoint.safetensors')))
        segsort(
          'train',
          '--data',
          data,
          '--classes',
          classes,
          '--list',
          trainingList(dataset, objective),
          '--out',
          run,
          ...COMMON,
          ...flags,
          '--seed',
          seed,
          ...positionals,
        );
      else segsort('train', '--resume', run);
      if (objective !== 'softmax') segsort('prototypes', run, '--prototype-images', values.prototypes);
      segsort('evaluate', run, '--boundaries', '--limit', values.images, '--sheet-of', 'extremes');
      results.runs.push({
        name,
        dataset,
        objective,
        seed: Number(seed),
        trainingImages: linesOf(trainingList(dataset, objective)).length,
        ...readRun(run),
      });
      save();
    }

for (const flags of values.profile) {
  results.profiles ??= [];
  if (results.profiles.some((profile) => profile.flags === flags)) continue;
  const file = join(values.runs, 'profile.json');
  mkdirSync(values.runs, { recursive: true });
  segsort('profile', ...flags.split(' '), '--json', file);
  const { settings, kernels, milliseconds } = JSON.parse(readFileSync(file, 'utf8'));
  const parts = {};
  for (const kernel of kernels) parts[kernel.part] = (parts[kernel.part] ?? 0) + kernel.milliseconds;
  const { backbone, head } = settings.network;
  const { batch, crop } = settings.training;
  results.profiles.push({ flags, backbone, head, batch, crop, milliseconds, parts });
  save();
}

/** A list of every so many images of a data set's training list. */
function trainingList(dataset, objective) {
  const unsupervised = objective === 'segsort-unsupervised';
  const every = Number((unsupervised && values['every-unsupervised']) || values.every);
  const lines = readFileSync(join(values.data, dataset, 'train.txt'), 'utf8')
    .trim()
    .split('\n');
  const path = resolve(values.runs, 'lists', `${dataset}-every-${every}.txt`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(
    path,
    lines
      .filter((_, index) => index % every === 0)
      .map((line) => `${line}\n`)
      .join(''),
  );
  return path;
}

function linesOf(path) {
  return readFileSync(path, 'utf8').trim().split('\n');
}

function segsort(...args) {
  console.error(`\nsegsort ${args.join(' ')}`);
  const { status } = spawnSync(process.execPath, [join(root, 'dist', 'cli.js'), ...args], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

/** What the run's own files say. */
function readRun(run) {
  const json = (name) => JSON.parse(readFileSync(join(run, name), 'utf8'));
  const metrics = linesOf(join(run, 'metrics.jsonl')).map((line) => JSON.parse(line));
  const { confusion: _, perImage: __, ...evaluation } = json('evaluation.json');
  const { data: ___, ...config } = json('config.json');
  return { config, environment: json('environment.json').starts.at(-1), last: metrics.at(-1), evaluation };
}

function save() {
  mkdirSync(dirname(values.out), { recursive: true });
  writeFileSync(`${values.out}.tmp`, `${JSON.stringify(results, null, 1)}\n`);
  renameSync(`${values.out}.tmp`, values.out);
}
