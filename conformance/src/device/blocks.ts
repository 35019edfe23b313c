// KV blocks: shared by forks, copied when written, given back.

import { must, mustEqual, mustThrow } from "../must.ts";
import type { DeviceCase } from "./case.ts";
import { load, logits, tokens } from "./subject.ts";

const prefixRows = 1000;
const forks = 32;

export const blockCases: readonly DeviceCase[] = [
  {
    name: "forks of a long prefix hold it once, and writing to one leaves the others unchanged",
    needs: ({ features }) => (features.pagedCaches ? undefined : "blocks have the capacity of a whole sequence"),
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(prefixRows + 24, { sequences: 4 }); // with room for what differs, not for 33 prefixes
      const prefix = pool.open();
      await logits(program, prefix, tokens(prefixRows));
      const held = pool.blocks - pool.freeBlocks;
      must(held === Math.ceil(prefixRows / pool.blockRows), `the prefix holds ${held} blocks`);
      const { allocated } = await device.memory();
      const copies = Array.from({ length: forks }, () => prefix.fork());
      must(pool.blocks - pool.freeBlocks === held, "forks hold nothing of their own");
      must((await device.memory()).allocated === allocated, "forks take no memory");

      const alone = await logits(program, prefix.fork(), Int32Array.of(1));
      const answers = await Promise.all(copies.map((copy, i) => logits(program, copy, Int32Array.of(1 + (i % 4)))));
      for (const [i, answer] of answers.entries()) {
        mustEqual(answer, answers[i % 4], "forks that go on alike give the same");
        must(copies[i]!.length === prefixRows + 1, "each fork advances alone"); // as many as answers
      }
      mustEqual(answers[0], alone, "a fork does not see what others wrote");
      mustEqual(await logits(program, prefix, Int32Array.of(1)), alone, "nor does the original");
      for (const copy of copies) copy[Symbol.dispose]();
      must(pool.blocks - pool.freeBlocks <= held + 1, "blocks of disposed forks are free again");
    },
  },
  {
    name: "a fork goes on as a copy of the original would",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(100, { sequences: 3 });
      const original = pool.open();
      await logits(program, original, tokens(21));
      const fork = original.fork();
      const expected = await logits(program, original, Int32Array.of(3, 4));
      await logits(program, original, Int32Array.of(5));
      mustEqual(await logits(program, fork, Int32Array.of(3, 4)), expected, "the fork");
      fork.truncate(9);
      original.truncate(9);
      const again = await logits(program, fork, Int32Array.of(8));
      mustEqual(await logits(program, original, Int32Array.of(8)), again, "both after a truncation");
      mustEqual([fork.length, original.length], [10, 10], "lengths");
    },
  },
  {
    name: "a step that needs more blocks than are free is refused, and changes nothing",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(40);
      const cache = pool.open();
      await logits(program, cache, tokens(10));
      const free = pool.freeBlocks;
      const rows = pool.blocks * pool.blockRows - 9;
      await mustThrow("ERR_CACHE_FULL", () => logits(program, cache, tokens(rows)), "too many rows");
      mustEqual([cache.length, pool.freeBlocks], [10, free], "length and free blocks");
      must(pool.blocksNeeded(cache, rows) > free, "the pool says so before");
      await logits(program, cache, tokens(3));
      must(cache.length === 13, "the cache is usable");
    },
  },
  {
    name: "blocks are given back by truncation and disposal, and hold what others write then",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(64, { sequences: 2 });
      const first = pool.open();
      const expected = await logits(program, first, tokens(40));
      first.truncate(0);
      must(pool.freeBlocks === pool.blocks, "truncation to nothing frees all");
      const second = pool.open();
      await logits(
        program,
        second,
        tokens(33).map((token) => (token + 1) % 97),
      );
      mustEqual(await logits(program, first, tokens(40)), expected, "blocks that others held before");
      second[Symbol.dispose]();
      second[Symbol.dispose]();
      first[Symbol.dispose]();
      must(pool.freeBlocks === pool.blocks, "disposal frees all");
      await mustThrow("ERR_DISPOSED", () => logits(program, first, tokens(1)), "a step with a disposed cache");
    },
  },
  {
    name: "a reserve holds blocks back for its sequence",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(32);
      const cache = pool.open(32);
      must(pool.freeBlocks === 0, "all are reserved");
      const other = pool.open();
      await mustThrow("ERR_CACHE_FULL", () => logits(program, other, tokens(1)), "blocks that are reserved");
      await logits(program, cache, tokens(32));
      cache[Symbol.dispose]();
      await logits(program, other, tokens(1));
    },
  },
  {
    name: "an exported sequence goes on where it was",
    needs: ({ features }) => (features.cacheExport ? undefined : "caches stay on the device"),
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const rows = 1100; // many blocks, the last one not full
      const pool = subject.pool(rows + 20, { sequences: 3 });
      const cache = pool.open();
      const read = logits(program, cache, tokens(rows));
      const bytes = await cache.export(); // waits for the step
      await read;
      const expected = await logits(program, cache, Int32Array.of(2, 3));
      const shifted = new Uint8Array(bytes.length + 1);
      shifted.set(bytes, 1);
      for (const given of [bytes, shifted.subarray(1)]) {
        using imported = await pool.import(given);
        must(imported.length === rows, "its length");
        mustEqual(await logits(program, imported, Int32Array.of(2, 3)), expected, "what follows");
      }
      await mustThrow("ERR_OPTION", () => pool.import(bytes.subarray(0, bytes.length - 8)), "bytes that are cut off");
      await mustThrow("ERR_OPTION", () => pool.import(new Uint8Array(16)), "other bytes");
    },
  },
];
