// The header of a safetensors file: an 8-byte length and a JSON table, behind which the tensors' bytes lie without
// gaps.

import { CheckpointError, duplicatedKey, type FormatName, parseJson } from "@polyllama/core";
import { asObject, mostJsonValues } from "../json.ts";
import { checkOverlap } from "./gguf-header.ts";
import type { ByteSource } from "./sources/byte-source.ts";

/** The limit of the reference implementation. */
const mostHeaderBytes = 100_000_000;

const dtypes: Readonly<Record<string, { readonly bytes: number; readonly format?: FormatName }>> = {
  F32: { bytes: 4, format: "f32" },
  F16: { bytes: 2, format: "f16" },
  BF16: { bytes: 2, format: "bf16" },
  F64: { bytes: 8 },
  I64: { bytes: 8 },
  I32: { bytes: 4 },
  I16: { bytes: 2 },
  I8: { bytes: 1 },
  U64: { bytes: 8 },
  U32: { bytes: 4 },
  U16: { bytes: 2 },
  U8: { bytes: 1 },
  BOOL: { bytes: 1 },
  F8_E4M3: { bytes: 1 },
  F8_E5M2: { bytes: 1 },
};

/** A tensor as a safetensors header lists it; sizes in bytes. */
export interface SafetensorsTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly bytes: number;
  /** First byte within the file. */
  readonly offset: number;
}

/** What precedes the tensors' bytes in a safetensors file. */
export interface SafetensorsHeader {
  readonly tensors: readonly SafetensorsTensor[];
  readonly metadata: ReadonlyMap<string, unknown>;
  readonly headerBytes: number;
}

/** @throws {CheckpointError} for anything that is not a whole, consistent safetensors file. */
export async function readSafetensorsHeader(source: ByteSource, signal?: AbortSignal): Promise<SafetensorsHeader> {
  const file = source.name;
  const refuse = (problem: string, tensor?: string): never => {
    throw new CheckpointError(
      tensor === undefined ? { file } : { file, tensor },
      problem,
      "The file is damaged or incomplete; download or convert it again.",
    );
  };
  if (source.size < 8) refuse(`${source.size} bytes are too few for a safetensors file`);
  const start = await source.read(0, 8, signal);
  const declared = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (declared > BigInt(Math.min(mostHeaderBytes, source.size - 8))) {
    refuse(`the header is declared to have ${declared} bytes, but the file has ${source.size}`);
  }
  const length = Number(declared);
  const text = new TextDecoder().decode(await source.read(8, length, signal));
  const table = asObject(parseJson(text, file, mostJsonValues)) ?? refuse("the header is not a JSON object");
  const duplicate = duplicatedKey(text);
  if (duplicate !== undefined) refuse("two tensors have this name", duplicate);

  const dataStart = 8 + length;
  const tensors: SafetensorsTensor[] = [];
  let metadata: ReadonlyMap<string, unknown> = new Map();
  for (const [name, entry] of Object.entries(table)) {
    if (name === "__metadata__" && entry === null) continue; // as some writers put it where there is none
    const fields = asObject(entry) ?? refuse("its entry is not a JSON object", name);
    if (name === "__metadata__") {
      metadata = new Map(Object.entries(fields));
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = fields;
    if (typeof dtype !== "string" || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
      return refuse("its entry lacks a proper dtype, shape or data_offsets", name);
    }
    const [begin, end] = offsets as [number, number]; // two, by the line above
    const itemBytes = dtypes[dtype]?.bytes;
    const expected = shape.reduce((product, size) => product * size, itemBytes ?? 0);
    if (begin > end || (itemBytes !== undefined && expected !== end - begin)) {
      refuse(`its shape [${shape}] of ${dtype} does not fit its ${end - begin} bytes`, name);
    }
    if (dataStart + end > source.size) {
      refuse(`it ends at byte ${dataStart + end}, but the file at ${source.size}`, name);
    }
    tensors.push({ name, shape, dtype, bytes: end - begin, offset: dataStart + begin });
  }
  checkOverlap(tensors, file);
  const covered = tensors.reduce((sum, { bytes }) => sum + bytes, dataStart);
  if (covered !== source.size) refuse(`${source.size - covered} bytes of the file belong to no tensor`);
  return { tensors, metadata, headerBytes: dataStart };
}

/** The format of a dtype; undefined for those that weights are not read from. */
export function formatOfDtype(dtype: string): FormatName | undefined {
  return dtypes[dtype]?.format;
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 8 && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
