// What device cases work on: a small model with random weights, loaded on a device, and the steps that the cases
// submit.

import {
  createSampler,
  type DrawOptions,
  type Graph,
  type LlamaConfig,
  llamaGraph,
  type WeightSource,
} from "@polyllama/core";
import {
  type Device,
  type DeviceTensor,
  type Draw,
  type LoadedGraph,
  loadGraph,
  type Output,
  type OutputValue,
  type Program,
  type SequenceCache,
  type Step,
  type Submission,
} from "@polyllama/core/device";
import { must } from "../must.ts";
import { random } from "../random.ts";
import { narrowConfig } from "../small-config.ts";
import { memoryWeights, randomWeights } from "../weights.ts";

const config: LlamaConfig = { ...narrowConfig, layers: 2, hiddenDim: 48, vocabSize: 97, contextLength: 1024 };

/** The model's graph and weights, new ones each time. */
export function model(): { readonly graph: Graph; readonly weights: WeightSource } {
  const graph = llamaGraph(config);
  return { graph, weights: memoryWeights(randomWeights(graph, "f32", random("lifecycle", 1))) };
}

export function load(device: Device): Promise<LoadedGraph> {
  const { graph, weights } = model();
  return loadGraph(device, graph, weights);
}

/** Rows that take a device longer than a turn of the event loop. */
export const long = 700;

/** `count` tokens, the same ones each time. */
export function tokens(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * 31 + 7) % config.vocabSize);
}

/** Turns of the microtask queue, enough for whatever waits for nothing else. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await undefined;
}

/** What a device that draws no tokens leaves out. */
export const drawsTokens = ({ features }: Device): string | undefined =>
  features.outputs.includes("token") ? undefined : "tokens are chosen on the host";

/** Draws the most probable token. */
// nothing in these options is the host's alone
export const greedy: DrawOptions = createSampler({ temperature: 0, seed: 1 }).draw!;

export const lastLogits: Output = { value: "logits", rows: "last", to: "host" };

/** A step of sequences that advance by some tokens each. */
export function step(
  sequences: readonly { readonly cache?: SequenceCache; readonly tokens: Int32Array }[],
  outputs: readonly Output[] = [lastLogits],
): Step {
  const all = sequences.flatMap(({ tokens: each }) => [...each]);
  return {
    inputs: { tokens: Int32Array.from(all) },
    sequences: sequences.map(({ cache, tokens: each }) => ({ rows: each.length, ...(cache && { cache }) })),
    outputs,
  };
}

/** One row for each sequence, whose tokens may lie on the device. */
export function decode(
  inputs: Int32Array | DeviceTensor,
  caches: readonly SequenceCache[],
  outputs: readonly Output[],
): Step {
  return { inputs: { tokens: inputs }, sequences: caches.map((cache) => ({ rows: 1, cache })), outputs };
}

/** A token for each sequence. */
export function draws(count: number, draw: Draw = greedy): Output {
  return { value: "logits", rows: "last", to: "token", draw: new Array<Draw>(count).fill(draw) };
}

/** Rows of a value on the host. */
export function rowsOf(value: OutputValue | undefined): readonly (readonly number[])[] {
  must(value?.to === "host", "a value for the host");
  const [rows, width] = value.tensor.shape;
  return Array.from({ length: rows }, (_, i) => Array.from(value.tensor.data.subarray(i * width, (i + 1) * width)));
}

/** What a step gives, whose chosen tokens no other step reads. */
export function valuesOf({ result, tokens: chosen }: Submission): Submission["result"] {
  chosen?.[Symbol.dispose]();
  return result;
}

export function tokensOf(value: OutputValue | undefined): readonly number[] {
  must(value?.to === "token", "drawn tokens");
  return [...value.tokens];
}

/** Logits [V] of the last row of some tokens, by which a cache advances where there is one. */
export async function logits(
  program: Program,
  cache: SequenceCache | undefined,
  given: Int32Array,
): Promise<readonly number[]> {
  const [value] = await program.submit(step([{ ...(cache && { cache }), tokens: given }])).result;
  return rowsOf(value)[0]!; // of one sequence
}

/** Code of the error that a step ended with. */
export function codeOf(outcome: PromiseSettledResult<unknown>): string | undefined {
  return outcome.status === "rejected" ? (outcome.reason as { readonly code?: string }).code : "none"; // read only
}

/** Different prompts of different lengths. */
export function prompts(count: number): readonly Int32Array[] {
  return Array.from({ length: count }, (_, i) => tokens(3 + 2 * i).map((token) => (token + 5 * i) % 97));
}
