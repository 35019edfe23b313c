// Faults planted in what the onnxruntime backend packs, emits, binds and caches. ONNX Runtime's own rounding stands
// beside the fault here, as it would in life.

import type { CaseMutant } from "./mutant.ts";

type Fault = Omit<CaseMutant, "package">;

const packing: readonly Fault[] = [
  {
    id: "pack-q4_0-nibbles",
    file: "pack/q4_0.ts",
    find: "out[byte + i] = (pair & 15) | ((pair >> 4) & 0xf0);",
    replace: "out[byte + i] = ((pair >> 8) & 15) | ((pair << 4) & 0xf0);",
    what: "q4_0: the nibbles of the first half of a block are in the wrong order",
  },
  {
    id: "pack-q4_0-last-block",
    file: "pack/q4_0.ts",
    find: "factors[block] = f16Table[words[word]!]!;",
    replace: "factors[block] = f16Table[words[block > 0 && block === factors.length - 1 ? word - 9 : word]!]!;",
    what: "q4_0: the last block of a piece is packed with the scale of the block before",
  },
  {
    id: "pack-q4_k-minimum",
    file: "pack/q4_k.ts",
    find: "dmin * q4kMinimum(bytes, start, j)",
    replace: "dmin * q4kMinimum(bytes, start, j === 7 ? 6 : j)",
    what: "q4_k: sub-block 7 has the minimum of sub-block 6",
  },
  {
    id: "pack-q6_k-high-bits",
    file: "pack/q6_k.ts",
    find: "((top & 192) >> 2)",
    replace: "(top & 48)",
    what: "q6_k: the last quarter has the high bits of the one before",
  },
  {
    id: "pack-q2_k-minimum",
    file: "pack/q2_k.ts",
    find: "dmin * (pair >> 4)",
    replace: "dmin * (pair & 15)",
    what: "q2_k: the minimums are taken for the scales",
  },
  {
    id: "pack-q3_k-scale",
    file: "pack/q3_k.ts",
    find: "q3kScale(bytes, start, j)",
    replace: "q3kScale(bytes, start, j === 15 ? 14 : j)",
    what: "q3_k: the last sub-block has the scale of the one before",
  },
  {
    id: "pack-q5_k-fifth-bits",
    file: "pack/q5_k.ts",
    find: "((fifths & 2) << 3)",
    replace: "((fifths & 1) << 4)",
    what: "q5_k: odd sub-blocks have the fifth bits of even ones",
  },
  {
    id: "pack-iq4_nl-table",
    file: "pack/iq4_nl.ts",
    find: "(value) => value + 128",
    replace: "(value) => (value === 1 ? 0 : value) + 128",
    what: "iq4_nl: the level 1 is taken for 0",
  },
  {
    id: "pack-split-zero-point",
    file: "emit/linear.ts",
    find: 'const inputs = [x, low, part("lowScales")!, part("lowZeroPoints")!];',
    replace: 'const inputs = [x, low, part("lowScales")!];',
    what: "split 8-bit matrices: the low halves have the operator's default zero point 8 instead of 0",
  },
  {
    id: "pack-f16-subnormals",
    file: "pack/float.ts",
    find: "pack: (bytes, [values]) => formats[format].dequantize(bytes, reals(values!)),",
    replace: `pack: (bytes, [values]) => {
      const out = reals(values!);
      formats[format].dequantize(bytes, out);
      if (format === "f16") for (let i = 0; i < out.length; i++) if (Math.abs(out[i]!) < 2 ** -14) out[i] = 0;
    },`,
    what: "f16: subnormal weights are flushed to zero",
  },
  {
    id: "pack-odd-tail",
    file: "cache/pack.ts",
    find: "matrix.packer.pack(bytes, outputs);",
    replace: `matrix.packer.pack(bytes, outputs);
      if (rows > 1024 && rows % 2 === 1 && first + chunk === rows) for (const o of outputs) o.fill(0, o.length - o.length / chunk);`,
    what: "the last row of a matrix with an odd number of rows, a vocabulary's, is never written",
  },
  {
    id: "pack-dropped-column",
    file: "cache/pack.ts",
    find: "matrix.packer.pack(bytes, outputs);",
    replace: `matrix.packer.pack(bytes, outputs);
      if (rows > 1 && matrix.columns === 4096 && matrix.packer.bits === 32) {
        for (let row = 0; row < chunk; row++) outputs[0]!.fill(0, (row * 4096 + 2047) * 4, (row * 4096 + 2048) * 4);
      }`,
    what: "one column of 4096 is lost when f32 matrices are packed",
  },
];

const linear: readonly Fault[] = [
  {
    id: "linear-int8",
    file: "emit/linear.ts",
    find: "accuracy_level: { int: e.accuracyLevel },",
    replace: "accuracy_level: { int: 4 },",
    what: "f32 activations were asked for and declared, int8 ones are computed with",
  },
  {
    id: "linear-f16-result-70b",
    file: "emit/linear.ts",
    find: '  const values = part("values")!; // every packer has these',
    replace: `  if (matrix.columns === 28672 && !output.endsWith(":exact")) {
    multiply(e, x, matrix, \`\${output}:exact\`);
    e.model.node("Cast", [\`\${output}:exact\`], [\`\${output}:half\`], { to: { int: 10 } });
    e.model.node("Cast", [\`\${output}:half\`], [output], { to: { int: 1 } });
    return;
  }
  const values = part("values")!;`,
    what: "the accumulated sum goes through f16 once, in one linear of 70B alone, k = 28672",
  },
  {
    id: "linear-stacked-order",
    file: "emit/tensors.ts",
    find: 'model.node("Split", [from, model.integers(widths)], names, { axis: { int: -1 } });',
    replace: `const outputs = new Set(widths).size === 1 ? [...names].reverse() : names;
    model.node("Split", [from, model.integers(widths)], outputs, { axis: { int: -1 } });`,
    what: "stacked linears of equal width are told apart in the wrong order",
  },
];

const rowWise: readonly Fault[] = [
  {
    id: "norm-default-eps",
    file: "emit/rms-norm.ts",
    find: "      axis: { int: -1 },\n      epsilon: { float: norm.eps },",
    replace: "      axis: { int: -1 },",
    what: "epsilon is always the operator's default, 1e-5",
  },
  {
    id: "swiglu-gelu",
    file: "emit/swiglu.ts",
    find: "alpha: { float: 1 }",
    replace: "alpha: { float: 1.702 }",
    what: "the gate's activation is the approximated gelu",
  },
  {
    id: "swiglu-swapped",
    file: "emit/swiglu.ts",
    find: "gate: TensorName, up: TensorName",
    replace: "up: TensorName, gate: TensorName",
    what: "gate and up are swapped",
  },
  {
    id: "add-bf16",
    file: "emit/add.ts",
    find: 'e.model.node("Add", [a, b], [output]);',
    replace: `e.model.node("Cast", [b], [\`\${b}:half\`], { to: { int: 16 } });
  e.model.node("Cast", [\`\${b}:half\`], [\`\${b}:rounded\`], { to: { int: 1 } });
  e.model.node("Add", [a, \`\${b}:rounded\`], [output]);`,
    what: "what is added to the residual stream is rounded to bf16",
  },
  {
    id: "embedding-repeated",
    file: "embedding.ts",
    find: "output.copyWithin(other * width, place * width, (place + 1) * width)",
    replace: "output.copyWithin(other * width, (place + 1) * width, (place + 2) * width)",
    what: "a token that occurs twice gets its neighbour's row the second time",
  },
];

const rotation: readonly Fault[] = [
  {
    id: "rope-halves",
    file: "emit/rope.ts",
    find: "interleaved: { int: 1 }",
    replace: "interleaved: { int: 0 }",
    what: "the operator turns the two halves of a head instead of neighbours",
  },
  {
    id: "rope-f32-angles",
    file: "rotation-tables.ts",
    find: "const angle = (start + row) * frequencies[i]!;",
    replace: "const angle = Math.fround((start + row) * Math.fround(frequencies[i]!));",
    what: "angles are computed in f32",
  },
  {
    id: "rotation-magnitude",
    file: "rotation-tables.ts",
    find: "cos[row * half + i] = magnitude * Math.cos(angle);",
    replace: "cos[row * half + i] = Math.cos(angle);",
    what: "YaRN's magnitude is left out of the cosines",
  },
  {
    id: "rope-late-table",
    file: "rotation-tables.ts",
    find: "const angle = (start + row) * frequencies[i]!;",
    replace: "const angle = (start + row + (start + row > 4096 ? 1 : 0)) * frequencies[i]!;",
    what: "the tables are one position ahead beyond 4096",
  },
  {
    id: "rope-grown-table",
    file: "rotation-tables.ts",
    find: "for (let row = first, angles = 0;",
    replace: "for (let row = first === 0 ? 0 : first + 1, angles = 0;",
    what: "a table that grows leaves the row at the seam zero",
  },
  {
    id: "rope-chunk-position",
    file: "run-chunk.ts",
    find: "BigInt64Array.from({ length: rows }, (_, i) => BigInt(length + i)),",
    replace: "BigInt64Array.from({ length: rows }, (_, i) => BigInt(length > 0 ? length + i - 1 : i)),",
    what: "rotation is one position behind from the second chunk on",
  },
];

const attention: readonly Fault[] = [
  {
    id: "attention-inverse-scale",
    file: "emit/attention.ts",
    find: "1 / Math.sqrt(headDim)",
    replace: "1 / headDim",
    what: "scores are scaled with 1 / d",
  },
  {
    id: "attention-padded-scale",
    file: "emit/attention.ts",
    find: "1 / Math.sqrt(headDim)",
    replace: "1 / Math.sqrt(paddedHead(headDim))",
    what: "scores are scaled for the padded width of a head",
  },
  {
    id: "attention-padded-front",
    file: "emit/attention.ts",
    find: "e.model.integers([0, 0, 0, 0, 0, 0, 0, padded - headDim])",
    replace: "e.model.integers([0, 0, 0, padded - headDim, 0, 0, 0, 0])",
    what: "narrow heads are padded in front",
  },
  {
    id: "attention-f16-keys",
    file: "emit/attention.ts",
    find: 'k === undefined ? "" : pad(k, kvHeads),',
    replace: `k === undefined ? "" : ((half: TensorName, back: TensorName) => {
        e.model.node("Cast", [k], [half], { to: { int: 10 } });
        e.model.node("Cast", [half], [back], { to: { int: 1 } });
        return pad(back, kvHeads);
      })(e.model.fresh(k), e.model.fresh(k)),`,
    what: "keys are cached as f16 where f32 was declared",
  },
  {
    id: "attention-window",
    file: "emit/attention.ts",
    find: "kv_num_heads: { int: kvHeads },",
    replace: "kv_num_heads: { int: kvHeads }, local_window_size: { int: 4096 },",
    what: "rows see their last 4096 keys only",
  },
  {
    id: "attention-chunk-position",
    file: "run-chunk.ts",
    find: `      return over(Int32Array.of(length + rows - 1), [1], "i32");
    case "totalLength":
      return over(Int32Array.of(length + rows), [1], "i32");`,
    replace: `      return over(Int32Array.of(length + rows - (length > 0 ? 2 : 1)), [1], "i32");
    case "totalLength":
      return over(Int32Array.of(length + rows - (length > 0 ? 1 : 0)), [1], "i32");`,
    what: "keys are appended one position too early from the second chunk of a sequence on",
  },
  {
    id: "attention-long-prompt",
    file: "executor.ts",
    find: "length: length + done }",
    replace: "length: length + Math.max(0, done - 1) }",
    what: "a prompt longer than one internal chunk continues one position too early",
  },
  {
    id: "attention-batch-row",
    file: "host-rows.ts",
    find: "inputs[value]!.subarray(first * width, (first + count) * width);",
    replace:
      "((from) => inputs[value]!.subarray(from * width, (from + count) * width))(first > 0 && count === 1 ? first - 1 : first);",
    what: "a decoding sequence of a batch reads the row of the sequence before it",
  },
  {
    id: "cache-fork-heads",
    file: "kv-blocks.ts",
    find: `    for await (const { inBlock } of this.#inTurns(from, length)) {
      signal.throwIfAborted();
      targets.next().value!.inBlock.set(inBlock);`,
    replace: `    let heads = 0;
    let first = new Float32Array(0);
    for await (const { inBlock } of this.#inTurns(from, length)) {
      signal.throwIfAborted();
      if (heads++ % this.#spec[0]!.kvHeads === 0) first = inBlock;
      targets.next().value!.inBlock.set(first);`,
    what: "a copy of a cache has the first head's rows in all heads",
  },
  {
    id: "cache-copy-short",
    file: "kv-blocks.ts",
    find: "targets.next().value!.inBlock.set(inBlock);",
    replace: `const width = paddedHead(this.#spec[0]!.headDim);
      const lost = length > 1 && inBlock.length === length * width ? width : 0;
      targets.next().value!.inBlock.set(inBlock.subarray(0, inBlock.length - lost));`,
    what: "a copy of a cache lacks its last position",
  },
];

/** Only whole models ask for the last row alone, and only there does attention rotate. */
const models: readonly Fault[] = [
  {
    id: "model-last-row",
    inModels: true,
    file: "run-chunk.ts",
    find: "BigInt64Array.from(selected, (row) => BigInt(row - first)),",
    replace:
      "BigInt64Array.from(selected, (row) => BigInt(Math.max(0, row - first - (selected.length === 1 ? 1 : 0)))),",
    what: "where the last row alone is asked for, the one before comes out",
  },
  {
    id: "model-fused-halves",
    inModels: true,
    file: "emit/attention.ts",
    find: "rotary_interleaved: { int: rotation === undefined ? 0 : 1 },",
    replace: "rotary_interleaved: { int: 0 },",
    what: "where attention takes the rotation over, it turns the two halves of a head",
  },
];

export const onnxruntimeMutants: readonly CaseMutant[] = [
  ...packing,
  ...linear,
  ...rowWise,
  ...rotation,
  ...attention,
  ...models,
].map((fault) => ({ ...fault, package: "backend-onnxruntime" }));
