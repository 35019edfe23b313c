// What this backend rounds beyond exact arithmetic, for conformance, and where each statement comes from.

import type { ProductRounding, RoundingProfile, SumTruncation } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { tensorCoreHeads } from "./kernels/attention_tiles.ts";
import { decodeRows, tensorCoreFormats } from "./modes.ts";
import type { CudaOptions } from "./options.ts";

const truncation: Omit<SumTruncation, "columns"> = { unit: 2 ** -23, group: 4 };

const tensorCores: NonNullable<RoundingProfile["tensorCores"]> = {
  fromRows: decodeRows + 1,
  formats: tensorCoreFormats,
  roundedWeights: tensorCoreFormats.filter((format) => formats[format].blockSize > 1),
  unit: 2 ** -11,
  least: 2 ** -39,
  truncation: { ...truncation, columns: 128 },
  attention: { caches: ["f16"], ...tensorCoreHeads },
};

/** Terms are summed in order, but within an instruction's sixteen. */
const bf16Products: ProductRounding = {
  formats: ["f32"],
  unit: 2 ** -8,
  least: 2 ** -134,
  truncation: { ...truncation, columns: 16 },
};

const truncationSource =
  "Fasi, Higham, Mikaitis and Pranesh, Numerical behavior of NVIDIA tensor cores, PeerJ Computer Science 7:e330, 2021: " +
  "products are exact; a sum of four products (more on later cards) and the accumulator is cut off, not rounded, at " +
  "24 bits of its largest addend (later cards keep more), and the result at 24 of its own.";

const bf16Sources: readonly string[] = [
  "kernels/product_bf16.cu: operands of linears and of their gradients in training are rounded to the nearest bf16, " +
    "whose least step is 2^-133; sums go through their terms in order.",
];

const tensorCoreSources: readonly string[] = [
  "kernels/round_rows.cu, gemm_mma.cu: inputs, and quantized weights, are rounded to the nearest f16 after a power of " +
    "two has brought the largest of their row to 2^14 or more; half of f16's least step, 2^-25, is then 2^-39 of it. " +
    "Weights of f16 and bf16 are exact but for that step.",
  "kernels/attention_mma.cu: with a cache in f16 queries are rounded alike, and the weights of softmax under 2^14, of " +
    "which the largest is 1.",
];

/** What a device with these options declares. */
export function roundings({ activations, cache, training }: ComputeOptions): RoundingProfile {
  const f16 = activations === "f16";
  const bf16 = training === "bf16";
  return {
    unit: 2 ** -24,
    flushesSubnormals: false,
    exp: 4,
    cache,
    ...(f16 && { tensorCores }),
    ...(bf16 && { trainingProducts: bf16Products }),
    sources: [
      "All sums in f32, by fused multiply-adds or by products and sums rounded one by one; kernels are compiled with " +
        "-fmad=false, so that products and sums fuse only where fmaf is written.",
      "CUDA C++ Programming Guide, mathematical functions: expf and exp2f within 2 ulp, logf within 1; division and square " +
        "root round correctly without -use_fast_math.",
      "kernels/sequence_attention.cu: training computes attention in f32 whatever activations are.",
      "Quantized values are formed as ggml forms them; a scale is applied to a sum of at most 16 products of its quants.",
      "Cosines and sines: float64 on the host, rounded to f32 once.",
      ...(f16 ? tensorCoreSources : []),
      ...(bf16 ? bf16Sources : []),
      ...(f16 || bf16 ? [truncationSource] : []),
    ],
  };
}

/** The options that decide how numbers round. */
type ComputeOptions = Required<Pick<CudaOptions, "activations" | "cache" | "training">>;
