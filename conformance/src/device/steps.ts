// Steps that wait, run, are aborted and fail, alone and in chains.

import { must, mustEqual, mustThrow } from "../must.ts";
import type { DeviceCase } from "./case.ts";
import { decode, load, logits, rowsOf, step, tokens } from "./subject.ts";

const reason = new Error("enough");
/** Rows that take a device longer than a turn of the event loop. */
const long = 700;

export const stepCases: readonly DeviceCase[] = [
  {
    name: "steps of one sequence may be submitted before the last one is done",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(40, 2);
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
    name: "an aborted step takes those that build upon it with it, and others go on",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(long + 40, 4);
      const [busy, cache, other] = [pool.open(), pool.open(), pool.open()];
      const expected = await logits(program, cache, tokens(6));
      cache.truncate(0);
      const free = pool.freeBlocks;
      const controller = new AbortController();
      const first = program.submit(step([{ cache: busy, tokens: tokens(long) }]));
      const second = program.submit(step([{ cache, tokens: tokens(20) }]), controller.signal);
      const third = program.submit(step([{ cache, tokens: tokens(2) }]));
      const fork = cache.fork();
      const fourth = program.submit(decode(Int32Array.of(1), [fork], []));
      const fifth = program.submit(step([{ cache: other, tokens: tokens(6) }]));
      controller.abort(reason);
      const outcomes = await Promise.allSettled([second, third, fourth].map(({ result }) => result));
      must(outcomes[0]!.status === "rejected" && outcomes[0]!.reason === reason, "the aborted step says why"); // three
      for (const outcome of outcomes.slice(1)) {
        const code = outcome.status === "rejected" ? (outcome.reason as { code?: string }).code : "none"; // read only
        must(code === "ERR_DEPENDENCY", `a step that builds upon it ends with ${code}`);
      }
      await first.result;
      const [value] = await fifth.result;
      mustEqual(rowsOf(value)[0], expected, "a step of another sequence");
      mustEqual([cache.length, fork.length, busy.length, other.length], [0, 0, long, 6], "lengths");
      busy[Symbol.dispose]();
      other[Symbol.dispose]();
      must(pool.freeBlocks === free, "blocks are given back");
      mustEqual(await logits(program, cache, tokens(6)), expected, "the cache of an aborted step is usable");
    },
  },
  {
    name: "disposing a program ends its steps, and leaves pools and other programs alone",
    async run(device) {
      await using subject = await load(device);
      const { program, parameters } = subject;
      const pool = subject.pool(long + 10, 2);
      const cache = pool.open();
      const other = await device.compile(program.graph, parameters);
      const expected = await logits(program, cache, tokens(4));
      cache.truncate(0);
      const steps = [long, 3].map((rows) => other.submit(step([{ cache, tokens: tokens(rows) }])).result);
      const [outcomes] = await Promise.all([Promise.allSettled(steps), other[Symbol.asyncDispose]()]);
      for (const outcome of outcomes) {
        const code = outcome.status === "rejected" ? (outcome.reason as { code?: string }).code : "none"; // read only
        must(code === "ERR_DISPOSED", `a step under way ends with ${code}`);
      }
      must(cache.length === 0, "its cache is as it was");
      await mustThrow(
        "ERR_DISPOSED",
        () => other.submit(step([{ tokens: tokens(1) }])),
        "a step of a disposed program",
      );
      mustEqual(await logits(program, cache, tokens(4)), expected, "another program");
    },
  },
  {
    name: "rows of several sequences are one step, each with its own positions",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(200, 6);
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
