// What this backend rounds beyond exact arithmetic, for conformance, and where each statement comes from.

import type { CacheFormat, RoundingProfile } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { tensorCoreHeads } from "./kernels/attention_tiles.ts";
import { decodeRows, tensorCoreFormats } from "./modes.ts";

const tensorCores: NonNullable<RoundingProfile["tensorCores"]> = {
  fromRows: decodeRows + 1,
  formats: tensorCoreFormats,
  roundedWeights: tensorCoreFormats.filter((format) => formats[format].blockSize > 1),
  unit: 2 ** -11,
  least: 2 ** -39,
  truncation: { unit: 2 ** -23, group: 4, columns: 128 },
  attention: { caches: ["f16"], ...tensorCoreHeads },
};

const tensorCoreSources: readonly string[] = [
  "kernels/round_rows.cu, gemm_mma.cu: inputs, and quantized weights, are rounded to the nearest f16 after a power of " +
    "two has brought the largest of their row to 2^14 or more; half of f16's least step, 2^-25, is then 2^-39 of it. " +
    "Weights of f16 and bf16 are exact but for that step.",
  "Fasi, Higham, Mikaitis and Pranesh, Numerical behavior of NVIDIA tensor cores, PeerJ Computer Science 7:e330, 2021: " +
    "products are exact; a sum of four products (more on later cards) and the accumulator is cut off, not rounded, at " +
    "24 bits of its largest addend (later cards keep more), and the result at 24 of its own.",
  "kernels/attention_mma.cu: with a cache in f16 queries are rounded alike, and the weights of softmax under 2^14, of " +
    "which the largest is 1.",
];

/** @param f16 Whether prompts go to tensor cores. */
export const roundings = (f16: boolean, cache: CacheFormat): RoundingProfile => ({
  unit: 2 ** -24,
  flushesSubnormals: false,
  exp: 4,
  cache,
  ...(f16 && { tensorCores }),
  sources: [
    "All sums in f32, by fused multiply-adds or by products and sums rounded one by one; kernels are compiled with " +
      "-fmad=false, so that products and sums fuse only where fmaf is written.",
    "CUDA C++ Programming Guide, mathematical functions: expf and exp2f within 2 ulp, logf within 1; division and square " +
      "root round correctly without -use_fast_math.",
    "kernels/sequence_attention.cu: training computes attention in f32 whatever activations are.",
    "Quantized values are formed as ggml forms them; a scale is applied to a sum of at most 16 products of its quants.",
    "Cosines and sines: float64 on the host, rounded to f32 once.",
    ...(f16 ? tensorCoreSources : []),
  ],
});
