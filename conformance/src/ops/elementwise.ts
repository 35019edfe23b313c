// embedding, rmsNorm, swiglu and add: the operations that work row by row without a large weight product.

import { buildGraph, type FormatName } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { type OpCase, opCase } from "../case.ts";
import { activations, type InputKind, inputKinds } from "../inputs.ts";
import { random } from "../random.ts";
import { memoryWeights, randomWeight } from "../weights.ts";

/** 1, odd, tile +- 1, and the models' own widths. */
const widths = [1, 2, 31, 33, 172, 255, 257, 4096, 5120, 8192];

export function embeddingCases(): readonly OpCase[] {
  return (Object.keys(formats) as FormatName[]).flatMap(
    (
      format, // the record's own keys
    ) =>
      [
        { v: 1, d: 256 },
        { v: 257, d: 512 },
        { v: 1000, d: 4096 },
      ].map(({ v, d }) =>
        opCase("embedding", { format, v, d }, (seed) => {
          const stream = random(`embedding ${format} ${v} ${d}`, seed);
          const tokens = Int32Array.from([0, v - 1, ...Array.from({ length: 15 }, () => stream.integer(v)), v - 1]);
          return {
            graph: buildGraph((g) => [g.embedding("y", g.tokens("tokens"), g.weight("table", [v, d]))]),
            weights: memoryWeights([randomWeight("table", [v, d], format, stream)]),
            actions: [{ run: { tokens }, batch: [{ rows: tokens.length }] }],
          };
        }),
      ),
  );
}

export function rmsNormCases(): readonly OpCase[] {
  const shapes = widths.flatMap((d) =>
    [1, 5].map((n) => ({ n, d, eps: 1e-5, format: "f32", input: "normal" }) as const),
  );
  const kinds = inputKinds.flatMap((input) =>
    [1e-5, 1e-6].map((eps) => ({ n: 3, d: 512, eps, format: "f32", input }) as const),
  );
  const stored = (["f16", "bf16"] as const).map(
    (format) => ({ n: 2, d: 64, eps: 1e-5, format, input: "normal" }) as const,
  );
  // An epsilon that matters shows whether it stands inside the root.
  const eps = [0.5, 1e-2].map((value) => ({ n: 2, d: 96, eps: value, format: "f32", input: "normal" }) as const);
  return [...shapes, ...kinds, ...stored, ...eps].map(({ n, d, eps, format, input }) =>
    opCase("rmsNorm", { n, d, eps, format, input }, (seed) => {
      const stream = random(`rmsNorm ${n} ${d} ${eps} ${input}`, seed);
      return {
        graph: buildGraph((g) => [g.rmsNorm("y", g.activations("x", d), g.weight("w", [d]), { eps })]),
        weights: memoryWeights([randomWeight("w", [d], format, stream)]),
        actions: [{ run: { x: activations(input, n, d, stream) }, batch: [{ rows: n }] }],
      };
    }),
  );
}

export function swigluCases(): readonly OpCase[] {
  return pairs([1, 3, 33, 172, 11008, 28672]).map(({ n, width, input }) =>
    opCase("swiglu", { n, f: width, input }, (seed) => {
      const stream = random(`swiglu ${n} ${width} ${input}`, seed);
      // Gates from -20 to 20 reach both ends of the sigmoid; far beyond them silu is the identity or nothing.
      const gate = activations(input, n, width, stream).map((value, i) => value * (i % 3 === 0 ? 8 : 1));
      return {
        graph: buildGraph((g) => [g.swiglu("y", g.activations("gate", width), g.activations("up", width))]),
        weights: memoryWeights([]),
        actions: [
          {
            run: { gate, up: activations(input === "large" ? "normal" : input, n, width, stream) },
            batch: [{ rows: n }],
          },
        ],
      };
    }),
  );
}

export function addCases(): readonly OpCase[] {
  return pairs([1, 3, 33, 4096, 8192]).map(({ n, width, input }) =>
    opCase("add", { n, d: width, input }, (seed) => {
      const stream = random(`add ${n} ${width} ${input}`, seed);
      return {
        graph: buildGraph((g) => [g.add("y", g.activations("a", width), g.activations("b", width))]),
        weights: memoryWeights([]),
        actions: [
          {
            run: { a: activations(input, n, width, stream), b: activations(input, n, width, stream) },
            batch: [{ rows: n }],
          },
        ],
      };
    }),
  );
}

function pairs(sizes: readonly number[]): readonly { n: number; width: number; input: InputKind }[] {
  const shapes = sizes.flatMap((width) => [1, 7].map((n) => ({ n, width, input: "normal" }) as const));
  return [...shapes, ...inputKinds.filter((kind) => kind !== "normal").map((input) => ({ n: 3, width: 320, input }))];
}
