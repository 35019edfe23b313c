// Tokens that are chosen where the logits are: by core's definition, for whole batches, and as the next step's input.

import { buildGraph, createSampler } from "@polyllama/core";
import { loadGraph, type OutputValue, type SequenceCache } from "@polyllama/core/device";
import { must, mustEqual, mustThrow } from "../must.ts";
import { memoryWeights } from "../weights.ts";
import type { DeviceCase } from "./case.ts";
import {
  decode,
  draws,
  greedy,
  lastLogits,
  load,
  logits,
  drawsTokens as needs,
  prompts,
  rowsOf,
  step,
  tokens,
  tokensOf,
  valuesOf,
} from "./subject.ts";

export const tokenCases: readonly DeviceCase[] = [
  {
    name: "a batch draws for each sequence what its logits and options say",
    needs,
    async run(device) {
      await using subject = await load(device);
      const pool = subject.pool(64, { sequences: 8 });
      const options = [0, 0.7, 1, 1.3, 2, 0.9, 1, 0.5].map((temperature, i) => {
        return {
          temperature,
          topK: [0, 5, 0, 40][i % 4]!,
          topP: i % 2 ? 0.9 : 1,
          minP: i === 4 ? 0.1 : 0,
          seed: 7 * i + 1,
        };
      });
      const caches = options.map(() => pool.open());
      const given = prompts(8);
      const sequences = given.map((each, i) => ({ cache: caches[i]!, tokens: each })); // one for each
      const token = { value: "logits", rows: "last", to: "token", draw: options } as const;
      const [drawn, values] = await valuesOf(subject.program.submit(step(sequences, [token, lastLogits])));
      let chosen = tokensOf(drawn);
      for (const [i, row] of rowsOf(values).entries()) {
        const length = given[i]!.length;
        const expected = createSampler(options[i]).sample(Float32Array.from(row), [], 0, length);
        must(chosen[i] === expected, `sequence ${i}: token ${chosen[i]}, where its logits say ${expected}`);
      }
      for (let round = 1; round < 4; round++) {
        const next = decode(Int32Array.from(chosen), caches, [token, lastLogits]);
        const [tokensDrawn, logitsThen] = await valuesOf(subject.program.submit(next));
        chosen = tokensOf(tokensDrawn);
        for (const [i, row] of rowsOf(logitsThen).entries()) {
          const position = given[i]!.length + round;
          const expected = createSampler(options[i]).sample(Float32Array.from(row), [], 0, position);
          must(chosen[i] === expected, `round ${round}, sequence ${i}: ${chosen[i]}, where its logits say ${expected}`);
        }
      }
    },
  },
  {
    name: "chosen tokens are the next step's input before they are known",
    needs,
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(64, { sequences: 6 });
      const caches = [pool.open(), pool.open(), pool.open()];
      const given = prompts(3);
      const first = program.submit(
        step(
          given.map((each, i) => ({ cache: caches[i]!, tokens: each })),
          [draws(3)],
        ),
      ); // one each
      const steps = [first];
      for (let i = 0; i < 5; i++) steps.push(program.submit(decode(steps.at(-1)!.tokens!, caches, [draws(3)])));
      const chosen = await Promise.all(steps.map(async ({ result }) => tokensOf((await result)[0])));
      mustEqual(Array.from(await steps[2]!.tokens!.read()), chosen[2], "a tensor of tokens"); // there are six

      const again = [pool.open(), pool.open(), pool.open()];
      const prompt = step(
        given.map((each, i) => ({ cache: again[i]!, tokens: each })),
        [draws(3)],
      );
      let [value] = await valuesOf(program.submit(prompt));
      mustEqual(tokensOf(value), chosen[0], "the first tokens");
      for (let i = 1; i < 6; i++) {
        [value] = await valuesOf(program.submit(decode(Int32Array.from(tokensOf(value)), again, [draws(3)])));
        mustEqual(tokensOf(value), chosen[i], `tokens of step ${i}`);
      }
      for (const { tokens: tensor } of steps) tensor?.[Symbol.dispose]();
    },
  },
  {
    name: "several rows of a sequence are drawn from",
    needs,
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const output = {
        value: "logits",
        rows: { lastPerSequence: [3, 0, 2] },
        to: "token",
        draw: new Array<typeof greedy>(5).fill(greedy),
      } as const;
      const sequences = [6, 4, 2].map((rows) => ({ tokens: tokens(rows) }));
      const all = { value: "logits", rows: "all", to: "host" } as const;
      const [drawn, values] = await valuesOf(program.submit(step(sequences, [output, all])));
      const rows = rowsOf(values);
      const best = [3, 4, 5, 10, 11].map((row) =>
        createSampler({ temperature: 0 }).sample(Float32Array.from(rows[row]!), [], 0),
      );
      mustEqual(tokensOf(drawn), best, "tokens of the last three rows of the first and both rows of the last");
    },
  },
  {
    name: "penalties, biases and masks change what is drawn as they do on the host",
    needs: (device) => needs(device) ?? (device.features.adjustments ? undefined : "draws take no penalties"),
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(64, { sequences: 2 });
      const cache = pool.open();
      const prompt = tokens(12);
      const penalties = { repetitionPenalty: 1.7, frequencyPenalty: 0.4, presencePenalty: 0.2, promptLength: 4 };
      const best = await bestAfter(subject, prompt);
      const logitBias = new Map([[best, -2]]);
      const mask = new Uint32Array(4).fill(0xffffffff);
      mask[0]! &= ~(1 << 3);
      const draw = { ...greedy, penalties, logitBias, mask };
      const output = { value: "logits", rows: "last", to: "token", draw: [draw] } as const;
      const [drawn, values] = await valuesOf(program.submit(step([{ cache, tokens: prompt }], [output, lastLogits])));
      const row = Float32Array.from(rowsOf(values)[0]!); // of one sequence
      row[3] = -Infinity;
      const { promptLength, ...factors } = penalties;
      const expected = createSampler({ temperature: 0, logitBias, ...factors }).sample(row, [...prompt], promptLength);
      mustEqual(tokensOf(drawn), [expected], "the token");
      const history = [...prompt, expected];
      const fork = cache.fork();
      const [next, nextValues] = await valuesOf(
        program.submit(decode(Int32Array.of(expected), [fork], [output, lastLogits])),
      );
      const nextRow = Float32Array.from(rowsOf(nextValues)[0]!); // of one sequence
      nextRow[3] = -Infinity;
      const then = createSampler({ temperature: 0, logitBias, ...factors }).sample(nextRow, history, promptLength);
      mustEqual(tokensOf(next), [then], "the token after it, whose history lies in the cache");
    },
  },
  {
    name: "tokens of an imported sequence count for penalties",
    needs: (device) => {
      const { adjustments, cacheExport } = device.features;
      return needs(device) ?? (adjustments && cacheExport ? undefined : "draws take no penalties, or caches stay");
    },
    async run(device) {
      await using subject = await load(device);
      const pool = subject.pool(100, { sequences: 2 });
      const cache = pool.open();
      await logits(subject.program, cache, tokens(70)); // several blocks
      using imported = await pool.import(await cache.export());
      const penalties = { repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 50, promptLength: 0 };
      const output = { value: "logits", rows: "last", to: "token", draw: [{ ...greedy, penalties }] } as const;
      const write = async (sequence: SequenceCache): Promise<readonly number[]> => {
        const written = [5];
        for (let i = 0; i < 12; i++) {
          const [drawn] = await valuesOf(
            subject.program.submit(decode(Int32Array.of(written.at(-1)!), [sequence], [output])), // one is there
          );
          written.push(...tokensOf(drawn));
        }
        return written;
      };
      const expected = await write(cache);
      must(
        expected.slice(1).every((token) => !tokens(70).includes(token)),
        "what was read is not written again",
      );
      mustEqual(await write(imported), expected, "what follows the import");
    },
  },
  {
    name: "a temperature that is NaN is refused, and the cache is as it was",
    needs,
    async run(device) {
      await using subject = await load(device);
      const cache = subject.pool(16).open();
      const draw = { ...greedy, temperature: Number.NaN };
      const output = { value: "logits", rows: "last", to: "token", draw: [draw] } as const;
      const act = (): unknown => subject.program.submit(step([{ cache, tokens: tokens(3) }], [output])).result;
      await mustThrow("ERR_OPTION", act, "a temperature that is NaN");
      must(cache.length === 0, "the cache is as it was");
      await logits(subject.program, cache, tokens(3));
    },
  },
  {
    name: "logits that are NaN are an error, and the next step is right",
    needs,
    async run(device) {
      const graph = buildGraph((g) => [g.add("logits", g.activations("a", 97), g.activations("b", 97))]);
      await using loaded = await loadGraph(device, graph, memoryWeights([]));
      const drawn = (a: number, b: number): Promise<readonly OutputValue[]> => {
        const inputs = {
          a: Float32Array.from({ length: 97 }, (_, i) => (i === 41 ? a : 1)),
          b: new Float32Array(97).fill(b),
        };
        return valuesOf(loaded.submit({ inputs }, [draws(1)]));
      };
      await mustThrow("ERR_BACKEND", () => drawn(Number.NaN, 1), "a logit that is NaN");
      mustEqual(tokensOf((await drawn(2, 1))[0]), [41], "the step after it");
    },
  },
];

async function bestAfter(subject: Awaited<ReturnType<typeof load>>, prompt: Int32Array): Promise<number> {
  const row = await logits(subject.program, subject.pool(64).open(), prompt);
  return row.indexOf(Math.max(...row));
}
