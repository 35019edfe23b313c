// Steps and options that are wrong: they are refused by name of the error, before anything changes.

import { must, mustThrow } from "../../must.ts";
import { compile, lastLogits, logits, model, step, tokens } from "../subject.ts";
import type { LifecycleCase } from "./case.ts";

export const refusalCases: readonly LifecycleCase[] = [
  {
    name: "what a step declares wrongly is refused, and its caches stay as they were",
    async run(backend) {
      await using program = await compile(backend);
      await using other = await compile(backend);
      using cache = program.createCache(8);
      using foreign = other.createCache(8);
      const inputs = { tokens: tokens(4) };
      for (const position of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32]) {
        const given = { inputs, batch: [{ rows: 4, position }] };
        await mustThrow("ERR_GRAPH", () => program.run(given, lastLogits), `position ${position}`);
      }
      const wrong = [
        { inputs, batch: [{ rows: 3 }] },
        { inputs, batch: [{ rows: 0 }, { rows: 4 }] },
        { inputs, batch: [{ rows: 4, cache: foreign }] },
        {
          inputs,
          batch: [
            { rows: 2, cache },
            { rows: 2, cache },
          ],
        },
        { inputs, batch: [{ rows: 4, cache, position: 2 }] },
        { inputs: { tokens: Int32Array.of(1, 2, 97, 3) }, batch: [{ rows: 4, cache }] },
        { inputs: { tokens: Int32Array.of(1, -1, 2, 3) }, batch: [{ rows: 4, cache }] },
        { inputs: {}, batch: [{ rows: 4, cache }] },
      ];
      for (const [i, given] of wrong.entries()) {
        await mustThrow("ERR_GRAPH", () => program.run(given, lastLogits), `wrong step ${i}`);
      }
      await mustThrow("ERR_CONTEXT", () => program.run(step(9, cache), lastLogits), "more rows than capacity");
      await mustThrow("ERR_GRAPH", () => program.run(step(2, cache), ["no such value"]), "a value that there is not");
      must(cache.length === 0 && foreign.length === 0, "refused steps leave caches as they were");
      must((await logits(program, step(8, cache))).length > 0, "and usable");
    },
  },
  {
    name: "options that nothing honours are refused",
    async run(backend) {
      await using program = await compile(backend);
      const unknown: Readonly<Record<string, unknown>> = { colour: "blue" };
      await mustThrow("ERR_OPTION", () => program.run(step(1), lastLogits, unknown), "run");
      await mustThrow("ERR_OPTION", () => program.createCache(4, unknown), "createCache");
      for (const capacity of [0, -1, 1.5, Number.NaN]) {
        await mustThrow("ERR_OPTION", () => program.createCache(capacity), `a capacity of ${capacity}`);
      }
      const { graph, weights } = model();
      await mustThrow("ERR_OPTION", () => backend.compile(graph, weights, unknown), "compile");
      const wanted = ["no such value"];
      await mustThrow(
        "ERR_GRAPH",
        () => backend.compile(graph, weights, { wanted }),
        "compile for a value that there is not",
      );
    },
  },
];
