// The header of a GGUF file: metadata and the table of tensors (ggml/docs/gguf.md, versions 2 and 3, little-endian).
// The parser is synchronous over a prefix of the file; where the prefix ends too early it says how much it needs and is
// run again over more. Counts and lengths are held against the file's size before anything is allocated.

import { CheckpointError, type FormatName, quoted } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { align, defaultAlignment, formatOfGgmlType, ggmlTypeName, leastBytes, readableTypes } from "./gguf-types.ts";
import type { ByteSource } from "./sources/byte-source.ts";

/** Far above any real header (a vocabulary of 256,000 takes about 16 MiB). */
const mostHeaderBytes = 128 * 2 ** 20;
const firstPrefix = 256 * 2 ** 10;
/** Of all arrays: vocabulary, scores, types and merges of 256,000 tokens have a million. */
const mostElements = 2 ** 22;
/** Of metadata, and of tensors: far above any Llama's. */
const mostEntries = 2 ** 14;

/** A tensor as a GGUF header lists it; sizes in bytes. */
export interface GgufTensor {
  readonly name: string;
  /** Outermost dimension first; the file has them the other way round. */
  readonly shape: readonly number[];
  readonly format: FormatName;
  readonly bytes: number;
  /** First byte within the file. */
  readonly offset: number;
}

/** What precedes the tensors' bytes in a GGUF file. */
export interface GgufHeader {
  readonly version: number;
  /** Integers of 64 bits are numbers where they are safe, bigints beyond; arrays are arrays. */
  readonly metadata: ReadonlyMap<string, unknown>;
  readonly tensors: readonly GgufTensor[];
  /** Length of what precedes the tensors' bytes, without padding. */
  readonly headerBytes: number;
}

/** @throws {CheckpointError} for anything that is not a whole, consistent GGUF file of a version that is read here. */
export async function readGgufHeader(source: ByteSource, signal?: AbortSignal): Promise<GgufHeader> {
  const limit = Math.min(source.size, mostHeaderBytes);
  let length = Math.min(firstPrefix, limit);
  while (true) {
    const result = parse(await source.read(0, length, signal), source);
    if (typeof result !== "number") return result;
    length = Math.min(limit, Math.max(result, length * 4));
  }
}

/** Thrown, and caught here, where the prefix ends before the header does. */
class PrefixTooShort extends Error {
  readonly needed: number;
  constructor(needed: number) {
    super();
    this.needed = needed;
  }
}

/** The header, or the number of bytes that parsing needs at least. */
function parse(bytes: Uint8Array<ArrayBuffer>, source: ByteSource): GgufHeader | number {
  try {
    return parseHeader(bytes, source);
  } catch (error) {
    if (error instanceof PrefixTooShort) return error.needed;
    throw error;
  }
}

function parseHeader(bytes: Uint8Array<ArrayBuffer>, source: ByteSource): GgufHeader {
  const read = reader(bytes, source);
  const refuse = (problem: string, remedy: string): never => {
    throw new CheckpointError({ file: source.name }, problem, remedy);
  };

  read.at("the magic number");
  if (read.u32() !== 0x46554747) refuse("this is not a GGUF file", "Give a file that starts with the bytes GGUF.");
  read.at("the version");
  const version = read.u32();
  if (version > 0xffff) refuse("this GGUF file is big-endian", "Convert it again on, or for, a little-endian machine.");
  if (version !== 2 && version !== 3) {
    refuse(`this is GGUF version ${version}`, "Versions 2 and 3 are read; convert it with a current llama.cpp.");
  }
  read.at("the number of tensors");
  const tensorCount = read.count(24, mostEntries); // a name's length, number of dimensions, type, offset
  read.at("the number of metadata entries");
  const entryCount = read.count(13, mostEntries); // a key's length, a type, a value

  const metadata = new Map<string, unknown>();
  for (let entry = 0; entry < entryCount; entry++) {
    read.at(`metadata entry ${entry}`);
    const key = read.string();
    read.at(`metadata ${quoted(key)}`);
    if (metadata.has(key)) read.fail("the key stands there twice");
    metadata.set(key, read.value(read.u32(), 0));
  }

  const alignment = metadata.get("general.alignment") ?? defaultAlignment;
  if (typeof alignment !== "number" || alignment < 8 || alignment > 2 ** 20 || (alignment & (alignment - 1)) !== 0) {
    return refuse(`general.alignment is ${String(alignment)}`, "It must be a power of two, at least 8.");
  }

  const infos: { name: string; shape: number[]; format: FormatName; bytes: number; relative: number }[] = [];
  const names = new Set<string>();
  for (let index = 0; index < tensorCount; index++) {
    read.at(`tensor ${index}`);
    const name = read.string();
    read.at(`tensor ${quoted(name)}`);
    if (names.has(name)) read.fail("two tensors have this name");
    names.add(name);
    const dimensions = read.u32();
    if (dimensions > 4) read.fail(`it has ${dimensions} dimensions; GGUF allows 4`);
    const shape: number[] = [];
    for (let i = 0; i < dimensions; i++) {
      const size = read.u64();
      if (size > BigInt(Number.MAX_SAFE_INTEGER)) read.fail(`a dimension of ${size} is impossible`);
      shape.unshift(Number(size));
    }
    const type = read.u32();
    const relative = Number(read.u64());
    const format = formatOfGgmlType(type);
    if (format === undefined) {
      throw new CheckpointError(
        { file: source.name, tensor: name },
        `it is stored as ${ggmlTypeName(type)}`,
        `Read here: ${readableTypes()}; quantize the model to one of these, such as Q4_K_M, Q4_0 or Q8_0.`,
      );
    }
    const { blockSize, blockBytes } = formats[format];
    const elements = shape.reduce((product, size) => product * size, 1);
    const width = shape.at(-1) ?? 1;
    if (!Number.isSafeInteger(elements) || width % blockSize !== 0) {
      read.fail(`its shape [${shape}] is impossible for ${ggmlTypeName(type)}`);
    }
    infos.push({ name, shape, format, bytes: (elements / blockSize) * blockBytes, relative });
  }

  const headerBytes = read.offset();
  const dataStart = align(headerBytes, alignment);
  const tensors = infos.map(({ relative, ...info }): GgufTensor => ({ ...info, offset: dataStart + relative }));
  for (const { name, offset, bytes: length } of tensors) {
    const where = { file: source.name, tensor: name };
    if (!Number.isSafeInteger(offset) || (offset - dataStart) % alignment !== 0) {
      throw new CheckpointError(where, `its offset is not a multiple of ${alignment}`, "The file is damaged.");
    }
    if (offset + length > source.size) {
      throw new CheckpointError(
        where,
        `it ends at byte ${offset + length}, but the file at ${source.size}`,
        "The file is incomplete; download or copy it again.",
      );
    }
  }
  checkOverlap(tensors, source.name);
  return { version, metadata, tensors, headerBytes };
}

/** Refuses tensors that share bytes. @throws {CheckpointError} */
export function checkOverlap(
  tensors: readonly { readonly name: string; readonly offset: number; readonly bytes: number }[],
  file: string,
): void {
  const inOrder = tensors.filter(({ bytes }) => bytes > 0).sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < inOrder.length; i++) {
    const [before, tensor] = [inOrder[i - 1]!, inOrder[i]!];
    if (tensor.offset >= before.offset + before.bytes) continue;
    throw new CheckpointError(
      { file, tensor: tensor.name },
      `it shares bytes with ${quoted(before.name)}`,
      "The file is damaged; download or convert it again.",
    );
  }
}

interface HeaderReader {
  /** Says what is read next, for errors. */
  at(what: string): void;
  fail(problem: string): never;
  offset(): number;
  u32(): number;
  u64(): bigint;
  /**
   * A number of things of at least `least` bytes each, which must fit into the rest of the file and be at most `most`.
   */
  count(least: number, most?: number): number;
  string(): string;
  value(type: number, depth: number): unknown;
}

function reader(bytes: Uint8Array<ArrayBuffer>, source: ByteSource): HeaderReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true }); // a byte order mark may be a token of its own
  const limit = Math.min(source.size, mostHeaderBytes);
  let position = 0;
  let elements = 0;
  let what = "the header";

  const fail = (problem: string): never => {
    throw new CheckpointError(
      { file: source.name },
      `${what}: ${problem}`,
      "The file is damaged or incomplete; download or convert it again.",
    );
  };
  const take = (length: number): number => {
    const start = position;
    if (start + length > limit) fail(`the file's header ends early, at byte ${limit}`);
    if (start + length > bytes.length) throw new PrefixTooShort(start + length);
    position += length;
    return start;
  };
  const u32 = (): number => view.getUint32(take(4), true);
  const u64 = (): bigint => view.getBigUint64(take(8), true);
  const number = (value: bigint): number | bigint => {
    const rounded = Number(value);
    return Number.isSafeInteger(rounded) ? rounded : value;
  };
  const count = (least: number, most = mostHeaderBytes): number => {
    const value = u64();
    if (value > BigInt(most)) fail(`${value} are declared, more than any model has`);
    if (value > BigInt(Math.floor((limit - position) / least))) {
      fail(`${value} are declared, more than the file can hold`);
    }
    return Number(value);
  };
  const string = (): string => {
    const length = count(1);
    const start = take(length);
    return utf8.decode(bytes.subarray(start, start + length));
  };
  const array = (depth: number): unknown[] => {
    if (depth > 4) fail("arrays are nested too deep");
    const type = u32();
    const length = count(leastBytes[type] ?? fail(`${type} is not a type of value`));
    elements += length;
    if (elements > mostElements) fail(`more than ${mostElements} array elements are declared`);
    const values: unknown[] = [];
    for (let i = 0; i < length; i++) values.push(value(type, depth + 1));
    return values;
  };
  const value = (type: number, depth: number): unknown => {
    switch (type) {
      case 0:
        return view.getUint8(take(1));
      case 1:
        return view.getInt8(take(1));
      case 2:
        return view.getUint16(take(2), true);
      case 3:
        return view.getInt16(take(2), true);
      case 4:
        return u32();
      case 5:
        return view.getInt32(take(4), true);
      case 6:
        return view.getFloat32(take(4), true);
      case 7:
        return view.getUint8(take(1)) !== 0;
      case 8:
        return string();
      case 9:
        return array(depth);
      case 10:
        return number(u64());
      case 11:
        return number(view.getBigInt64(take(8), true));
      case 12:
        return view.getFloat64(take(8), true);
      default:
        return fail(`${type} is not a type of value`);
    }
  };
  return {
    at(next) {
      what = next;
    },
    fail,
    offset: () => position,
    u32,
    u64,
    count,
    string,
    value,
  };
}
