// linear. Quantized matrices go to `MatMulNBits`, f32 ones to a plain product with the stored, untransposed matrix. Q4_K's
// offsets are a second, small product with the sums of x over blocks of 32 (see pack/q4_k.ts), which linears over the
// same x share.

import type { PackedArray, PackedMatrix } from "../pack/layout.ts";
import { type Emission, packedFile } from "./emission.ts";
import type { TensorName } from "./onnx.ts";

/** `x matrix^T`: x [1, rows, columns] -> [1, rows, matrix rows]. */
export function emitLinear(e: Emission, x: TensorName, matrix: PackedMatrix, output: TensorName): void {
  const [values, scales, offsets] = matrix.parts.map(({ array }) => emitWeight(e, array));
  const { bits, block } = matrix.packer;
  if (bits === 32) {
    e.model.node("FusedMatMul", [x, values!], [output], { transB: { int: 1 } });
    return;
  }
  const product = offsets === undefined ? output : e.model.fresh(`${output}:product`);
  e.model.node("MatMulNBits", [x, values!, scales!], [product], {
    K: { int: matrix.columns },
    N: { int: matrix.rows },
    bits: { int: bits },
    block_size: { int: block },
    accuracy_level: { int: e.accuracyLevel },
  });
  if (offsets === undefined) return;
  const correction = e.model.fresh(`${output}:offsets`);
  e.model.node("FusedMatMul", [blockSums(e, x, matrix), offsets], [correction], { transB: { int: 1 } });
  e.model.node("Add", [product, correction], [output]);
}

/** A packed array as an initializer. */
export function emitWeight(e: Emission, { name, type, shape, offset, length }: PackedArray): TensorName {
  return e.model.external(`weight ${name}`, { type, shape, file: packedFile, offset, length });
}

/** Sums over blocks along each row: [1, rows, columns] -> [1, rows, columns / block]. */
function blockSums(e: Emission, x: TensorName, { columns, packer: { block } }: PackedMatrix): TensorName {
  const known = e.blockSums.get(x);
  if (known !== undefined) return known;
  const blocks = e.model.fresh(`${x}:blocks`);
  const sums = e.model.fresh(`${x}:sums`);
  e.model.node("Reshape", [x, e.model.integers([1, -1, columns / block, block])], [blocks]);
  e.model.node("ReduceSum", [blocks, e.model.integers([-1])], [sums], { keepdims: { int: 0 } });
  e.blockSums.set(x, sums);
  return sums;
}
