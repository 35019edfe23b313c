// linear: every format, shapes at and beside block and tile edges, and the matrices of the published models.

import { buildGraph, type FormatName, presets } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { type OpCase, opCase, type Script } from "../case.ts";
import { activations, type InputKind, inputKinds } from "../inputs.ts";
import { random } from "../random.ts";
import { type MemoryWeight, memoryWeights, randomWeight, takeWeightRows } from "../weights.ts";

interface Shape {
  readonly n: number;
  readonly k: number;
  readonly m: number;
}

const names = Object.keys(formats) as FormatName[]; // the record's own keys

export function linearCases(): readonly OpCase[] {
  return [...smallCases(), ...inputCases(), ...besideCases(), ...modelCases()];
}

function smallCases(): readonly OpCase[] {
  const cases: OpCase[] = [];
  for (const format of names) {
    const { blockSize } = formats[format];
    const widths = blockSize === 1 ? [1, 7, 64, 172, 255, 1024] : [blockSize, 3 * blockSize, 1024];
    for (const k of widths) {
      for (const [n, m] of [
        [1, 1],
        [1, 33],
        [2, 64],
        [3, 31],
        [17, 65],
        [33, 15],
      ] as const) {
        cases.push(linearCase(format, { n, k, m }, "normal"));
      }
    }
  }
  return cases;
}

function inputCases(): readonly OpCase[] {
  return names.flatMap((format) => [
    ...inputKinds
      .filter((kind) => kind !== "normal")
      .flatMap((kind) => [
        linearCase(format, { n: 1, k: 512, m: 48 }, kind),
        linearCase(format, { n: 5, k: 512, m: 48 }, kind),
        linearCase(format, { n: 9, k: 512, m: 48 }, kind),
      ]),
    // Beside the edges of the large tiles that long prompts are computed in.
    linearCase(format, { n: 97, k: 256, m: 130 }, "normal"),
    // One term alone holds the roundings of input, weight and sum to a few hundred units, where the other sums of 70B's widths
    // allow far more. Prompts may take other kernels than single rows.
    // Small enough to be compared whole: in a sampled one, the zeros of a single term would look unwritten.
    ...[8192, 28672].flatMap((k) => [
      linearCase(format, { n: 1, k, m: 64 }, "one-hot"),
      linearCase(format, { n: 17, k, m: 8 }, "one-hot"),
    ]),
  ]);
}

/** A linear beside another one over the same input, which backends compute together, and more rows than they compute at once. */
function besideCases(): readonly OpCase[] {
  const beside = (["f32", "q4_0", "q6_k"] as const).flatMap((format) =>
    [16, 48].map((other) =>
      opCase("linear", { format, n: 3, k: 256, m: 48, beside: other, input: "normal" }, (seed): Script => {
        const stream = random(`linear ${format} beside ${other}`, seed);
        const weights = [randomWeight("a", [other, 256], format, stream), randomWeight("w", [48, 256], format, stream)];
        return {
          graph: buildGraph((g) => {
            const x = g.activations("x", 256);
            g.linear("b", x, g.weight("a", [other, 256]));
            return [g.linear("y", x, g.weight("w", [48, 256]))];
          }),
          weights: memoryWeights(weights),
          actions: [{ run: { x: activations("normal", 3, 256, stream) }, batch: [{ rows: 3 }] }],
        };
      }),
    ),
  );
  return [
    ...beside,
    ...(["f32", "q4_0"] as const).map((format) => linearCase(format, { n: 515, k: 64, m: 33 }, "normal")),
  ];
}

/** The very matrices of 7B, 13B and 70B: all of them in Q4_0, one in every other format, output matrices of three vocabularies. */
function modelCases(): readonly OpCase[] {
  const cases: OpCase[] = [];
  for (const name of ["llama-2-7b", "llama-2-13b", "llama-2-70b"] as const) {
    const { dim, hiddenDim, kvHeads, headDim } = presets[name];
    // By their shape, since wk and wv of 7B and 13B have that of wq.
    for (const [k, m] of new Map([
      [`${dim},${dim}`, [dim, dim]],
      [`${dim},${kvHeads * headDim}`, [dim, kvHeads * headDim]],
      [`${dim},${hiddenDim}`, [dim, hiddenDim]],
      [`${hiddenDim},${dim}`, [hiddenDim, dim]],
    ] as const).values()) {
      cases.push(linearCase("q4_0", { n: 1, k, m }, "normal"));
    }
    cases.push(linearCase("q4_0", { n: 9, k: hiddenDim, m: dim }, "normal"));
  }
  for (const format of names.filter((other) => other !== "q4_0")) {
    cases.push(
      linearCase(format, { n: 1, k: 4096, m: 1024 }, "normal"),
      linearCase(format, { n: 7, k: 8192, m: 512 }, "normal"),
    );
  }
  cases.push(linearCase("f32", { n: 2, k: 28672, m: 64 }, "normal"));
  for (const m of [32000, 49953, 55296]) {
    cases.push(linearCase("q8_0", { n: 1, k: 4096, m }, "normal"));
    cases.push(linearCase("q4_0", { n: 2, k: 4096, m }, "normal"));
  }
  return cases;
}

function linearCase(format: FormatName, shape: Shape, input: InputKind): OpCase {
  const { n, k, m } = shape;
  return opCase("linear", { format, n, k, m, input }, (seed): Script => {
    const stream = random(`linear ${format} ${n} ${k} ${m} ${input}`, seed);
    const weight = randomWeight("w", [m, k], format, stream);
    const script: Script = {
      graph: linearGraph(k, m),
      weights: memoryWeights([weight]),
      actions: [{ run: { x: activations(input, n, k, stream) }, batch: [{ rows: n }] }],
    };
    return m * k * n <= 2 ** 22 ? script : { ...script, sampled: sample(weight, shape, stream) };
  });
}

function linearGraph(k: number, m: number) {
  return buildGraph((g) => [g.linear("y", g.activations("x", k), g.weight("w", [m, k]))]);
}

/** Up to 256 output rows: both ends, tile edges, and random ones. */
function sample(
  weight: MemoryWeight,
  { k, m }: Shape,
  stream: ReturnType<typeof random>,
): NonNullable<Script["sampled"]> {
  const columns = new Set<number>();
  for (const edge of [0, 16, 32, 64, 128, 256, 1024, Math.floor(m / 2), m - (m % 64), m]) {
    for (const column of [edge - 1, edge, edge + 1]) if (column >= 0 && column < m) columns.add(column);
  }
  while (columns.size < Math.min(256, m)) columns.add(stream.integer(m));
  const rows = [...columns];
  return { graph: linearGraph(k, rows.length), weights: memoryWeights([takeWeightRows(weight, rows)]), columns: rows };
}
