// Steps, handles and options that are wrong: they are refused by name of the error, before anything changes.

import { reference } from "@polyllama/backend-reference";
import type { Output } from "@polyllama/core/device";
import { must, mustEqual, mustThrow } from "../must.ts";
import type { DeviceCase } from "./case.ts";
import { decode, draws, greedy, lastLogits, load, logits, model, step, tokens } from "./subject.ts";

export const refusalCases: readonly DeviceCase[] = [
  {
    name: "what a step declares wrongly is refused, and its caches stay as they were",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(8);
      const cache = pool.open();
      const inputs = { tokens: tokens(4) };
      const outputs = [lastLogits];
      for (const position of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32]) {
        const given = { inputs, sequences: [{ rows: 4, position }], outputs };
        await mustThrow("ERR_GRAPH", () => program.submit(given), `position ${position}`);
      }
      const one = [{ rows: 4, cache }];
      const twice = [
        { rows: 2, cache },
        { rows: 2, cache },
      ];
      const wrong = [
        { inputs, sequences: [{ rows: 3 }], outputs },
        { inputs, sequences: [{ rows: 0 }, { rows: 4 }], outputs },
        { inputs, sequences: twice, outputs },
        { inputs, sequences: [{ rows: 4, cache, position: 2 }], outputs },
        { inputs: { tokens: Int32Array.of(1, 2, 97, 3) }, sequences: one, outputs },
        { inputs: { tokens: Int32Array.of(1, -1, 2, 3) }, sequences: one, outputs },
        { inputs: { tokens: Float32Array.of(1, 2, 3, 4) }, sequences: one, outputs },
        { inputs: { ...inputs, others: tokens(4) }, sequences: one, outputs },
        { inputs: {}, sequences: one, outputs },
        { inputs, sequences: one, outputs: [{ value: "no such value", rows: "all", to: "host" }] },
      ] as const;
      for (const [i, given] of wrong.entries()) {
        await mustThrow("ERR_GRAPH", () => program.submit(given), `wrong step ${i}`);
      }
      const two = [{ rows: 3, cache }, { rows: 1 }];
      for (const [counts, drawn] of [
        [[], 2],
        [[1], 2],
        [[1, 1, 1], 3],
        [[1, 2], 3],
        [[1.5, 1], 2],
        [[2, 1], 2],
      ] as const) {
        const output = { ...draws(drawn), rows: { lastPerSequence: counts } } as Output;
        const given = { inputs, sequences: two, outputs: [output] };
        await mustThrow("ERR_GRAPH", () => program.submit(given), `${drawn} draws of [${counts}] rows`);
      }
      must(cache.length === 0 && pool.freeBlocks === pool.blocks, "refused steps leave caches as they were");
      must((await logits(program, cache, tokens(8))).length > 0, "and usable");
    },
  },
  {
    name: "a cache, a tensor and parameters of another device are refused, and a cache for another shape",
    async run(device) {
      await using subject = await load(device);
      const { program, graph } = subject;
      await using elsewhere = reference();
      await using other = await load(elsewhere);
      const foreign = other.pool(8).open();
      await mustThrow("ERR_GRAPH", () => logits(program, foreign, tokens(2)), "a cache of another device");
      await mustThrow("ERR_PARAMETERS", () => device.compile(graph, other.parameters), "parameters of another device");
      const token = { value: "logits", rows: "last", to: "token", draw: [greedy] } as const;
      const drawn = other.program.submit(step([{ cache: foreign, tokens: tokens(2) }], [token]));
      await drawn.result;
      using chosen = drawn.tokens!; // a token was drawn
      const cache = subject.pool(8).open();
      await mustThrow(
        "ERR_GRAPH",
        () => program.submit(decode(chosen, [cache], [lastLogits])),
        "a tensor of another device",
      );
      using shaped = device.cachePool([{ kvHeads: 1, headDim: 8 }], { rows: 8 });
      await mustThrow("ERR_GRAPH", () => logits(program, shaped.open(), tokens(2)), "a pool for another shape");
      mustEqual([cache.length, foreign.length], [0, 2], "caches are as they were");
    },
  },
  {
    name: "options that nothing honours are refused",
    async run(device) {
      await using subject = await load(device);
      const { parameters } = subject;
      const { graph, weights } = model();
      const unknown: Readonly<Record<string, unknown>> = { colour: "blue" };
      await mustThrow("ERR_OPTION", () => device.loadParameters([graph], weights, unknown), "loadParameters");
      await mustThrow("ERR_OPTION", () => device.compile(graph, parameters, unknown), "compile");
      await mustThrow("ERR_OPTION", () => device.cachePool([], { rows: 8, ...unknown }), "cachePool");
      for (const size of [0, -1, 1.5, Number.NaN]) {
        await mustThrow("ERR_OPTION", () => subject.pool(size), `a pool of ${size} positions`);
        await mustThrow("ERR_OPTION", () => subject.pool(8, { sequences: size }), `a pool of ${size} sequences`);
      }
      const outputs = [{ value: "no such value", to: "host" }] as const;
      await mustThrow("ERR_GRAPH", () => device.compile(graph, parameters, { outputs }), "a value that there is not");
    },
  },
];
