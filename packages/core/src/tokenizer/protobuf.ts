// Protocol Buffers' wire format, as far as tokenizer.model needs it: fields in the order in which they stand. In reading,
// every length is checked against the bytes that are there, and nothing is allocated for it.
// Source: protobuf.dev/programming-guides/encoding.

import { refuse } from "./assemble.ts";
import { utf8Encode } from "./utf8.ts";

export interface Field {
  readonly number: number;
  /** Of a varint the low 32 bits, signed, as int32, bool and enum need; of a float its value; 0 where there are bytes. */
  readonly value: number;
  /** Of a length-delimited field; empty otherwise. */
  readonly bytes: Uint8Array;
}

const none = new Uint8Array(0);

/** @throws {PolyllamaError} `ERR_TOKENIZER` where the bytes are not a message. */
export function* messageFields(message: Uint8Array, source: string): Generator<Field> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;

  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at++] ?? refuse(source, "the file is cut short");
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return refuse(source, `a number at byte ${at} of a message does not end`);
  };
  const skip = (length: number): number => {
    const start = at;
    if (length < 0 || length > message.length - at) {
      refuse(source, `a field of ${length >>> 0} bytes stands where ${message.length - at} are left`);
    }
    at += length;
    return start;
  };

  while (at < message.length) {
    const tag = varint();
    const number = tag >>> 3;
    if (number === 0) refuse(source, `there is no field at byte ${at} of a message`);
    switch (tag & 7) {
      case 0:
        yield { number, value: varint(), bytes: none };
        break;
      case 1:
        skip(8);
        break;
      case 2: {
        const start = skip(varint());
        yield { number, value: 0, bytes: message.subarray(start, at) };
        break;
      }
      case 5:
        yield { number, value: view.getFloat32(skip(4), true), bytes: none };
        break;
      default:
        refuse(source, `field ${number} has the wire type ${tag & 7}, which tokenizer.model does not use`);
    }
  }
}

/** A message that is being written; fields stand in the order in which they are put. */
export interface MessageWriter {
  /** Of int32, bool and enum fields. */
  number(field: number, value: number): void;
  float(field: number, value: number): void;
  bytes(field: number, content: Uint8Array): void;
  text(field: number, content: string): void;
  finish(): Uint8Array<ArrayBuffer>;
}

export function messageWriter(): MessageWriter {
  let message = new Uint8Array(64);
  let length = 0;

  const grow = (more: number): void => {
    if (length + more <= message.length) return;
    const larger = new Uint8Array(Math.max(length + more, 2 * message.length));
    larger.set(message.subarray(0, length));
    message = larger;
  };
  const varint = (value: bigint): void => {
    grow(10);
    let rest = BigInt.asUintN(64, value); // negative numbers take ten bytes
    for (; rest > 0x7fn; rest >>= 7n) message[length++] = Number(rest & 0x7fn) | 0x80;
    message[length++] = Number(rest);
  };
  const bytes = (field: number, content: Uint8Array): void => {
    varint(BigInt((field << 3) | 2));
    varint(BigInt(content.length));
    grow(content.length);
    message.set(content, length);
    length += content.length;
  };
  return {
    number(field, value) {
      varint(BigInt(field << 3));
      varint(BigInt(value));
    },
    float(field, value) {
      varint(BigInt((field << 3) | 5));
      grow(4);
      new DataView(message.buffer).setFloat32(length, value, true);
      length += 4;
    },
    bytes,
    text: (field, content) => bytes(field, utf8Encode(content)),
    finish: () => message.slice(0, length),
  };
}
