import { cudaAssertions, f32, f64, struct, u32, u64, wgslStruct } from "@polyllama/planner";
import { describe, expect, test } from "vitest";

describe("struct", () => {
  const mixed = struct({ rows: u32, x: u64, eps: f32, y: u64, last: u32 });

  test("aligns each field to its size, and the whole to the largest", () => {
    expect(mixed.offsets).toEqual({ rows: 0, x: 8, eps: 16, y: 24, last: 32 });
    expect(mixed.size).toBe(40);
    expect(struct({ rows: u32, eps: f32 }).size).toBe(8);
  });

  test("encodes by name, little-endian, whatever the order of the values", () => {
    const bytes = mixed.encode({ last: 7, y: 2n ** 63n, eps: 1.5, x: 0x1122334455667788n, rows: 0xfffffffe });
    const view = new DataView(bytes);
    expect(view.getUint32(0, true)).toBe(0xfffffffe);
    expect(view.getBigUint64(8, true)).toBe(0x1122334455667788n);
    expect(view.getFloat32(16, true)).toBe(1.5);
    expect(view.getBigUint64(24, true)).toBe(2n ** 63n);
    expect(view.getUint32(32, true)).toBe(7);
    expect(new Uint8Array(bytes)[8]).toBe(0x88);
  });

  test("writes into larger buffers, and floats of 64 bits", () => {
    const entry = struct({ p: f64, seed: u32 });
    expect(entry.size).toBe(16);
    const view = new DataView(new ArrayBuffer(40));
    entry.write(view, 16, { p: 0.1, seed: 9 });
    expect(view.getFloat64(16, true)).toBe(0.1);
    expect(view.getUint32(24, true)).toBe(9);
    expect(view.getUint32(32, true)).toBe(0);
  });

  test.each([
    ["a fraction", { rows: 1.5 }],
    ["a negative number", { rows: -1 }],
    ["2^32", { rows: 2 ** 32 }],
    ["NaN", { rows: Number.NaN }],
  ])("%s does not fit u32", (_, values) => {
    expect(() => struct({ rows: u32 }).encode(values)).toThrow(/"rows" is a u32; it cannot be/);
  });

  test("2^64 does not fit u64, nor does -1", () => {
    for (const x of [2n ** 64n, -1n]) expect(() => struct({ x: u64 }).encode({ x })).toThrow(/"x" is a u64/);
  });

  test("declares itself in WGSL, which has no u64", () => {
    expect(wgslStruct("P", struct({ rows: u32, eps: f32 }))).toBe("struct P {\n  rows: u32,\n  eps: f32,\n}\n");
    expect(() => wgslStruct("P", mixed)).toThrow(/64-bit/);
  });

  test("asserts its layout in C++", () => {
    expect(cudaAssertions("P", struct({ rows: u32, x: u64 }))).toBe(
      [
        'static_assert(sizeof(P) == 16, "P");',
        'static_assert(offsetof(P, rows) == 0, "P.rows");',
        'static_assert(offsetof(P, x) == 8, "P.x");',
        "",
      ].join("\n"),
    );
  });
});
