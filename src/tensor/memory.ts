/**
 * Memory by liveness. A slot is a buffer, and values that are not alive at one time share its bytes. A dispatch may not read
 * and write one buffer, whatever the ranges, so what a step writes lies in other slots than what it reads.
 */

export interface Lifetime {
  readonly bytes: number;
  /** Step that writes the value. */
  readonly from: number;
  /** Last step that reads it (inclusive); infinite for values kept to the end. */
  to: number;
  /** Indices of the lifetimes that must lie in other slots. Mutual. */
  readonly apart: Set<number>;
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
  /** Largest number of bytes alive at one step. */
  readonly liveBytes: number;
}

/** What offsets in a buffer are multiples of, so that it can be bound there. */
const ALIGNMENT = 256;

/** So many slots are opened before one has to grow. With fewer, some step finds none that it may write to. */
const FEW = 16;

interface Tenant extends Lifetime {
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
 * Lee, 2020, section 5.2, with several buffers). Lifetimes must be sorted by `from`.
 *
 * @param most bytes that a slot may have, at least those of the largest value
 */
export function assignSlots(lifetimes: readonly Lifetime[], most: number): SlotAssignment {
  const slots: number[] = [];
  const tenants: Tenant[][] = [];
  const places = new Array<SlotPlace | undefined>(lifetimes.length);
  const bySize = lifetimes.map((_, index) => index).sort((a, b) => lifetimes[b]!.bytes - lifetimes[a]!.bytes || a - b);
  for (const index of bySize) {
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
    const next = others.findIndex((other) => other.offset > offset);
    others.splice(next < 0 ? others.length : next, 0, { ...lifetime, offset, end: offset + bytes });
    places[index] = { slot, offset };
  }
  return { slots, places: places as SlotPlace[], liveBytes: peak(lifetimes) };
}

const aligned = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

const overlap = (a: Lifetime, b: Lifetime) => a.from <= b.to && b.from <= a.to;

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

/** Largest number of bytes alive at one step. */
function peak(lifetimes: readonly Lifetime[]): number {
  let alive: Lifetime[] = [];
  let most = 0;
  for (const lifetime of lifetimes) {
    alive = alive.filter((other) => other.to >= lifetime.from);
    alive.push(lifetime);
    most = Math.max(
      most,
      alive.reduce((sum, other) => sum + other.bytes, 0),
    );
  }
  return most;
}
