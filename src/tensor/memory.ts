/**
 * Memory by liveness. A slot is a buffer, and values that are not alive at one time share its bytes. A dispatch may not read
 * and write one buffer, whatever the ranges, so what a step writes lies in other slots than what it reads.
 */
import { BINDING_ALIGNMENT } from './storage.js';

export interface Lifetime {
  readonly bytes: number;
  /** Step that writes the value. */
  readonly from: number;
  /** Last step that reads it (inclusive); infinite for values kept to the end. */
  to: number;
  /** Indices of the lifetimes that must lie in other slots. Mutual. */
  readonly apart: Set<number>;
  /** Where it is written at several steps, the first of them `from`: what is written at each. Together they are all of it. */
  readonly pieces?: readonly Piece[];
}

/** Neighbouring bytes of a value. */
export interface Piece {
  readonly offset: number;
  readonly bytes: number;
  /** Step that writes them. */
  readonly from: number;
}

export interface SlotPlace {
  readonly slot: number;
  /** Of the first byte in the slot. */
  readonly offset: number;
}

export interface SlotAssignment {
  /** Bytes of each slot. */
  readonly slots: readonly number[];
  /** Place of each lifetime. */
  readonly places: readonly SlotPlace[];
  /** Bytes alive at each step. */
  readonly alive: readonly number[];
}

export const SLOT_ORDERS = ['size', 'pieces'] as const;
export type SlotOrder = (typeof SLOT_ORDERS)[number];

/** So many slots are opened before one has to grow. With fewer, some step finds none that it may write to. */
const FEW = 16;

/** What lies at some bytes of a slot from one step to another. */
interface Tenant {
  readonly from: number;
  readonly to: number;
  readonly offset: number;
  readonly end: number;
}

interface Candidate extends SlotPlace {
  /** Bytes that the slot grows by. */
  readonly growth: number;
  /** Bytes left over in the gap that is filled. */
  readonly rest: number;
}

/**
 * Greedy by size: values from the largest to the smallest, each into the smallest gap that is free for its whole life, else
 * at the end of the slot that grows the least ("Efficient memory management for deep neural net inference", Pisarchyk and
 * Lee, 2020, section 5.2, with several buffers).
 *
 * @param steps how many there are
 * @param most bytes that a slot may have, at least those of the largest value
 * @param order which values come first: the largest, or those in pieces, whose bytes are free for others until they are written
 */
export function assignSlots(
  lifetimes: readonly Lifetime[],
  steps: number,
  most: number,
  order: SlotOrder = 'size',
): SlotAssignment {
  const slots: number[] = [];
  const tenants: Tenant[][] = [];
  const places = new Array<SlotPlace | undefined>(lifetimes.length);
  const rank = ({ pieces }: Lifetime) => (order === 'pieces' && pieces ? 0 : 1);
  const indices = lifetimes
    .map((_, index) => index)
    .sort((i, j) => {
      const [a, b] = [lifetimes[i]!, lifetimes[j]!];
      return rank(a) - rank(b) || b.bytes - a.bytes || i - j;
    });
  for (const index of indices) {
    const lifetime = lifetimes[index]!;
    const bytes = aligned(lifetime.bytes);
    const forbidden = new Set(Array.from(lifetime.apart, (other) => places[other]?.slot));
    let best: Candidate | null = null;
    for (const [slot, size] of slots.entries()) {
      if (forbidden.has(slot)) continue;
      const candidate = gapIn(tenants[slot]!, slot, size, lifetime, bytes);
      if (candidate.offset + bytes <= Math.max(most, size) && (!best || isBetter(candidate, best))) best = candidate;
    }
    if (!best || (best.growth > 0 && slots.length < FEW)) {
      best = { slot: slots.length, offset: 0, growth: bytes, rest: 0 };
      slots.push(0);
      tenants.push([]);
    }
    const { slot, offset } = best;
    slots[slot]! += best.growth;
    const others = tenants[slot]!;
    const { to, pieces = [{ offset: 0, bytes, from: lifetime.from }] } = lifetime;
    const added = pieces.map((piece): Tenant => {
      return { from: piece.from, to, offset: offset + piece.offset, end: offset + aligned(piece.offset + piece.bytes) };
    });
    others.push(...added);
    others.sort((a, b) => a.offset - b.offset);
    places[index] = { slot, offset };
  }
  return { slots, places: places as SlotPlace[], alive: aliveAt(lifetimes, steps) };
}

const aligned = (bytes: number) => Math.ceil(bytes / BINDING_ALIGNMENT) * BINDING_ALIGNMENT;

const overlap = (a: Tenant | Lifetime, b: Tenant | Lifetime) => a.from <= b.to && b.from <= a.to;

const isBetter = (a: Candidate, b: Candidate) => a.growth < b.growth || (a.growth === b.growth && a.rest < b.rest);

/** The smallest gap among those who live at the same time, who are sorted by offset; the end where there is none. */
function gapIn(tenants: readonly Tenant[], slot: number, size: number, lifetime: Lifetime, bytes: number): Candidate {
  let best: Candidate | null = null;
  let free = 0;
  const consider = (end: number) => {
    const rest = end - free - bytes;
    if (rest >= 0 && (!best || rest < best.rest)) best = { slot, offset: free, growth: 0, rest };
  };
  for (const tenant of tenants) {
    if (!overlap(tenant, lifetime)) continue;
    consider(tenant.offset);
    free = Math.max(free, tenant.end);
  }
  consider(size);
  return best ?? { slot, offset: free, growth: free + bytes - size, rest: 0 };
}

/** Bytes alive at each step. */
function aliveAt(lifetimes: readonly Lifetime[], steps: number): number[] {
  const changes = new Array<number>(steps + 1).fill(0);
  for (const { bytes, from, to, pieces = [{ bytes, from }] } of lifetimes) {
    for (const piece of pieces) changes[piece.from]! += piece.bytes;
    changes[Math.min(to + 1, steps)]! -= bytes;
  }
  let alive = 0;
  return changes.slice(0, steps).map((change) => {
    alive += change;
    return alive;
  });
}
