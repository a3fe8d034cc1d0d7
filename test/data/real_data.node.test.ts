/** The checks on real data: every 40th line of its lists; skipped where `../shared/data` is not there. */
import { describe, expect, inject, it } from 'vitest';
import { BSDS500, CAMVID, VOC2012 } from '../../src/data/builtin_descriptions.js';
import { checkDataset } from '../../src/data/check.js';
import { Dataset, type DatasetOptions } from '../../src/data/dataset.js';
import { type DataDescription, datasetOptions } from '../../src/data/description.js';
import { folderFiles } from '../../src/platform/files.node.js';
import { dataAvailable } from '../support/files.js';

async function check(folder: string, list: string, description: DataDescription, options: DatasetOptions = {}) {
  const source = folderFiles(`${inject('data')}/${folder}`);
  const all = await Dataset.open(source, list, { ...datasetOptions(description), ...options });
  const entries = all.list.entries.filter((_, index) => index % 40 === 0);
  const some = new Dataset(source, { file: list, entries }, all.options);
  return { length: all.length, report: await checkDataset(some, { description, workers: 0 }) };
}

describe.skipIf(!dataAvailable)('real data (skipped without ../shared/data)', () => {
  it('of VOC has no errors', async () => {
    const { length, report } = await check('voc-animals', 'train.txt', VOC2012);
    expect(length).toBe(437);
    expect(report).toMatchObject({ samples: 11, labelled: 11, palettes: 0, unlabelled: 0 });
    expect(report.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    const shown = report.classes.filter(({ pixels }) => pixels > 0).map(({ name }) => name);
    for (const name of ['background', 'cat', 'dog', 'ignored']) expect(shown).toContain(name);
  });

  it('of CamVid has nothing wrong with it', async () => {
    const { length, report } = await check('camvid', 'train.txt', CAMVID);
    expect(length).toBe(367);
    expect(report).toMatchObject({ samples: 10, labelled: 10, heights: { least: 360, most: 360 }, findings: [] });
    expect(report.classes.reduce((sum, { pixels }) => sum + pixels, 0)).toBe(10 * 360 * 480);
    expect(report.classes.every(({ pixels }) => pixels > 0)).toBe(true);
  });

  it('of BSDS500 has contour maps of twice the size, and regions by people', async () => {
    const regions = { template: 'human/{name}_0.png' };
    const { length, report } = await check('bsds500', 'val.txt', BSDS500, { regions });
    expect(length).toBe(100);
    expect(report).toMatchObject({ samples: 3, labelled: 0, findings: [] });
    expect(report.regions!.least).toBeGreaterThan(1);
  });
});
