// NVIDIA cards, for `doctor`: what the driver says of each, and which of the published models fit into what is free.

import type { CudaStatus } from "@polyllama/backend-cuda";
import { type FormatName, formatBytes, llamaGraph, type PresetName, presets } from "@polyllama/core";

export type CudaCard = Extract<CudaStatus, { readonly available: true }> & { readonly number: number };
export type CudaCards =
  | { readonly available: true; readonly cards: readonly CudaCard[] }
  | { readonly available: false; readonly reason: string };

const fitFormats = ["f16", "q8_0", "q4_k", "q4_0"] as const satisfies readonly FormatName[];
const fitPresets = ["llama-2-7b", "llama-2-13b", "llama-2-70b"] as const satisfies readonly PresetName[];
/** Kernels, activations and what the driver itself keeps. */
const besides = 512 * 2 ** 20;

/** All cards that can be used, or why there is none. */
export async function cudaCards(): Promise<CudaCards> {
  try {
    const { cuda } = await import("@polyllama/backend-cuda");
    const cards: CudaCard[] = [];
    for (let device = 0; ; device++) {
      const status = cuda.available({ device });
      if (status.available) cards.push({ ...status, number: device });
      else if (device === 0) return status;
      else return { available: true, cards };
    }
  } catch (error) {
    return { available: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** One line for each card. */
export function describeCard({ number, device, computeCapability, driver, memory }: CudaCard): string {
  const [free, total] = [memory.free, memory.total].map((value) => (value / 2 ** 30).toFixed(1));
  return `${number}: ${device}, compute capability ${computeCapability}, ${free} of ${total} GiB free, driver for CUDA ${driver}`;
}

/** Bytes of a model's weights, and of a cache of its whole context in f32, as `Llama` keeps it. */
function modelBytes(preset: PresetName, format: FormatName): number {
  const config = presets[preset];
  const weights = llamaGraph(config).weights.reduce((sum, { shape }) => {
    const elements = shape.reduce((product, size) => product * size, 1);
    return sum + formatBytes(shape.length === 1 ? "f32" : format, elements);
  }, 0);
  return weights + 4 * 2 * config.layers * config.kvHeads * config.headDim * config.contextLength;
}

/** The published models that fit into so much memory with their full context, as `llama-2-7b: q8_0, q4_k, q4_0`. */
export function whatFits(free: number): readonly string[] {
  return fitPresets.map((preset) => {
    const fitting = fitFormats.filter((format) => modelBytes(preset, format) + besides <= free);
    return `${preset}: ${fitting.length === 0 ? "does not fit" : fitting.join(", ")}`;
  });
}
