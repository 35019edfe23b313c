// Gradients as a file: safetensors in F32 under the weights' own names, which are Meta's, in Meta's rotary order.

import { writeTensorFile } from "@polyllama/checkpoints";
import type { BatchGradients } from "../batch-gradients.ts";

/**
 * Writes gradients into a file that appears whole or not at all.
 *
 * @throws what `writeTensorFile` throws.
 */
export async function writeGradients(
  path: string,
  { gradients }: BatchGradients,
  options: { readonly overwrite?: boolean; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const tensors = [...gradients].map(([name, { shape, data }]) => {
    const read = async (): Promise<Uint8Array> => new Uint8Array(Float32Array.from(data).buffer);
    return { name, shape, dtype: "F32", read } as const;
  });
  await writeTensorFile(path, tensors, options);
}
