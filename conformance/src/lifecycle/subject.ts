// What lifecycle cases work on: a small model with random weights, and the few things that each of them does with it.

import {
  type Backend,
  createSampler,
  type DrawOptions,
  type Graph,
  type KvCache,
  type LlamaConfig,
  llamaGraph,
  type Program,
  type Step,
  type WeightSource,
} from "@polyllama/core";
import { random } from "../random.ts";
import { narrowConfig } from "../small-config.ts";
import { memoryWeights, randomWeights } from "../weights.ts";

const config: LlamaConfig = { ...narrowConfig, layers: 2, hiddenDim: 48, vocabSize: 97, contextLength: 1024 };

/** The model's graph and weights, new ones each time. */
export function model(): { readonly graph: Graph; readonly weights: WeightSource } {
  const graph = llamaGraph(config);
  const stream = random("lifecycle", 1);
  return {
    graph,
    weights: memoryWeights(randomWeights(graph, "f32", stream)),
  };
}

export async function compile(backend: Backend): Promise<Program> {
  const { graph, weights } = model();
  return backend.compile(graph, weights);
}

/** Draws by a fixed seed, which any backend that samples can do. */
export const sampling: DrawOptions = createSampler({ seed: 1 }).draw!; // nothing in these options is the host's alone

/** `count` tokens, the same ones each time. */
export function tokens(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * 31 + 7) % config.vocabSize);
}

/** A step of one sequence. */
export function step(count: number, cache?: KvCache): Step {
  return { inputs: { tokens: tokens(count) }, batch: [{ rows: count, ...(cache && { cache }) }] };
}

export const lastLogits = [{ value: "logits", rows: "last" }] as const;

/** Logits [V] of a step's last row. */
export async function logits(program: Program, given: Step, signal?: AbortSignal): Promise<readonly number[]> {
  const [tensor] = await program.run(given, lastLogits, signal ? { signal } : {});
  return Array.from(tensor!.data); // one value was asked for
}

/** Turns of the microtask queue, enough for whatever waits for nothing else. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await undefined;
}
