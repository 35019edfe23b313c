// Protocol Buffers' wire format, as far as tokenizer.model needs it: fields in the order in which they stand. Every
// length is checked against the bytes that are there, and nothing is allocated for it. @polyllama/vocabulary has the
// writer. Source: protobuf.dev/programming-guides/encoding.

import { refuse } from "./assemble.ts";

export interface Field {
  readonly number: number;
  /**
   * Of a varint the low 32 bits, signed, as int32, bool and enum need; of a float its value; 0 where there are bytes.
   */
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
