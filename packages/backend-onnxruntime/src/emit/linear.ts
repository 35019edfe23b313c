// linear. Quantized matrices go to `MatMulNBits`, f32 ones to a plain product with the stored, untransposed matrix. The offsets
// of formats that have them are a further, small product with the sums of x over blocks (see pack/q4_k.ts), which linears
// over the same x share; 8-bit matrices for f32 activations are a sum of two 4-bit products (see pack/split.ts).

import type { LinearNode } from "@polyllama/core";
import type { Need } from "../needs.ts";
import type { PartName } from "../pack/index.ts";
import { type LinearGroup, type PackedArray, type PackedMatrix, packedFile } from "../pack/layout.ts";
import { type Emission, nameFor } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** x [1, rows, K] -> [1, rows, M], together with the linears of its group, which are computed with the first of them. */
export function emitLinear(node: LinearNode, e: Emission): void {
  const { tensor, define, has } = e.values;
  if (has(node.output)) return;
  const group = e.layout.groups.get(node.output)!;
  const values = group.outputs.map(({ value }) => value);
  const need: Need = values.some((value) => e.needs.get(value) === "all") ? "all" : "selected";
  const x = tensor(group.x, need);
  if (values.length === 1) {
    const name = nameFor(node.output, need);
    multiply(e, x, group.matrix, name);
    define(node.output, need, () => name);
    return;
  }
  const stacked = stackedName(group, need);
  multiply(e, x, group.matrix, stacked);
  const separate = splitter(e, group, need, stacked);
  if (need === "selected") separate();
  for (const value of values) {
    define(value, need, () => {
      separate();
      return nameFor(value, need);
    });
  }
}

/** Name of the results of a group side by side. */
export function stackedName(group: LinearGroup, need: Need): TensorName {
  return `stacked ${need} ${group.outputs.map(({ value }) => value).join("+")}`;
}

/** Splits a group's results where somebody reads one alone, once. */
function splitter(e: Emission, group: LinearGroup, need: Need, stacked: TensorName): () => void {
  let split = false;
  return () => {
    if (split) return;
    split = true;
    const names = group.outputs.map(({ value }) => nameFor(value, need));
    const widths = e.model.integers(group.outputs.map(({ width }) => width));
    e.model.node("Split", [stacked, widths], names, { axis: { int: -1 } });
  };
}

/** `x matrix^T`: x [1, rows, columns] -> [1, rows, matrix rows]. */
function multiply(e: Emission, x: TensorName, matrix: PackedMatrix, output: TensorName): void {
  const part = (name: PartName): TensorName | undefined => {
    const found = matrix.parts.find(({ spec }) => spec.name === name);
    return found && emitWeight(e, found.array);
  };
  const values = part("values")!; // every packer has these
  if (matrix.packer.bits === 32) {
    e.model.node("FusedMatMul", [x, values], [output], { transB: { int: 1 } });
    return;
  }
  const terms: ((term: TensorName) => void)[] = [
    (term) => emitQuantized(e, matrix, [x, values, part("scales")!], term),
  ];
  const [offsets, low] = [part("offsets"), part("lowValues")];
  if (offsets !== undefined) {
    const sums = blockSums(e, x, matrix);
    terms.push((term) => e.model.node("FusedMatMul", [sums, offsets], [term], { transB: { int: 1 } }));
  }
  if (low !== undefined) {
    const inputs = [x, low, part("lowScales")!, part("lowZeroPoints")!];
    terms.push((term) => emitQuantized(e, matrix, inputs, term));
  }
  if (terms.length === 1) terms[0]!(output);
  else {
    const names = terms.map(() => e.model.fresh(output));
    for (const [i, term] of terms.entries()) term(names[i]!);
    e.model.node(names.length === 2 ? "Add" : "Sum", names, [output]);
  }
}

function emitQuantized(e: Emission, matrix: PackedMatrix, inputs: readonly TensorName[], output: TensorName): void {
  e.model.node("MatMulNBits", inputs, [output], {
    K: { int: matrix.columns },
    N: { int: matrix.rows },
    bits: { int: matrix.packer.bits },
    block_size: { int: matrix.packer.block },
    accuracy_level: { int: e.accuracyLevel },
  });
}

/** A packed array as an initializer. */
export function emitWeight(e: Emission, { name, type, shape, offset, length }: PackedArray): TensorName {
  return e.model.external(`weight ${name}`, { type, shape, file: packedFile, offset, length });
}

/** Sums over blocks along each row: [1, rows, columns] -> [1, rows, columns / block]. */
function blockSums(e: Emission, x: TensorName, { columns, packer: { block } }: PackedMatrix): TensorName {
  const key = `${block} ${x}`;
  const known = e.blockSums.get(key);
  if (known !== undefined) return known;
  const blocks = e.model.fresh(`${x}:blocks`);
  const sums = e.model.fresh(`${x}:sums`);
  e.model.node("Reshape", [x, e.model.integers([1, -1, columns / block, block])], [blocks]);
  e.model.node("ReduceSum", [blocks, e.model.integers([-1])], [sums], { keepdims: { int: 0 } });
  e.blockSums.set(key, sums);
  return sums;
}
