// KV blocks in the host's memory: what is written comes back, block by block, and goes out and in as bytes.

import type { RealArray } from "@polyllama/core";
import { HostBlocks } from "@polyllama/planner";
import { describe, expect, test } from "vitest";
import { hostCacheBytes } from "../../src/host/blocks.ts";

const spec = [
  { kvHeads: 1, headDim: 2 },
  { kvHeads: 2, headDim: 1 },
];
const rows = 4;
const table = Uint32Array.of(2, 0);

/** Rows of two numbers, all different. */
function numbers(count: number, from = 1): Float32Array {
  return Float32Array.from({ length: 2 * count }, (_, i) => from + i);
}

function blocks(count = 3): HostBlocks<Float32Array> {
  return new HostBlocks<Float32Array>(Float32Array, spec, count, { rows });
}

describe("rows", () => {
  test("come back in order, from all blocks of the sequence", () => {
    const made = blocks();
    for (const attention of [0, 1]) {
      const [k, v] = [numbers(3, 10 * attention), numbers(3, -10 - 10 * attention)];
      expect(made.write(table, attention, 0, k, v)).toEqual({ k, v });
    }
    const past = made.write(table, 1, 3, numbers(5, 50), numbers(5, 70));
    expect(past.k).toEqual(Float32Array.of(...numbers(3, 10), ...numbers(5, 50)));
    expect(past.v).toEqual(Float32Array.of(...numbers(3, -20), ...numbers(5, 70)));
  });

  test("that are written again after a rewind are the new ones", () => {
    const made = blocks();
    made.write(table, 0, 0, numbers(6), numbers(6, 20));
    const past = made.write(table, 0, 2, numbers(1, 100), numbers(1, 200));
    expect(past.k).toEqual(Float32Array.of(...numbers(2), ...numbers(1, 100)));
    expect(past.v).toEqual(Float32Array.of(...numbers(2, 20), ...numbers(1, 200)));
  });

  test("are rounded to what the format keeps", () => {
    const round = (values: RealArray): void => {
      for (const [i, value] of values.entries()) values[i] = Math.round(value);
    };
    const made = new HostBlocks(Float64Array, spec, 1, { rows, format: "f16", round });
    const { k, v } = made.write(Uint32Array.of(0), 0, 0, Float64Array.of(0.6, 1.2), Float64Array.of(-0.6, 7));
    expect([k, v]).toEqual([Float64Array.of(1, 1), Float64Array.of(-1, 7)]);
  });
});

test("tokens are kept by position", () => {
  const made = blocks();
  made.writeTokens(table, 0, Int32Array.of(5, 6, 7));
  made.writeTokens(table, 3, Int32Array.of(8, 9));
  expect(made.tokens(table, 5)).toEqual(Int32Array.of(5, 6, 7, 8, 9));
});

test("a copy of a block has all that was in it, and changes alone", () => {
  const made = blocks();
  made.writeTokens(table, 0, Int32Array.of(5, 6, 7, 8));
  for (const attention of [0, 1]) made.write(table, attention, 0, numbers(4), numbers(4, 20));
  made.copy({ from: 2, to: 1 });
  const fork = Uint32Array.of(1);
  for (const attention of [0, 1]) {
    made.write(table, attention, 3, numbers(1, 100), numbers(1, 100));
    expect(made.write(fork, attention, 4, new Float32Array(0), new Float32Array(0))).toEqual({
      k: numbers(4),
      v: numbers(4, 20),
    });
  }
  expect(made.tokens(fork, 4)).toEqual(Int32Array.of(5, 6, 7, 8));
});

describe("memory", () => {
  test("is taken by blocks that are written", () => {
    const made = blocks();
    const blockBytes = rows * (4 * 8 + 4); // keys and values of two attentions of two numbers, and a token
    expect([made.bytes, made.allocated, hostCacheBytes(Float32Array, spec)]).toEqual([3 * blockBytes, 0, 36]);
    made.write(table, 0, 0, numbers(5), numbers(5));
    expect(made.allocated).toBe(2 * blockBytes);
    made.free();
    expect(made.allocated).toBe(0);
  });
});

describe("exported bytes", () => {
  async function exported(): Promise<Uint8Array> {
    const made = blocks();
    made.writeTokens(table, 0, Int32Array.of(5, 6, 7, 8, 9));
    for (const attention of [0, 1]) {
      made.write(table, attention, 0, numbers(5, 10 * attention), numbers(5, 30 + 10 * attention));
    }
    return made.export([...table], 5);
  }

  test("hold a sequence for other blocks, wherever they begin in memory", async () => {
    const bytes = await exported();
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    const made = blocks();
    expect(made.lengthOf(bytes)).toBe(5);
    await made.import([1, 2], shifted.subarray(1));
    const target = Uint32Array.of(1, 2);
    expect(made.tokens(target, 5)).toEqual(Int32Array.of(5, 6, 7, 8, 9));
    const none = new Float32Array(0);
    for (const attention of [0, 1]) {
      expect(made.write(target, attention, 5, none, none)).toEqual({
        k: numbers(5, 10 * attention),
        v: numbers(5, 30 + 10 * attention),
      });
    }
  });

  test("of another shape, format, precision or length are refused", async () => {
    const bytes = await exported();
    const others = [
      new HostBlocks(Float32Array, [...spec].reverse(), 3, { rows }),
      new HostBlocks(Float32Array, spec, 3, { rows, format: "bf16" }),
      new HostBlocks(Float64Array, spec, 3, { rows }),
    ];
    for (const other of others)
      expect(() => other.lengthOf(bytes)).toThrow(/no sequence of this pool's device, attentions and format/);
    for (const wrong of [bytes.subarray(0, -4), new Uint8Array(3), new Uint8Array(0)]) {
      expect(() => blocks().lengthOf(wrong)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    }
  });
});
