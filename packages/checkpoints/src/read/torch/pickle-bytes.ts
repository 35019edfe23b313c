// The bytes of a pickle, read from its beginning on: operations and what follows them.

import { CheckpointError } from "@polyllama/core";

export interface PickleBytes {
  /** @throws {CheckpointError} that names the place reached. */
  fail(problem: string): never;
  /** Passes over so many bytes. */
  skip(length: number): void;
  u8(): number;
  u16(): number;
  u32(): number;
  i32(): number;
  f64(): number;
  /** A length in eight bytes, which the rest of the file must have. */
  length(): number;
  /** UTF-8 of so many bytes. */
  text(length: number): string;
  /** Text up to a line break. */
  line(): string;
  /** A little-endian integer of so many bytes, in two's complement. */
  integer(length: number): number;
}

/** Reads bytes; every method throws {@link CheckpointError} where they end too early or are none of what is read. */
export function pickleBytes(bytes: Uint8Array, file: string): PickleBytes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let position = 0;
  const fail = (problem: string): never => {
    const remedy = "The file is damaged; download or copy it again.";
    throw new CheckpointError({ file }, `byte ${position} of its pickle: ${problem}`, remedy);
  };
  const take = (length: number): number => {
    const start = position;
    if (length > bytes.length - start) fail(`${length} bytes are declared, but ${bytes.length - start} are left`);
    position += length;
    return start;
  };
  const text = (length: number): string => {
    const start = take(length);
    try {
      return utf8.decode(bytes.subarray(start, start + length));
    } catch {
      return fail("a text is not UTF-8");
    }
  };
  return {
    fail,
    skip: (length) => void take(length),
    u8: () => view.getUint8(take(1)),
    u16: () => view.getUint16(take(2), true),
    u32: () => view.getUint32(take(4), true),
    i32: () => view.getInt32(take(4), true),
    f64: () => view.getFloat64(take(8), false),
    length() {
      const value = view.getBigUint64(take(8), true);
      return value <= BigInt(bytes.length) ? Number(value) : fail(`a length of ${value} is declared`);
    },
    text,
    line() {
      const end = bytes.indexOf(10, position);
      if (end < 0 || end - position > 256) return fail("a name does not end");
      const name = text(end - position);
      take(1);
      return name;
    },
    integer(length) {
      if (length > 8) fail(`an integer of ${length} bytes`);
      const start = take(length);
      let value = 0n;
      for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[start + i]!);
      const signed = length > 0 ? BigInt.asIntN(8 * length, value) : 0n;
      const rounded = Number(signed);
      return Number.isSafeInteger(rounded) ? rounded : fail(`the integer ${signed} is impossible`);
    },
  };
}
