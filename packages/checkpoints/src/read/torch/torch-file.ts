// A file of torch.save: a zip archive with a pickle that describes tensors and one entry per storage. Nothing is
// unpacked: a tensor is a range of the file.

import { CheckpointError, quoted } from "@polyllama/core";
import type { ByteSource } from "../sources/byte-source.ts";
import { readPickle } from "./pickle.ts";
import type { PickledTensor } from "./pickle-values.ts";
import { stateDictOf } from "./state-dict.ts";
import { readZipDirectory, type ZipDirectory } from "./zip.ts";

/** A described tensor takes about 100 bytes. */
const mostPickleBytes = 16 * 2 ** 20;

const itemBytes: Readonly<Record<string, number>> = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

/** A tensor within a file of torch.save. */
export interface TorchTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** As safetensors writes it. */
  readonly dtype: string;
  readonly bytes: number;
  /** First byte within the file. */
  readonly offset: number;
}

export interface TorchFile {
  readonly tensors: readonly TorchTensor[];
  /** Length of what the tensors' places depend on, from the start. */
  readonly headerBytes: number;
  /** What stands beside the tensors and was passed over. */
  readonly notices: readonly string[];
}

/**
 * Lists the tensors of a file of torch.save.
 *
 * @throws {CheckpointError} for a damaged file, or one that holds more than tensors.
 */
export async function readTorchFile(source: ByteSource, signal?: AbortSignal): Promise<TorchFile> {
  const file = source.name;
  const directory = await readZipDirectory(source, signal);
  const pickle = findPickle(directory, file);
  const prefix = pickle.name.slice(0, -"data.pkl".length);
  if (pickle.bytes > mostPickleBytes) throw damaged(file, `its pickle has ${pickle.bytes} bytes, too many for tensors`);
  const order = directory.entries.get(`${prefix}byteorder`);
  if (order !== undefined) {
    const text = new TextDecoder().decode(await source.read(order.offset, Math.min(order.bytes, 16), signal));
    if (text !== "little") {
      throw new CheckpointError({ file }, `its byte order is ${quoted(text)}`, "Save it on a little-endian machine.");
    }
  }
  const pickled = stateDictOf(readPickle(await source.read(pickle.offset, pickle.bytes, signal), file), file);
  const tensors = [...pickled.tensors].map(([name, tensor]) => place(name, tensor, directory, prefix, file));
  return { tensors, headerBytes: pickle.offset + pickle.bytes, notices: pickled.notices };
}

function findPickle({ entries }: ZipDirectory, file: string) {
  for (const entry of entries.values()) if (/^[^/]+\/data\.pkl$/.test(entry.name)) return entry;
  throw new CheckpointError(
    { file },
    "this zip archive has no data.pkl",
    "It was not written by torch.save; unpack it, or give the file with the weights.",
  );
}

function place(
  name: string,
  tensor: PickledTensor,
  { entries }: ZipDirectory,
  prefix: string,
  file: string,
): TorchTensor {
  const { dtype, shape, strides, first } = tensor;
  const where = { file, tensor: name };
  const item = itemBytes[dtype]!; // the pickle reader gives no other
  const entry = entries.get(`${prefix}data/${tensor.storage}`);
  if (entry === undefined) {
    throw new CheckpointError(
      where,
      `its storage ${quoted(tensor.storage)} is missing`,
      "The file is damaged; download it again.",
    );
  }
  let elements = 1;
  for (let dimension = shape.length - 1; dimension >= 0; dimension--) {
    const size = shape[dimension]!;
    if (size !== 1 && strides[dimension] !== elements && !shape.includes(0)) {
      throw new CheckpointError(
        where,
        `its strides [${strides}] do not run through its shape [${shape}] in order`,
        "Save it again after tensor.contiguous().",
      );
    }
    elements *= size;
  }
  if (!Number.isSafeInteger(elements) || (first + elements) * item > entry.bytes) {
    throw new CheckpointError(
      where,
      `its shape [${shape}] of ${dtype} reaches past the ${entry.bytes} bytes of its storage`,
      "The file is damaged; download it again.",
    );
  }
  return { name, shape, dtype, bytes: elements * item, offset: entry.offset + first * item };
}

function damaged(file: string, problem: string): CheckpointError {
  return new CheckpointError({ file }, problem, "The file is damaged; download or copy it again.");
}
