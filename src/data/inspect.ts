/** Looks one sample over and says everything that is wrong with it: the work of the workers of `segsort data check`. */
import { decodeIds, decodeImage, type IdImage, type LabelImage, NO_ID, requirePng } from './codecs.js';
import type { NamedFile, SampleFiles } from './decode.js';
import { DataError } from './errors.js';
import { IGNORE_LABEL } from './image.js';
import { classValueOf, classValues, isInstance, type LabelReading } from './label_reading.js';
import { decodeLabelsAndPalette, type PngPalette } from './png.js';
import { pngFormat } from './png_header.js';

/** Something wrong with a file; `warning` for what may be meant. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  readonly file: string;
  readonly reason: string;
}

/** A value of a label file that stands for no class, and where it is first seen. */
export interface StrayValue {
  readonly value: number;
  readonly pixels: number;
  readonly row: number;
  readonly column: number;
}

export interface Inspection {
  readonly findings: readonly Finding[];
  readonly width: number;
  readonly height: number;
  /** How the label file stores its values; null where there is none that could be read. */
  readonly label: 'grey' | 'palette' | null;
  /** Pixels of each class; of ignored pixels at 255. Empty where there is no label. */
  readonly pixels: readonly number[];
  readonly instances: number;
  readonly regions: number;
}

/** What is known of the data set, as plain data. */
export interface InspectionRules {
  /** Number of classes; 0 where there are none, or they are not known. */
  readonly classes: number;
  /** Colours of the values of label files, to tell palettes that were reordered. */
  readonly colours: readonly (readonly [number, number, number])[];
  /** By class, whether it is countable. */
  readonly things: readonly boolean[];
}

/** Everything that is wrong with a sample. Throws nothing for broken files. */
export function inspectSample(files: SampleFiles, rules: InspectionRules): Inspection {
  const findings: Finding[] = [];
  const add = (severity: Finding['severity'], file: string, reason: string) =>
    findings.push({ severity, file, reason });
  const attempt = <R>(file: NamedFile | null, body: (file: NamedFile) => R): R | null => {
    if (!file) return null;
    try {
      return body(file);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      add('error', error.file ?? file.file, error.reason);
      return null;
    }
  };
  const image = attempt(files.image, ({ bytes, file }) => decodeImage(bytes, file));
  const checkSize = (map: { width: number; height: number }, role: string, file: string, scale = 1) => {
    if (!image) return;
    const [width, height] = [image.width, image.height].map((side) => (scale === 1 ? side : side * scale + 1));
    if (map.width !== width || map.height !== height)
      add(
        'error',
        file,
        `${role} is ${map.width}x${map.height}, but its image ${image.width}x${image.height} asks for ${width}x${height} (width x height)`,
      );
  };
  const idsOf = (file: NamedFile | null, role: string) =>
    attempt(file, ({ bytes, file }) => {
      const ids = decodeIds(bytes, file);
      checkSize(ids, role, file);
      return ids;
    });

  let labels: Uint8Array | null = null;
  if (files.reading.labels === 'ucm2')
    attempt(files.label, ({ bytes, file }) => checkSize(decodeIds(bytes, file), 'contour map', file, 2));
  else
    labels = attempt(files.label, (label) => {
      const { labels: values, palette } = labelValues(label, files.reading);
      checkSize(values, 'label', label.file);
      const { classes, stray } = classify(values, files.reading, rules.classes);
      for (const each of stray) add('error', label.file, describeStray(each, rules.classes));
      const swapped = palette && reordered(values.data, palette, rules.colours);
      if (swapped) add('warning', label.file, swapped);
      if (classes.every((each) => each === IGNORE_LABEL))
        add('warning', label.file, 'all pixels are ignored, so nothing is learnt from this image');
      return classes;
    });
  const instances = idsOf(files.instances, 'instance map');
  if (instances)
    for (const reason of instanceFindings(instances, labels, files.reading, rules))
      add('warning', files.instances!.file, reason);
  const regions = idsOf(files.regions, 'region mask');
  const pixels: number[] = labels ? Array<number>(256).fill(0) : [];
  for (const label of labels ?? []) pixels[label]!++;
  const kind = labels && files.label ? (pngFormat(files.label.bytes, files.label.file)?.kind ?? null) : null;
  return {
    findings,
    width: image?.width ?? 0,
    height: image?.height ?? 0,
    label: kind === 'colour' ? null : kind,
    pixels,
    instances: instances ? countIds(instances.data, (id) => isInstance(id, files.reading.instances)) : 0,
    regions: regions ? countIds(regions.data, (id) => id !== NO_ID) : 0,
  };
}

function labelValues(
  { bytes, file }: NamedFile,
  { instances }: LabelReading,
): { labels: LabelImage; palette: PngPalette | null } {
  if (pngFormat(bytes, file)?.depth !== 16) return decodeLabelsAndPalette(requirePng(bytes, file, 'labels'), file);
  return { labels: classValues(decodeIds(bytes, file), instances, file), palette: null };
}

/** Classes, 255 also where a value stands for none, and those values. */
function classify(
  { width, data }: { width: number; data: Uint8Array },
  { classes: table }: LabelReading,
  count: number,
): { classes: Uint8Array; stray: StrayValue[] } {
  const classes = new Uint8Array(data.length);
  const stray = new Map<number, { first: number; pixels: number }>();
  for (let pixel = 0; pixel < data.length; pixel++) {
    const value = data[pixel]!;
    const label = table ? table[value]! : value;
    const known = label === IGNORE_LABEL || (label >= 0 && (count === 0 || label < count));
    classes[pixel] = known ? label : IGNORE_LABEL;
    if (known) continue;
    const seen = stray.get(value);
    if (seen) seen.pixels++;
    else stray.set(value, { first: pixel, pixels: 1 });
  }
  return {
    classes,
    stray: [...stray].map(([value, { first, pixels }]) => ({
      value,
      pixels,
      row: Math.floor(first / width),
      column: first % width,
    })),
  };
}

const describeStray = ({ value, pixels, row, column }: StrayValue, count: number): string =>
  `holds the value ${value}, which is none of the ${count} classes and not ignored, in ${pixels} pixel${pixels === 1 ? '' : 's'}, first at row ${row}, column ${column}`;

/** Says so where the palette's colours are those of the data set, but in another order, as image editors save them. */
function reordered(values: Uint8Array, palette: PngPalette, expected: InspectionRules['colours']): string | null {
  const indexOf = new Map(expected.map((colour, index) => [colour.join(), index]));
  for (const value of new Set(values)) {
    const colour = palette[value]?.slice(0, 3).join();
    const meant = colour === undefined ? undefined : indexOf.get(colour);
    if (meant !== undefined && meant !== value && expected[value]?.join() !== colour)
      return `the palette gives the value ${value} the colour of ${meant}; an image editor may have reordered it, and values are read, not colours`;
  }
  return null;
}

/** Objects of several classes, and of classes that are not countable. */
function instanceFindings(
  { data }: IdImage,
  labels: Uint8Array | null,
  { instances, classes }: LabelReading,
  { things }: InspectionRules,
): string[] {
  if (!labels || labels.length !== data.length) return [];
  const classOf = new Map<number, number>();
  const mixed = new Set<number>();
  for (let pixel = 0; pixel < data.length; pixel++) {
    const id = data[pixel]!;
    const label = labels[pixel]!;
    if (label === IGNORE_LABEL || !isInstance(id, instances)) continue;
    const known = classOf.get(id);
    if (known === undefined) classOf.set(id, label);
    else if (known !== label) mixed.add(id);
  }
  const found = [...mixed].map((id) => `the object ${id} lies on several classes`);
  for (const [id, label] of classOf) {
    const own = classValueOf(id, instances);
    const said = own === null ? label : classes ? classes[own]! : own;
    if (said !== label && !mixed.has(id))
      found.push(`the object ${id} is of class ${said}, but lies on class ${label}`);
    if (things.length > 0 && !things[label]) found.push(`the object ${id} lies on class ${label}, which is no thing`);
  }
  return found;
}

function countIds(data: Uint16Array, counts: (id: number) => boolean): number {
  let found = 0;
  for (const id of new Set(data)) if (counts(id)) found++;
  return found;
}
