import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { describeWithShared, shared } from "../../../tests/support/shared.ts";
import { formats } from "../src/index.ts";

interface GgmlVectors {
  readonly n: number;
  readonly types: Readonly<
    Record<string, { readonly ggml_type: number; readonly q_b64: string; readonly deq_b64: string }>
  >;
}

describeWithShared("dequantization equals ggml's to the last bit", () => {
  for (const format of [formats.q8_0, formats.q4_0, formats.q4_k, formats.q6_k]) {
    test(format.name, () => {
      const vectors: GgmlVectors = JSON.parse(readFileSync(shared("vectors/ggml-quant-vectors.json"), "utf8"));
      const entry = Object.values(vectors.types).find(({ ggml_type }) => ggml_type === format.ggmlType);
      const output = new Float32Array(vectors.n);
      format.dequantize(Buffer.from(entry?.q_b64 ?? "", "base64"), output);
      expect(Buffer.from(output.buffer).equals(Buffer.from(entry?.deq_b64 ?? "", "base64"))).toBe(true);
    });
  }
});
