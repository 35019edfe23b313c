// One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101; Llama 2, section 2.2) on one parameter, with the gradient
// clipped to a global norm first. Its results are the new parameter and moments, which a step's `updates` writes. Decay
// comes first and is scaled by the rate, as in PyTorch.

import { need, type OpDef, type OpNode } from "../op.ts";
import { fixedShape, showType, type TensorType } from "../type.ts";

/** What does not change from step to step. */
export interface AdamW {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Of this parameter: 0 for vectors, usually. */
  readonly weightDecay: number;
  /** Largest global norm of gradients: larger ones are scaled down to it. Infinity: they stay. */
  readonly maxNorm: number;
}

/**
 * gradient, weight and moments of one shape; squares [1], the sum of squares of all gradients; settings [3]: the rate,
 * and `1 - beta^t` for both betas at step t, from 1 -> weight and moments. With the gradient scaled by
 * `min(1, maxNorm / sqrt(squares))`: `firstMoment = beta1 m + (1 - beta1) g`, `secondMoment = beta2 v + (1 - beta2) g^2`,
 * `weight = w (1 - rate weightDecay) - rate (firstMoment / c1) / (sqrt(secondMoment / c2) + eps)`.
 */
export const adamw: OpDef<
  AdamW,
  ["gradient", "squares", "settings"],
  ["weight", "firstMoment", "secondMoment"],
  ["weight", "firstMoment", "secondMoment"]
> = {
  inputs: ["gradient", "squares", "settings"],
  parameters: ["weight", "firstMoment", "secondMoment"],
  results: ["weight", "firstMoment", "secondMoment"],
  infer({ gradient, squares, settings, weight, firstMoment, secondMoment }, { maxNorm }) {
    const { shape } = weight;
    for (const [role, type] of Object.entries({ gradient, firstMoment, secondMoment })) {
      need(isShape(type, shape), `adamw of a weight [${shape}] has ${role} ${showType(type)}`);
    }
    need(isShape(squares, [1]), `adamw takes squares [1], not ${showType(squares)}`);
    need(isShape(settings, [3]), `adamw takes settings [3], not ${showType(settings)}`);
    need(maxNorm > 0, `adamw of gradients up to ${maxNorm}`);
    const same = fixedShape(shape.map(Number)); // a parameter's dimensions are numbers
    return { weight: same, firstMoment: same, secondMoment: same };
  },
};

function isShape({ dtype, shape }: TensorType, wanted: TensorType["shape"]): boolean {
  return dtype === "f32" && String(shape) === String(wanted);
}

/** A node of `adamw`, with its operands by name. */
export type AdamWNode = OpNode<"adamw", typeof adamw>;
