// logProbabilityGrad: the projections of logProbability. Its log-sum-exp is that of its logits, computed first.

import { buildGraph } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights, randomWeight } from "../weights.ts";
import { drawTargets, projections } from "./log-probability.ts";
import { type OpCase, opCase } from "./op-case.ts";

export function logProbabilityGradCases(): readonly OpCase[] {
  return projections.map(({ v, d, n, temperature, format }) =>
    opCase("logProbabilityGrad", { v, d, n, temperature, format }, (seed) => {
      const stream = random(`logProbabilityGrad ${v} ${d} ${n} ${temperature} ${format}`, seed);
      const weight = randomWeight("w", [v, d], format, stream);
      const x = activations("normal", n, d, stream);
      const values = new Float32Array(v * d);
      formats[format].dequantize(weight.bytes, values);
      const sum = logSumExps(x, values, d, temperature);
      return {
        graph: buildGraph((g) => {
          const [rows, targets, sums, dy] = [
            g.activations("x", d),
            g.tokens("targets"),
            g.activations("sum", 1),
            g.activations("dy", 1),
          ];
          const made = g.logProbabilityGrad("d", rows, targets, sums, dy, g.weight("w", [v, d]), { temperature });
          return [made.x, made.weight];
        }),
        weights: memoryWeights([weight]),
        actions: [
          {
            run: { x, targets: drawTargets(n, v, stream), sum, dy: activations("normal", n, 1, stream) },
            sequences: [{ rows: n }],
          },
        ],
      };
    }),
  );
}

/** x [N, D], weight [V, D] -> [N] */
function logSumExps(x: Float32Array, weight: Float32Array, d: number, temperature: number): Float32Array {
  return Float32Array.from({ length: x.length / d }, (_, n) => {
    let sum = 0;
    for (let at = 0; at < weight.length; at += d) {
      let dot = 0;
      for (let i = 0; i < d; i++) dot += x[n * d + i]! * weight[at + i]!;
      sum += Math.exp(dot / temperature);
    }
    return Math.log(sum);
  });
}
