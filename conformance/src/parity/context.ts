// What all parts of a comparison share.

import type { Graph, LlamaConfig, RealArray, Tensor, ValueName, WeightSource } from "@polyllama/core";

/** Weights with the configuration that says what model they are; every checkpoint is one. */
export interface ModelSource extends WeightSource {
  readonly config: LlamaConfig;
}

export interface Context {
  readonly source: ModelSource;
  /** The whole model. */
  readonly graph: Graph;
  /** [N] */
  readonly tokens: Int32Array;
  /** Perturbed runs. */
  readonly runs: number;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  /** Counts multiply-adds per token as done. */
  advance(work: number): void;
}

/** A graph's input and all its values, rounded to f32 as every backend takes them. */
export function roundedValues(
  graph: Graph,
  x: RealArray,
  exact: readonly Tensor[],
): ReadonlyMap<ValueName, Float32Array> {
  const values = new Map([[graph.inputs[0]!.name, Float32Array.from(x)]]); // layers and heads have one
  for (const [i, { output }] of graph.nodes.entries()) values.set(output, Float32Array.from(exact[i]!.data));
  return values;
}

/** "layers.3.wo" -> "wo" */
export function localName(name: ValueName): string {
  return name.replace(/^layers\.\d+\./, "");
}
