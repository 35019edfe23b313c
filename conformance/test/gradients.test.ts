// Gradients of the reference: each op's against central differences, a trained model's against PyTorch's, and ten steps
// of AdamW on it. What the reference gives here is what other backends are held to.

import { readFileSync } from "node:fs";
import { reference } from "@polyllama/backend-reference";
import { type Checkpoint, openCheckpoint } from "@polyllama/checkpoints";
import {
  adamWGraph,
  adamWSettings,
  buildGraph,
  gradient,
  llamaGraph,
  opNames,
  ops,
  type Tensor,
  type ValueName,
  type WeightSource,
  withLogProbabilities,
  withMoments,
} from "@polyllama/core";
import { full } from "@polyllama/test-support/full";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { describe, expect, test } from "vitest";
import { differenceTolerance } from "../src/comparison/constants.ts";
import { forwardDevice, forwardDeviceProgram } from "../src/forward.ts";
import { gradientCases } from "../src/gradients/cases.ts";
import { checkGradient, compareGradients } from "../src/gradients/check.ts";
import { relativeDifference } from "../src/gradients/differences.ts";
import { compileGradient, type Gradients, gradientsOf, runGradient } from "../src/gradients/run.ts";
import { trainingOpCases } from "../src/ops/index.ts";
import { runCase } from "../src/ops/op-case.ts";
import { memoryWeights } from "../src/weights.ts";
import { batchStep, type Golden, output, readTensors, stored } from "./golden-training.ts";

describe("central differences", () => {
  test("every op that has a gradient has cases, and no other", () => {
    const differentiable = opNames.filter((op) => ops[op].vjp !== undefined);
    const tried = new Set(gradientCases().flatMap(({ op = [] }) => op));
    expect([...tried].sort()).toEqual([...differentiable].sort());
  });

  test.each(gradientCases().map((each) => [each.address, each] as const))(
    "%s",
    async (_, testCase) => {
      await using device = reference();
      const compared = await compareGradients(testCase, device, 1);
      expect(compared.length).toBeGreaterThan(0);
      for (const { gradient, differences } of compared) {
        expect(gradient.data.some((value) => value !== 0)).toBe(true);
        expect(relativeDifference(gradient.data, differences)).toBeLessThanOrEqual(differenceTolerance);
      }
    },
    120_000,
  );

  test("find a gradient that is off by a millionth in one element", async () => {
    const [testCase] = gradientCases().filter(({ op }) => op === "linear");
    expect((await checkGradient(testCase!, reference(), 2)).problem).toBeUndefined();
    const device = reference();
    await using spoilt = forwardDevice(device, {
      async compile(graph, parameters, options) {
        const program = await device.compile(graph, parameters, options);
        if (!graph.nodes.some(({ op }) => op === "linearWeightGrad")) return program;
        return forwardDeviceProgram(program, {
          submit(step, signal) {
            const { result } = program.submit(step, signal);
            return {
              result: result.then((values) => values.map((value) => (value.to === "host" ? spoil(value) : value))),
            };
          },
        });
      },
    });
    const { worst, problem } = await checkGradient(testCase!, spoilt, 2);
    expect(worst).toBeGreaterThan(1);
    expect(problem).toMatch(/^the gradient by "\w+" is off by .*e-7 of its norm$/);
  });
});

function spoil(value: { readonly to: "host"; readonly tensor: Tensor }): {
  readonly to: "host";
  readonly tensor: Tensor;
} {
  const { shape, data } = value.tensor;
  const largest = Math.max(...data.map(Math.abs));
  const at = data.findIndex((each) => Math.abs(each) === largest);
  return { to: "host", tensor: { shape, data: data.map((each, i) => (i === at ? each * (1 + 1e-6) : each)) } };
}

describe("ops of training against their bounds", () => {
  const f32 = { ...reference().roundings, unit: 2 ** -24, exp: 4 };

  test.each(
    trainingOpCases()
      .filter(({ slow }) => full || slow !== true)
      .map((each) => [each.address, each] as const),
  )("%s", async (_, testCase) => {
    expect(await runCase(testCase, reference(), 1)).toMatchObject({ status: "passed", worst: 0 });
    // Moved at random within the bounds of f32: these are finite, and what the case allows.
    const moved = forwardDevice(reference({ perturb: { rounding: f32, seed: 1 } }), { roundings: f32 });
    const { status, worst, detail } = await runCase(testCase, moved, 1);
    expect({ status, detail }).toEqual({ status: "passed", detail: "" });
    expect(worst).toBeLessThanOrEqual(1);
  });
});

interface GoldenAdamW {
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  readonly start: readonly number[];
  /** By step. */
  readonly gradients: readonly (readonly number[])[];
  readonly end: readonly number[];
}

describeWithShared("stories260K beside PyTorch in float64", () => {
  const golden: Golden = JSON.parse(readFileSync(shared("reference/training/stories260K.json"), "utf8"));
  const expected = readTensors(shared("reference/training/stories260K-gradients.safetensors"));
  const { step, lossOf, cotangent } = batchStep(golden);
  const open = (): Promise<Checkpoint> => openCheckpoint(shared("weights/stories260K.bin"));

  test("the loss, and every gradient to the roundings of its file", async () => {
    await using checkpoint = await open();
    const graphs = gradient(withLogProbabilities(llamaGraph(checkpoint.config)));
    const found = await gradientsOf(reference(), graphs, checkpoint, step, () => ({ [output]: cotangent }));
    expect(lossOf(found.values.get(output)!)).toBeCloseTo(golden.loss, 12);
    expect([...found.weights.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, values] of expected) {
      const { data } = found.weights.get(name)!; // as just compared
      expect(relativeDifference(data, values), name).toBeLessThanOrEqual(stored);
      expect(Math.hypot(...data), name).toBeCloseTo(golden.norms[name]!, 12);
    }
  });

  test("are the same to the bit where layers are computed again", async () => {
    await using checkpoint = await open();
    const graph = withLogProbabilities(llamaGraph(checkpoint.config));
    const recompute = graph.nodes.map(({ output: name }) => name).filter((name) => /^layers\.\d+\.(?!out$)/.test(name));
    const [kept, again] = [gradient(graph), gradient(graph, { recompute })];
    expect(again.kept.length).toBeLessThan(kept.kept.length / 5);
    const found = [];
    for (const graphs of [kept, again]) {
      found.push(await gradientsOf(reference(), graphs, checkpoint, step, () => ({ [output]: cotangent })));
    }
    expect(found[1]).toEqual(found[0]);
    expect(found[0]!.weights.size).toBe(expected.size); // there are two
  });

  test("of micro-batches, each added to those before, are those of the batch", async () => {
    await using checkpoint = await open();
    await using device = reference();
    const graph = withLogProbabilities(llamaGraph(checkpoint.config));
    const [first, more] = [gradient(graph), gradient(graph, { accumulate: true })];
    using parameters = await device.loadParameters([first.forward, first.backward, more.backward], checkpoint);
    let found: Gradients | undefined;
    let start = 0;
    for (const { ids } of golden.batch) {
      await using programs = await compileGradient(device, found === undefined ? first : more, parameters);
      const rows = (all: Int32Array | Float64Array) => all.slice(start, start + ids.length);
      const { tokens, targets } = step.inputs as Readonly<Record<"tokens" | "targets", Int32Array>>; // as made above
      const inputs = { tokens: rows(tokens), targets: rows(targets) };
      const part = { inputs, sequences: [{ rows: ids.length }] };
      found = await runGradient(programs, part, () => ({ [output]: rows(cotangent) as Float64Array }), found);
      start += ids.length;
    }
    expect(found!.weights.size).toBe(expected.size); // there are micro-batches
    for (const [name, { data }] of found!.weights) {
      expect(relativeDifference(data, expected.get(name)!), name).toBeLessThanOrEqual(stored); // likewise
    }
  });

  test("of a table that is not tied, both gradients together are that of the tied one", async () => {
    await using checkpoint = await open();
    const table = "tok_embeddings.weight";
    const untied: WeightSource = {
      name: checkpoint.name,
      weights: new Map([
        ...checkpoint.weights,
        ["output.weight", { ...checkpoint.weights.get(table)!, name: "output.weight" }],
      ]),
      read: (name, ...rest) => checkpoint.read(name === "output.weight" ? table : name, ...rest),
      fingerprint: () => checkpoint.fingerprint(),
    };
    const graphs = gradient(withLogProbabilities(llamaGraph({ ...checkpoint.config, tiedEmbeddings: false })), {
      weights: [table, "output.weight"],
    });
    const found = await gradientsOf(reference(), graphs, untied, step, () => ({ [output]: cotangent }));
    const [input, projection] = [table, "output.weight"].map((name) => found.weights.get(name)!.data);
    for (const one of [input, projection]) {
      expect(relativeDifference(one!, expected.get(table)!)).toBeGreaterThan(stored); // it takes both
    }
    const sum = input!.map((value, i) => value + projection![i]!);
    expect(relativeDifference(sum, expected.get(table)!)).toBeLessThanOrEqual(stored);
  });

  test("ten steps of AdamW give its losses and gradient norms to twelve decimals", async () => {
    await using checkpoint = await open();
    await using device = reference();
    const graphs = gradient(withLogProbabilities(llamaGraph(checkpoint.config)));
    const { weights } = graphs.forward;
    const optimizer = adamWGraph(weights);
    const source = withMoments(checkpoint, weights);
    using parameters = await device.loadParameters([graphs.forward, graphs.backward, optimizer.graph], source, {
      mutable: true,
    });
    await using programs = await compileGradient(device, graphs, parameters);
    await using update = await device.compile(optimizer.graph, parameters);
    for (const [i, [loss, norm]] of golden.adamw.lossAndNorm.entries()) {
      const found = await runGradient(programs, step, () => ({ [output]: cotangent }));
      const gradients = [...found.weights].map(([name, { data }]): readonly [ValueName, Tensor["data"]] => {
        return [optimizer.gradients.get(name)!, data]; // of every weight
      });
      const [squares] = await update.submit({
        inputs: { ...Object.fromEntries(gradients), [optimizer.settings]: adamWSettings(golden.adamw.lr, i + 1) },
        sequences: [],
        outputs: [{ value: optimizer.squares, rows: "all", to: "host" }],
        updates: optimizer.updates,
      }).result;
      if (squares?.to !== "host") throw new Error("the norm comes to the host");
      expect(lossOf(found.values.get(output)!), `loss ${i}`).toBeCloseTo(loss, 12);
      expect(Math.sqrt(squares.tensor.data[0]!), `norm ${i}`).toBeCloseTo(norm, 12);
    }
    expect(parameters.version).toBe(golden.adamw.lossAndNorm.length);
  }, 120_000);

  test("twenty steps of AdamW on a vector end where PyTorch's do", async () => {
    const { adamw }: { readonly adamw: GoldenAdamW } = JSON.parse(
      readFileSync(shared("reference/training/losses.json"), "utf8"),
    );
    const { lr, start, gradients, betas, eps, weightDecay } = adamw;
    const [[beta1, beta2], shape] = [betas, [start.length]];
    const options = { beta1, beta2, eps };
    const graph = buildGraph((g) => {
      const inputs = [g.fixed("gradient", shape), g.fixed("squares", [1]), g.fixed("settings", [3])] as const;
      const state = [g.weight("w", shape), g.weight("m", shape), g.weight("v", shape)] as const;
      const made = g.adamw("y", ...inputs, ...state, { ...options, weightDecay, maxNorm: Number.POSITIVE_INFINITY });
      return [made.weight];
    });
    await using device = reference();
    const zeros = ["w", "m", "v"].map((name) => {
      return { name, shape, format: "f32", bytes: new Uint8Array(4 * start.length) } as const;
    });
    using parameters = await device.loadParameters([graph], memoryWeights(zeros), { mutable: true });
    await using program = await device.compile(graph, parameters);
    const run = async (gradient: readonly number[], step: number, updates: Readonly<Record<string, string>>) => {
      const settings = adamWSettings(lr, step, options);
      const inputs = { gradient: Float64Array.from(gradient), squares: Float64Array.of(1), settings };
      const outputs = [{ value: "y.weight", rows: "all", to: "host" }] as const;
      const [value] = await program.submit({ inputs, sequences: [], outputs, updates }).result;
      if (value?.to !== "host") throw new Error("the weight comes to the host");
      return value.tensor.data;
    };
    await run(start, 1, { w: "gradient" }); // in float64, as no checkpoint has it
    const updates = { w: "y.weight", m: "y.firstMoment", v: "y.secondMoment" };
    let found: Tensor["data"] = Float64Array.from(start);
    for (const [i, gradient] of gradients.entries()) found = await run(gradient, i + 1, updates);
    expect(found).toHaveLength(adamw.end.length);
    for (const [i, value] of adamw.end.entries()) expect(found[i]).toBeCloseTo(value, 12);
  });
});
