/** Greedy merging of regions by the mean strength of the contour between them. */
import { type Merge, RegionHierarchy } from './hierarchy.js';
import type { Basins } from './watershed.js';

/** Borders between two regions. */
interface Contact {
  a: number;
  b: number;
  /** Summed strength and length of the border. */
  sum: number;
  length: number;
  /** Raised whenever the contact changes, so that stale entries of the queue are known. */
  version: number;
}

interface Entry {
  readonly level: number;
  readonly contact: number;
  readonly version: number;
}

/**
 * Merges the two regions with the weakest contour between them until one is left (Arbelaez et al., TPAMI 2011, section 4.2).
 * The contour of two merged regions to a third is the mean over both borders by length, which is no weaker than the
 * weaker of them: levels never fall, and the hierarchy is ultrametric. Ties go to the contact met first.
 *
 * @param inside pixel on the one side of each border of unit length, and `outside` on the other
 * @param strength of each border, from 0 to 1
 */
export function mergeRegions(
  basins: Basins,
  inside: Int32Array,
  outside: Int32Array,
  strength: Float32Array,
): RegionHierarchy {
  const { width, height, labels, count } = basins;
  const contacts: Contact[] = [];
  const touching: Map<number, number>[] = Array.from({ length: count }, () => new Map());
  for (let i = 0; i < inside.length; i++) {
    const a = labels[inside[i]!]!;
    const b = labels[outside[i]!]!;
    let index = touching[a]!.get(b);
    if (index === undefined) {
      index = contacts.length;
      contacts.push({ a, b, sum: 0, length: 0, version: 0 });
      touching[a]!.set(b, index);
      touching[b]!.set(a, index);
    }
    contacts[index]!.sum += strength[i]!;
    contacts[index]!.length += 1;
  }
  const queue = new Queue();
  const enqueue = (index: number) => {
    const { sum, length, version } = contacts[index]!;
    queue.push({ level: sum / length, contact: index, version });
  };
  for (let index = 0; index < contacts.length; index++) enqueue(index);

  const merges: Merge[] = [];
  let level = 0;
  for (let entry = queue.pop(); entry; entry = queue.pop()) {
    const { a, b, version } = contacts[entry.contact]!;
    if (version !== entry.version) continue;
    // Rounding could make a mean smaller than both of its parts.
    level = Math.max(level, entry.level);
    const [large, small] = touching[a]!.size >= touching[b]!.size ? [a, b] : [b, a];
    const merged = touching.length;
    merges.push({ first: Math.min(a, b), second: Math.max(a, b), level });
    const neighbours = touching[large]!;
    neighbours.delete(small);
    touching[small]!.delete(large);
    for (const [other, index] of touching[small]!) {
      touching[other]!.delete(small);
      const shared = neighbours.get(other);
      if (shared === undefined) {
        neighbours.set(other, index);
        touching[other]!.set(large, index);
        replace(contacts[index]!, small, large);
        continue;
      }
      const [kept, gone] = [contacts[shared]!, contacts[index]!];
      kept.sum += gone.sum;
      kept.length += gone.length;
      kept.version++;
      gone.version = -1;
      enqueue(shared);
    }
    for (const [other, index] of neighbours) {
      replace(contacts[index]!, large, merged);
      touching[other]!.delete(large);
      touching[other]!.set(merged, index);
    }
    touching.push(neighbours);
    contacts[entry.contact]!.version = -1;
  }
  return new RegionHierarchy(width, height, labels, count, merges);
}

function replace(contact: Contact, region: number, by: number): void {
  if (contact.a === region) contact.a = by;
  else contact.b = by;
}

/** A binary heap; of equal levels the contact with the lower index comes first. */
class Queue {
  readonly #heap: Entry[] = [];

  push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    for (let up = (at - 1) >> 1; at > 0 && before(entry, heap[up]!); up = (at - 1) >> 1) {
      heap[at] = heap[up]!;
      at = up;
    }
    heap[at] = entry;
  }

  pop(): Entry | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (heap.length === 0 || !last) return top;
    let at = 0;
    for (let down = 1; down < heap.length; down = 2 * at + 1) {
      if (down + 1 < heap.length && before(heap[down + 1]!, heap[down]!)) down++;
      if (!before(heap[down]!, last)) break;
      heap[at] = heap[down]!;
      at = down;
    }
    heap[at] = last;
    return top;
  }
}

const before = (a: Entry, b: Entry): boolean =>
  a.level < b.level ||
  (a.level === b.level && (a.contact < b.contact || (a.contact === b.contact && a.version < b.version)));
