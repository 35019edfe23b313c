import { CheckpointError, type FormatName, type WeightInfo } from "@polyllama/core";
import { describe, expect, test } from "vitest";
import { assertFinite, formats } from "../src/index.ts";

describe("assertFinite", () => {
  const poison: Readonly<Record<FormatName, readonly [block: number, byte: number, where: string]>> = {
    f32: [259, 3, "row 12, column 3,"],
    f16: [259, 1, "row 12, column 3,"],
    bf16: [259, 1, "row 12, column 3,"],
    q8_0: [9, 1, "row 12, columns 32 to 63,"],
    q4_0: [9, 1, "row 12, columns 32 to 63,"],
    q4_1: [9, 3, "row 12, columns 32 to 63,"],
    q5_0: [9, 1, "row 12, columns 32 to 63,"],
    q5_1: [9, 3, "row 12, columns 32 to 63,"],
    iq4_nl: [9, 1, "row 12, columns 32 to 63,"],
    q2_k: [1, 83, "row 12, columns 0 to 255,"],
    q3_k: [1, 109, "row 12, columns 0 to 255,"],
    q4_k: [1, 3, "row 12, columns 0 to 255,"],
    q5_k: [1, 3, "row 12, columns 0 to 255,"],
    q8_k: [1, 3, "row 12, columns 0 to 255,"],
    q6_k: [1, 209, "row 12, columns 0 to 255,"],
  };
  test.each(Object.keys(formats) as FormatName[])("%s: names tensor, row and columns", (format) => {
    const info: WeightInfo = { name: "layers.0.attention.wq.weight", shape: [20, 256], format };
    const { blockBytes, blockSize } = formats[format];
    const bytes = new Uint8Array((blockBytes * 2 * 256) / blockSize);
    assertFinite({ name: "model.gguf" }, info, bytes, 11);
    const [block, byte, where] = poison[format];
    bytes.fill(0xff, block * blockBytes + byte - 1, block * blockBytes + byte + 1);
    const check = () => assertFinite({ name: "model.gguf" }, info, bytes, 11);
    expect(check).toThrow(CheckpointError);
    expect(check).toThrow(`model.gguf, tensor "layers.0.attention.wq.weight": ${where} holds a NaN or an infinity`);
  });

  test("columns of a cut are counted from the row's beginning", () => {
    const info: WeightInfo = { name: "w", shape: [20, 256], format: "q4_0" };
    const { blockBytes } = formats.q4_0;
    const bytes = new Uint8Array(blockBytes * 2 * 3); // three rows of two blocks
    bytes.fill(0xff, 5 * blockBytes, 5 * blockBytes + 2);
    const check = () => assertFinite({ name: "model.gguf" }, info, bytes, 7, { first: 96, count: 64 });
    expect(check).toThrow('model.gguf, tensor "w": row 9, columns 128 to 159, holds a NaN or an infinity');
  });
});
