// Faults planted in copies of the kernels, one at a time: each must be found, by the emulation's checks of memory and
// barriers or by a wrong number. What does not find them here would not find them in earnest.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { conformanceCases } from "@polyllama/conformance";
import { full } from "@polyllama/test-support/full";
import { afterAll, expect, test } from "vitest";
import { buildEmulation } from "../emulation/build.ts";
import { kernelFolder } from "../scripts/kernel-list.ts";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated } from "./support.ts";

interface Fault {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** The case that must fail. */
  readonly address: string;
}

const linear = (format: string, n: number, k: number, m: number) =>
  `op:linear:format=${format};n=${n};k=${k};m=${m};input=normal`;
const attention = (scenario: string) => `op:attention:heads=8;kvHeads=2;d=64;scenario=${scenario};input=normal`;

const faults: readonly Fault[] = [
  {
    name: "a missing barrier before staged inputs are read",
    file: "gemv.cu",
    from: "    __syncthreads();\n    const uint32_t end",
    to: "    const uint32_t end",
    address: linear("f32", 1, 64, 33),
  },
  {
    name: "a missing barrier before a tile is overwritten",
    file: "gemm.cu",
    from: "if (u > 0) __syncthreads();",
    to: "",
    address: linear("f32", 17, 64, 65),
  },
  {
    name: "a missing barrier in a sum over warps",
    file: "rms_norm.cu",
    from: "  __syncthreads();\n",
    to: "",
    address: "op:rmsNorm",
  },
  {
    name: "a wrong lane",
    file: "gemv.cu",
    from: "staged(quad_column(u, i) - c * 32)",
    to: "staged(quad_column(u ^ 1, i) - c * 32)",
    address: linear("q6_k", 1, 256, 33),
  },
  {
    name: "swapped halves of a unit",
    file: "gemv.cu",
    from: "unit_scale(unit[side][r], half)",
    to: "unit_scale(unit[side][r], 1 - half)",
    address: linear("q6_k", 1, 256, 33),
  },
  {
    name: "a tail of outputs that is not masked",
    file: "gemm.cu",
    from: "if (n >= P.N || m >= P.M) continue;",
    to: "",
    address: linear("f32", 17, 64, 65),
  },
  {
    name: "a tail of keys that is not masked",
    file: "attention_split.cu",
    from: "present[u] = n < end;",
    to: "present[u] = true;",
    address: attention("prefill-decode"),
  },
  {
    name: "sums of a block's warps that are not brought to one scale",
    file: "attention_split.cu",
    from: "s = fmaf(factor[i], sums",
    to: "s = fmaf(1.0f, sums",
    address: attention("full-window"),
  },
  {
    name: "a missing barrier before warps' sums are read",
    file: "attention_split.cu",
    from: "  __syncthreads();\n",
    to: "",
    address: attention("prefill-decode"),
  },
  {
    name: "keys behind a row's position that are not masked",
    file: "attention_rows.cu",
    from: "> positions[line + a] ?",
    to: "> positions[lines - 1] ?",
    address: attention("prefill"),
  },
  {
    name: "a missing barrier before values are read",
    file: "attention_rows.cu",
    from: "      __syncthreads();\n      if (!active || chunk",
    to: "      if (!active || chunk",
    address: attention("prefill"),
  },
  {
    name: "a position that is not read anew at every launch of a graph",
    file: "attention_split.cu",
    from: "  const uint32_t length = ",
    to: "  static const uint32_t length = ",
    address: attention("prefill-decode"),
  },
  {
    name: "a cache that is written one position late",
    file: "rope_cache.cu",
    from: "* kv_block_rows + row.position % kv_block_rows;",
    to: "* kv_block_rows + row.position % kv_block_rows + 1;",
    address: attention("one-key"),
  },
  {
    name: "a shuffle without one of its lanes",
    file: "rms_norm.cu",
    from: "  squares = warp_sum(squares);",
    to: "  if (threadIdx.x == 7) return;\n  squares = warp_sum(squares);",
    address: "op:rmsNorm",
  },
  {
    name: "weights of a softmax that are not rescaled",
    file: "attention_split.cu",
    from: "s = make_float4(s.x * factor, s.y * factor, s.z * factor, s.w * factor);",
    to: "",
    address: attention("full-window"),
  },
  {
    name: "swapped halves of a fragment",
    file: "gemm_mma.cu",
    from: "b[j] = {{v[0], v[1]}};",
    to: "b[j] = {{v[1], v[0]}};",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "rows of a fragment in the wrong order",
    file: "gemm_mma.cu",
    from: "piece(lane & 15, k * 2 + (lane >> 4))",
    to: "piece(lane >> 1, k * 2 + (lane & 1))",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "a copy that nobody waits for",
    file: "gemm_mma.cu",
    from: "copies_wait<STAGES - 2>();",
    to: "",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "a wait for one group of copies too few",
    file: "gemm_mma.cu",
    from: "copies_wait<STAGES - 2>",
    to: "copies_wait<STAGES - 1>",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "a missing barrier between stages",
    file: "gemm_mma.cu",
    from: "__syncthreads();\n      fetch",
    to: "fetch",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "a stage that is overwritten while others read it",
    file: "gemm_mma.cu",
    from: "stage == 0 ? STAGES - 1 : stage - 1",
    to: "stage",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "copies from addresses that are no multiples of 16",
    file: "gemm_mma.cu",
    from: "x_rows[i] + column",
    to: "x_rows[i] + column + 1",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "rows of a tile that are not there",
    file: "gemm_mma.cu",
    from: "min(n0 + from + i * APART, P.N - 1)",
    to: "(n0 + from + i * APART)",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "rows of a tile that are written though they are not there",
    file: "gemm_mma.cu",
    from: "if (n >= P.N || m >= P.M) break;",
    to: "if (m >= P.M) break;",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "a tile without one of a warp's lanes",
    file: "gemm_mma.cu",
    from: "mma_f16(sum[i][j], a[i], b[j]);",
    to: "if (lane != 7) mma_f16(sum[i][j], a[i], b[j]);",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "the scale of the other half of a unit",
    file: "gemm_mma.cu",
    from: "unit_scale(unit, HALF)",
    to: "unit_scale(unit, 1 - HALF)",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "the exponent of another row",
    file: "gemm_mma.cu",
    from: "power_of_two(P.exponents[source])",
    to: "power_of_two(P.exponents[source] + (source == 3 ? 1 : 0))",
    address: linear("q6_k", 17, 256, 65),
  },
  {
    name: "inputs that are cut off instead of rounded",
    file: "round_rows.cu",
    from: "half_bits(value(k) * scale)",
    to: "half_bits(__uint_as_float(__float_as_uint(value(k) * scale) & 0xffffe000u))",
    address: "op:linear:format=q6_k;n=9;k=512;m=48;input=one-hot",
  },
];

await describeWithEmulation("planted faults are found", (clean) => {
  const folders: string[] = [];
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
    clean.control.reset();
  });

  test.each(faults)("is there to be planted: $name", ({ file, from }) => {
    expect(readFileSync(join(kernelFolder, file), "utf8").split(from)).toHaveLength(2);
  });

  // Each is compiled anew, which takes seconds.
  test.each(faults.filter((_, i) => full || i % 3 === 0))(
    "$name",
    { timeout: 120_000 },
    async ({ file, from, to, address }) => {
      const folder = mkdtempSync(join(tmpdir(), "polyllama-kernels-"));
      folders.push(folder);
      cpSync(kernelFolder, folder, { recursive: true });
      const text = readFileSync(join(folder, file), "utf8");
      writeFileSync(join(folder, file), text.replace(from, to));
      const needed = (name: string): boolean =>
        !/_/.test(name) || /^(attention|rope|rms|round|gather)_|_(f32|q6_k)$/.test(name);
      const emulation = await buildEmulation(folder, needed);
      emulation.control.reset();
      const { run } = conformanceCases().find((entry) => entry.address.startsWith(address))!;
      const backend = cuda(emulated(emulation));
      const { status, detail } = await run(backend, 1);
      expect(`${detail}\n${emulation.control.reports()}`.trim()).not.toBe("");
      expect(status).toBe("failed");
      await backend[Symbol.asyncDispose]();
    },
  );
});
