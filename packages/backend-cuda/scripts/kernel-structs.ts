// The structs that host and kernels share, as assertions for the CUDA files that declare them: one header per file in
// src/kernels/asserts/, written by `npm run build:kernels`. A kernel whose struct differs from what launches write does
// not compile.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cudaAssertions } from "@polyllama/planner";
import * as adamW from "../src/kernels/adamw.ts";
import * as attentionGrad from "../src/kernels/attention_grad.ts";
import { combineStructs, partKeys, splitStructs } from "../src/kernels/attention_split.ts";
import * as attentionTiles from "../src/kernels/attention_tiles.ts";
import * as elementwise from "../src/kernels/elementwise.ts";
import * as embedding from "../src/kernels/embedding.ts";
import * as embeddingGrad from "../src/kernels/embedding_grad.ts";
import * as gatherRows from "../src/kernels/gather_rows.ts";
import * as gemm from "../src/kernels/gemm.ts";
import * as gemmMma from "../src/kernels/gemm_mma.ts";
import * as gemv from "../src/kernels/gemv.ts";
import * as inputGrad from "../src/kernels/input_grad.ts";
import * as logProbability from "../src/kernels/log_probability.ts";
import * as normGrad from "../src/kernels/norm_grad.ts";
import * as productBf16 from "../src/kernels/product_bf16.ts";
import * as repack from "../src/kernels/repack.ts";
import * as rmsNorm from "../src/kernels/rms_norm.ts";
import * as rope from "../src/kernels/rope.ts";
import * as ropeCache from "../src/kernels/rope_cache.ts";
import * as roundRows from "../src/kernels/round_rows.ts";
import * as row from "../src/kernels/row.ts";
import * as sample from "../src/kernels/sample.ts";
import * as scale from "../src/kernels/scale.ts";
import * as sequenceAttention from "../src/kernels/sequence_attention.ts";
import * as sumOfSquares from "../src/kernels/sum_of_squares.ts";
import * as swigluGrad from "../src/kernels/swiglu_grad.ts";
import * as tensorPeak from "../src/kernels/tensor_peak.ts";
import * as weightGrad from "../src/kernels/weight_grad.ts";
import type { KernelStructs } from "../src/launch.ts";
import { kernelFolder } from "./kernel-list.ts";

/** By the header that asserts them. */
const structs: Readonly<Record<string, KernelStructs>> = {
  adamw: adamW.structs,
  attention_combine: combineStructs,
  attention_grad: attentionGrad.structs,
  attention_split: splitStructs,
  attention_tiles: attentionTiles.structs,
  elementwise: elementwise.structs,
  embedding: embedding.structs,
  embedding_grad: embeddingGrad.structs,
  gather_rows: gatherRows.structs,
  gemm: gemm.structs,
  gemm_mma: gemmMma.structs,
  gemm_mma_exponents: gemmMma.exponentStructs,
  gemv: gemv.structs,
  input_grad: inputGrad.structs,
  log_probability: logProbability.structs,
  norm_grad: normGrad.structs,
  product_bf16: productBf16.structs,
  repack: repack.structs,
  rms_norm: rmsNorm.structs,
  rope: rope.structs,
  rope_cache: ropeCache.structs,
  round_rows: roundRows.structs,
  row: row.structs,
  sample: sample.structs,
  scale: scale.structs,
  sequence_attention: sequenceAttention.structs,
  sum_of_squares: sumOfSquares.structs,
  swiglu_grad: swigluGrad.structs,
  tensor_peak: tensorPeak.structs,
  weight_grad: weightGrad.structs,
};

/** Numbers that both have, by the header that asserts them and their names in CUDA. */
const constants: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  attention_split: { part_keys: partKeys },
  row: { kv_block_rows: row.kvBlockRows },
};

export const assertFolder: string = join(kernelFolder, "asserts");

/** Text of every header, by file name. */
export function assertHeaders(): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(structs).map(([name, members]) => {
      const assertions = Object.entries(members).map(([struct, declared]) => cudaAssertions(struct, declared));
      const numbers = Object.entries(constants[name] ?? {}).map(
        ([constant, value]) => `static_assert(${constant} == ${value}, "${constant}");\n`,
      );
      const text = [...assertions, ...numbers].join("");
      return [`${name}.cuh`, `// Written by scripts/kernel-structs.ts.\n${text}`];
    }),
  );
}

export function writeAssertHeaders(): void {
  mkdirSync(assertFolder, { recursive: true });
  for (const [name, text] of assertHeaders()) writeFileSync(join(assertFolder, name), text);
}
