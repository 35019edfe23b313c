// Training with operands in bf16 on the emulated card: where tensor cores multiply and where they do not, that all else
// stays f32, the same bits in any order of threads, and that what is not finite is seen. What is computed is held to its
// bounds by the suite (conformance.test.ts).

import { buildGraph, type FormatName, llamaGraph, type WeightSource } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { formats } from "@polyllama/formats";
import { createTrainer, packExamples } from "@polyllama/training";
import { expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { config, source } from "./device-support.ts";
import { describeWithEmulation, emulated, errorOf } from "./support.ts";

const timeout = 240_000;

const ids = Array.from({ length: 19 }, (_, i) => (i * 7 + 3) % config.vocabSize);
const batch = [...packExamples([{ ids, counts: ids.map(() => 1) }], { length: 64, examples: "whole" })];

const [K, M] = [32, 24];
const inputGrad = buildGraph((g) => [g.linearInputGrad("x", g.activations("dy", M), g.weight("w", [M, K]))]);

/** A weight of ones, as far as the format has them. */
function constant(format: FormatName): WeightSource {
  const { blockBytes, blockSize } = formats[format];
  const bytes = new Uint8Array(Float32Array.from({ length: M * K }, () => 1).buffer);
  return {
    name: "constant",
    weights: new Map([["w", { name: "w", shape: [M, K], format }]]),
    async read(_, { rows = { first: 0, count: M } } = {}) {
      const row = (K * blockBytes) / blockSize;
      return bytes.slice(rows.first * row, (rows.first + rows.count) * row);
    },
    fingerprint: async () => "",
  };
}

test("training is in f32 or bf16, and what bf16 rounds is declared", async () => {
  expect(await errorOf(() => cuda({ training: "f16" as "bf16" }))).toMatchObject({ code: "ERR_OPTION" });
  expect(cuda({ training: "bf16" }).roundings.trainingProducts).toMatchObject({ unit: 2 ** -8, formats: ["f32"] });
  expect(cuda({ training: "f32" }).roundings).toEqual(cuda().roundings);
  expect(cuda().roundings.trainingProducts).toBeUndefined();
});

await describeWithEmulation("training in bf16", (emulation) => {
  const { control } = emulation;

  /** Losses and norms of two steps, and the kernels that they took. */
  async function train(training: "f32" | "bf16", order: "forward" | "random" = "forward") {
    control.reset();
    control.order(order);
    await using device = cuda({ ...emulated(emulation), training });
    await using trainer = await createTrainer(device, llamaGraph(config), source);
    control.log();
    const steps = [await trainer.step([batch], 1e-3), await trainer.step([batch], 1e-3)] as const;
    expect(control.reports()).toBe("");
    return { steps, kernels: kernelsOf(control.log()) };
  }

  function kernelsOf(calls: readonly string[]): readonly string[] {
    return calls.filter((call) => call.startsWith("cuModuleGetFunction")).map((call) => call.split(" ")[1]!);
  }

  test("tensor cores multiply for linears and their gradients, others for log-probabilities", { timeout }, async () => {
    const bf16 = await train("bf16");
    expect(bf16.kernels).toEqual(
      expect.arrayContaining(["round_bf16", "linear_bf16", "input_grad_bf16", "weight_grad_bf16", "gemm"]),
    );
    const f32 = await train("f32");
    expect(f32.kernels.filter((name) => name.endsWith("_bf16"))).toEqual([]);
    const [first, last] = bf16.steps;
    expect(last.loss).toBeLessThan(first.loss);
    expect(first.loss).not.toBe(f32.steps[0].loss); // operands are rounded
  });

  test("steps are the same to the bit in any order of threads", { timeout }, async () => {
    expect((await train("bf16", "random")).steps).toEqual((await train("bf16")).steps);
  });

  test.each([
    { format: "f32", kernels: ["round_bf16", "input_grad_bf16"] },
    { format: "q4_0", kernels: ["input_grad"] },
  ] as const)("gradients pass through $format by $kernels, and NaN does", async ({ format, kernels }) => {
    control.reset();
    await using device = cuda({ ...emulated(emulation), training: "bf16" });
    await using loaded = await loadGraph(device, inputGrad, constant(format));
    control.log();
    // Rounded as a number, the first of these NaNs would become zero.
    const dy = new Float32Array(3 * M);
    new Uint32Array(dy.buffer).set([0x7fffffff, 0, 0, 0x7fc00000], M);
    const [x] = await loaded.run({ inputs: { dy }, sequences: [{ rows: 3 }] }, ["x"]);
    expect(kernelsOf(control.log())).toEqual(kernels);
    expect([...x!.data].map(Number.isNaN)).toEqual(Array.from({ length: 3 * K }, (_, i) => Math.floor(i / K) === 1));
    expect(control.reports()).toBe("");
  });

  test("cards before compute capability 8.0 refuse it by name", async () => {
    control.reset();
    control.card({ major: 7, minor: 5 });
    await using device = cuda({ ...emulated(emulation), training: "bf16" });
    const refusal = createTrainer(device, llamaGraph(config), source);
    await expect(refusal).rejects.toMatchObject({ code: "ERR_UNSUPPORTED", format: "bf16" });
    await expect(refusal).rejects.toThrow(/7\.5.*Leave out training: "bf16"/);
  });
});
