// Steps that wait, run, are aborted and fail, alone and in chains: what each gives, and what is left of it. Nothing
// here depends on how fast a device is: where one thing has to come before another, it needs nothing but turns of the
// microtask queue, and the other one does.

import { must, mustEqual, mustThrow } from "../must.ts";
import type { DeviceCase } from "./case.ts";
import { load, logits, prompts, rowsOf, step, tokens } from "./subject.ts";

export const stepCases: readonly DeviceCase[] = [
  {
    name: "steps of one sequence may be submitted before the last one is done",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(40, { sequences: 2 });
      const [together, alone] = [pool.open(), pool.open()];
      const given = [tokens(9), Int32Array.of(4), Int32Array.of(5), Int32Array.of(6, 7)];
      const submitted = given.map((each) => program.submit(step([{ cache: together, tokens: each }])).result);
      must(together.length === 13, "its length counts submitted steps");
      const results = await Promise.all(submitted);
      for (const [i, each] of given.entries()) {
        mustEqual(rowsOf(results[i]![0])[0], await logits(program, alone, each), `step ${i}`); // one per step
      }
    },
  },
  {
    name: "steps at once give what they give alone",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const sizes = [3, 130, 1, 40, 300, 2];
      const alone: (readonly number[])[] = [];
      for (const size of sizes) alone.push(await logits(program, undefined, tokens(size)));
      const pool = subject.pool(512, { sequences: sizes.length });
      const caches = sizes.map(() => pool.open());
      const together = await Promise.all(sizes.map((size, i) => logits(program, caches[i], tokens(size))));
      const again = await Promise.all(sizes.map((size) => logits(program, undefined, tokens(size))));
      for (const [i, size] of sizes.entries()) {
        mustEqual(again[i], alone[i], `${size} rows without a cache`);
        must(caches[i]!.length === size, "each cache advances by its own rows"); // one for each size
        must(together[i]!.length === alone[i]!.length, "logits"); // likewise; their values are conformance's
      }
    },
  },
  {
    name: "sequences without a cache see their own rows alone",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const best = (row: readonly number[]): number => row.indexOf(Math.max(...row));
      const given = [...prompts(9), tokens(70)];
      const alone: number[] = [];
      for (const each of given) alone.push(best(await logits(program, undefined, each)));
      const [value] = await program.submit(step(given.map((each) => ({ tokens: each })))).result;
      mustEqual(rowsOf(value).map(best), alone, "the most probable tokens");
    },
  },
  {
    name: "forks and truncations take effect among submitted steps",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(64, { sequences: 4 }); // where a sequence is a block, its copies take others
      const play = async (between: (part: Promise<unknown>) => Promise<unknown>) => {
        const cache = pool.open();
        await between(logits(program, cache, tokens(9)));
        const fork = cache.fork();
        const next = logits(program, cache, Int32Array.of(3, 4));
        await between(next);
        cache.truncate(5);
        const behind = [logits(program, cache, Int32Array.of(8)), logits(program, fork, Int32Array.of(3, 4))];
        mustEqual([cache.length, fork.length], [6, 11], "lengths count what was submitted");
        const given = await Promise.all([next, ...behind]);
        for (const each of [cache, fork]) each[Symbol.dispose]();
        return given;
      };
      const inTurn = await play((part) => part);
      const together = await play(async () => undefined);
      mustEqual(together, inTurn, "steps under way beside steps that were awaited");
      mustEqual(together[2], together[0], "a fork does not see what follows in its original");
    },
  },
  {
    name: "rows of several sequences are one step, each with its own positions",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(200, { sequences: 6 });
      const lengths = [1, 40, 3, 130, 2];
      const caches = lengths.map(() => pool.open());
      const sequences = lengths.map((rows, i) => ({ cache: caches[i]!, tokens: tokens(rows) })); // one for each
      const [value] = await program.submit(step(sequences)).result;
      const alone = await Promise.all(lengths.map((rows) => program.submit(step([{ tokens: tokens(rows) }])).result));
      must(rowsOf(value).length === lengths.length, "a row for each sequence");
      const best = (row: readonly number[]): number => row.indexOf(Math.max(...row));
      for (const [i, row] of rowsOf(value).entries()) {
        must(best(row) === best(rowsOf(alone[i]![0])[0]!), `sequence ${i} gives what it gives alone`); // one row
        must(caches[i]!.length === lengths[i], "each cache advances by its own rows");
      }
    },
  },
  {
    name: "sequences of unlike lengths decode alone as they do together, one after another",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const lengths = [300, 3, 128, 256]; // keys may be reduced in pieces, and begin the next one
      const pool = subject.pool(304, { sequences: 8 });
      const caches = lengths.map(() => pool.open());
      for (const [i, cache] of caches.entries()) await logits(program, cache, tokens(lengths[i]!)); // one for each
      const alone = caches.map((cache) => cache.fork());
      const next = caches.map((cache) => ({ cache, tokens: Int32Array.of(5) }));
      const together = rowsOf((await program.submit(step(next)).result)[0]);
      for (const i of [1, 2, 3, 0]) {
        mustEqual(await logits(program, alone[i]!, Int32Array.of(5)), together[i], `a sequence of ${lengths[i]}`);
      }
    },
  },
  {
    name: "a value that stays on the device can be read later",
    needs: ({ features }) => (features.outputs.includes("device") ? undefined : "values go to the host"),
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const given = tokens(5);
      const outputs = [
        { value: "logits", rows: "all", to: "device" },
        { value: "logits", rows: "all", to: "host" },
      ] as const;
      const [kept, read] = await program.submit(step([{ tokens: given }], outputs)).result;
      must(kept?.to === "device" && read?.to === "host", "both come");
      mustEqual(kept.tensor.shape, [5, 97], "its shape");
      mustEqual(Array.from(await kept.tensor.read()), Array.from(read.tensor.data), "its values");
      kept.tensor[Symbol.dispose]();
      await mustThrow("ERR_DISPOSED", () => kept.tensor.read(), "a disposed tensor");
    },
  },
];
