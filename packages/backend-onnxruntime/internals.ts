// What benchmarks of this repository use of the inside: the ONNX model and the packed weights that other engines are
// given, too.

export { openPackedWeights } from "./src/cache/packed-weights.ts";
export { lower } from "./src/lower.ts";
export { planLayout } from "./src/pack/layout.ts";
