// Parameters: shared by programs, freed with the last of them, and changed by steps.

import { buildGraph, createSampler } from "@polyllama/core";
import { must, mustEqual, mustThrow } from "../must.ts";
import { random } from "../random.ts";
import { memoryWeights, randomWeight } from "../weights.ts";
import type { DeviceCase } from "./case.ts";
import { load, logits, rowsOf, step, tokens } from "./subject.ts";

export const parameterCases: readonly DeviceCase[] = [
  {
    name: "programs share their parameters, which are freed with the last of them",
    async run(device) {
      // A weight that takes more memory than what programs compute in.
      const graph = buildGraph((g) => [g.linear("y", g.activations("x", 512), g.weight("w", [2048, 512]))]);
      const weights = memoryWeights([randomWeight("w", [2048, 512], "f32", random("device", 4))]);
      const given = {
        inputs: { x: Float32Array.from({ length: 1024 }, (_, i) => (i % 7) - 3) },
        sequences: [{ rows: 2 }],
        outputs: [{ value: "y", rows: "last", to: "host" }],
      } as const;
      const before = (await device.memory()).allocated;
      const parameters = await device.loadParameters([graph], weights);
      must(parameters.bytes > 0, "parameters take memory");
      const { bytes } = parameters;
      const loaded = (await device.memory()).allocated;
      must(loaded - before >= bytes, "which is counted");
      const programs = [await device.compile(graph, parameters), await device.compile(graph, parameters)];
      const results = await Promise.all(programs.map((program) => program.submit(given).result));
      mustEqual(rowsOf(results[0]![0]), rowsOf(results[1]![0]), "both give the same"); // two programs
      const both = (await device.memory()).allocated;
      must(both - loaded < bytes, `two programs take ${both - loaded} bytes: the weights again`);
      parameters[Symbol.dispose]();
      await programs[0]![Symbol.asyncDispose](); // two
      await programs[1]!.submit(given).result;
      await mustThrow("ERR_DISPOSED", () => device.compile(graph, parameters), "compile with disposed parameters");
      await programs[1]![Symbol.asyncDispose]();
      const after = (await device.memory()).allocated;
      must(after - before < bytes, `${after - before} bytes are left of them`);
    },
  },
  {
    name: "steps update mutable parameters for all programs, and none where a value is not finite",
    needs: ({ features }) => (features.updates ? undefined : "parameters stay as they are"),
    async run(device) {
      const graph = buildGraph((g) => [g.linear("y", g.activations("x", 4), g.weight("w", [4, 4]))]);
      const weights = memoryWeights([randomWeight("w", [4, 4], "f32", random("device", 2))]);
      using parameters = await device.loadParameters([graph], weights, { mutable: true });
      await using program = await device.compile(graph, parameters);
      await using other = await device.compile(graph, parameters);
      const identity = Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0));
      const y = { value: "y", rows: "all", to: "host" } as const;
      const run = (x: Float32Array, updates?: Readonly<Record<string, string>>) =>
        program.submit({ inputs: { x }, sequences: [{ rows: 4 }], outputs: [y], ...(updates && { updates }) }).result;
      const [before] = await run(identity); // the weight, transposed
      await run(identity, { w: "y" });
      must(parameters.version === 1, "an update is counted");
      const [after] = await other.submit({ inputs: { x: identity }, sequences: [{ rows: 4 }], outputs: [y] }).result;
      const transposed = (rows: readonly (readonly number[])[]) => rows.map((_, i) => rows.map((row) => row[i]));
      mustEqual(rowsOf(after), transposed(rowsOf(before)), "another program sees it");
      await mustThrow(
        "ERR_BACKEND",
        () =>
          run(
            identity.map(() => Infinity),
            { w: "y" },
          ),
        "values that are not finite",
      );
      const [kept] = await run(identity);
      mustEqual(rowsOf(kept), rowsOf(after), "nothing was updated");
      // 4 rows
      mustEqual(new Float32Array((await parameters.export().read("w")).buffer)[1], rowsOf(before)[0]![1], "export");
      using fixed = await device.loadParameters([graph], weights);
      await using third = await device.compile(graph, fixed);
      const given = { inputs: { x: identity }, sequences: [{ rows: 4 }], outputs: [], updates: { w: "y" } };
      await mustThrow("ERR_PARAMETERS", () => third.submit(given), "parameters that are not mutable");
    },
  },
  {
    name: "scores are log-probabilities of given tokens",
    needs: ({ features }) => (features.outputs.includes("score") ? undefined : "scores are computed on the host"),
    async run(device) {
      await using subject = await load(device);
      const targets = Int32Array.of(5, -1, 9);
      const outputs = [
        { value: "logits", to: "score", targets, top: 2 },
        { value: "logits", to: "score", targets, temperature: 2 },
        { value: "logits", rows: "all", to: "host" },
      ] as const;
      const [scores, cool, values] = await subject.program.submit(step([{ tokens: tokens(3) }], outputs)).result;
      must(scores?.to === "score" && cool?.to === "score", "scores come");
      const rows = rowsOf(values);
      const expected = (row: number, token: number, temperature: number): number => {
        const logit = rows[row]!.map((each) => each / temperature); // three rows
        const most = Math.max(...logit);
        return logit[token]! - most - Math.log(logit.reduce((sum, each) => sum + Math.exp(each - most), 0));
      };
      for (const [given, temperature] of [
        [scores.rows, 1],
        [cool.rows, 2],
      ] as const) {
        must(given.length === 3 && given[1] === undefined, "a row without a target has no score");
        for (const row of [0, 2]) {
          // it has a target
          const difference = Math.abs(given[row]!.logprob - expected(row, targets[row]!, temperature));
          must(difference <= 97 * 2 ** -22, `row ${row} is off by ${difference}`); // a sum of 97 terms in f32
        }
      }
      const best = createSampler({ temperature: 0 }).sample(Float32Array.from(rows[0]!), [], 0); // three rows
      must(scores.rows[0]!.top.length === 2 && scores.rows[0]!.top[0]!.id === best, "the most probable come first");
      await logits(subject.program, subject.pool(8).open(), tokens(1));
    },
  },
];
