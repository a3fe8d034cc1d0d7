/**
 * Memory by liveness. Every value gets a whole-buffer slot; slots are reused once their value is dead. A value never
 * shares a slot with the inputs of the step that writes it, since a dispatch may not read and write one buffer.
 */

export interface Lifetime {
  readonly bytes: number;
  /** Step that writes the value. */
  readonly from: number;
  /** Last step that reads it (inclusive); infinite for values kept to the end. */
  to: number;
}

export interface SlotAssignment {
  /** Bytes of each slot. */
  readonly slots: readonly number[];
  /** Slot of each lifetime. */
  readonly slotOf: readonly number[];
  /** Largest number of bytes alive at one step. */
  readonly liveBytes: number;
}

/**
 * Greedy by size: values from the largest to the smallest, each into the first slot that is free for its whole life, else
 * into a new one. So a slot is as large as its first value and never grows ("Efficient memory management for deep
 * neural net inference", Pisarchyk and Lee, 2020, section 4.2). Lifetimes must be sorted by `from`.
 */
export function assignSlots(lifetimes: readonly Lifetime[]): SlotAssignment {
  const slots: number[] = [];
  const tenants: Lifetime[][] = [];
  const slotOf = new Array<number>(lifetimes.length);
  const bySize = lifetimes.map((_, index) => index).sort((a, b) => lifetimes[b]!.bytes - lifetimes[a]!.bytes || a - b);
  for (const index of bySize) {
    const lifetime = lifetimes[index]!;
    const free = tenants.findIndex((others) => others.every((other) => !overlap(other, lifetime)));
    const slot = free >= 0 ? free : slots.length;
    if (free < 0) {
      slots.push(lifetime.bytes);
      tenants.push([]);
    }
    tenants[slot]!.push(lifetime);
    slotOf[index] = slot;
  }
  return { slots, slotOf, liveBytes: peak(lifetimes) };
}

const overlap = (a: Lifetime, b: Lifetime) => a.from <= b.to && b.from <= a.to;

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
