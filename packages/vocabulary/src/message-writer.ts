// Protocol Buffers' wire format as it is written, as far as tokenizer.model needs it. Core has the reader.
// Source: protobuf.dev/programming-guides/encoding.

/** A message that is being written; fields stand in the order in which they are put. */
export interface MessageWriter {
  /** Of int32, bool and enum fields. */
  number(field: number, value: number): void;
  float(field: number, value: number): void;
  bytes(field: number, content: Uint8Array): void;
  text(field: number, content: string): void;
  finish(): Uint8Array<ArrayBuffer>;
}

const encoder = new TextEncoder();

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
    text: (field, content) => bytes(field, encoder.encode(content)),
    finish: () => message.slice(0, length),
  };
}
