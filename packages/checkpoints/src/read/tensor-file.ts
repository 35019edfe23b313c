// A safetensors file as what it is, tensors by name: for what `writeTensorFile` writes, which is no model.

import { CheckpointError } from "@polyllama/core";
import { readSafetensorsHeader, type SafetensorsTensor } from "./safetensors.ts";
import { openFile } from "./sources/disk.ts";

/** An open file of tensors. Disposing it closes the file. */
export interface TensorFile extends AsyncDisposable {
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  /** The bytes of a tensor, little-endian. @throws {CheckpointError} for one that is not there */
  read(name: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
}

/** @throws {CheckpointError} for a file that is missing, or not a whole safetensors file. */
export async function openTensorFile(path: string): Promise<TensorFile> {
  const source = await openFile(path);
  try {
    const header = await readSafetensorsHeader(source);
    const tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
    return {
      tensors,
      async read(name, signal) {
        const tensor = tensors.get(name);
        if (tensor === undefined)
          throw new CheckpointError({ file: path, tensor: name }, "is missing", "Write it anew.");
        return source.read(tensor.offset, tensor.bytes, signal);
      },
      [Symbol.asyncDispose]: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}
