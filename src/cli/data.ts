/** `segsort data`: lists, descriptions and checks of data sets, before anything is trained on them. */
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { glob } from 'tinyglobby';
import { DESCRIPTIONS, isDescriptionName } from '../data/builtin_descriptions.js';
import { cityscapesLists } from '../data/cityscapes_lists.node.js';
import { decodeLabels, encodeGreyPng } from '../data/codecs.js';
import { type DataDescription, encodeLabels } from '../data/description.js';
import { formatDescription } from '../data/description_file.js';
import { DataError } from '../data/errors.js';
import { bsdsLists, camvidLists, folderLists } from '../data/folder_lists.node.js';
import { type GeneratedLists, writeLists } from '../data/list_folder.node.js';
import { vocLists } from '../data/voc_lists.node.js';
import { folderFiles, writeFileAtomic } from '../platform/files.node.js';
import { counted, dataCheckCommand } from './data_check.js';
import { findDescription } from './data_folder.js';
import { UsageError } from './errors.js';
import { OR_FORCE, requireNew } from './output_files.js';
import { exists } from './run_folder.js';

const HELP = `
Examples:
  segsort data lists voc2012 VOCdevkit          the lists of the SegSort release, from VOC 2012 and the masks of SBD
  segsort data check VOCdevkit train+.txt       are all files there, readable, and what the description says
  segsort data describe camvid > dataset.json   a description to start from
  segsort data encode predictions --as cityscapes --out submission
`;

export function dataCommand(): Command {
  return new Command('data')
    .description('write the lists of a data set, check its files, describe it')
    .helpCommand(false)
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', HELP)
    .addCommand(dataCheckCommand())
    .addCommand(listsCommand())
    .addCommand(describeCommand())
    .addCommand(encodeCommand());
}

interface ListsOptions {
  readonly out?: string;
  readonly force?: boolean;
  readonly instances?: boolean;
  readonly trainIds?: boolean;
  readonly skipMissing?: boolean;
  readonly images?: string;
  readonly labels?: string;
  readonly name: string;
}

const GENERATORS = new Map<string, (root: string, options: ListsOptions) => Promise<GeneratedLists>>([
  ['voc2012', vocLists],
  ['cityscapes', cityscapesLists],
  ['camvid', camvidLists],
  ['bsds500', bsdsLists],
  ['folders', pairFolders],
]);
const KINDS = [...GENERATORS.keys()].join(', ');

/** A list of a folder of images and a folder of labels of the same names. */
async function pairFolders(root: string, { images, labels, name }: ListsOptions): Promise<GeneratedLists> {
  if (!images) throw new UsageError('--images names the folder of the images, relative to the folder of the data set');
  const described = await findDescription(root);
  if (!described)
    throw new UsageError(
      `${root} has no dataset.json that says what its labels mean; start from one with \`segsort data describe voc2012\``,
    );
  const generated = await folderLists(root, described, [{ list: name, images, labels: labels ?? null }]);
  const description = { ...described, lists: { ...described.lists, ...generated.description.lists } };
  return { ...generated, description };
}

function listsCommand(): Command {
  return new Command('lists')
    .description('write the lists of a data set, and the dataset.json that describes it')
    .argument('<kind>', `what it is: ${KINDS}`)
    .argument('<folder>', 'folder of the data set')
    .option('--out <folder>', 'folder for the lists (default: that of the data set)')
    .option('--force', 'write over lists that are there and differ')
    .option('--skip-missing', 'leave out images whose files are missing, instead of refusing')
    .option('--instances', 'name instance maps in a third column (voc2012, cityscapes)')
    .option('--train-ids', 'name the labelTrainIds files instead of labelIds (cityscapes)')
    .option('--images <folder>', 'folder of the images, in that of the data set (folders)')
    .option('--labels <folder>', 'folder of the labels, named as the images are (folders; none: no labels)')
    .addOption(new Option('--name <list>', 'name of the list, without .txt (folders)').default('train'))
    .helpOption('-h, --help', 'print this help')
    .action(async (kind: string, folder: string, options: ListsOptions) => {
      const generate = GENERATORS.get(kind);
      if (!generate) throw new UsageError(`${kind} is none of ${KINDS}`);
      if (!(await exists(folder))) throw new UsageError(`there is no folder ${folder}`);
      const generated = await generate(resolve(folder), options);
      refuseMissing(generated.missing, options.skipMissing ?? false);
      const out = options.out ?? folder;
      await mkdir(out, { recursive: true });
      const written = await writeLists(out, generated, {
        force: options.force ?? false,
        update: kind === 'folders' && resolve(out) === resolve(folder),
      });
      for (const [name, entries] of generated.lists) console.log(`${name}.txt: ${counted(entries.length, 'image')}`);
      for (const note of generated.notes) console.log(note);
      console.log(written.length === 0 ? 'all were there already' : `written to ${out}: ${written.join(', ')}`);
    });
}

function refuseMissing(missing: readonly string[], skip: boolean): void {
  if (missing.length === 0) return;
  const shown = `${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ', ...' : ''}`;
  if (!skip)
    throw new DataError(
      null,
      `${counted(missing.length, 'file')} missing: ${shown}; --skip-missing leaves their images out`,
    );
  console.log(`left out for want of files: ${missing.length} (${shown})`);
}

const KNOWN = Object.keys(DESCRIPTIONS).join(', ');

/** A description by the name of a data set, or from a folder. */
async function describedBy(nameOrFolder: string): Promise<DataDescription> {
  if (isDescriptionName(nameOrFolder)) return DESCRIPTIONS[nameOrFolder];
  const description = (await exists(nameOrFolder)) ? await findDescription(nameOrFolder) : null;
  if (description) return description;
  throw new UsageError(
    `${nameOrFolder} is neither a data set known by name (${KNOWN}) nor a folder with a dataset.json`,
  );
}

function describeCommand(): Command {
  return new Command('describe')
    .description('print the description of a data set, as a dataset.json')
    .argument('<name or folder>', `${KNOWN}, or a folder that has a dataset.json`)
    .helpOption('-h, --help', 'print this help')
    .action(async (what: string) => {
      process.stdout.write(formatDescription(await describedBy(what)));
    });
}

function encodeCommand(): Command {
  return new Command('encode')
    .description('write predicted classes as the label values of the data set, as benchmarks want them')
    .argument('<folder>', 'folder with predictions: PNGs of class numbers')
    .requiredOption('--as <name or folder>', `the data set: ${KNOWN}, or a folder`)
    .requiredOption('--out <folder>', 'folder for the encoded PNGs, under the same names')
    .option('--force', 'write over files that are there')
    .helpOption('-h, --help', 'print this help')
    .action(async (folder: string, { as, out, force }: { as: string; out: string; force?: boolean }) => {
      const description = await describedBy(as);
      if (description.classes.length === 0) throw new UsageError(`${description.name} has no classes to encode`);
      const names = (await exists(folder)) ? await glob('**/*.png', { cwd: folder }) : [];
      if (names.length === 0) throw new UsageError(`${folder} holds no PNGs`);
      if (resolve(out) === resolve(folder)) throw new UsageError('--out must be another folder than the predictions');
      if (!force) await requireNew(names, out, OR_FORCE);
      const source = folderFiles(folder);
      for (const name of names.sort()) {
        const encoded = encodeLabels(description, decodeLabels(await source.read(name), name), name);
        await mkdir(dirname(join(out, name)), { recursive: true });
        await writeFileAtomic(join(out, name), encodeGreyPng(encoded));
      }
      console.log(`${counted(names.length, 'prediction')} encoded; written to ${out}`);
    });
}
