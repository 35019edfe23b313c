// linear. Quantized matrices go to `MatMulNBits`, f32 ones to a plain product with the stored, untransposed matrix. The
// offsets of formats that have them are a further, small product with the sums of x over blocks (see pack/q4_k.ts),
// which linears over the same x share; 8-bit matrices for f32 activations are a sum of two 4-bit products (see
// pack/split.ts).

import { rowCount } from "@polyllama/core";
import type { LinearStep } from "@polyllama/planner";
import type { PartName } from "../pack/index.ts";
import type { PackedMatrix } from "../pack/layout.ts";
import { type Emission, emitTensor } from "./emission.ts";
import type { TensorName } from "./onnx.ts";
import { emitWeight } from "./weight.ts";

/** x [1, rows, K] -> [1, rows, M]; the results of a group stand side by side. */
export function emitLinear(step: LinearStep, e: Emission): void {
  const { x, group, y } = step;
  const { members } = group;
  emitTensor(e, step, (name) => multiply(e, e.tensors.at(x), e.layout.packed.get(group)!, name));
  if (members.length > 1) e.tensors.define(y.buffer, () => step.label, members.map(rowCount));
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
