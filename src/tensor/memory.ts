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
 * Greedy best fit in order of birth: the smallest free slot that is large enough, else the largest free slot, grown,
 * else a new one. Lifetimes must be sorted by `from`.
 */
export function assignSlots(lifetimes: readonly Lifetime[]): SlotAssignment {
  const slots: number[] = [];
  const busyUntil: number[] = [];
  const slotOf: number[] = [];
  let alive: Lifetime[] = [];
  let liveBytes = 0;
  for (const [index, lifetime] of lifetimes.entries()) {
    const slot = chooseSlot(lifetime, slots, busyUntil);
    slots[slot] = Math.max(slots[slot] ?? 0, lifetime.bytes);
    busyUntil[slot] = lifetime.to;
    slotOf[index] = slot;

    alive = alive.filter((other) => other.to >= lifetime.from);
    alive.push(lifetime);
    liveBytes = Math.max(
      liveBytes,
      alive.reduce((sum, other) => sum + other.bytes, 0),
    );
  }
  return { slots, slotOf, liveBytes };
}

function chooseSlot(lifetime: Lifetime, slots: readonly number[], busyUntil: readonly number[]): number {
  let fitting = -1;
  let largest = -1;
  for (let slot = 0; slot < slots.length; slot++) {
    if (busyUntil[slot]! >= lifetime.from) continue;
    const bytes = slots[slot]!;
    if (bytes >= lifetime.bytes && (fitting < 0 || bytes < slots[fitting]!)) fitting = slot;
    if (largest < 0 || bytes > slots[largest]!) largest = slot;
  }
  if (fitting >= 0) return fitting;
  return largest >= 0 ? largest : slots.length;
}
