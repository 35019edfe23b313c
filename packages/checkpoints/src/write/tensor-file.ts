// Tensors by names of one's own in a safetensors file: what belongs to a model and is none, as gradients and the state of
// an optimizer.

import { basename, dirname } from "node:path";
import { checkValue } from "@polyllama/core";
import { destinationType } from "./options.ts";
import { explainWriting, outputFiles, writeTensors } from "./output.ts";
import { layOut } from "./safetensors-header.ts";

const itemBytes = { F32: 4, F64: 8 } as const;

/** A tensor to write. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: keyof typeof itemBytes;
  readonly shape: readonly number[];
  /** Its bytes, little-endian; asked for when it is its turn. */
  read(): Promise<Uint8Array>;
}

/** Options of {@link writeTensorFile}. */
export interface TensorFileOptions {
  /** Replace what is there. Default false. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Writes tensors into a file that appears whole or not at all.
 *
 * @throws {CheckpointError} when it cannot be written; nothing is left behind. `PolyllamaError` `ERR_OPTION` when it
 * exists already; what `read` throws; the signal's reason.
 */
export async function writeTensorFile(
  path: string,
  tensors: readonly TensorToWrite[],
  { overwrite = false, signal }: TensorFileOptions = {},
): Promise<void> {
  checkValue(path, destinationType, "destination", "writeTensorFile()");
  const sized = tensors.map((tensor) => {
    const bytes = tensor.shape.reduce((product, size) => product * size, itemBytes[tensor.dtype]);
    return { ...tensor, bytes };
  });
  const { header, offsets, size } = layOut(sized);
  const name = basename(path);
  await using out = await outputFiles(dirname(path), [name], { bytes: size, overwrite, sources: [] });
  try {
    const stretches = sized.map((tensor, i) => ({ offset: offsets[i]!, pieces: whole(tensor, signal) }));
    await writeTensors(out.temporary(name), header, stretches, size, () => undefined);
    await out.commit();
  } catch (error) {
    throw explainWriting(error, path);
  }
}

async function* whole(
  { name, bytes: expected, read }: TensorToWrite & { readonly bytes: number },
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  signal?.throwIfAborted();
  const bytes = await read();
  if (bytes.length !== expected) throw new RangeError(`tensor ${name} has ${bytes.length} bytes, not ${expected}`);
  yield bytes;
}
