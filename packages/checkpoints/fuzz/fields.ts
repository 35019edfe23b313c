// Where the numbers that steer a parser stand in a sound file: counts, lengths, types, offsets, tags. Mutations aim at
// them.

import type { Field } from "@polyllama/test-support/fuzz/mutate";

/** Counts, lengths, types and dimensions in a GGUF header. Long arrays contribute their first elements. */
export function ggufFields(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Field[] = [];
  let at = 4;
  const integer = (size: number): number => {
    fields.push({ offset: at, size, kind: "integer" });
    const value = size === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
    at += size;
    return value;
  };
  const string = (): void => {
    const length = integer(8);
    at += length;
  };
  const sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
  const value = (type: number): void => {
    if (type === 8) string();
    else if (type === 9) {
      const element = integer(4);
      const count = integer(8);
      const before = fields.length;
      for (let i = 0; i < count; i++) {
        value(element);
        if (i > 8) fields.length = Math.min(fields.length, before + 16);
      }
    } else {
      fields.push({ offset: at, size: sizes[type]!, kind: "integer" });
      at += sizes[type]!;
    }
  };
  integer(4);
  const tensors = integer(8);
  const entries = integer(8);
  for (let i = 0; i < entries; i++) {
    string();
    value(integer(4));
  }
  for (let i = 0; i < tensors; i++) {
    string();
    const dimensions = integer(4);
    for (let d = 0; d < dimensions; d++) integer(8);
    integer(4);
    integer(8);
  }
  return fields;
}

/** The integers of a zip archive's headers: local, central, end, Zip64. */
export function zipFields(bytes: Uint8Array): Field[] {
  const layouts: Readonly<Record<number, readonly number[]>> = {
    67324752: [4, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2],
    33639248: [4, 2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4],
    101010256: [4, 2, 2, 2, 2, 4, 4, 2],
    101075792: [4, 8, 2, 2, 4, 4, 8, 8, 8, 8],
    117853008: [4, 4, 8, 4],
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Field[] = [];
  for (let at = 0; at + 4 <= bytes.length; at++) {
    if (bytes[at] !== 0x50 || bytes[at + 1] !== 0x4b) continue;
    let offset = at;
    for (const size of layouts[view.getUint32(at, true)] ?? []) {
      if (offset + size <= bytes.length) fields.push({ offset, size, kind: "integer" });
      offset += size;
    }
  }
  return fields;
}

/** Every operation of a pickle that pickletools would show as one line, with its operand. */
export function pickleFields(bytes: Uint8Array): Field[] {
  const operands: Readonly<Record<number, number>> = {
    128: 1,
    149: 8,
    75: 1,
    77: 2,
    74: 4,
    138: 1,
    71: 8,
    88: 4,
    140: 1,
    141: 8,
    113: 1,
    114: 4,
    104: 1,
    106: 4,
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Field[] = [];
  let at = 0;
  while (at < bytes.length) {
    const opcode = bytes[at]!;
    fields.push({ offset: at++, size: 1, kind: "integer" });
    const size = operands[opcode] ?? 0;
    if (size > 0) fields.push({ offset: at, size, kind: "integer" });
    if (opcode === 0x58) at += view.getUint32(at, true);
    else if (opcode === 0x8c || opcode === 0x8a) at += bytes[at]!;
    else if (opcode === 0x63) at = bytes.indexOf(10, bytes.indexOf(10, at) + 1) + 1;
    at += size;
  }
  return fields;
}

/** Tags, lengths and numbers of a protobuf message, one level into its submessages. */
export function protobufFields(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  const varint = (at: number): { readonly value: number; readonly end: number } => {
    let [value, scale, end] = [0, 1, at];
    while (end < bytes.length) {
      const byte = bytes[end++]!;
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) break;
    }
    fields.push({ offset: at, size: end - at, kind: "varint" });
    return { value, end };
  };
  const message = (start: number, stop: number, depth: number): void => {
    let at = start;
    while (at < stop && fields.length < 4096) {
      const tag = varint(at);
      at = tag.end;
      const wire = tag.value & 7;
      if (wire === 0) at = varint(at).end;
      else if (wire === 5) at += 4;
      else if (wire === 1) at += 8;
      else if (wire === 2) {
        const length = varint(at);
        if (depth === 0) message(length.end, length.end + length.value, 1);
        at = length.end + length.value;
      } else return;
    }
  };
  message(0, bytes.length, 0);
  return fields;
}

/** 4-byte integers, one after another. */
export function integerFields(start: number, count: number): Field[] {
  return Array.from({ length: count }, (_, i) => ({ offset: start + 4 * i, size: 4, kind: "integer" }));
}
