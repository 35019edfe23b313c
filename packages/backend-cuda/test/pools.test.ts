// Pools of KV blocks on the emulated card: forks hold a common prefix once, a block that is written is copied first,
// and what sequences give back is free again.

import { buildGraph } from "@polyllama/core";
import { cacheSpec } from "@polyllama/core/device";
import type { PagedPool } from "@polyllama/planner";
import { expect, test } from "vitest";
import { drawOf, graph, lastLogits, rowsOf, submit, tokens, withDevice } from "./device-support.ts";
import { describeWithEmulation, errorOf } from "./support.ts";

await describeWithEmulation("pools on the card", (emulation) => {
  const { control } = emulation;

  test("32 forks of a prefix of 1,000 tokens hold it once", { timeout: 120_000 }, async () => {
    await withDevice(emulation, async ({ device, program, pool }) => {
      // Blocks for the prefix and for one more of each fork: no two sequences of the prefix's length fit.
      using blocks = pool(1024 + 32 * 32) as PagedPool;
      const prefix = blocks.open();
      await submit(program, [{ cache: prefix, tokens: tokens(1000) }], []).result;
      const { allocated } = await device.memory();
      expect(blocks.heldBlocks).toBe(32); // of 32 positions
      const forks = Array.from({ length: 32 }, () => prefix.fork());
      expect(blocks.heldBlocks).toBe(32);
      expect(forks.map(({ length }) => length)).toEqual(Array(32).fill(1000));

      // Each goes its own way: the block that it writes into, the last of the prefix, is copied for it.
      const own = forks.map((cache, i) => ({ cache, tokens: tokens(1, i) }));
      const [logits] = await submit(program, own, [lastLogits]).result;
      expect(blocks.heldBlocks).toBe(32 + 32);
      // scratch of a larger batch, no blocks
      expect((await device.memory()).allocated - allocated).toBeLessThan(blocks.bytes / 2);

      // What one writes the others do not see, nor the prefix.
      for (const i of [0, 17, 31]) {
        using alone = prefix.fork();
        forks[(i + 1) % 32]![Symbol.dispose]();
        const [expected] = await submit(program, [{ cache: alone, tokens: tokens(1, i) }], [lastLogits]).result;
        expect(rowsOf(logits)[i]).toEqual(rowsOf(expected)[0]);
      }
      for (const fork of forks) fork[Symbol.dispose]();
      expect(blocks.heldBlocks).toBe(32);
      prefix[Symbol.dispose]();
      expect(blocks.freeBlocks).toBe(blocks.blocks);
    });
    expect(control.reports()).toBe("");
    expect(control.live()).toBe(0);
  });

  test("blocks in any order serve as well as those in theirs", async () => {
    await withDevice(emulation, async ({ program, pool }) => {
      using blocks = pool(400);
      // Leaves holes: the next sequence gets blocks from everywhere.
      const many = Array.from({ length: 6 }, () => blocks.open());
      for (const [i, cache] of many.entries()) await submit(program, [{ cache, tokens: tokens(33, i) }], []).result;
      for (const i of [4, 0, 2]) many[i]![Symbol.dispose]();
      const run = async (cache: ReturnType<typeof blocks.open>) => {
        await submit(program, [{ cache, tokens: tokens(100) }], []).result;
        const [logits] = await submit(program, [{ cache, tokens: tokens(2) }], [lastLogits]).result;
        return rowsOf(logits);
      };
      using scattered = blocks.open();
      using other = pool(400);
      using straight = other.open();
      expect(await run(scattered)).toEqual(await run(straight));
    });
    expect(control.reports()).toBe("");
  });

  test("what was exported is imported into another pool", async () => {
    await withDevice(emulation, async ({ device, program, pool }) => {
      using from = pool(100);
      using cache = from.open();
      await submit(program, [{ cache, tokens: tokens(45) }], []).result;
      const bytes = await cache.export();
      using to = pool(200);
      using copy = await to.import(bytes);
      expect(copy.length).toBe(45);
      const next = async (sequence: typeof cache) =>
        rowsOf((await submit(program, [{ cache: sequence, tokens: tokens(1) }], [lastLogits]).result)[0]);
      expect(await next(copy)).toEqual(await next(cache));

      using half = device.cachePool(cacheSpec(graph), { rows: 100, format: "f16" });
      const wider = buildGraph((g) => {
        const [q, kv] = [g.activations("q", 64), g.activations("kv", 32)];
        return [g.attention("y", q, kv, kv, { heads: 4, kvHeads: 2, headDim: 16 })];
      });
      using other = device.cachePool(cacheSpec(wider), { rows: 100, format: "f32" });
      for (const [wrong, given] of [
        [half, bytes],
        [other, bytes],
        [to, bytes.subarray(1)],
        [to, bytes.subarray(0, 20)],
        [to, new Uint8Array(0)],
      ] as const) {
        expect(await errorOf(() => wrong.import(given))).toMatchObject({ code: "ERR_OPTION" });
        expect(wrong.freeBlocks).toBe(wrong === to ? to.blocks - 2 : wrong.blocks);
      }
    });
    expect(control.reports()).toBe("");
    expect(control.live()).toBe(0);
  });

  test("a step that finds too few blocks is refused and takes none", async () => {
    await withDevice(emulation, async ({ program, pool }) => {
      using blocks = pool(64, 1);
      using cache = blocks.open();
      using other = blocks.open();
      await submit(program, [{ cache, tokens: tokens(30) }], []).result;
      const full = await errorOf(() =>
        submit(
          program,
          [
            { cache, tokens: tokens(3) },
            { cache: other, tokens: tokens(1) },
          ],
          [],
        ),
      );
      expect(full).toMatchObject({ code: "ERR_CACHE_FULL" });
      expect([cache.length, other.length, blocks.freeBlocks]).toEqual([30, 0, 1]);
    });
  });

  test("memory is counted, and goes when what holds it goes", async () => {
    await withDevice(emulation, async ({ device, program, pool, weights }) => {
      const before = (await device.memory()).allocated;
      expect(before).toBeGreaterThanOrEqual(weights.bytes);
      const blocks = pool(100, 2);
      expect((await device.memory()).allocated - before).toBe(blocks.bytes);
      const cache = blocks.open();
      const draw = { value: "logits", rows: "last", to: "token", draw: [drawOf({ seed: 1 })] } as const;
      const { tokens: drawn, result } = submit(program, [{ cache, tokens: tokens(3) }], [draw]);
      drawn![Symbol.dispose]();
      blocks[Symbol.dispose]();
      await result; // which the pool's memory waited for
      const { allocated, total, free } = await device.memory();
      expect(allocated).toBeLessThan(before + blocks.bytes + (1 << 20));
      expect(total! - free!).toBe(allocated);
    });
    expect(control.live()).toBe(0);
  });
});
