// Which weights of a model are meant, where a part stands for the same matrix of every layer.

import { OptionError } from "../errors.ts";
import type { Graph } from "../graph.ts";
import type { WeightName } from "../op.ts";

/** The matrices of a layer. */
export const matrixParts = [
  "attention.wq",
  "attention.wk",
  "attention.wv",
  "attention.wo",
  "feed_forward.w1",
  "feed_forward.w2",
  "feed_forward.w3",
] as const;
/** A matrix of a layer, by Meta's name. */
export type MatrixPart = (typeof matrixParts)[number];

/** A weight by Meta's name; those of layers stand for that of every layer. */
export type WeightPart = MatrixPart | "attention_norm" | "ffn_norm" | "tok_embeddings" | "norm" | "output";

/** The part that a weight is: "attention.wq" of "layers.3.attention.wq.weight". */
export function partOf(name: WeightName): string {
  return name.replace(/^layers\.\d+\./, "").replace(/\.weight$/, "");
}

/**
 * The weights of a graph that are one of these parts, in the graph's order.
 *
 * @param option Name of the option that lists them, for errors.
 * @throws {OptionError} for a part that the graph has no weight of: `output` of a model with tied embeddings.
 */
export function weightsOfParts(graph: Graph, parts: readonly WeightPart[], option: string): readonly WeightName[] {
  const found = new Map(graph.weights.map(({ name }) => [name, partOf(name)]));
  const all = new Set(found.values());
  const lacking = parts.find((part) => !all.has(part));
  if (lacking !== undefined) {
    const expected = `some of ${[...all].join(", ")}`;
    const message = `${option} names "${lacking}", of which the graph has no weight; it must be ${expected}.`;
    throw new OptionError(message, { option, expected, value: parts });
  }
  const wanted = new Set<string>(parts);
  return [...found].flatMap(([name, part]) => (wanted.has(part) ? [name] : []));
}
