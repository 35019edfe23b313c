// Bytes of a GGUF header (version 3). Only what the writer needs: metadata of plain JavaScript values, whose types in
// the file follow from the key where llama.cpp insists on one, and from the value elsewhere.

import { PolyllamaError, type WeightInfo } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { align, defaultAlignment, type ValueType, valueTypes } from "../read/gguf-types.ts";

/** A tensor to be written; the name is the one in the file. */
export interface GgufEntry extends WeightInfo {
  readonly bytes: number;
}

/** Header and padding, and where each tensor starts in the file. */
export function encodeGgufHeader(
  metadata: ReadonlyMap<string, unknown>,
  entries: readonly GgufEntry[],
): { readonly header: Uint8Array<ArrayBuffer>; readonly offsets: readonly number[]; readonly end: number } {
  const out = byteWriter();
  out.u32(0x46554747);
  out.u32(3);
  out.u64(entries.length);
  out.u64(metadata.size);
  for (const [key, value] of metadata) {
    out.string(key);
    out.value(key, value);
  }
  const relative: number[] = [];
  let end = 0;
  for (const { name, shape, format, bytes } of entries) {
    out.string(name);
    out.u32(shape.length);
    for (const size of [...shape].reverse()) out.u64(size);
    out.u32(formats[format].ggmlType);
    out.u64(end);
    relative.push(end);
    end = align(end + bytes, defaultAlignment);
  }
  const bytes = out.finish();
  const header = new Uint8Array(align(bytes.length, defaultAlignment));
  header.set(bytes);
  return { header, offsets: relative.map((offset) => header.length + offset), end: header.length + end };
}

interface ByteWriter {
  u32(value: number): void;
  u64(value: number): void;
  string(text: string): void;
  value(key: string, value: unknown): void;
  finish(): Uint8Array<ArrayBuffer>;
}

function byteWriter(): ByteWriter {
  const utf8 = new TextEncoder();
  let bytes = new Uint8Array(2 ** 16);
  let view = new DataView(bytes.buffer);
  let length = 0;

  const grow = (count: number): number => {
    const start = length;
    length += count;
    if (length > bytes.length) {
      const larger = new Uint8Array(Math.max(length, bytes.length * 2));
      larger.set(bytes);
      bytes = larger;
      view = new DataView(bytes.buffer);
    }
    return start;
  };
  // The place is reserved in a statement of its own: growing replaces `view` and `bytes`.
  const u32 = (value: number): void => {
    const at = grow(4);
    view.setUint32(at, value, true);
  };
  const u64 = (value: number | bigint): void => {
    const at = grow(8);
    view.setBigUint64(at, BigInt(value), true);
  };
  const f32 = (value: number): void => {
    const at = grow(4);
    view.setFloat32(at, value, true);
  };
  const bool = (value: boolean): void => {
    const at = grow(1);
    bytes[at] = value ? 1 : 0;
  };
  const string = (text: string): void => {
    const encoded = utf8.encode(text);
    u64(encoded.length);
    const at = grow(encoded.length);
    bytes.set(encoded, at);
  };
  const plain = (type: ValueType, value: unknown, key: string): void => {
    if (type === "string" && typeof value === "string") string(value);
    else if (type === "bool" && typeof value === "boolean") bool(value);
    else if ((type === "u32" || type === "i32") && typeof value === "number") u32(value >>> 0);
    else if (type === "u8" && typeof value === "number") {
      const at = grow(1);
      bytes[at] = value;
    } else if (type === "u16" && typeof value === "number") {
      const at = grow(2);
      view.setUint16(at, value, true);
    } else if (type === "f32" && typeof value === "number") f32(value);
    else if (type === "i64" && (typeof value === "bigint" || typeof value === "number")) {
      u64(BigInt.asUintN(64, BigInt(value)));
    } else {
      throw new PolyllamaError("ERR_OPTION", `The metadata "${key}" cannot be written as ${type}: ${String(value)}.`);
    }
  };
  return {
    u32,
    u64,
    string,
    value(key, value) {
      if (!Array.isArray(value)) {
        const type = scalarType(key, value);
        u32(valueTypes[type]);
        plain(type, value, key);
        return;
      }
      const type = elementType(key, value);
      u32(valueTypes.array);
      u32(valueTypes[type]);
      u64(value.length);
      for (const element of value) plain(type, element, key);
    },
    finish: () => bytes.slice(0, length),
  };
}

const floatKeys: ReadonlySet<string> = new Set([
  "general.sampling.temp",
  "general.sampling.top_p",
  "general.sampling.min_p",
  "general.sampling.penalty_repeat",
  "llama.attention.layer_norm_rms_epsilon",
  "llama.rope.freq_base",
  "llama.rope.scaling.factor",
  "llama.rope.scaling.attn_factor",
  "llama.rope.scaling.yarn_beta_fast",
  "llama.rope.scaling.yarn_beta_slow",
  "tokenizer.ggml.scores",
]);

function scalarType(key: string, value: unknown): ValueType {
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (key === "split.no" || key === "split.count") return "u16";
  if (key === "split.tensors.count") return "i32";
  if (floatKeys.has(key)) return "f32";
  if (typeof value === "number" && !Number.isInteger(value)) return "f32";
  if (typeof value === "number" && value >= 0 && value < 2 ** 32) return "u32";
  return "i64";
}

function elementType(key: string, values: readonly unknown[]): ValueType {
  if (values.every((value) => typeof value === "string")) return "string";
  if (values.every((value) => typeof value === "boolean")) return "bool";
  if (floatKeys.has(key) || !values.every(Number.isInteger)) return "f32";
  if (key === "tokenizer.ggml.precompiled_charsmap") return "u8";
  return "i32";
}
