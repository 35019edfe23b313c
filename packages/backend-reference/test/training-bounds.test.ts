// Bounds of the operations of training against the same operations in f32, every step of which is rounded: what a
// backend computes that rounds as it declares, in the order in which one would write it down.

import { buildGraph, type Graph, type WeightSource } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { signed } from "@polyllama/test-support/random";
import { expect, test } from "vitest";
import { type Rounding, reference, runWithBounds } from "../src/index.ts";

const rounding: Rounding = { unit: 2 ** -24, flushesSubnormals: false, exp: 1 };
const f = Math.fround;
const exp = (x: number): number => f(Math.exp(x));
const sum = (terms: Iterable<number>): number => [...terms].reduce((a, b) => f(a + b), 0);
const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => sum(Array.from(a, (x, i) => f(x * b[i]!)));

type Inputs = Readonly<Record<string, Float32Array | Int32Array>>;

function source(weights: Readonly<Record<string, { shape: readonly number[]; values: Float32Array }>>): WeightSource {
  const infos = Object.entries(weights).map(([name, { shape }]) => [name, { name, shape, format: "f32" }] as const);
  return {
    name: "test weights",
    weights: new Map(infos),
    // Weights are small enough to be read at once.
    read: async (name) => new Uint8Array(Float32Array.from(weights[name]!.values).buffer),
    fingerprint: async () => "test",
  };
}

/** The largest error of each output, as a share of its bound. */
async function shares(
  graph: Graph,
  weights: WeightSource,
  inputs: Inputs,
  rows: readonly number[],
  computed: readonly (readonly number[])[],
): Promise<readonly number[]> {
  await using device = reference();
  await using loaded = await loadGraph(device, graph, weights);
  const step = { inputs, sequences: rows.map((count) => ({ rows: count })) };
  const values = await runWithBounds(loaded, step, graph.outputs, rounding);
  return values.map(({ value, bound }, i) => {
    expect(computed[i]).toHaveLength(value.data.length);
    const errors = computed[i]!.map((each, at) => Math.abs(each - value.data[at]!)); // one for each output
    return errors.reduce((most, error, at) => Math.max(most, error === 0 ? 0 : error / bound.data[at]!), 0);
  });
}

function within(found: readonly number[]): void {
  for (const share of found) {
    expect(share).toBeGreaterThan(0); // it does round
    expect(share).toBeLessThanOrEqual(1);
  }
}

function numbers(seed: number): (count: number, size?: number) => Float32Array {
  const next = signed(seed);
  return (count, size = 2) => Float32Array.from({ length: count }, () => size * next());
}

const turns = Array.from({ length: 8 }, (_, i) => i + 1);

test.each(turns)("swigluGrad, %i", async (seed) => {
  const draw = numbers(seed);
  const [gate, up, dy] = [draw(64, 12), draw(64), draw(64)];
  const graph = buildGraph((g) => {
    const made = g.swigluGrad("d", g.activations("gate", 64), g.activations("up", 64), g.activations("dy", 64));
    return [made.gate, made.up];
  });
  const sigmoid = (z: number): number => f(1 / f(1 + exp(-z)));
  const gates = Array.from(gate, (z, i) => {
    const s = sigmoid(z);
    return f(f(dy[i]! * up[i]!) * f(s * f(1 + f(z * f(1 - s)))));
  });
  const ups = Array.from(gate, (z, i) => f(dy[i]! * f(z * sigmoid(z))));
  within(await shares(graph, source({}), { gate, up, dy }, [1], [gates, ups]));
});

test.each(turns)("rmsNormGrad, %i", async (seed) => {
  const [draw, D, N, eps] = [numbers(seed), 48, 5, 1e-5];
  const [x, dy, w] = [draw(N * D), draw(N * D), draw(D)];
  const graph = buildGraph((g) => {
    const made = g.rmsNormGrad("d", g.activations("x", D), g.activations("dy", D), g.weight("w", [D]), { eps });
    return [made.x, made.weight];
  });
  const gradX: number[] = [];
  const gradW = new Float32Array(D);
  for (let n = 0; n < N; n++) {
    const [row, dRow] = [x, dy].map((all) => all.subarray(n * D, (n + 1) * D)) as [Float32Array, Float32Array]; // both
    const s = f(1 / f(Math.sqrt(f(f(dot(row, row) / D) + f(eps)))));
    const g = Array.from(dRow, (each, i) => f(each * w[i]!));
    const along = f(f(f(s * s) * dot(g, row)) / D);
    for (let i = 0; i < D; i++) {
      gradX.push(f(s * f(g[i]! - f(row[i]! * along))));
      gradW[i]! += f(f(dRow[i]! * row[i]!) * s); // rounded as it is kept
    }
  }
  within(await shares(graph, source({ w: { shape: [D], values: w } }), { x, dy }, [N], [gradX, [...gradW]]));
});

test.each(turns)("attention with logSumExp, and attentionGrad, %i", async (seed) => {
  const [draw, d, rows] = [numbers(seed), 16, [5, 3]];
  const heads = { heads: 2, kvHeads: 1, headDim: d };
  const total = 8;
  const [q, k, v, dy] = [draw(total * 2 * d), draw(total * d), draw(total * d), draw(total * 2 * d)];
  const [out, sums] = [new Float32Array(q.length), new Float32Array(total * 2)];
  const [gq, gk, gv] = [new Float32Array(q.length), new Float32Array(k.length), new Float32Array(v.length)];
  const part = (of: Float32Array, at: number): Float32Array => of.subarray(at * d, (at + 1) * d);
  let first = 0;
  for (const count of rows) {
    for (let n = first; n < first + count; n++) {
      for (const row of [2 * n, 2 * n + 1]) {
        const keys = Array.from({ length: n - first + 1 }, (_, t) => first + t);
        const scores = keys.map((t) => f(dot(part(q, row), part(k, t)) / f(Math.sqrt(d))));
        const most = Math.max(...scores);
        const p = scores.map((score) => exp(f(score - most)));
        sums[row] = f(most + f(Math.log(sum(p))));
        for (let i = 0; i < d; i++) {
          part(out, row)[i] = f(
            dot(
              p,
              keys.map((t) => part(v, t)[i]!),
            ) / sum(p),
          );
        }
      }
    }
    first += count;
  }
  first = 0;
  for (const count of rows) {
    for (let n = first; n < first + count; n++) {
      for (const row of [2 * n, 2 * n + 1]) {
        const delta = dot(part(dy, row), part(out, row));
        for (let t = first; t <= n; t++) {
          const p = exp(f(f(dot(part(q, row), part(k, t)) / f(Math.sqrt(d))) - sums[row]!));
          const s = f(f(p * f(dot(part(dy, row), part(v, t)) - delta)) / f(Math.sqrt(d)));
          for (let i = 0; i < d; i++) {
            part(gq, row)[i]! += f(s * part(k, t)[i]!); // rounded as they are kept
            part(gk, t)[i]! += f(s * part(q, row)[i]!);
            part(gv, t)[i]! += f(p * part(dy, row)[i]!);
          }
        }
      }
    }
    first += count;
  }
  const forward = buildGraph((g) => {
    const y = g.attention("y", g.activations("q", 2 * d), g.activations("k", d), g.activations("v", d), {
      ...heads,
      logSumExp: true,
    });
    return [y, { ...y, name: "y.logSumExp" }];
  });
  within(await shares(forward, source({}), { q, k, v }, rows, [[...out], [...sums]]));
  const backward = buildGraph((g) => {
    const [wide, narrow] = [(name: string) => g.activations(name, 2 * d), (name: string) => g.activations(name, d)];
    const given = [wide("q"), narrow("k"), narrow("v"), wide("out"), g.activations("sums", 2), wide("dy")] as const;
    const made = g.attentionGrad("d", ...given, heads);
    return [made.q, made.k, made.v];
  });
  const inputs = { q, k, v, out, sums, dy };
  within(await shares(backward, source({}), inputs, rows, [[...gq], [...gk], [...gv]]));
});

test.each(turns)("logProbability and its gradient, %i", async (seed) => {
  const [draw, V, D, N] = [numbers(seed), 23, 16, 4];
  const temperature = f(0.8);
  const [x, w, dy] = [draw(N * D), draw(V * D, 1), draw(N)];
  const targets = Int32Array.of(3, 22, -1, 0);
  const part = (of: Float32Array, at: number): Float32Array => of.subarray(at * D, (at + 1) * D);
  const [out, sums, gx] = [new Float32Array(N), new Float32Array(N), new Float32Array(N * D)];
  const gw = new Float32Array(V * D);
  for (let n = 0; n < N; n++) {
    const logits = Array.from({ length: V }, (_, v) => f(dot(part(x, n), part(w, v)) / temperature));
    const most = Math.max(...logits);
    sums[n] = f(most + f(Math.log(sum(logits.map((logit) => exp(f(logit - most)))))));
    const target = targets[n]!; // four
    if (target < 0) continue;
    out[n] = f(logits[target]! - sums[n]!);
    const z = logits.map((logit, v) => {
      return f(f(dy[n]! * f((v === target ? 1 : 0) - exp(f(logit - sums[n]!)))) / temperature);
    });
    for (let i = 0; i < D; i++)
      part(gx, n)[i] = dot(
        z,
        Array.from({ length: V }, (_, v) => part(w, v)[i]!),
      );
    for (let v = 0; v < V; v++) for (let i = 0; i < D; i++) part(gw, v)[i]! += f(z[v]! * part(x, n)[i]!);
  }
  const weights = source({ w: { shape: [V, D], values: w } });
  const forward = buildGraph((g) => {
    const attributes = { temperature, logSumExp: true } as const;
    const y = g.logProbability("y", g.activations("x", D), g.tokens("targets"), g.weight("w", [V, D]), attributes);
    return [y, { ...y, name: "y.logSumExp" }];
  });
  within(await shares(forward, weights, { x, targets }, [N], [[...out], [...sums]]));
  const backward = buildGraph((g) => {
    const [rows, ids, given] = [g.activations("x", D), g.tokens("targets"), g.activations("sums", 1)];
    const made = g.logProbabilityGrad("d", rows, ids, given, g.activations("dy", 1), g.weight("w", [V, D]), {
      temperature,
    });
    return [made.x, made.weight];
  });
  within(await shares(backward, weights, { x, targets, sums, dy }, [N], [[...gx], [...gw]]));
});

test.each(turns)("adamw, %i", async (seed) => {
  const draw = numbers(seed);
  const shape = [6, 8];
  const [w, m, gradient] = [draw(48), draw(48, 0.1), draw(48)];
  const v = draw(48, 0.1).map(Math.abs);
  const squares = Float32Array.of(sum(gradient.map((each) => f(each * each))));
  const settings = Float32Array.of(1e-3, 0.19, 0.0975);
  const [rate, c1, c2] = [...settings] as [number, number, number]; // three
  const constants = { beta1: 0.9, beta2: 0.95, eps: 1e-5, weightDecay: 0.1, maxNorm: 1 };
  const graph = buildGraph((g) => {
    const inputs = [g.fixed("gradient", shape), g.fixed("squares", [1]), g.fixed("settings", [3])] as const;
    const state = [g.weight("w", shape), g.weight("m", shape), g.weight("v", shape)] as const;
    const made = g.adamw("y", ...inputs, ...state, constants);
    return [made.weight, made.firstMoment, made.secondMoment];
  });
  const factor = f(1 * f(1 / f(Math.sqrt(squares[0]!)))); // above 1, so that it clips
  const computed = Array.from(gradient, (each, i) => {
    const g = f(factor * each);
    const first = f(f(f(0.9) * m[i]!) + f(f(1 - 0.9) * g));
    const second = f(f(f(0.95) * v[i]!) + f(f(1 - 0.95) * f(g * g)));
    const root = f(f(Math.sqrt(f(second / c2))) + f(1e-5));
    const step = f(rate * f(f(first / c1) / root));
    return [f(f(w[i]! * f(1 - f(rate * f(0.1)))) - step), first, second] as const;
  });
  const weights = source({ w: { shape, values: w }, m: { shape, values: m }, v: { shape, values: v } });
  const roles = [0, 1, 2].map((role) => computed.map((each) => each[role]!));
  await using device = reference();
  await using loaded = await loadGraph(device, graph, weights);
  expect(squares[0]).toBeGreaterThan(1);
  const values = await runWithBounds(loaded, { inputs: { gradient, squares, settings } }, graph.outputs, rounding);
  for (const [i, { value, bound }] of values.entries()) {
    for (const [at, each] of roles[i]!.entries()) {
      expect(Math.abs(each - value.data[at]!)).toBeLessThanOrEqual(bound.data[at]!);
    }
  }
});
