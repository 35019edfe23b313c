// The files that engines are compared on: synthetic models, written once as GGUF, and what a decoded token reads of them.

import { existsSync } from "node:fs";
import { mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { openCheckpoint, writeGguf } from "@polyllama/checkpoints";
import { columnCount, type FormatName, formatBytes, llamaGraph, rowCount } from "@polyllama/core";

/** The formats that all engines here multiply, those of most interest first. */
export const comparedFormats: readonly FormatName[] = [
  ...(["q4_0", "q8_0", "q4_k", "q2_k", "q3_k", "q5_k", "q6_k"] as const),
  ...(["q4_1", "q5_0", "q5_1", "iq4_nl", "f16"] as const),
];

/** TinyLlama's dimensions, with room for long contexts. */
export const tinyLlama = "synthetic://tinyllama-1.1b?seed=1&context=4096";

export interface Model {
  readonly file: string;
  /** Bytes of weights that a decoded token reads: all linears and norms. */
  readonly bytesPerToken: number;
  /** Values of the KV cache that a position adds. */
  readonly cacheValues: number;
}

/** A synthetic model in a format, as a file of a folder; written unless it is there. */
export async function modelFile(folder: string, url: string, format: string): Promise<Model> {
  await using checkpoint = await openCheckpoint(`${url}&format=${format}`);
  const file = join(folder, `${checkpoint.name.replaceAll(/[^a-z0-9._]+/gi, "-")}.gguf`);
  if (!existsSync(file)) {
    console.error(`Writing ${file} ...`);
    await mkdir(folder, { recursive: true });
    await writeGguf(`${file}.part`, checkpoint);
    await rename(`${file}.part`, file);
  }
  const { layers, kvHeads, headDim } = checkpoint.config;
  const graph = llamaGraph(checkpoint.config);
  const linears = new Set(graph.nodes.flatMap((node) => (node.op === "linear" ? [node.weight] : [])));
  let bytesPerToken = 0;
  for (const info of checkpoint.weights.values()) {
    if (!linears.has(info.name) && info.shape.length > 1) continue;
    bytesPerToken += formatBytes(info.format, rowCount(info) * columnCount(info));
  }
  return { file, bytesPerToken, cacheValues: 2 * layers * kvHeads * headDim };
}

/** Reads a file once, so that the page cache has it. */
export async function warm(file: string): Promise<void> {
  const piece = new Uint8Array(4 << 20);
  await using handle = await open(file);
  while ((await handle.read(piece, 0, piece.length)).bytesRead > 0);
}
