// A residual stream beyond 65,504, the largest f16 number: it must come out right, or the device must name the layer.

import { llamaGraph, PolyllamaError, type Tensor } from "@polyllama/core";
import { at, exact } from "../comparison/measure.ts";
import { estimateTolerance, measureTolerance } from "../comparison/tolerance.ts";
import { support } from "../support.ts";
import { type MemoryWeight, memoryWeights, randomWeights } from "../weights.ts";
import { drawTokens, type ModelCheck } from "./small.ts";

const largest = 65_504;

export const checkOverflow: ModelCheck = async (device, { config, format }, stream) => {
  const graph = llamaGraph(config);
  const drawn = randomWeights(graph, format, stream);
  const weights = memoryWeights(
    drawn.map((weight) => (weight.name === "tok_embeddings.weight" ? scaled(weight, 2 ** 24) : weight)),
  );
  const tokens = drawTokens(config, stream);
  const supported = await support(device, { graph, weights });
  if (supported.status !== "supported") return supported;
  await using loaded = supported.loaded;
  const tolerance = await estimateTolerance(graph, weights, { inputs: { tokens } }, "logits", device.roundings);
  try {
    const wanted = ["logits", "layers.0.out"];
    const [logits, residual] = (await loaded.run({ inputs: { tokens } }, wanted)) as [Tensor, Tensor];
    if (!residual.data.some((value) => Math.abs(value) > largest)) throw new Error("the case does not overflow f16");
    return at("logits", measureTolerance(logits, tolerance));
  } catch (error) {
    const named = error instanceof PolyllamaError && error.code === "ERR_OVERFLOW" && /layers\.\d+/.test(error.message);
    if (named) return exact;
    throw error;
  }
};

/** In f32 only. */
function scaled(weight: MemoryWeight, factor: number): MemoryWeight {
  const values = new Float32Array(weight.bytes.slice().buffer).map((value) => value * factor);
  return { ...weight, bytes: new Uint8Array(values.buffer) };
}
