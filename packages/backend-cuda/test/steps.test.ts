// Steps of a device on the emulated card: batches that draw tokens read the weights once and give every sequence what
// it gets alone; drawn tokens are the next step's input without the host; and what this device does not do is refused.

import { createSampler, llamaLayerGraph, UnsupportedError } from "@polyllama/core";
import { cacheSpec } from "@polyllama/core/device";
import { expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import {
  config,
  drawOf,
  graph,
  greedy,
  lastLogits,
  rowsOf,
  source,
  submit,
  submitDrawn,
  tokens,
  tokensOf,
  withDevice,
} from "./device-support.ts";
import { describeWithEmulation, emulated, errorOf } from "./support.ts";

await describeWithEmulation("steps on the card", (emulation) => {
  const { control } = emulation;
  const draws = (count: number, draw = greedy) =>
    ({ value: "logits", rows: "last", to: "token", draw: Array(count).fill(draw) }) as const;

  test("eight sequences that draw tokens read the weights once", async () => {
    await withDevice(emulation, async ({ program, weights, pool }) => {
      const matrices = weights.layout.groups.filter((group) => weights.layout.multiplied.has(group));
      const [first, last] = [matrices[0]!, matrices.at(-1)!];
      const start = weights.matrix(first, 0).planes["W.q"];
      const end = weights.matrix(last, 0).planes["W.q"] + BigInt(weights.layout.matrices.get(last)!.bytes);
      const stored = matrices.reduce((sum, { rows, columns }) => sum + 4 * rows * columns, 0);
      using blocks = pool(32, 8);
      const loaded = async (count: number): Promise<number> => {
        const caches = Array.from({ length: count }, () => blocks.open());
        const step = caches.map((cache, i) => ({ cache, tokens: tokens(1, i) }));
        control.watch(start, Number(end - start));
        const [drawn] = await submit(program, step, [draws(count)]).result;
        expect(tokensOf(drawn)).toHaveLength(count);
        for (const cache of caches) cache[Symbol.dispose]();
        return control.loaded();
      };
      expect(await loaded(1)).toBe(stored);
      expect(await loaded(8)).toBe(stored);
      expect(await loaded(5)).toBe(stored);
    });
    expect(control.reports()).toBe("");
    expect(control.live()).toBe(0);
  });

  test("a batch of decoding sequences is as many launches as one of them", async () => {
    await withDevice(emulation, async ({ program, pool }) => {
      using blocks = pool(32, 8);
      const launches = async (count: number): Promise<number> => {
        const caches = Array.from({ length: count }, () => blocks.open());
        control.log();
        const step = caches.map((cache, i) => ({ cache, tokens: tokens(1, i) }));
        await submit(program, step, [draws(count)]).result;
        for (const cache of caches) cache[Symbol.dispose]();
        return control.log().filter((call) => call.startsWith("cuLaunchKernel")).length;
      };
      expect(await launches(8)).toBe(await launches(1));
    });
  });

  test("every sequence's tokens are those that the host draws from its logits, prompts and decoding side by side", async () => {
    await withDevice(emulation, async ({ program, pool }) => {
      using blocks = pool(64, 4);
      const settings = [
        { temperature: 0 },
        { temperature: 1.4, topP: 1 },
        { temperature: 0.7, topK: 5 },
        { minP: 0.1 },
      ];
      const samplers = settings.map((setting, i) => createSampler({ ...setting, seed: 2 ** 35 + i }));
      const caches = settings.map(() => blocks.open());
      for (const counts of [
        [3, 20, 1, 33],
        [1, 1, 1, 1],
        [9, 1, 2, 1],
      ]) {
        const before = caches.map(({ length }) => length);
        const step = caches.map((cache, i) => ({ cache, tokens: tokens(counts[i]!, i) }));
        const drawn = { ...draws(4), draw: samplers.map(({ draw }) => draw!) };
        const [token, logits] = await submit(program, step, [drawn, lastLogits]).result;
        const expected = rowsOf(logits).map((row, i) =>
          samplers[i]!.sample(row, Array(before[i]! + counts[i]!).fill(0), 0),
        );
        expect(tokensOf(token)).toEqual(expected);
      }
    });
    expect(control.reports()).toBe("");
  });

  test("several last rows of a sequence are drawn from, with log-probabilities", async () => {
    await withDevice(emulation, async ({ program, pool }) => {
      using blocks = pool(32, 3);
      const step = [12, 4, 2].map((count, i) => ({ cache: blocks.open(), tokens: tokens(count, i) }));
      const all = { value: "logits", rows: "all", to: "host" } as const;
      const several = {
        ...draws(5),
        rows: { lastPerSequence: [3, 0, 2] },
        logprobs: 2,
      };
      const [token, logits] = await submit(program, step, [several, all]).result;
      const rows = rowsOf(logits);
      const best = [9, 10, 11, 16, 17].map((row) => rows[row]!.indexOf(Math.max(...rows[row]!)));
      expect(tokensOf(token)).toEqual(best);
      if (token?.to !== "token") throw new Error("no tokens came");
      expect(token.logprobs).toHaveLength(5);
      for (const [i, { logprob, top }] of token.logprobs!.entries()) {
        expect(top.map(({ id }) => id)[0]).toBe(best[i]);
        expect(top).toHaveLength(2);
        expect(top[0]!.logprob).toBe(logprob);
        expect(logprob).toBeLessThan(0);
      }
    });
  });

  test("drawn tokens are the next step's input before the host has seen them", async () => {
    await withDevice(emulation, async ({ program, pool }) => {
      using blocks = pool(64, 4);
      const draw = drawOf({ temperature: 1.2, topP: 1, seed: 9 });
      const prompts = [5, 17].map((count, i) => tokens(count, i));
      const generate = async (ahead: boolean): Promise<readonly (readonly number[])[]> => {
        const caches = prompts.map(() => blocks.open());
        const step = caches.map((cache, i) => ({ cache, tokens: prompts[i]! }));
        let submission = submit(program, step, [draws(2, draw)]);
        const found: (readonly number[])[] = [];
        for (let i = 0; i < 6; i++) {
          const drawn = submission.tokens!;
          const before = submission;
          if (!ahead) found.push(tokensOf((await before.result)[0]));
          const host = ahead ? [] : found.at(-1)!;
          submission = ahead
            ? submitDrawn(program, drawn, caches, [draws(2, draw)])
            : submit(
                program,
                caches.map((cache, i) => ({ cache, tokens: Int32Array.of(host[i]!) })),
                [draws(2, draw)],
              );
          drawn[Symbol.dispose]();
          if (ahead) found.push(tokensOf((await before.result)[0]));
        }
        submission.tokens![Symbol.dispose]();
        await submission.result;
        for (const cache of caches) cache[Symbol.dispose]();
        return found;
      };
      expect(await generate(true)).toEqual(await generate(false));
      expect(blocks.freeBlocks).toBe(blocks.blocks);
    });
    expect(control.live()).toBe(0);
  });

  test("a sequence's logits are the same to the bit, alone and in a batch", async () => {
    await withDevice(emulation, async ({ program, pool }) => {
      using blocks = pool(64, 16);
      const run = async (seeds: readonly number[]) => {
        const caches = seeds.map(() => blocks.open());
        const step = (from: (seed: number) => Int32Array) =>
          submit(
            program,
            caches.map((cache, i) => ({ cache, tokens: from(seeds[i]!) })),
            [lastLogits],
          ).result;
        await step((seed) => tokens(10 + seed, seed));
        const [logits] = await step((seed) => tokens(1, seed + 3));
        for (const cache of caches) cache[Symbol.dispose]();
        return rowsOf(logits);
      };
      const seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8];
      const together = await run(seeds);
      for (const seed of [0, 4, 8]) expect(together[seed]).toEqual((await run([seed]))[0]);
    });
  });

  test("sequences without a cache see only their own rows", async () => {
    await withDevice(emulation, async ({ program }) => {
      const given = [3, 40, 1, 12].map((count, i) => ({ tokens: tokens(count, i) }));
      const [together] = await submit(program, given, [lastLogits]).result;
      for (const [i, sequence] of given.entries()) {
        const [alone] = await submit(program, [sequence], [lastLogits]).result;
        expect(rowsOf(together)[i]).toEqual(rowsOf(alone)[0]);
      }
    });
    expect(control.reports()).toBe("");
  });

  test("values stay on the card as tensors", async () => {
    await withDevice(emulation, async ({ program, pool }) => {
      using blocks = pool(64, 3);
      const hidden = "layers.0.h"; // a value within the model
      const step = [2, 20, 1].map((count, i) => ({ cache: blocks.open(), tokens: tokens(count, i) }));
      const outputs = [
        { value: hidden, rows: "all", to: "device" },
        { value: hidden, rows: "all", to: "host" },
        { value: hidden, rows: "last", to: "device" },
      ] as const;
      const [kept, host, last] = await submit(program, step, outputs).result;
      if (kept?.to !== "device" || last?.to !== "device") throw new Error("no tensors came");
      const rows = rowsOf(host);
      expect(kept.tensor.shape).toEqual([23, config.dim]);
      expect([...(await kept.tensor.read())]).toEqual(rows.flatMap((row) => [...row]));
      expect([...(await last.tensor.read())]).toEqual([1, 21, 22].flatMap((row) => [...rows[row]!]));
      kept.tensor[Symbol.dispose]();
      expect(await errorOf(() => kept.tensor.read())).toMatchObject({ code: "ERR_DISPOSED" });
    });
    expect(control.live()).toBe(0);
  });

  test("one program's tensor is another one's input, on the same parameters", async () => {
    control.reset();
    const layer = llamaLayerGraph(config, 0);
    await using device = cuda(emulated(emulation));
    using parameters = await device.loadParameters([graph, layer], source);
    await using whole = await device.compile(graph, parameters);
    await using part = await device.compile(layer, parameters);
    using blocks = device.cachePool(cacheSpec(graph), { rows: 64, sequences: 2 });
    using layerBlocks = device.cachePool(cacheSpec(layer), { rows: 64, sequences: 2 });
    const given = [11, 1].map((count, i) => ({ cache: blocks.open(), tokens: tokens(count, i) }));
    const [embedded, expected] = await submit(whole, given, [
      { value: "embedding", rows: "all", to: "device" },
      { value: "layers.0.out", rows: "all", to: "host" },
    ]).result;
    if (embedded?.to !== "device") throw new Error("no tensor came");
    const sequences = [11, 1].map((rows) => ({ rows, cache: layerBlocks.open() }));
    const outputs = [
      { value: "layers.0.out", rows: "all", to: "host" },
      { value: "x", rows: "last", to: "host" },
    ] as const;
    const [out, x] = await part.submit({ inputs: { x: embedded.tensor }, sequences, outputs }).result;
    expect(rowsOf(out)).toEqual(rowsOf(expected));
    const data = await embedded.tensor.read();
    expect(rowsOf(x)).toEqual([10, 11].map((row) => data.slice(row * config.dim, (row + 1) * config.dim)));
    embedded.tensor[Symbol.dispose]();

    using layerAlone = await device.loadParameters([layer], source);
    expect(await errorOf(() => device.compile(graph, layerAlone))).toMatchObject({ code: "ERR_PARAMETERS" });
    await using other = cuda(emulated(emulation));
    expect(await errorOf(() => other.compile(graph, parameters))).toMatchObject({ code: "ERR_PARAMETERS" });
    expect(control.reports()).toBe("");
  });

  test("what this device does not do is refused, and leaves the sequence as it was", async () => {
    await withDevice(emulation, async ({ program, pool, device }) => {
      using blocks = pool(32);
      using cache = blocks.open();
      const one = [{ cache, tokens: tokens(1) }];
      const score = { value: "logits", to: "score", targets: Int32Array.of(1) } as const;
      const biased = { ...draws(1), draw: [{ ...greedy, logitBias: { 3: 1 } }] };
      for (const output of [score, biased]) {
        expect(await errorOf(() => submit(program, one, [output]))).toBeInstanceOf(UnsupportedError);
      }
      expect(cache.length).toBe(0);
      expect(device.features.adjustments).toBe(false);
      expect(device.features.outputs).not.toContain("score");
    });
    expect(control.live()).toBe(0);
  });

  test("a step that is aborted takes its positions back, and those that build upon it fail", async () => {
    await withDevice(emulation, async ({ program, pool }) => {
      using blocks = pool(1024);
      using cache = blocks.open();
      await submit(program, [{ cache, tokens: tokens(3) }], [lastLogits]).result;
      const controller = new AbortController();
      const aborted = submit(program, [{ cache, tokens: tokens(700) }], [lastLogits], controller.signal);
      const dependent = submit(program, [{ cache, tokens: tokens(1) }], [lastLogits]);
      expect(cache.length).toBe(704);
      controller.abort(new Error("enough"));
      await expect(aborted.result).rejects.toThrow("enough");
      await expect(dependent.result).rejects.toMatchObject({ code: "ERR_DEPENDENCY" });
      expect(cache.length).toBe(3);
      expect(blocks.freeBlocks).toBe(blocks.blocks - 1);
      const [logits] = await submit(program, [{ cache, tokens: tokens(1) }], [lastLogits]).result;
      using again = blocks.open();
      await submit(program, [{ cache: again, tokens: tokens(3) }], []).result;
      const [expected] = await submit(program, [{ cache: again, tokens: tokens(1) }], [lastLogits]).result;
      expect(rowsOf(logits)).toEqual(rowsOf(expected));
    });
    expect(control.reports()).toBe("");
    expect(control.live()).toBe(0);
  });
});
