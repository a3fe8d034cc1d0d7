/** Checks whole lists before a long run: every file is read and decoded, every problem reported. */
import { FileError } from '../platform/files.js';
import type { StartWorker } from '../platform/workers.js';
import type { Dataset } from './dataset.js';
import type { NamedFile, SampleFiles } from './decode.js';
import { type Decoder, inlineDecoder, workerDecoder } from './decoder.js';
import { type ClassDescription, type DataDescription, thingClasses } from './description.js';
import { DataError } from './errors.js';
import { IGNORE_LABEL } from './image.js';
import type { Finding, Inspection, InspectionRules } from './inspect.js';
import { defaultWorkers } from './loader.js';

export interface CheckOptions {
  /** What the labels may hold; null where the data set has no description: values are then counted, not judged. */
  readonly description: DataDescription | null;
  /** Decoding threads, as a loader takes them. */
  readonly workers?: number;
  readonly startWorker?: StartWorker;
  /** Called after every sample with the number done. */
  readonly onProgress?: (done: number) => void;
}

export interface ListFinding extends Finding {
  /** Line of the list, counted from 1; 0 for what concerns the list as a whole. */
  readonly line: number;
}

export interface ClassCount {
  /** Null for ignored pixels. */
  readonly label: number | null;
  readonly name: string;
  readonly pixels: number;
  /** Images that have any. */
  readonly images: number;
}

/** Of all images that were read; null where there were none. */
export type Extremes = { readonly least: number; readonly most: number } | null;

export interface ListReport {
  readonly list: string;
  readonly samples: number;
  /** Samples whose label could be read, and those of them that are palette PNGs. */
  readonly labelled: number;
  readonly palettes: number;
  /** Images with no label in the list. */
  readonly unlabelled: number;
  /** Of the images, in pixels. */
  readonly heights: Extremes;
  readonly widths: Extremes;
  readonly classes: readonly ClassCount[];
  /** Objects and regions of an image. */
  readonly instances: Extremes;
  readonly regions: Extremes;
  readonly findings: readonly ListFinding[];
}

const READS_PER_WORKER = 3;

/** Reads and decodes all samples of a data set. What is wrong with them is in the report, not thrown. */
export async function checkDataset(dataset: Dataset, options: CheckOptions): Promise<ListReport> {
  const { description, onProgress = () => {}, workers = defaultWorkers() } = options;
  const rules = inspectionRules(description);
  const inspections: (Inspection | null)[] = Array(dataset.length).fill(null);
  const findings: ListFinding[] = [...duplicates(dataset)];
  await using decoder = workers === 0 ? inlineDecoder() : await workerDecoder(workers, options.startWorker);
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < dataset.length) {
      const index = next++;
      const { inspection, found } = await checkSample(dataset, index, decoder, rules);
      inspections[index] = inspection;
      const { line } = dataset.list.entries[index]!;
      findings.push(...found.map((finding) => ({ ...finding, line })));
      onProgress(++done);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, workers) * READS_PER_WORKER }, work));
  return summarise(dataset, inspections, findings, description);
}

/** Plain data, so that workers can be sent it. */
function inspectionRules(description: DataDescription | null): InspectionRules {
  const colours: [number, number, number][] = [];
  for (const { values, colour } of description?.classes ?? []) for (const value of values) colours[value] = [...colour];
  return {
    classes: description?.classes.length ?? 0,
    colours: Array.from(colours, (colour) => colour ?? [-1, -1, -1]),
    things: description ? thingClasses(description) : [],
  };
}

async function checkSample(dataset: Dataset, index: number, decoder: Decoder, rules: InspectionRules) {
  const found: Finding[] = [];
  const read = async (file: string | null, role: string): Promise<NamedFile | null> => {
    if (file === null) return null;
    try {
      return { file, bytes: await dataset.source.read(file) };
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      found.push({ severity: 'error', file, reason: `${role}: ${error.reason}` });
      return null;
    }
  };
  try {
    const paths = dataset.pathsOf(index);
    const image = await read(paths.image, 'image');
    const files: Omit<SampleFiles, 'image'> = {
      label: await read(paths.label, 'label'),
      instances: await read(paths.instances, 'instance map'),
      regions: await read(paths.regions, 'region mask'),
      reading: dataset.reading,
    };
    const inspection = image && (await decoder.inspect({ ...files, image }, rules));
    return { inspection, found: [...found, ...(inspection?.findings ?? [])] };
  } catch (error) {
    if (!(error instanceof DataError && error.file !== null)) throw error;
    found.push({ severity: 'error', file: error.file, reason: error.reason });
    return { inspection: null, found };
  }
}

/** Images that the list names more than once, and labels that it gives to several images. */
function* duplicates({ list }: Dataset): Generator<ListFinding> {
  const images = new Map<string, number>();
  const labels = new Map<string, number>();
  for (const { line, image, label } of list.entries) {
    const listed = images.get(image);
    const given = label === null ? undefined : labels.get(label);
    if (listed !== undefined)
      yield { severity: 'warning', file: image, line, reason: `this image is listed in line ${listed} too` };
    else if (given !== undefined)
      yield { severity: 'warning', file: label!, line, reason: `line ${given} gives this label to another image` };
    if (listed === undefined) images.set(image, line);
    if (label !== null && given === undefined) labels.set(label, line);
  }
}

function summarise(
  dataset: Dataset,
  inspections: readonly (Inspection | null)[],
  findings: ListFinding[],
  description: DataDescription | null,
): ListReport {
  const { entries, file } = dataset.list;
  const read = inspections.filter((inspection) => inspection !== null);
  const labelled = read.filter(({ pixels }) => pixels.length > 0);
  const sized = read.filter(({ width }) => width > 0);
  const classes = countClasses(labelled, description?.classes ?? null);
  const absent = classes.filter(({ label, pixels }) => label !== null && pixels === 0).map(({ name }) => name);
  if (absent.length > 0)
    findings.push({ severity: 'warning', file, line: 0, reason: `no image has any pixel of ${absent.join(', ')}` });
  return {
    list: file,
    samples: entries.length,
    labelled: labelled.length,
    palettes: labelled.filter(({ label }) => label === 'palette').length,
    unlabelled: entries.filter(({ label }) => label === null).length,
    heights: extremes(sized.map(({ height }) => height)),
    widths: extremes(sized.map(({ width }) => width)),
    classes,
    instances: extremes(
      inspections.flatMap((inspection, i) => (inspection && entries[i]!.instances ? [inspection.instances] : [])),
    ),
    regions: extremes(dataset.options.regions ? read.map(({ regions }) => regions) : []),
    findings: findings.sort((a, b) => a.line - b.line),
  };
}

/** By class, where they are known; else by value, those that are there. Ignored pixels come last. */
function countClasses(labelled: readonly Inspection[], known: readonly ClassDescription[] | null): ClassCount[] {
  const count = (label: number) => ({
    pixels: labelled.reduce((sum, { pixels }) => sum + pixels[label]!, 0),
    images: labelled.filter(({ pixels }) => pixels[label]! > 0).length,
  });
  const all = Array.from({ length: IGNORE_LABEL }, (_, label) => ({
    label,
    name: known?.[label]?.name ?? String(label),
    ...count(label),
  }));
  const counted = known ? all.slice(0, known.length) : all.filter(({ pixels }) => pixels > 0);
  return labelled.length === 0 ? [] : [...counted, { label: null, name: 'ignored', ...count(IGNORE_LABEL) }];
}

function extremes(counts: readonly number[]): Extremes {
  if (counts.length === 0) return null;
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (const count of counts) {
    least = Math.min(least, count);
    most = Math.max(most, count);
  }
  return { least, most };
}
