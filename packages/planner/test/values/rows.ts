// What operations do with rows, for those who compute a graph and for those who compute a plan.

import { type AttentionNode, type RopeNode, ropeFrequencies, ropeMagnitude } from "@polyllama/core";

export type Row = readonly number[];

/** Keys and values of a sequence at one attention, a row for each position. */
export interface Past {
  readonly k: Row[];
  readonly v: Row[];
}

export function normed(x: Row, weight: Row, eps: number): Row {
  const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + eps);
  return x.map((value, i) => value * scale * weight[i]!);
}

/** weight [M, K], x [K] -> [M] */
export function multiplied(x: Row, weight: readonly Row[]): Row {
  return weight.map((row) => row.reduce((sum, value, i) => sum + value * x[i]!, 0));
}

export function gated(gate: Row, up: Row): Row {
  return gate.map((z, i) => (z / (1 + Math.exp(-z))) * up[i]!);
}

export function added(a: Row, b: Row): Row {
  return a.map((value, i) => value + b[i]!);
}

/** Cosine and sine of each pair of a head at a position. */
export function turns(rotation: Pick<RopeNode, "headDim" | "theta" | "scaling">, position: number): readonly Row[] {
  const magnitude = ropeMagnitude(rotation);
  return [...ropeFrequencies(rotation)].map((frequency) => {
    const angle = position * frequency;
    return [magnitude * Math.cos(angle), magnitude * Math.sin(angle)];
  });
}

/** Every head of x turned by the pairs (cos, sin). */
export function turned(x: Row, pairs: readonly Row[]): Row {
  return x.map((own, i) => {
    const [cos = 0, sin = 0] = pairs[(i >> 1) % pairs.length]!;
    const other = x[i ^ 1]!;
    return i % 2 === 0 ? own * cos - other * sin : own * cos + other * sin;
  });
}

/** Attention of the query at a position over the keys and values up to there. */
export function attended(
  q: Row,
  { k, v }: Past,
  position: number,
  { heads, kvHeads, headDim: d }: Pick<AttentionNode, "heads" | "kvHeads" | "headDim">,
): Row {
  return q.map((_, i) => {
    const head = Math.floor(i / d);
    const start = Math.floor((head * kvHeads) / heads) * d;
    let [sum, out] = [0, 0];
    for (let t = 0; t <= position; t++) {
      let dot = 0;
      for (let j = 0; j < d; j++) dot += q[head * d + j]! * k[t]![start + j]!;
      const weight = Math.exp(dot / Math.sqrt(d));
      sum += weight;
      out += weight * v[t]![start + (i % d)]!;
    }
    return out / sum;
  });
}
