// adamw: the first step and later ones, with and without decay and clipping.

import { adamWSettings, buildGraph } from "@polyllama/core";
import { combinations } from "../combine.ts";
import { activations } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights, randomWeight } from "../weights.ts";
import { type OpCase, opCase } from "./op-case.ts";

const steps = combinations
  .combine("step", [1, 2, 1000])
  .combine("weightDecay", [0, 0.1])
  .combine("squares", [0.25, 9])
  .with([
    { m: 1, k: 1 },
    { m: 7, k: 33 },
  ]);

export function adamwCases(): readonly OpCase[] {
  return steps.map(({ step, weightDecay, squares, m, k }) =>
    opCase("adamw", { step, weightDecay, squares, m, k }, (seed) => {
      const stream = random(`adamw ${step} ${weightDecay} ${squares} ${m} ${k}`, seed);
      const shape = [m, k];
      const [weight, first, drawn] = ["w", "m", "v"].map((name) => randomWeight(name, shape, "f32", stream));
      const second = new Uint8Array(new Float32Array(drawn!.bytes.buffer).map(Math.abs).buffer); // three weights
      return {
        graph: buildGraph((g) => {
          const inputs = [g.fixed("gradient", shape), g.fixed("squares", [1]), g.fixed("settings", [3])] as const;
          const state = [g.weight("w", shape), g.weight("m", shape), g.weight("v", shape)] as const;
          const made = g.adamw("y", ...inputs, ...state, {
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-5,
            weightDecay,
            maxNorm: 1,
          });
          return [made.weight, made.firstMoment, made.secondMoment];
        }),
        weights: memoryWeights([weight!, first!, { ...drawn!, bytes: second }]), // likewise
        actions: [
          {
            run: {
              gradient: activations("normal", m, k, stream),
              squares: Float32Array.of(squares),
              settings: Float32Array.from(adamWSettings(1e-3, step)),
            },
            sequences: [],
          },
        ],
      };
    }),
  );
}
