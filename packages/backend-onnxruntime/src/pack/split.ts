// 8-bit matrices for f32 activations. ONNX Runtime multiplies 8-bit weights in f32 by dequantizing the whole matrix at
// every token, forty times slower than two 4-bit products. So a signed value q is split into q = 16 high + low with
// high from -8 to 7 and low from 0 to 15, and
//   W x = MatMulNBits(high, 16 s) x + MatMulNBits(low, s) x
// where high has the operator's default zero point of 8 and low an explicit one of 0. Exact: 16 s only moves the
// exponent. Offsets, where the format has them, stay a third term.

import { type Packer, quantizedParts, reals } from "./packer.ts";

/** The split form of an 8-bit packer. */
export function split(whole: Packer): Packer {
  return {
    bits: 4,
    block: whole.block,
    parts: (columns) => {
      const [values, scales] = quantizedParts(4, whole.block, columns);
      const [, , ...offsets] = whole.parts(columns);
      const pairs = Math.ceil(columns / whole.block / 2); // zero points of two blocks share a byte
      return [
        values!,
        scales!,
        { ...values!, name: "lowValues" },
        { ...scales!, name: "lowScales" },
        { name: "lowZeroPoints", type: "u8", bytesPerRow: pairs, shape: (rows) => [rows, pairs] },
        ...offsets,
      ];
    },
    pack(bytes, [values, scales, lowValues, lowScales, , ...offsets]) {
      const shifted = new Uint8Array(values!.length * 2); // q + 128 = 16 (high + 8) + low
      whole.pack(bytes, [shifted, lowScales!, ...offsets]);
      const [from, to] = [reals(lowScales!), reals(scales!)];
      for (let i = 0; i < from.length; i++) to[i] = 16 * from[i]!;
      const [high, low] = [values!, lowValues!];
      for (let i = 0; i < high.length; i++) {
        const even = shifted[2 * i]!;
        const odd = shifted[2 * i + 1]!;
        high[i] = (even >> 4) | (odd & 0xf0);
        low[i] = (even & 15) | ((odd & 15) << 4);
      }
    },
  };
}
