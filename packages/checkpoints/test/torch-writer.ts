// Files as torch.save writes them, and a model's weights as Meta's model-parallel runs slice them: what the readers of
// .pth files are tested with.

import { columnCount, formatBytes, rowCount, type WeightSource } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import type { RawTensor } from "@polyllama/test-support/hugging-face";
import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from "@zip.js/zip.js";

const storageOf: Readonly<Record<string, string>> = {
  F32: "FloatStorage",
  F16: "HalfStorage",
  BF16: "BFloat16Storage",
  F64: "DoubleStorage",
};
const itemBytes: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2, F64: 8 };

export interface TorchOptions {
  /** Of pickle; torch.save writes 2. */
  readonly protocol?: 2 | 4 | 5;
  /** Name of the folder within the archive. */
  readonly folder?: string;
  readonly zip64?: boolean;
  readonly byteOrder?: string;
  /** Another pickle than the tensors'. */
  readonly pickle?: Uint8Array;
  /** Strides other than those of rows in order. */
  readonly strides?: (tensor: Pick<RawTensor, "shape">) => readonly number[];
  /** Entries beside the usual ones. */
  readonly more?: Readonly<Record<string, Uint8Array>>;
  readonly compress?: boolean;
}

/** A file of torch.save that holds a dict of tensors. */
export async function torchFile(tensors: readonly RawTensor[], options: TorchOptions = {}): Promise<Uint8Array> {
  const { folder = "archive", protocol = 2, zip64 = false, byteOrder = "little" } = options;
  const zip = new ZipWriter(new Uint8ArrayWriter(), { level: options.compress ? 6 : 0, zip64, useWebWorkers: false });
  const add = (name: string, bytes: Uint8Array) => zip.add(`${folder}/${name}`, new Uint8ArrayReader(bytes));
  await add("data.pkl", options.pickle ?? pickleOf(tensors, protocol, options.strides));
  await add("byteorder", Buffer.from(byteOrder));
  for (const [index, { bytes }] of tensors.entries()) await add(`data/${index}`, bytes);
  for (const [name, bytes] of Object.entries(options.more ?? {})) await add(name, bytes);
  await add("version", Buffer.from("3\n"));
  return zip.close();
}

/** The pickle of an OrderedDict of tensors with an attribute, as modules' state dicts have it. */
export function pickleOf(
  tensors: readonly (Omit<RawTensor, "bytes"> & { readonly bytes: { readonly length: number } })[],
  protocol: 2 | 4 | 5 = 2,
  strides: TorchOptions["strides"] = undefined,
): Uint8Array {
  const p = pickler(protocol);
  p.name("collections", "OrderedDict");
  p.bytes(")R(");
  for (const [index, tensor] of tensors.entries()) {
    const { name, dtype, shape, bytes } = tensor;
    p.text(name);
    p.name("torch._utils", "_rebuild_tensor_v2");
    p.bytes("((");
    p.text("storage");
    p.name("torch", storageOf[dtype] ?? dtype);
    p.text(String(index));
    p.text("cpu");
    p.integer(bytes.length / itemBytes[dtype]!);
    p.bytes("tQ");
    p.integer(0);
    p.integers(shape);
    p.integers(
      strides?.(tensor) ?? shape.map((_, i) => shape.slice(i + 1).reduce((product, size) => product * size, 1)),
    );
    p.bytes("\x89");
    p.name("collections", "OrderedDict");
    p.bytes(")RtR");
  }
  p.bytes("u}");
  p.text("_metadata");
  p.bytes("}sb.");
  return p.finish();
}

interface Pickler {
  bytes(latin1: string): void;
  text(value: string): void;
  integer(value: number): void;
  /** A tuple. */
  integers(values: readonly number[]): void;
  /** A global, remembered and recalled as Python does. */
  name(module: string, name: string): void;
  finish(): Uint8Array;
}

export function pickler(protocol: 2 | 4 | 5): Pickler {
  const parts: Buffer[] = [];
  const memo = new Map<string, number>();
  const bytes = (latin1: string): void => void parts.push(Buffer.from(latin1, "latin1"));
  const little = (opcode: string, value: number, size: 1 | 2 | 4): void => {
    const number = Buffer.alloc(size);
    if (size === 4) number.writeInt32LE(value);
    else number.writeUIntLE(value, 0, size);
    parts.push(Buffer.from(opcode, "latin1"), number);
  };
  const text = (value: string): void => {
    const encoded = Buffer.from(value);
    if (protocol >= 4 && encoded.length < 256) little("\x8c", encoded.length, 1);
    else little("X", encoded.length, 4);
    parts.push(encoded);
  };
  const integer = (value: number): void => {
    if (value < 256) little("K", value, 1);
    else if (value < 65536) little("M", value, 2);
    else little("J", value, 4);
  };
  bytes(`\x80${String.fromCharCode(protocol)}`);
  return {
    bytes,
    text,
    integer,
    integers(values) {
      if (values.length > 3) bytes("(");
      for (const value of values) integer(value);
      bytes([")", "\x85", "\x86", "\x87"][values.length] ?? "t");
    },
    name(module, name) {
      const known = memo.get(`${module}.${name}`);
      if (known !== undefined) return little("h", known, 1);
      if (protocol >= 4) {
        text(module);
        text(name);
        bytes("\x93\x94");
      } else {
        bytes(`c${module}\n${name}\n`);
        little("q", memo.size, 1);
      }
      memo.set(`${module}.${name}`, memo.size);
    },
    finish: () => {
      const body = Buffer.concat(parts);
      if (protocol < 4) return body;
      const frame = Buffer.alloc(9);
      frame[0] = 0x95;
      frame.writeBigUInt64LE(BigInt(body.length - 2), 1);
      return Buffer.concat([body.subarray(0, 2), frame, body.subarray(2)]);
    },
  };
}

const dtypeOf: Readonly<Record<string, string>> = { f32: "F32", f16: "F16", bf16: "BF16" };

/**
 * A model's weights as the files of that many processors hold them: rows of wq, wk, wv, w1, w3 and output, columns of
 * wo, w2 and tok_embeddings, norms whole. Sizes that do not divide evenly give the first files one more.
 */
export async function metaShards(model: WeightSource, count: number): Promise<readonly (readonly RawTensor[])[]> {
  const shards = Array.from({ length: count }, (): RawTensor[] => []);
  const names = [...model.weights.keys()];
  if (!model.weights.has("output.weight")) names.push("output.weight"); // Meta's files never share matrices
  for (const name of names) {
    const stored = model.weights.has(name) ? name : "tok_embeddings.weight";
    const info = model.weights.get(stored)!;
    const bytes = await model.read(stored);
    const dtype = dtypeOf[info.format]!;
    const item = formats[info.format].blockBytes;
    const [rows, columns] = [rowCount(info), columnCount(info)];
    const rowBytes = formatBytes(info.format, columns);
    const byColumns = name === "tok_embeddings.weight" || /\.(wo|w2)\.weight$/.test(name);
    let start = 0;
    for (const [index, shard] of shards.entries()) {
      if (info.shape.length === 1) {
        shard.push({ name, dtype, shape: info.shape, bytes });
        continue;
      }
      const whole = byColumns ? columns : rows;
      const size = Math.floor(whole / count) + (index < whole % count ? 1 : 0);
      const pieces: Uint8Array[] = [];
      if (!byColumns) pieces.push(bytes.subarray(start * rowBytes, (start + size) * rowBytes));
      else {
        for (let row = 0; row < rows; row++) {
          pieces.push(bytes.subarray(row * rowBytes + start * item, row * rowBytes + (start + size) * item));
        }
      }
      shard.push({ name, dtype, shape: byColumns ? [rows, size] : [size, columns], bytes: Buffer.concat(pieces) });
      start += size;
    }
  }
  for (const shard of shards) {
    shard.push({ name: "rope.freqs", dtype: "F32", shape: [4], bytes: new Uint8Array(16) });
  }
  return shards;
}
