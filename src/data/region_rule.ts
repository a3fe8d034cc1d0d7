/** Where the region masks of a data set lie: oversegmentations for unsupervised training. */
import { DataError } from './errors.js';
import type { ListEntry } from './lists.js';

/**
 * - `replace`: in the path of the label (of the image, where there is no label) one text by another, as the release
 *   finds `hed/x.png` beside `segcls/x.png`;
 * - `template`: a path with `{name}` for the image's name, or `{path}` for its path in the list, both without ending.
 */
export type RegionRule = { readonly replace: readonly [string, string] } | { readonly template: string };

/**
 * The rule of a setting: `segcls=hed` or `VOC2012/hed/{name}.png`.
 *
 * @throws DataError where it is neither
 */
export function parseRegionRule(text: string): RegionRule {
  if (/\{(name|path)\}/.test(text)) return { template: text };
  const [from, to, ...rest] = text.split('=');
  if (from && to !== undefined && rest.length === 0) return { replace: [from, to] };
  throw new DataError(
    null,
    `region masks: ${JSON.stringify(text)} is neither a path with {name} or {path} in it, such as hed/{name}.png, nor a replacement in the paths of the labels, such as segcls=hed`,
  );
}

/**
 * Path of an image's region mask.
 *
 * @throws DataError naming list and line, where the text to replace is not in the path: the label itself would be
 *   taken for a region mask
 */
export function regionPath(rule: RegionRule, entry: ListEntry, list: string): string {
  if ('template' in rule) {
    const path = withoutEnding(entry.image);
    const name = path.slice(path.lastIndexOf('/') + 1);
    return rule.template.replace(/\{(path|name)\}/g, (_, which) => (which === 'path' ? path : name));
  }
  const [from, to] = rule.replace;
  const path = entry.label ?? entry.image;
  if (!path.includes(from))
    throw new DataError(
      path,
      `line ${entry.line} of ${list}: ${JSON.stringify(from)}, to be replaced by ${JSON.stringify(to)} for the region mask, is not in this path; give a path with {name} instead`,
    );
  return path.replaceAll(from, () => to); // a text would have $& and the like in it
}

/** A path without the ending of its file name. */
export function withoutEnding(path: string): string {
  return path.replace(/\.[^./]*$/, '');
}
