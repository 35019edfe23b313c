// What a file is, by its first bytes. Kinds that are not read are known as well, since "not read yet" helps more than
// "unknown".

import { CheckpointError } from "@polyllama/core";
import type { CheckpointKind } from "../checkpoint.ts";
import type { ByteSource } from "./sources/byte-source.ts";

const foreign: readonly { readonly start: string; readonly what: string; readonly remedy: string }[] = [
  ...["\u0080\u0002", "\u0080\u0003", "\u0080\u0004", "\u0080\u0005"].map((start) => ({
    start,
    what: "a bare pickle, as PyTorch wrote it before version 1.6",
    remedy:
      "Save it again with a current PyTorch, torch.save(torch.load(path, weights_only=True), path), or use safetensors.",
  })),
  ...["tjgg", "fmgg", "lmgg", "algg"].map((start) => ({
    start,
    what: "a file of ggml from before GGUF",
    remedy: "Convert it with llama.cpp, or use the model's GGUF form.",
  })),
  { start: "\u0089HDF", what: "an HDF5 file, which is not read", remedy: "Use safetensors or GGUF." },
  {
    start: "{",
    what: "a JSON file",
    remedy: "Give the folder that it stands in, or the file with the weights.",
  },
];

/**
 * The kind of a file that starts with these bytes (64 of them, or all). Files of PyTorch may hold Meta's checkpoint as
 * well as Hugging Face's.
 *
 * @throws {CheckpointError} when it is none that is read.
 */
export function recognize(
  start: Uint8Array<ArrayBuffer>,
  { name }: Pick<ByteSource, "name">,
): Exclude<CheckpointKind, "synthetic" | "meta"> {
  const text = String.fromCharCode(...start);
  if (text.startsWith("GGUF")) return "gguf";
  if (text.startsWith("PK\u0003\u0004") && start[8] !== 0x7b) return "pytorch";
  for (const { start: magic, what, remedy } of foreign) {
    if (text.startsWith(magic) && !(start[8] === 0x7b && magic.length < 4)) {
      throw new CheckpointError({ file: name }, `this is ${what}`, remedy);
    }
  }
  if (start[8] === 0x7b) return "safetensors";
  if (looksLikeLlama2c(new DataView(start.buffer, start.byteOffset, start.byteLength))) return "llama2.c";
  throw new CheckpointError(
    { file: name },
    "this is no checkpoint that is known here",
    "Read are GGUF, safetensors, PyTorch's files and llama2.c's .bin.",
  );
}

/** Its magic number, or seven sizes that could be a Llama's. */
function looksLikeLlama2c(view: DataView): boolean {
  if (view.byteLength >= 4 && view.getUint32(0, true) === 0x616b3432) return true;
  if (view.byteLength < 28) return false;
  const [dim = 0, hidden = 0, layers = 0, heads = 0, kvHeads = 0, vocab = 0, context = 0] = Array.from(
    { length: 7 },
    (_, i) => view.getInt32(4 * i, true),
  );
  const plausible = [dim, hidden, layers, heads, kvHeads, context].every((size) => size > 0 && size <= 2 ** 26);
  return plausible && vocab !== 0 && layers <= 4096 && dim % heads === 0 && heads % kvHeads === 0;
}
