// Compares backends on a whole model, on this device, with the float64 reference as the judge. Three views of it: every
// operation alone, against its derived bound; every layer alone, against an estimated tolerance; the logits of a text.
//
// The reference goes through the model once (pass.ts), and its perturbed runs go beside it (walk.ts). A device
// loads the whole model, for the logits, and every part that is compared.

import {
  type CheckpointError,
  checkNumber,
  checkOptions,
  type LlamaConfig,
  llamaGraph,
  PolyllamaError,
  type Progress,
  parameterCount,
} from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { perturbedRuns } from "../comparison/constants.ts";
import type { ModelSource } from "./context.ts";
import { compareAll } from "./pass.ts";
import type { ModelComparison, NotRun } from "./result.ts";
import { conclude, openRival, type Rival, type Unavailable } from "./rival.ts";
import { comparisonWork } from "./work.ts";

export type { ModelSource } from "./context.ts";
export type { Unavailable } from "./rival.ts";

/** What `compareModel` compares, and how closely. */
export interface CompareOptions {
  /** The text, as tokens; the backends are given each of them, whatever they would have chosen. */
  readonly tokens: readonly number[];
  /**
   * Layers whose operations are compared one by one; default: first, middle and last. A layer that differs is added.
   */
  readonly layers?: "all" | readonly number[];
  /** Perturbed runs of the reference that tolerances are estimated from; default 16. */
  readonly runs?: number;
  /** For the perturbations; default 1. */
  readonly seed?: number;
  /** Steps done so far, of all backends. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Compares each device with the float64 reference, which always judges. One that cannot load the model here
 * is "not run" and counts as no agreement; one that fails later differs, at the place where it failed.
 *
 * @param devices Stay the caller's: they are not disposed.
 * @throws {PolyllamaError} `ERR_OPTION`; {@link CheckpointError} when the model itself cannot be read; the signal's
 * reason.
 */
export async function compareModel(
  source: ModelSource,
  devices: readonly (Device | Unavailable)[],
  options: CompareOptions,
): Promise<ModelComparison> {
  checkOptions(options, ["tokens", "layers", "runs", "seed", "onProgress", "signal"], "compareModel()");
  const { config } = source;
  const { runs = perturbedRuns, seed = 1, onProgress, signal } = options;
  checkNumber(runs, "runs", { least: 1, most: 1000, integer: true });
  checkNumber(seed, "seed", { least: 0, most: 2 ** 32 - 1, integer: true });
  const tokens = checkTokens(options.tokens, config);
  const opLayers = chooseLayers(options.layers, config);
  const graph = llamaGraph(config);

  const entries: (Rival | NotRun)[] = [];
  const rivals: Rival[] = [];
  try {
    for (const candidate of devices) {
      const entry = await openRival(candidate, graph, source, signal);
      entries.push(entry);
      if (!("status" in entry)) rivals.push(entry);
    }
    const roundings = rivals.map(({ device }) => device.roundings);
    const total = tokens.length * comparisonWork(config, roundings, runs, opLayers.length);
    let done = 0;
    const advance = (part: number): void => {
      signal?.throwIfAborted();
      done = Math.min(total, done + part * tokens.length);
      onProgress?.({ phase: "comparing", done, total, unit: "steps" });
    };
    if (rivals.length > 0) {
      await compareAll({ source, graph, tokens, runs, seed, signal, advance }, rivals, opLayers);
    }
    onProgress?.({ phase: "comparing", done: total, total, unit: "steps" });
  } finally {
    for (const { loaded } of rivals) await loaded[Symbol.asyncDispose]();
  }

  const order = graph.nodes.map(({ output }) => output);
  const results = entries.map((entry) => ("status" in entry ? entry : conclude(entry, order, tokens.length)));
  return {
    model: source.name,
    config,
    parameters: parameterCount(config),
    tokens: [...tokens],
    opLayers,
    runs,
    seed,
    judge: "reference",
    backends: results,
    agrees: results.length > 0 && results.every(({ status }) => status === "agrees"),
    verdict: results.map(({ verdict }) => verdict).join("; "),
  };
}

function checkTokens(tokens: readonly number[], { vocabSize }: LlamaConfig): Int32Array {
  if (tokens.length === 0) throw new PolyllamaError("ERR_OPTION", "A comparison needs one or more tokens.");
  for (const token of tokens) checkNumber(token, "a token", { least: 0, most: vocabSize - 1, integer: true });
  return Int32Array.from(tokens);
}

function chooseLayers(wanted: CompareOptions["layers"], { layers }: LlamaConfig): readonly number[] {
  if (wanted === "all") return Array.from({ length: layers }, (_, layer) => layer);
  for (const layer of wanted ?? []) checkNumber(layer, "a layer", { least: 0, most: layers - 1, integer: true });
  const chosen = wanted ?? [0, Math.floor(layers / 2), layers - 1];
  return [...new Set(chosen)].sort((a, b) => a - b);
}
