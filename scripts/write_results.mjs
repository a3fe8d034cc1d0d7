/**
 * Writes docs/results.md from the JSON of `scripts/run_results.mjs`: node scripts/write_results.mjs
 * Reads every bench/results/real-data-*.json; what is said between the tables stands in this file.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = `${root}bench/results/`;
const files = readdirSync(folder).filter((name) => /^real-data-.*\.json$/.test(name));

const TITLES = { softmax: 'softmax', segsort: 'SegSort', 'segsort-unsupervised': 'SegSort, unsupervised' };
const percent = (share) => (share == null ? '-' : (share * 100).toFixed(1));
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
/** Mean over the seeds, with the spread where there are several. */
const over = (runs, value) => {
  const values = runs.map(value).filter((each) => each != null);
  if (values.length === 0) return '-';
  const spread = values.length > 1 ? ` ± ${percent((Math.max(...values) - Math.min(...values)) / 2)}` : '';
  return `${percent(mean(values))}${spread}`;
};
const table = (heading, rows) =>
  [heading, heading.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

function section(file) {
  const { runs, profiles = [] } = JSON.parse(readFileSync(folder + file, 'utf8'));
  const { adapter, system, node } = runs[0].environment;
  const parts = [
    `## ${adapter.device || adapter.description} (${adapter.driver || adapter.backend}; ${system}, Node ${node.replace('v', '')})`,
  ];
  for (const dataset of new Set(runs.map((run) => run.dataset))) {
    const own = runs.filter((run) => run.dataset === dataset);
    const { network, training } = own[0].config;
    parts.push(
      `### ${dataset}`,
      `Network \`${network.backbone}\` from ${network.weights ? `\`${network.weights}\`` : 'random weights'}, ${imagesOf(own)} training images; ${training.steps} steps of ${training.batch} crops of ` +
        `${training.crop.join('x')}, images scaled by ${training.scale.join(' to ')}; seeds ${[...new Set(own.map(({ seed }) => seed))].join(', ')}; ` +
        `${own[0].evaluation.images} held-out images at full size, whole (the first of the list). All in percent.`,
      table(
        [
          '',
          'mIoU',
          'pixels right',
          'boundary F',
          'IoU within 3 px of contours',
          'clusters: purity',
          'oracle mIoU',
          'prototypes searched',
        ],
        Object.keys(TITLES).flatMap((objective) => {
          const same = own.filter((run) => run.objective === objective);
          if (same.length === 0) return [];
          const near = ({ evaluation }) => evaluation.boundaries?.trimap.find(({ width }) => width === 3)?.meanIou;
          return [
            [
              TITLES[objective],
              over(same, ({ evaluation }) => evaluation.meanIou),
              over(same, ({ evaluation }) => evaluation.pixelAccuracy),
              over(same, ({ evaluation }) => evaluation.boundaries?.meanF),
              over(same, near),
              over(same, ({ evaluation }) => evaluation.regions?.segmentPurity),
              over(same, ({ evaluation }) => evaluation.oracle?.meanIou),
              same.map(({ evaluation }) => evaluation.prototypes ?? '-').join(', '),
            ],
          ];
        }),
      ),
      ratio(own),
      ...sheets(own),
    );
  }
  if (profiles.length > 0) parts.push(...cost(profiles));
  return parts.filter(Boolean).join('\n\n');
}

/** What the parts of a training step take. */
function cost(profiles) {
  const rows = profiles.map(({ backbone, batch, crop, parts }) => {
    const total = Object.values(parts).reduce((sum, value) => sum + value, 0);
    const share = (...names) => percent(names.reduce((sum, name) => sum + (parts[name] ?? 0), 0) / total);
    const network = share('backbone', 'head', 'input');
    return [
      `\`${backbone}\`, ${batch} x ${crop.join('x')}`,
      network,
      share('clustering'),
      share('loss'),
      share('optimiser', 'other', 'recompute'),
      share('clustering', 'loss'),
    ];
  });
  return [
    '### Cost of clustering and loss',
    'Shares of the time of the kernels of a SegSort training step, in percent (`segsort profile`, medians by timestamps):',
    table(['', 'network', 'clustering', 'loss', 'optimiser and rest', 'clustering and loss together'], rows),
  ];
}

/** `219 training images`, or how many each method had. */
function imagesOf(runs) {
  const counts = new Map(runs.map(({ objective, trainingImages }) => [TITLES[objective], trainingImages]));
  if (new Set(counts.values()).size === 1) return runs[0].trainingImages;
  return [...counts].map(([title, count]) => `${count} (${title})`).join(', ');
}

/** The best and the worst images of each method that retrieves, and what it retrieved: the contact sheet in words. */
function sheets(runs) {
  return Object.keys(TITLES).flatMap((objective) => {
    const run = runs.find(
      (each) => each.objective === objective && each.evaluation.sheet.some(({ segment }) => segment),
    );
    if (!run) return [];
    const rows = run.evaluation.sheet.map(({ image, meanIou, segment }) => [
      `\`${image.replace(/^.*\//, '')}\``,
      percent(meanIou),
      segment?.class ?? '-',
      counted(segment?.nearest.map((nearest) => nearest.class) ?? []),
      segment?.nearest[0]
        ? `${segment.nearest[0].similarity.toFixed(3)} (\`${segment.nearest[0].image.replace(/^.*\//, '')}\`)`
        : '-',
    ]);
    const heading = [
      'image',
      'its mIoU',
      'one segment, labelled',
      'its nearest training segments',
      'cosine of the nearest',
    ];
    return [`Best and worst images of ${TITLES[objective]}, seed ${run.seed}:`, table(heading, rows)];
  });
}

/** `3 cat, 2 background` */
function counted(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

/** What unsupervised SegSort reaches of the supervised one, and what answering the commonest class would. */
function ratio(runs) {
  const iou = (objective) => {
    const same = runs.filter((run) => run.objective === objective);
    return same.length > 0 ? mean(same.map(({ evaluation }) => evaluation.meanIou)) : null;
  };
  const [unsupervised, supervised] = [iou('segsort-unsupervised'), iou('segsort')];
  const { commonestClass } = runs[0].evaluation;
  const floor = `Answering \`${commonestClass.name}\` everywhere: mIoU ${percent(commonestClass.meanIou)}, ${percent(commonestClass.pixelAccuracy)} of pixels right.`;
  if (unsupervised === null || supervised === null) return floor;
  return `Unsupervised over supervised SegSort: ${percent(unsupervised / supervised)} % of the mIoU (the paper, with ResNet-101 from ImageNet on VOC 2012: 76 %). ${floor}`;
}

const iouOf = (runs) => mean(runs.map(({ evaluation }) => evaluation.meanIou));
const listed = (texts) => [texts.slice(0, -1).join(', '), ...texts.slice(-1)].filter(Boolean).join(' and ');
const span = (values) => {
  const [least, most] = [Math.min(...values), Math.max(...values)].map(percent);
  return least === most ? `${least} %` : `${least} to ${most} %`;
};

/** What one data set's runs say of the methods, as far as figures can. */
function readings(dataset, runs) {
  const { training } = runs[0].config;
  const methods = Object.keys(TITLES)
    .map((objective) => ({ title: TITLES[objective], runs: runs.filter((run) => run.objective === objective) }))
    .filter((method) => method.runs.length > 0)
    .map((method) => ({ ...method, iou: iouOf(method.runs), images: method.runs[0].trainingImages }))
    .sort((a, b) => b.iou - a.iou);
  const told = methods.map(({ title, iou }) => `${title} (${percent(iou)})`);
  const lines = [`On ${dataset}, by mIoU: ${told.join(', then ')}.`];

  const floor = runs[0].evaluation.commonestClass;
  const under = methods.filter(({ iou }) => iou <= floor.meanIou);
  lines.push(
    under.length === 0
      ? `All are above answering \`${floor.name}\` everywhere (${percent(floor.meanIou)}).`
      : `${listed(under.map(({ title }) => title))} ${under.length === 1 ? 'is' : 'are'} no better than answering \`${floor.name}\` everywhere (${percent(floor.meanIou)}).`,
  );

  const most = Math.max(...methods.map(({ images }) => images));
  const fewer = methods.filter(({ images }) => images < most);
  for (const { title, images } of fewer)
    lines.push(`${title} trained on ${images} images, the others on ${most}: it saw each of them more often.`);

  const clustered = runs.filter(({ evaluation }) => evaluation.oracle && evaluation.regions);
  if (clustered.length > 0)
    lines.push(
      `Clusters have a purity of ${span(clustered.map(({ evaluation }) => evaluation.regions.segmentPurity))}, and labelled by the truth would score ${span(clustered.map(({ evaluation }) => evaluation.oracle.meanIou))} mIoU: what is between that and the scores above is lost in choosing their labels.`,
    );
  const seeds = new Set(runs.map(({ seed }) => seed)).size;
  lines.push(
    `${training.steps} steps of ${training.batch} crops are ${training.steps * training.batch} looks at ${most} photographs, with ${seeds === 1 ? 'one seed, so that small differences say nothing' : `${seeds} seeds`}.`,
  );
  return `- ${lines.join(' ')}`;
}

/** What clustering and the loss take of a step, over all networks that were profiled. */
function costReading(profiles) {
  if (profiles.length === 0) return [];
  const shares = (part) =>
    profiles.map(({ parts }) => (parts[part] ?? 0) / Object.values(parts).reduce((sum, value) => sum + value, 0));
  return [
    `- Of the time of a training step's kernels, clustering takes ${span(shares('clustering'))} and the loss ${span(shares('loss'))}, depending on the network: both work at the resolution of the features, however deep the network is.`,
  ];
}

const results = files.map((file) => JSON.parse(readFileSync(folder + file, 'utf8')));
const read = results.flatMap(({ runs, profiles = [] }) => [
  ...[...new Set(runs.map(({ dataset }) => dataset))].map((dataset) =>
    readings(
      dataset,
      runs.filter((run) => run.dataset === dataset),
    ),
  ),
  ...costReading(profiles),
]);

const text = `# Results on real data

Made by \`node scripts/write_results.mjs\` from \`bench/results/real-data-*.json\`, which \`scripts/run_results.mjs\` wrote: every
figure comes from a \`segsort\` command that anyone can repeat. Softmax, SegSort and unsupervised SegSort have the same backbone,
steps, crops and seeds, though not always the same images: finding the regions of a photograph takes seconds, so that unsupervised
runs can be given fewer, as is said with each table. Unsupervised SegSort trains on regions found in the photographs alone and
meets labels only in the prototypes that it retrieves.

Networks that start from random weights compare methods, and say nothing of what a ResNet-101 from ImageNet reaches (\`--weights\`
takes one). voc-animals is a folder in the layout of VOC 2012 with some of its photographs of animals, scaled down to
320 pixels; its mIoU cannot be set beside the paper's, which is of all of VOC 2012.

${files.map(section).join('\n\n')}

## What can be read off it

${read.join('\n')}

\`segsort evaluate RUN --sheet-of extremes\` draws the best and worst images with their retrieved segments, \`segsort explain RUN IMAGE\` every
segment of one. The sheets of these runs are not part of the project: the photographs are licensed for research.
`;
writeFileSync(`${root}docs/results.md`, text);
console.log(`docs/results.md from ${files.join(', ')}`);
