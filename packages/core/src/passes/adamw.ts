// An optimizer as a graph: from the gradients of all parameters to their new values and moments, which a step writes
// with `updates`. It is a graph of its own, so that gradients of several micro-batches may be added before.

import { OptionError } from "../errors.ts";
import { formatBytes } from "../formats.ts";
import { buildGraph, type Graph } from "../graph.ts";
import type { ValueName, WeightName, WeightSpec } from "../op.ts";
import type { AdamW } from "../ops/adamw.ts";
import { resolveRanges } from "../weight-cut.ts";
import type { WeightInfo, WeightSource } from "../weights.ts";

/** Options of {@link adamWGraph}; the defaults are those of Llama 2, section 2.2. */
export interface AdamWOptions {
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.95. */
  readonly beta2?: number;
  /** Default 1e-5. */
  readonly eps?: number;
  /** Of matrices; vectors do not decay. Default 0.1. */
  readonly weightDecay?: number;
  /** Largest global norm of gradients; default 1. */
  readonly maxNorm?: number;
}

/** The update of some parameters. */
export interface OptimizerGraph {
  /** Its parameters are the weights and their moments, which are mutable; its steps have no rows. */
  readonly graph: Graph;
  /** The input for the gradient of each weight. */
  readonly gradients: ReadonlyMap<WeightName, ValueName>;
  /** The input for what {@link adamWSettings} gives. */
  readonly settings: ValueName;
  /** The square of the gradients' global norm [1]. */
  readonly squares: ValueName;
  /** For `Step.updates`. */
  readonly updates: Readonly<Record<WeightName, ValueName>>;
}

/** The names of a weight's moments, as parameters beside it. */
export function momentsOf(name: WeightName): readonly [firstMoment: WeightName, secondMoment: WeightName] {
  return [`${name}.first_moment`, `${name}.second_moment`];
}

/**
 * One step of AdamW for the given weights.
 *
 * @throws {OptionError} for no weights.
 */
export function adamWGraph(weights: readonly WeightSpec[], options: AdamWOptions = {}): OptimizerGraph {
  const { beta1 = 0.9, beta2 = 0.95, eps = 1e-5, weightDecay = 0.1, maxNorm = 1 } = options;
  const gradients = new Map<WeightName, ValueName>();
  const updates: Record<WeightName, ValueName> = {};
  const [settingsName, squaresName] = ["settings", "squares"];
  const graph = buildGraph((g) => {
    const given = weights.map((spec) => {
      const gradient = g.fixed(`${spec.name}.gradient`, spec.shape);
      gradients.set(spec.name, gradient.name);
      return { spec, gradient };
    });
    const settings = g.fixed(settingsName, [3]);
    const parts = given.map(({ spec, gradient }) => g.sumOfSquares(`${spec.name}.squares`, gradient));
    const [first, ...others] = parts;
    if (first === undefined) {
      throw new OptionError("There are no weights to update.", {
        option: "weights",
        expected: "weights",
        value: weights,
      });
    }
    let total = first;
    for (const [i, part] of others.entries()) {
      total = g.add(i === others.length - 1 ? squaresName : `${squaresName}.${i}`, total, part);
    }
    for (const { spec, gradient } of given) {
      const { name, shape } = spec;
      const [firstMoment, secondMoment] = momentsOf(name);
      const attributes: AdamW = { beta1, beta2, eps, weightDecay: shape.length === 1 ? 0 : weightDecay, maxNorm };
      const state = [g.weight(name, shape), g.weight(firstMoment, shape), g.weight(secondMoment, shape)] as const;
      const made = g.adamw(`${name}.updated`, gradient, total, settings, ...state, attributes);
      updates[name] = made.weight.name;
      updates[firstMoment] = made.firstMoment.name;
      updates[secondMoment] = made.secondMoment.name;
    }
    return [total];
  });
  const [squares] = graph.outputs as readonly [ValueName]; // the one above
  return { graph, gradients, settings: settingsName, squares, updates };
}

/**
 * What changes from step to step [3].
 *
 * @param rate The learning rate of this step.
 * @param step Number of the step, from 1.
 */
export function adamWSettings(rate: number, step: number, options: AdamWOptions = {}): Float64Array {
  const { beta1 = 0.9, beta2 = 0.95 } = options;
  return Float64Array.of(rate, 1 - beta1 ** step, 1 - beta2 ** step);
}

/** The weights of a source, with moments of zero beside those that are to be updated and have none there. */
export function withMoments(source: WeightSource, weights: readonly WeightSpec[]): WeightSource {
  const moments = new Map<WeightName, WeightInfo>();
  for (const { name, shape } of weights) {
    for (const moment of momentsOf(name)) {
      if (!source.weights.has(moment)) moments.set(moment, { name: moment, shape, format: "f32" });
    }
  }
  return {
    name: source.name,
    weights: new Map([...source.weights, ...moments]),
    async read(name, ranges, signal) {
      const info = moments.get(name);
      if (info === undefined) return source.read(name, ranges, signal);
      const { rows, columns } = resolveRanges(info, ranges);
      return new Uint8Array(formatBytes(info.format, rows.count * columns.count));
    },
    locate: (name) => (moments.has(name) ? undefined : source.locate?.(name)),
    readExact: async (name, signal) => (moments.has(name) ? undefined : source.readExact?.(name, signal)),
    fingerprint: async () => `${await source.fingerprint()} with moments`,
  };
}
