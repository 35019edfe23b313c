// Memory that is handed on: used again for what is nearly as large, and never more than was taken at once.

import { MemoryError } from "@polyllama/core";
import { RecycledMemory } from "@polyllama/planner";
import { expect, test } from "vitest";

interface Piece {
  readonly bytes: number;
  freed: boolean;
}

function setUp({ most = Number.POSITIVE_INFINITY } = {}) {
  const device = { room: Number.POSITIVE_INFINITY };
  const made: Piece[] = [];
  const refused = new Set<Piece>();
  const held = (): number => made.reduce((sum, { bytes, freed }) => sum + (freed ? 0 : bytes), 0);
  const memory = new RecycledMemory<Piece>({
    allocate(bytes) {
      if (held() + bytes > device.room) throw new MemoryError("a tensor", bytes, "no");
      const piece = { bytes, freed: false };
      made.push(piece);
      return piece;
    },
    free(piece) {
      expect(piece.freed).toBe(false);
      piece.freed = true;
    },
    isUsable: (piece) => !refused.has(piece),
    most,
  });
  return { memory, device, made, refused, held };
}

test("what was given back is taken again for sizes that differ a little, at most an eighth of it unused", () => {
  const { memory, made } = setUp();
  using _ = memory.use();
  for (let bytes = 1_000_000; bytes > 990_000; bytes -= 1000) memory.give(memory.take(bytes));
  expect(made).toHaveLength(1);
  for (const bytes of [1, 4096, 4097, 70_000, 1_000_001, 3e9]) {
    const { bytes: got } = memory.take(bytes);
    expect(got).toBeGreaterThanOrEqual(bytes);
    expect(got).toBeLessThanOrEqual(Math.max(bytes + 4096, bytes * 1.126));
  }
});

test("batches of all lengths hold no more than the largest took, and the last program frees all", () => {
  const { memory, held } = setUp();
  const [first, second] = [memory.use(), memory.use()];
  let peak = 0;
  for (let step = 0; step < 300; step++) {
    const rows = 1 + ((step * 1597) % 4096); // in no order
    const taken = [256, 256, 1344, 6144].map((width) => memory.take(4 * width * rows));
    peak = Math.max(
      peak,
      taken.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    for (const piece of taken) memory.give(piece);
    expect(memory.bytes).toBe(held());
    expect(held()).toBeLessThanOrEqual(peak);
  }
  first[Symbol.dispose]();
  expect(held()).toBeGreaterThan(0);
  const kept = memory.take(100);
  second[Symbol.dispose]();
  expect(held()).toBe(kept.bytes);
  memory.give(kept);
  expect([held(), memory.bytes]).toEqual([0, 0]);
});

test("where the device has no room, what is free makes some", () => {
  const { memory, device, held } = setUp();
  using _ = memory.use();
  const small = Array.from({ length: 90 }, () => memory.take(4096));
  for (const piece of small) memory.give(piece);
  device.room = 70 * 4096; // others took the rest
  const large = memory.take(60 * 4096);
  expect(held()).toBe(large.bytes);
  expect(() => memory.take(60 * 4096)).toThrow(MemoryError);
});

test("what the device refused is not handed on, and rounding keeps to the largest that there may be", () => {
  const { memory, refused } = setUp({ most: 1_000_000 });
  using _ = memory.use();
  const piece = memory.take(999_990);
  expect(piece.bytes).toBeLessThanOrEqual(1_000_000);
  memory.give(piece);
  refused.add(piece);
  expect(memory.take(999_990)).not.toBe(piece);
});
