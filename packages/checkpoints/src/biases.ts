// Llama's matrices have no biases. Some checkpoints of its kin store them all the same: of zeros they change nothing and are
// passed over, others are refused, since leaving them out would compute something else.

import { CheckpointError, formats } from "@polyllama/core";
import type { TensorPlace } from "./checkpoint.ts";

/** Whether a tensor is the bias of one of a layer's matrices, in Hugging Face's names or GGUF's. */
export function isBias(name: string): boolean {
  return /^(?:model\.layers\.\d+\.(?:self_attn\.[qkvo]|mlp\.(?:gate|up|down))_proj|blk\.\d+\.(?:attn_(?:q|k|v|output)|ffn_(?:gate|up|down)))\.bias$/.test(
    name,
  );
}

/** @throws {CheckpointError} for a bias that is not zero. */
export async function checkBias(place: TensorPlace, signal?: AbortSignal): Promise<void> {
  const { blockSize, blockBytes, dequantize } = formats[place.format];
  const values = new Float32Array(
    Math.min(
      place.shape.reduce((product, size) => product * size, 1),
      MOST_ELEMENTS,
    ),
  );
  const bytes = (values.length / blockSize) * blockBytes;
  dequantize(await place.source.read(place.offset, bytes, signal), values);
  if (values.every((value) => value === 0) && values.length < MOST_ELEMENTS) return;
  throw new CheckpointError(
    { file: place.source.name, tensor: place.name },
    "this bias is not zero (attention_bias or mlp_bias)",
    "Llama 2 has no biases, and they are not computed here; use a model without them.",
  );
}

/** Wider than any layer. */
const MOST_ELEMENTS = 2 ** 22;
