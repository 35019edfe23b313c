// The emulation's matrix instructions, by a kernel of this test: fragments that lanes fill by the PTX manual's tables,
// written down here once more, and fragments that ldmatrix fills from copies of matrices, plain and transposed. Whole
// numbers make every sum exact.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { struct, u32, u64 } from "@polyllama/planner";
import { afterAll, expect, test } from "vitest";
import { buildEmulation } from "../emulation/build.ts";
import { kernelFolder } from "../scripts/kernel-list.ts";
import { Gpu } from "../src/gpu.ts";
import { describeWithEmulation } from "./support.ts";

// In the place of the kernel "add". `how`: 0 by hand, 1 by ldmatrix from a [16, 16] and b [8, 16] (its columns as
// rows), 2 by transposing ldmatrix from a's and b's transposes [16, 16] and [16, 8].
const source = `
#include "mma.cuh"
KERNEL_FILE("add")
struct Parameters { const uint16_t *a; const uint16_t *b; float *y; uint32_t how, bf16; };
KERNEL(add, Parameters, 32) {
  SHARED(uint16_t, as, 256);
  SHARED(uint16_t, bs, 128);
  const int lane = threadIdx.x, group = lane >> 2, t = lane & 3;
  copy_async(as + lane * 8, P.a + lane * 8, true);
  if (lane < 16) copy_async(bs + lane * 8, P.b + lane * 8, true);
  copies_commit();
  copies_wait<0>();
  __syncthreads();
  FragmentA a;
  FragmentB b;
  if (P.how == 0) {
    const auto pair = [](const uint16_t *m, int row, int column) { return m[row * 16 + column] | uint32_t(m[row * 16 + column + 1]) << 16; };
    a.v[0] = pair(as, group, t * 2);
    a.v[1] = pair(as, group + 8, t * 2);
    a.v[2] = pair(as, group, t * 2 + 8);
    a.v[3] = pair(as, group + 8, t * 2 + 8);
    b.v[0] = pair(bs, group, t * 2);
    b.v[1] = pair(bs, group, t * 2 + 8);
  } else if (P.how == 1) {
    load_matrices(a.v, as + (lane & 15) * 16 + (lane >> 4) * 8);
    load_matrices(b.v, bs + (lane & 7) * 16 + ((lane >> 3) & 1) * 8);
  } else {
    load_matrices<true>(a.v, as + ((lane & 7) + (lane >> 4) * 8) * 16 + ((lane >> 3) & 1) * 8);
    load_matrices<true>(b.v, bs + (lane & 15) * 8);
  }
  FragmentC c = {{1, 1, 1, 1}};
  if (P.bf16) mma_bf16(c, a, b);
  else mma_f16(c, a, b);
  for (int i = 0; i < 4; i++) P.y[(group + i / 2 * 8) * 8 + t * 2 + i % 2] = c.v[i];
}`;

const parametersOf = struct({ a: u64, b: u64, y: u64, how: u32, bf16: u32 });

const folder = mkdtempSync(join(tmpdir(), "polyllama-mma-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Bits of a small whole number. */
function bits(value: number, bf16: boolean): number {
  const word = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  if (bf16) return word >>> 16;
  return value === 0 ? 0 : ((word >>> 16) & 0x8000) | ((((word >>> 23) & 255) - 112) << 10) | ((word >>> 13) & 1023);
}

await describeWithEmulation("matrix instructions", () => {
  test.each([
    { how: 0, what: "by hand" },
    { how: 1, what: "by ldmatrix" },
    { how: 2, what: "by transposing ldmatrix" },
  ])("fragments $what", async ({ how }) => {
    cpSync(kernelFolder, folder, { recursive: true });
    writeFileSync(join(folder, "add.cu"), source);
    const { control, library, images } = await buildEmulation(folder, (name) => name === "add");
    control.reset();
    const a = Array.from({ length: 256 }, (_, i) => ((i * 7) % 23) - 11); // [16, 16]
    const b = Array.from({ length: 128 }, (_, i) => ((i * 5) % 17) - 8); // [16, 8]
    const at = (values: readonly number[], width: number, transposed: boolean, i: number): number => {
      const height = values.length / width;
      return transposed ? values[(i % height) * width + Math.floor(i / height)]! : values[i]!;
    };
    const expected = Array.from({ length: 128 }, (_, i) =>
      Array.from({ length: 16 }, (_, k) => a[Math.floor(i / 8) * 16 + k]! * b[k * 8 + (i % 8)]!).reduce(
        (x, y) => x + y,
        1,
      ),
    );
    const gpu = new Gpu({ device: 0, library, images });
    for (const bf16 of [false, true]) {
      using host = gpu.allocateHost(1280, "tiles");
      using device = gpu.allocate(1280, "tiles");
      const given = new Uint16Array(host.buffer, 0, 384);
      for (let i = 0; i < 256; i++) given[i] = bits(at(a, 16, how === 2, i), bf16);
      for (let i = 0; i < 128; i++) given[256 + i] = bits(at(b, 8, how !== 2, i), bf16);
      gpu.copyToDevice(device.address, host.address, 768);
      const [aAt, bAt, yAt] = [device.address, device.address + 512n, device.address + 768n];
      const parameters = parametersOf.encode({ a: aAt, b: bAt, y: yAt, how, bf16: bf16 ? 1 : 0 });
      gpu.launch({ image: "add", kernel: "add", grid: [1, 1, 1], threads: 32, parameters });
      gpu.copyToHost(host.address, device.address + 768n, 512);
      await gpu.finished();
      expect(control.reports()).toBe("");
      expect([...new Float32Array(host.buffer, 0, 128)]).toEqual(expected);
    }
    gpu.dispose();
    expect(control.live()).toBe(0);
  });
});
