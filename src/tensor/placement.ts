/** Where the values of a plan lie: in slots by their lifetimes, or within the values that hold them. */
import { describe, type Tensor } from './graph.js';
import {
  assignSlots,
  type Lifetime,
  type Piece,
  SLOT_ORDERS,
  type SlotAssignment,
  type SlotOrder,
  type SlotPlace,
} from './memory.js';
import type { AdapterFacts } from './op.js';
import { type Holders, partsInPlace, stepsInPlace, wholeOf, withoutReads } from './parts.js';
import type { Place, PlanStep } from './plan.js';
import { BUFFER_GRANULE, bytesOf, inGranules, megabytes, rootOf } from './storage.js';

export interface Placement {
  readonly steps: readonly PlanStep[];
  /** Bytes of each slot; every slot is a buffer of its own, which values share. */
  readonly slots: readonly number[];
  /** Place of a value (of the value an alias stands for). */
  place(tensor: Tensor): Place;
  /** Where scratch buffer `index` of step `step` lies. */
  scratchPlace(step: number, index: number): SlotPlace;
  /** Bytes that must be alive during each step. */
  readonly alive: readonly number[];
}

/** Slots grow no further than this: drivers refuse larger allocations sooner. */
const MOST_SLOT_BYTES = 2 ** 30;

/** So much more memory, as a share or in bytes, is worth the copies that parts in their places save. */
const WORTH = { share: 1 / 256, bytes: 2 ** 20 };

/** Assigns memory to the outputs and scratch buffers of steps. `kept` values live to the end. */
export function placeValues(steps: readonly PlanStep[], kept: readonly Tensor[], adapter: AdapterFacts): Placement {
  const { holders, valueAt, scratchAt, slots, places, alive } = assign(steps, kept, adapter);
  return {
    steps: stepsInPlace(steps, holders),
    slots,
    alive,
    place(tensor) {
      const root = rootOf(tensor);
      const { whole, offset } = wholeOf(root, holders);
      const value = valueAt.get(whole);
      if (value === undefined) return { source: root };
      const place = places[value]!;
      return { slot: place.slot, offset: place.offset + offset, pitch: holders.get(root)?.pitch };
    },
    scratchPlace: (step, index) => places[scratchAt[step]![index]!]!,
  };
}

interface Assigned extends SlotAssignment, Lifetimes {
  readonly holders: Holders;
}

/**
 * What holds parts is alive from the first of them on that is written, until the last is read, in one buffer, in which nothing can
 * lie that is read where they are written. Where all of that takes more memory, those hold parts, the largest first, with which it
 * does not.
 */
function assign(steps: readonly PlanStep[], kept: readonly Tensor[], adapter: AdapterFacts): Assigned {
  const most = Math.min(adapter.limits.maxStorageBufferBindingSize, MOST_SLOT_BYTES);
  const assigned = (holders: Holders, order?: SlotOrder): Assigned => {
    const left = withoutReads(steps, holders);
    const lifetimes = lifetimesOf(left, kept, holders, adapter);
    return { holders, ...lifetimes, ...assignSlots(lifetimes.lifetimes, left.length, most, order) };
  };
  const apart = assigned(new Map());
  const worth = bytesIn(apart) * (1 + WORTH.share) + WORTH.bytes;
  const assignedWith = (holders: Holders): Assigned | null => {
    const tried = SLOT_ORDERS.map((order) => assigned(holders, order));
    const best = tried.reduce((least, other) => (bytesIn(other) < bytesIn(least) ? other : least));
    return bytesIn(best) <= worth ? best : null;
  };
  const holders = partsInPlace(steps, kept);
  let found = assignedWith(holders);
  if (found) return found;
  const wholes = new Set([...holders.values()].map(({ whole }) => whole));
  const taken = new Set<Tensor>();
  for (const next of [...wholes].sort((a, b) => bytesOf(b) - bytesOf(a))) {
    const more = assignedWith(partsInPlace(steps, kept, (whole) => whole === next || taken.has(whole)));
    if (!more) continue;
    taken.add(next);
    found = more;
  }
  return found ?? apart;
}

const bytesIn = ({ slots }: SlotAssignment) => slots.reduce((sum, bytes) => sum + bytes, 0);

interface Lifetimes {
  readonly lifetimes: readonly Lifetime[];
  /** The lifetime of a value that no other holds. */
  readonly valueAt: ReadonlyMap<Tensor, number>;
  /** Those of the scratch buffers of each step. */
  readonly scratchAt: readonly (readonly number[])[];
}

function lifetimesOf(
  steps: readonly PlanStep[],
  kept: readonly Tensor[],
  holders: Holders,
  adapter: AdapterFacts,
): Lifetimes {
  const lifetimes: (Lifetime & { pieces?: readonly Piece[] })[] = [];
  const ranges = new Map<number, Piece[]>();
  const valueAt = new Map<Tensor, number>();
  const scratchAt: number[][] = [];
  const outermost = (tensor: Tensor) => wholeOf(rootOf(tensor), holders).whole;
  for (const [at, step] of steps.entries()) {
    const create = (bytes: number): number => {
      lifetimes.push({ bytes, from: at, to: at, apart: new Set() });
      return lifetimes.length - 1;
    };
    const written = new Set<number>();
    for (const tensor of step.outputs) {
      checkSize(tensor, adapter);
      // Among the columns of others it takes the place of all of them.
      const holder = holders.get(tensor);
      const taken = holder?.pitch === undefined ? tensor : holder.whole;
      // What holds others is alive from the first of them on.
      const { whole, offset } = wholeOf(taken, holders);
      const value = valueAt.get(whole) ?? create(bytesOf(whole));
      valueAt.set(whole, value);
      written.add(value);
      ranges.set(value, [...(ranges.get(value) ?? []), { offset, bytes: bytesOf(taken), from: at }]);
    }
    const scratch = step.scratch.map((bytes) => {
      if (bytes > adapter.limits.maxStorageBufferBindingSize)
        throw new Error(
          `${step.label}:${step.variant} needs a scratch buffer of ${megabytes(bytes)}, over the adapter's limit`,
        );
      return create(Math.max(BUFFER_GRANULE, inGranules(bytes)));
    });
    scratchAt.push(scratch);
    for (const value of scratch) written.add(value);
    const read = step.inputs.map((tensor) => valueAt.get(outermost(tensor))).filter((value) => value !== undefined);
    for (const value of [...read, ...written]) lifetimes[value]!.to = at;
    // A step of several dispatches may read what it has written: its outputs and scratch buffers lie apart as well.
    for (const value of written)
      for (const other of [...read, ...written])
        if (other !== value) {
          lifetimes[value]!.apart.add(other);
          lifetimes[other]!.apart.add(value);
        }
  }
  for (const tensor of kept) lifetimes[valueAt.get(outermost(tensor))!]!.to = Number.POSITIVE_INFINITY;
  for (const [value, written] of ranges) if (written.length > 1) lifetimes[value]!.pieces = piecesOf(written);
  return { lifetimes, valueAt, scratchAt };
}

/** Of ranges within ranges, each byte by the first that it is in. */
function piecesOf(ranges: readonly Piece[]): Piece[] {
  const cuts = [...new Set(ranges.flatMap(({ offset, bytes }) => [offset, offset + bytes]))].sort((a, b) => a - b);
  return cuts.slice(1).map((end, i) => {
    const offset = cuts[i]!;
    const first = ranges.find((range) => range.offset <= offset && range.offset + range.bytes >= end)!;
    return { offset, bytes: end - offset, from: first.from };
  });
}

function checkSize(tensor: Tensor, adapter: AdapterFacts): void {
  const limit = adapter.limits.maxStorageBufferBindingSize;
  if (bytesOf(tensor) > limit)
    throw new Error(
      `${describe(tensor)} takes ${megabytes(bytesOf(tensor))}, over this adapter's largest binding of ${megabytes(limit)}: use a smaller batch or crop`,
    );
}
