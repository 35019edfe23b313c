// Memory for the buffers of a plan, shared by those that are never in use at the same time. Two ways: whole buffers of
// equal size that are handed on, for devices that cannot bind parts of one buffer for reading and for writing; or
// places in one arena.

import type { Plan } from "./plan.ts";

type Shared = Pick<Plan, "buffers" | "lifetimes">;

/** A piece of memory that some buffers of a plan have in turn. */
export interface Slot {
  readonly bytes: number;
}

/**
 * Hands whole pieces of memory on from buffer to buffer of the same size.
 *
 * @param bytes Size of each buffer of the plan, by id.
 * @returns the slots, and by id which of them a buffer has.
 */
export function assignSlots(
  { buffers, lifetimes }: Shared,
  bytes: readonly number[],
): { readonly slots: readonly Slot[]; readonly slotOf: readonly number[] } {
  const slots: { readonly bytes: number; until: number }[] = [];
  const slotOf = new Array<number>(buffers.length);
  for (const id of byStart(lifetimes)) {
    const { first, last } = lifetimes[id]!;
    let slot = slots.findIndex((candidate) => candidate.bytes === bytes[id] && candidate.until < first);
    if (slot < 0) slot = slots.push({ bytes: bytes[id]!, until: -1 }) - 1;
    slots[slot]!.until = last;
    slotOf[id] = slot;
  }
  return { slots: slots.map((slot) => ({ bytes: slot.bytes })), slotOf };
}

/**
 * Places buffers in an arena so that no two that are in use at the same time overlap.
 *
 * @param sizes Of each buffer, by id, in any unit.
 * @returns offsets by id, and the arena's size, in the same unit.
 */
export function assignOffsets(
  { lifetimes }: Shared,
  sizes: readonly number[],
): { readonly offsets: readonly number[]; readonly size: number } {
  const offsets = new Array<number>(lifetimes.length);
  const placed: number[] = [];
  let size = 0;
  for (const id of byStart(lifetimes)) {
    const { first, last } = lifetimes[id]!;
    const taken = placed
      .filter((other) => lifetimes[other]!.first <= last && first <= lifetimes[other]!.last)
      .map((other) => [offsets[other]!, offsets[other]! + sizes[other]!] as const)
      .sort(([a], [b]) => a - b);
    let offset = 0;
    for (const [from, to] of taken) {
      if (offset + sizes[id]! <= from) break;
      offset = Math.max(offset, to);
    }
    offsets[id] = offset;
    placed.push(id);
    size = Math.max(size, offset + sizes[id]!);
  }
  return { offsets, size };
}

/** Buffers in the order in which they come into use. */
function byStart(lifetimes: Shared["lifetimes"]): readonly number[] {
  return [...lifetimes.keys()].sort((a, b) => lifetimes[a]!.first - lifetimes[b]!.first);
}
