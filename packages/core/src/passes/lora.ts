// A low-rank adapter to train: beside the linears of some matrices stand two narrow ones, whose weights are trained while
// the matrix stays as it is, in whatever format it is stored (Hu et al., "LoRA", arXiv 2106.09685; on quantized matrices
// Dettmers et al., "QLoRA", arXiv 2305.14314). Some of the model's own weights may be trained beside them, as the
// embeddings and the output matrix of a model whose vocabulary has grown (Cui et al., arXiv 2304.08177).

import { adapterOf, type LowRank } from "../adapter.ts";
import { OptionError } from "../errors.ts";
import { type FormatName, formatBytes } from "../formats.ts";
import { buildGraph, type Graph } from "../graph.ts";
import type { WeightName } from "../op.ts";
import type { LinearNode } from "../ops/linear.ts";
import { checkNumber } from "../options.ts";
import { philox } from "../sampling/philox.ts";
import { cutWeight, resolveRanges } from "../weight-cut.ts";
import type { WeightInfo, WeightSource } from "../weights.ts";
import { copyGraph, weightsOf } from "./copy-graph.ts";
import { type MatrixPart, type WeightPart, weightsOfParts } from "./weight-parts.ts";

/** Options of {@link withLora}; the defaults are PEFT's. */
export interface LoraOptions {
  /** Columns of B and rows of A, r; default 8. */
  readonly rank?: number;
  /** What is added is multiplied by alpha / r; default: 8. */
  readonly alpha?: number;
  /** Divide alpha by the root of r instead (Kalajdzievski, "rsLoRA", arXiv 2312.03732); default false. */
  readonly rankStabilized?: boolean;
  /** Matrices that get an adapter; default: `attention.wq` and `attention.wv`, as in the paper. */
  readonly targets?: readonly MatrixPart[];
  /** Weights of the model's own that are trained in full; default: none. */
  readonly trainable?: readonly WeightPart[];
}

/** A graph with an adapter. */
export interface LoraGraph {
  readonly graph: Graph;
  /** The matrices that have one. */
  readonly adapters: ReadonlyMap<WeightName, LowRank>;
  /** A and B of all of them, and the weights that are trained in full. */
  readonly trained: readonly WeightName[];
}

/**
 * The graph whose target linears are `x Wᵀ + scale (x Aᵀ) Bᵀ`, under the same names; A [r, K] and B [M, r] are weights
 * named as `adapterOf` says. Gradients are to be taken by `trained` alone.
 *
 * @throws {OptionError} for targets that the graph does not have, and a weight that is target and trainable.
 */
export function withLora(graph: Graph, options: LoraOptions = {}): LoraGraph {
  const { rank = 8, alpha = 8, rankStabilized = false, trainable = [] } = options;
  const { targets = ["attention.wq", "attention.wv"] } = options;
  checkNumber(rank, "rank", { least: 1, integer: true });
  checkNumber(alpha, "alpha", { least: 2 ** -64 });
  const scale = alpha / (rankStabilized ? Math.sqrt(rank) : rank);
  const adapters = new Map(weightsOfParts(graph, targets, "targets").map((name) => [name, { rank, scale }]));
  const whole = weightsOfParts(graph, trainable, "trainable");
  const both = whole.find((name) => adapters.has(name));
  if (both !== undefined) {
    const expected = "weights that get no adapter";
    const message = `trainable includes "${both}", which is a target too; it must name ${expected}.`;
    throw new OptionError(message, { option: "trainable", expected, value: trainable });
  }
  const adapted = buildGraph((g) => {
    const weight = weightsOf(g, graph);
    for (const { name } of graph.weights) weight(name); // in their order
    const values = copyGraph(g, graph, (node, value) => {
      if (node.op !== "linear" || !adapters.has(node.weight)) return g.copy(node, value, weight);
      const { output, x, weight: name } = node satisfies LinearNode;
      const { shape } = weight(name);
      const [rows = 0, columns = 0] = shape; // [M, K], as a linear's are
      const [a, b] = adapterOf(name);
      const base = g.linear(`${output}.base`, value(x), weight(name)); // [N, M]
      const narrow = g.linear(`${output}.lora_a`, value(x), g.weight(a, [rank, columns])); // [N, r]
      const scaled = scale === 1 ? narrow : g.scale(`${output}.lora_scaled`, narrow, { factor: scale }); // [N, r]
      const addition = g.linear(`${output}.lora_b`, scaled, g.weight(b, [rows, rank])); // [N, M]
      return [g.add(output, base, addition)]; // [N, M]
    });
    return graph.outputs.map((name) => values.get(name)!); // which are values of the graph
  });
  return { graph: adapted, adapters, trained: [...[...adapters.keys()].flatMap(adapterOf), ...whole] };
}

/**
 * The weights of a source, with an adapter that changes nothing yet beside those that are to get one: A is uniform in
 * [-1 / sqrt(K), 1 / sqrt(K)), which is PEFT's (Kaiming, with a = sqrt(5)), and B is zero. An element of A depends on
 * the seed, the name of its matrix and its place alone, and is the same on every machine.
 *
 * @param seed An integer from 0 to 2^32 - 1.
 */
export function withNewAdapter(source: WeightSource, { graph, adapters }: LoraGraph, seed: number): WeightSource {
  checkNumber(seed, "seed", { least: 0, most: 2 ** 32 - 1, integer: true });
  const format: FormatName = "f32";
  const made = new Map<WeightName, WeightInfo>();
  const firsts = new Set<WeightName>();
  const shapes = new Map(graph.weights.map(({ name, shape }) => [name, shape]));
  for (const matrix of adapters.keys()) {
    const names = adapterOf(matrix);
    firsts.add(names[0]);
    for (const name of names) made.set(name, { name, shape: shapes.get(name)!, format }); // the graph has both
  }
  return {
    name: source.name,
    weights: new Map([...source.weights, ...made]),
    async read(name, ranges, signal) {
      const info = made.get(name);
      if (info === undefined) return source.read(name, ranges, signal);
      const cut = resolveRanges(info, ranges);
      if (!firsts.has(name)) return new Uint8Array(formatBytes(format, cut.rows.count * cut.columns.count));
      const values = uniformRows(seed, info, cut.rows);
      return cutWeight(new Uint8Array(values.buffer), { ...cut, rows: { first: 0, count: cut.rows.count } });
    },
    locate: (name) => (made.has(name) ? undefined : source.locate?.(name)),
    fingerprint: async () => `${await source.fingerprint()} with a new adapter ${seed}`,
  };
}

/** Some rows of A [r, K]. */
function uniformRows(
  seed: number,
  { name, shape }: WeightInfo,
  rows: { readonly first: number; readonly count: number },
): Float32Array<ArrayBuffer> {
  const [, columns = 0] = shape;
  const bound = 1 / Math.sqrt(columns);
  const key = [seed, hash(name)] as const;
  const values = new Float32Array(rows.count * columns); // [rows, K]
  let [block, words] = [-1, philox([0, 0, 0, 0], key)];
  for (let i = 0; i < values.length; i++) {
    const place = rows.first * columns + i;
    if (place >>> 2 !== block) {
      block = place >>> 2;
      words = philox([block, 0, 0, 0], key);
    }
    values[i] = ((2 * words[place & 3]! + 1) / 2 ** 32 - 1) * bound; // four words; exact up to the product
  }
  return values;
}

/** FNV-1a. */
function hash(text: string): number {
  let word = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) word = Math.imul(word ^ text.charCodeAt(i), 0x01000193);
  return word >>> 0;
}
