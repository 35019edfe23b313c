// Hugging Face's layout with tensors in files of torch.save: `pytorch_model.bin`, as it was before safetensors.

import type { ByteSource } from "../byte-source.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { type HuggingFaceParts, openHuggingFace } from "../safetensors.ts";
import { readTorchFile } from "./torch-file.ts";

/**
 * Opens one or several files of torch.save, as {@link openSafetensors} does safetensors files.
 *
 * @param sources By file name, as an index has it.
 * @throws {CheckpointError}; `PolyllamaError` `ERR_CONFIG`
 */
export function openPytorch(
  sources: ReadonlyMap<string, ByteSource>,
  parts: HuggingFaceParts,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  return openHuggingFace("pytorch", readTorchFile, sources, parts, signal);
}
