// The kernels that are built, for cards and for the emulation: one source file each, those over weights once for every
// format. A kernel's hash covers its source, what that includes, and the compiler's flags, and is what images are
// checked by.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FormatName } from "@polyllama/core";
import { formats } from "@polyllama/formats";

export interface KernelSource {
  /** Of the image: "gemv_q4_0". */
  readonly name: string;
  /** Path of the .cu file. */
  readonly path: string;
  readonly defines: readonly string[];
  /** Least compute capability, times ten. */
  readonly least: number;
}

export const kernelFolder: string = fileURLToPath(new URL("../src/kernels/", import.meta.url));

const perFormat = ["gemv", "gemm", "embedding", "input_grad"];
/** For tensor cores as cards have them from compute capability 8.0 on; f32 weights are not for them. */
const tensorCores = "gemm_mma";
const plain = [
  "repack",
  "gather_rows",
  "rms_norm",
  "round_rows",
  "rope",
  "rope_cache",
  "attention_rows",
  "attention_split",
  "attention_combine",
  "swiglu",
  "add",
  "sample",
  "weight_grad",
  "norm_grad",
  "swiglu_grad",
  "embedding_grad",
  "log_probability",
  "sequence_attention",
  "attention_grad",
  "scale",
  "sum_of_squares",
  "adamw",
];

export function kernelSources(folder: string = kernelFolder): readonly KernelSource[] {
  const formatNames = Object.keys(formats) as FormatName[]; // the record's own keys
  const ofFormat = (file: string, format: FormatName, least: number): KernelSource => ({
    name: `${file}_${format}`,
    path: join(folder, `${file}.cu`),
    defines: [`FORMAT=${format}`, `FORMAT_NAME="${format}"`],
    least,
  });
  return [
    ...plain.map((name) => ({ name, path: join(folder, `${name}.cu`), defines: [], least: 75 })),
    ...["attention_mma", "product_bf16", "tensor_peak"].map((name) => ({
      name,
      path: join(folder, `${name}.cu`),
      defines: [],
      least: 80,
    })),
    ...perFormat.flatMap((file) => formatNames.map((format) => ofFormat(file, format, 75))),
    ...formatNames.filter((format) => format !== "f32").map((format) => ofFormat(tensorCores, format, 80)),
  ];
}

/**
 * Flags that images are made with. Products and sums fuse only where fmaf is written, so that cards and emulation
 * agree.
 */
export const cardFlags: readonly string[] = ["-std=c++17", "-O3", "-fmad=false"];

/** Hash of a kernel's source, of the files that it includes, and of flags. */
export function sourceHash({ path, defines }: KernelSource, flags: readonly string[]): string {
  const hash = createHash("sha256");
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, "utf8");
    hash.update(text).update("\0");
    // The emulation's header is no part of what a card gets.
    for (const [, name] of text.matchAll(/^#include "([^"]+\.cuh)"/gm)) visit(join(dirname(file), name!));
  };
  visit(path);
  return hash
    .update(JSON.stringify([defines, flags]))
    .digest("hex")
    .slice(0, 32);
}
