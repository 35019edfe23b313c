import { PagedPool, type PoolStorage } from "@polyllama/planner";
import { describe, expect, test } from "vitest";
import type { PagedCache } from "../../src/frame/paged-cache.ts";
import { StepRecord } from "../../src/frame/step-record.ts";

function pool(blocks: number, blockRows = 4, transfers: Pick<PoolStorage, "export" | "lengthOf" | "import"> = {}) {
  let freed = 0;
  const storage: PoolStorage = { bytes: blocks * 100, free: () => freed++, ...transfers };
  const made = new PagedPool({
    spec: [{ kvHeads: 1, headDim: 2 }],
    format: "f32",
    blockRows,
    blocks,
    storage,
    owner: {},
    transfer: async (action) => action(),
    onFree: () => undefined,
  });
  return { pool: made, freed: () => freed };
}

/** Advances by a step that succeeds at once. */
function grow(cache: PagedCache, rows: number) {
  const record = new StepRecord();
  const change = cache.advance(rows, record);
  record.keep();
  return change;
}

describe("blocks of a sequence", () => {
  test("are taken as rows come, and given back by truncation and disposal", () => {
    const { pool: blocks } = pool(8);
    const cache = blocks.open();
    expect(blocks.freeBlocks).toBe(8);
    expect(grow(cache, 4)).toMatchObject({ table: Uint32Array.of(0), start: 0, rows: 4, copies: [] });
    expect(grow(cache, 1)).toMatchObject({ table: Uint32Array.of(0, 1), start: 4, rows: 1 });
    expect([cache.length, blocks.freeBlocks, blocks.blocksNeeded(cache, 3), blocks.blocksNeeded(cache, 4)]).toEqual([
      5, 6, 0, 1,
    ]);
    cache.truncate(4);
    expect([cache.length, blocks.freeBlocks]).toEqual([4, 7]);
    cache.truncate(0);
    expect([cache.length, blocks.freeBlocks]).toEqual([0, 8]);
    expect(grow(cache, 3).start).toBe(0);
    cache[Symbol.dispose]();
    expect(blocks.freeBlocks).toBe(8);
    cache[Symbol.dispose]();
    expect(blocks.freeBlocks).toBe(8);
  });

  test("are refused when there are too few, and then nothing has changed", () => {
    const { pool: blocks } = pool(2);
    const cache = blocks.open();
    grow(cache, 3);
    const record = new StepRecord();
    expect(() => cache.advance(6, record)).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_FULL", needed: 2, free: 1 }),
    );
    record.fail();
    expect([cache.length, blocks.freeBlocks]).toEqual([3, 1]);
    expect(grow(cache, 5).table).toHaveLength(2);
  });

  test("are set aside when a sequence is opened with a reserve", () => {
    const { pool: blocks } = pool(4);
    const cache = blocks.open(9);
    expect(blocks.freeBlocks).toBe(1);
    const other = blocks.open();
    grow(other, 4);
    expect(blocks.freeBlocks).toBe(0);
    expect(() => grow(other, 1)).toThrow(expect.objectContaining({ code: "ERR_CACHE_FULL" }));
    expect(blocks.blocksNeeded(cache, 12)).toBe(0);
    expect(grow(cache, 12).table).toHaveLength(3);
    cache.truncate(1);
    expect(blocks.freeBlocks).toBe(0);
    cache[Symbol.dispose]();
    expect(blocks.freeBlocks).toBe(3);
    expect(() => blocks.open(13)).toThrow(expect.objectContaining({ code: "ERR_CACHE_FULL", needed: 4, free: 3 }));
  });
});

describe("forks", () => {
  test("share all blocks, and copy the last one when either writes into it", () => {
    const { pool: blocks } = pool(64);
    const prefix = blocks.open();
    grow(prefix, 10);
    expect(blocks.heldBlocks).toBe(3);
    const forks = Array.from({ length: 32 }, () => prefix.fork());
    expect(blocks.heldBlocks).toBe(3);
    const change = grow(forks[0]!, 1);
    expect(change.copies).toEqual([{ from: 2, to: 3 }]);
    expect([...change.table]).toEqual([0, 1, 3]);
    expect([...prefix.table]).toEqual([0, 1, 2]);
    expect(grow(forks[0]!, 1).copies).toEqual([]);
    expect(grow(prefix, 1).copies).toEqual([{ from: 2, to: 4 }]);
    for (const fork of forks.slice(1)) fork[Symbol.dispose]();
    expect(blocks.heldBlocks).toBe(4);
    prefix[Symbol.dispose]();
    forks[0]![Symbol.dispose]();
    expect(blocks.heldBlocks).toBe(0);
  });

  test("at a whole block nothing is copied", () => {
    const { pool: blocks } = pool(8);
    const prefix = blocks.open();
    grow(prefix, 8);
    const fork = prefix.fork();
    expect(grow(fork, 1)).toMatchObject({ copies: [], table: Uint32Array.of(0, 1, 2) });
    expect(grow(prefix, 1)).toMatchObject({ copies: [], table: Uint32Array.of(0, 1, 3) });
  });

  test("with a reserve have room for it, whoever writes into a shared block first", () => {
    for (const first of ["fork", "original"] as const) {
      const { pool: blocks } = pool(6);
      const original = blocks.open(12);
      grow(original, 6);
      expect(() => original.fork(17)).toThrow(expect.objectContaining({ code: "ERR_CACHE_FULL", needed: 4, free: 3 }));
      expect(blocks.freeBlocks).toBe(3);
      const fork = original.fork(12);
      expect(blocks.freeBlocks).toBe(1); // one for the fork's own, one for the copy
      const other = blocks.open(4);
      expect(blocks.freeBlocks).toBe(0);
      const order = first === "fork" ? [fork, original] : [original, fork];
      expect(order.map((each) => grow(each, 6).copies.length)).toEqual([1, 0]);
      expect(blocks.freeBlocks).toBe(0);
      for (const each of [fork, original, other]) each[Symbol.dispose]();
      expect(blocks.freeBlocks).toBe(6);
    }
  });

  test("with a reserve that are disposed before anybody writes give the copy's block back", () => {
    const { pool: blocks } = pool(6);
    const original = blocks.open();
    grow(original, 6);
    original.fork(12)[Symbol.dispose]();
    expect(blocks.freeBlocks).toBe(4);
    expect(grow(original, 1).copies).toEqual([]);
  });

  test("a truncated fork writes into a copy of the block that it was truncated in", () => {
    const { pool: blocks } = pool(8);
    const prefix = blocks.open();
    grow(prefix, 8);
    const fork = prefix.fork();
    fork.truncate(2);
    expect(grow(fork, 1)).toMatchObject({ start: 2, copies: [{ from: 0, to: 2 }], table: Uint32Array.of(2) });
    expect(prefix.length).toBe(8);
  });
});

describe("steps that fail", () => {
  test("give their rows, blocks and copies back", () => {
    const { pool: blocks } = pool(8);
    const prefix = blocks.open();
    grow(prefix, 6);
    const fork = prefix.fork();
    const record = new StepRecord();
    fork.advance(7, record);
    expect([fork.length, blocks.heldBlocks]).toEqual([13, 5]);
    record.fail();
    expect([fork.length, blocks.heldBlocks, ...fork.table]).toEqual([6, 2, 0, 1]);
    expect(grow(fork, 1).copies).toEqual([{ from: 1, to: expect.any(Number) }]);
  });

  test("take all that builds upon them with them, the latest first", async () => {
    const { pool: blocks } = pool(16);
    const cache = blocks.open();
    grow(cache, 2);
    const [first, second, other] = [new StepRecord(), new StepRecord(), new StepRecord()];
    cache.advance(4, first);
    cache.advance(5, second);
    const fork = cache.fork();
    fork.advance(1, other);
    first.fail();
    expect([cache.length, fork.length, blocks.heldBlocks]).toEqual([2, 2, 1]);
    for (const record of [second, other]) {
      expect(() => record.assertPossible()).toThrow(expect.objectContaining({ code: "ERR_DEPENDENCY" }));
      await expect(record.dependencies()).rejects.toMatchObject({ code: "ERR_DEPENDENCY" });
    }
    expect(grow(cache, 1).start).toBe(2);
  });

  test("a truncation since then stands", () => {
    const { pool: blocks } = pool(16);
    const cache = blocks.open();
    grow(cache, 6);
    const [first, second] = [new StepRecord(), new StepRecord()];
    cache.advance(4, first);
    cache.truncate(3);
    cache.advance(9, second);
    first.fail();
    expect([cache.length, blocks.heldBlocks]).toEqual([3, 1]);
  });

  test("a step that succeeded is not taken back by a later one", () => {
    const { pool: blocks } = pool(16);
    const cache = blocks.open();
    const [first, second] = [new StepRecord(), new StepRecord()];
    cache.advance(4, first);
    cache.advance(3, second);
    first.keep();
    second.fail();
    expect([cache.length, blocks.heldBlocks]).toEqual([4, 1]);
  });

  test("a sequence that was disposed meanwhile holds nothing", () => {
    const { pool: blocks } = pool(8);
    const prefix = blocks.open();
    grow(prefix, 6);
    const fork = prefix.fork();
    const record = new StepRecord();
    fork.advance(1, record);
    fork[Symbol.dispose]();
    record.fail();
    expect(blocks.heldBlocks).toBe(2);
    prefix[Symbol.dispose]();
    expect(blocks.freeBlocks).toBe(8);
  });
});

describe("a pool", () => {
  test("frees its memory once, when the last step that uses it has ended", () => {
    const { pool: blocks, freed } = pool(4);
    const cache = blocks.open();
    const use = blocks.use();
    blocks[Symbol.dispose]();
    blocks[Symbol.dispose]();
    expect(freed()).toBe(0);
    use[Symbol.dispose]();
    expect(freed()).toBe(1);
    blocks.use()[Symbol.dispose]();
    expect(freed()).toBe(1);
    expect(() => blocks.open()).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
    expect(() => cache.fork()).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
  });

  test("that cannot export says so", async () => {
    const { pool: blocks } = pool(4);
    await expect(blocks.open().export()).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
    await expect(blocks.import(new Uint8Array(4))).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
    expect(blocks.freeBlocks).toBe(4);
  });

  test("keeps its memory, and what is exported, until it has been read", async () => {
    const read: [readonly number[], number][] = [];
    let end: (bytes: Uint8Array) => void = () => undefined;
    const { pool: blocks, freed } = pool(4, 4, {
      export: (table, length) => {
        read.push([table, length]);
        return new Promise((resolve) => (end = resolve));
      },
    });
    const cache = blocks.open();
    grow(cache, 6);
    const held = [...cache.table];
    const exported = cache.export();
    grow(cache, 1);
    expect(cache.table[1]).not.toBe(held[1]); // a copy
    cache[Symbol.dispose]();
    expect(blocks.heldBlocks).toBe(2);
    blocks[Symbol.dispose]();
    expect(freed()).toBe(0);
    end(Uint8Array.of(1));
    expect(await exported).toEqual(Uint8Array.of(1));
    expect([read, freed()]).toEqual([[[held, 6]], 1]);
  });

  test("that is disposed while a sequence is imported keeps its memory until then, and gives none", async () => {
    let end: () => void = () => undefined;
    const { pool: blocks, freed } = pool(4, 4, {
      lengthOf: () => 6,
      import: () => new Promise((resolve) => (end = resolve)),
    });
    const imported = blocks.import(new Uint8Array(4));
    blocks[Symbol.dispose]();
    expect(freed()).toBe(0);
    end();
    await expect(imported).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    expect(freed()).toBe(1);
  });

  test.each([-1, 1.5, Number.NaN])("reserves no %d positions", (rows) => {
    expect(() => pool(4).pool.open(rows)).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
  });
});
