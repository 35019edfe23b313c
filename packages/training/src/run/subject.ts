// What a run trains: a model, some of its weights, or an adapter beside it; and the model in training as the checkpoint
// that it would be if it were saved now.

import { type Checkpoint, mergeAdapter } from "@polyllama/checkpoints";
import {
  type Graph,
  type LoraGraph,
  type LoraOptions,
  llamaGraph,
  OptionError,
  type WeightName,
  type WeightPart,
  type WeightSource,
  weightsOfParts,
  withLora,
  withNewAdapter,
} from "@polyllama/core";
import { trainedAdapter } from "../adapters/weights.ts";

/** What of a model trains; default: all of it. */
export interface SubjectOptions {
  readonly adapter?: LoraOptions;
  readonly trained?: readonly WeightPart[];
  /** Of a new adapter's A. */
  readonly seed: number;
}

/** What a run trains. */
export interface Subject {
  readonly base: Checkpoint;
  /** The same for the same choice of weights. */
  readonly kind: string;
  /** From tokens to logits. */
  readonly graph: Graph;
  readonly lora?: LoraGraph;
  /** Undefined: all of the graph's. */
  readonly trained?: readonly WeightName[];
  /** Weights before the first step. */
  readonly start: WeightSource;
  /**
   * The base with other weights, or with the adapter merged. Disposing it does nothing.
   *
   * @param trained What the trainer exports.
   */
  model(trained: WeightSource): Checkpoint;
}

/** @throws {OptionError} for weights that the model does not have, and for both at once */
export function subjectOf(base: Checkpoint, { adapter, trained: parts, seed }: SubjectOptions): Subject {
  const graph = llamaGraph(base.config);
  if (adapter !== undefined && parts !== undefined) {
    const expected = "left out beside an adapter, whose trainable weights are adapter.trainable";
    throw new OptionError(`trained must be ${expected}.`, { option: "trained", expected, value: parts });
  }
  if (adapter !== undefined) {
    const lora = withLora(graph, adapter);
    const { trained } = lora;
    return {
      base,
      kind: JSON.stringify([...lora.adapters, trained]),
      graph: lora.graph,
      lora,
      trained,
      start: withNewAdapter(base, lora, seed),
      model: (weights) => undisposed(mergeAdapter(base, trainedAdapter(weights, lora))),
    };
  }
  const trained = parts && weightsOfParts(graph, parts, "trained");
  if (trained !== undefined) checkFormats(base, trained);
  return {
    base,
    kind: trained === undefined ? "all" : JSON.stringify(trained),
    graph,
    ...(trained && { trained }),
    start: base,
    model: (weights) => undisposed({ ...base, ...weightsOf(base, weights) }),
  };
}

/** Checkpoints of models are safetensors, which have no blocks. @throws {OptionError} */
function checkFormats({ weights, name: model }: Checkpoint, trained: readonly WeightName[]): void {
  const fixed = [...weights.values()].filter(({ name }) => !trained.includes(name));
  const block = fixed.find(({ format }) => !["f32", "f16", "bf16"].includes(format));
  if (block === undefined) return;
  const expected = "an adapter's (adapter.trainable) where the model is quantized";
  const message = `${model} has ${block.name} in ${block.format}; weights that train must be ${expected}.`;
  throw new OptionError(message, { option: "trained", expected, value: trained });
}

/** The base's weights as they are now. @param trained Has at least those */
function weightsOf(base: Checkpoint, trained: WeightSource): WeightSource {
  const names = [...base.weights.keys()].filter((name) => trained.weights.has(name));
  return {
    name: base.name,
    weights: new Map(names.map((name) => [name, trained.weights.get(name)!])), // as filtered
    read: (name, ranges, signal) => trained.read(name, ranges, signal),
    fingerprint: () => trained.fingerprint(),
  };
}

/** Not the base's to close, nor what its files say of its weights. */
function undisposed(model: Checkpoint): Checkpoint {
  const { locate: _, readExact: __, ...rest } = model;
  const name = `${model.name} in training`;
  return { ...rest, name, notices: [], stored: [], [Symbol.asyncDispose]: () => Promise.resolve() };
}
