import { assignOffsets, assignSlots, type Lifetime, type Plan } from "@polyllama/planner";
import { describe, expect, test } from "vitest";
import { placesOf } from "../src/plan/lifetimes.ts";
import { model, planned, preferring, request } from "./support.ts";

const { plan } = planned(model, request({ selected: ["logits"] }), preferring());

function overlap(a: Lifetime, b: Lifetime): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** Pairs of buffers that are in use at the same time. */
function together({ lifetimes }: Plan): readonly (readonly [number, number])[] {
  const ids = [...lifetimes.keys()];
  return ids.flatMap((a) =>
    ids.filter((b) => a < b && overlap(lifetimes[a]!, lifetimes[b]!)).map((b) => [a, b] as const),
  );
}

describe("lifetimes", () => {
  test("reach from the first step that has a buffer to the last", () => {
    for (const { id } of plan.buffers) {
      const used = plan.steps.flatMap((step, at) =>
        placesOf(step).some(({ buffer }) => buffer.id === id) ? [at] : [],
      );
      expect(plan.lifetimes[id]!.first).toBe(used[0]);
      expect([used.at(-1), Number.POSITIVE_INFINITY]).toContain(plan.lifetimes[id]!.last);
    }
  });
});

describe("memory of buffers", () => {
  const bytes = plan.buffers.map(({ stride }) => 4 * stride);

  test("in slots is handed on among equal sizes, never to one that is in use", () => {
    const { slots, slotOf } = assignSlots(plan, bytes);
    for (const { id } of plan.buffers) expect(slots[slotOf[id]!]!.bytes).toBe(bytes[id]);
    for (const [a, b] of together(plan)) expect(slotOf[a]).not.toBe(slotOf[b]);
    expect(slots.length).toBeLessThan(plan.buffers.length);
  });

  test("in an arena does not overlap while it is in use, and takes less than all", () => {
    const { offsets, size } = assignOffsets(plan, bytes);
    for (const [a, b] of together(plan)) {
      const apart = offsets[a]! + bytes[a]! <= offsets[b]! || offsets[b]! + bytes[b]! <= offsets[a]!;
      expect(apart, `${a} and ${b}`).toBe(true);
    }
    for (const { id } of plan.buffers) expect(offsets[id]! + bytes[id]!).toBeLessThanOrEqual(size);
    expect(size).toBeLessThan(bytes.reduce((sum, one) => sum + one, 0));
  });

  test("goes into a gap where it fits", () => {
    const lifetimes = [
      { first: 0, last: 1 },
      { first: 0, last: 9 },
      { first: 2, last: 3 },
      { first: 2, last: 3 },
    ];
    const buffers = lifetimes.map((_, id) => ({ id, rows: "all" as const, stride: 4 }));
    expect(assignOffsets({ buffers, lifetimes }, [4, 2, 3, 1])).toEqual({ offsets: [0, 4, 0, 3], size: 6 });
    expect(assignSlots({ buffers, lifetimes }, [4, 2, 4, 4])).toEqual({
      slots: [{ bytes: 4 }, { bytes: 2 }, { bytes: 4 }],
      slotOf: [0, 1, 0, 2],
    });
  });
});
