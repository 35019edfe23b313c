// Steps that are aborted while they wait, while they compute and before they begin: when the abort is heard, and what
// it leaves behind.

import { must, mustEqual } from "../must.ts";
import type { DeviceCase } from "./case.ts";
import { codeOf, decode, load, logits, long, model, rowsOf, settle, step, tokens } from "./subject.ts";

const reason = new Error("enough");

export const abortCases: readonly DeviceCase[] = [
  {
    name: "an abort is heard while a step waits for another one",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const order: string[] = [];
      const first = program
        .submit(step([{ tokens: tokens(200) }]))
        .result.finally(() => order.push("the first step ends"));
      const controller = new AbortController();
      const waiting = program.submit(step([{ tokens: tokens(4) }]), controller.signal).result;
      const heard = waiting.catch((error: unknown) => {
        order.push("the waiting one is refused");
        return error;
      });
      await settle();
      controller.abort(reason);
      must((await heard) === reason, "an aborted step rejects with the signal's reason");
      await first;
      mustEqual(
        order,
        ["the waiting one is refused", "the first step ends"],
        "an aborted step does not wait for its turn",
      );
    },
  },
  {
    name: "an aborted step takes those that build upon it with it, and others go on",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const pool = subject.pool(long + 40, { sequences: 4 });
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
        const code = codeOf(outcome);
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
    name: "a step that is aborted while it computes leaves its cache",
    async run(device) {
      await using subject = await load(device);
      const { program } = subject;
      const cache = subject.pool(long + 20).open();
      await logits(program, cache, tokens(5));
      const expected = await logits(program, cache, tokens(7));
      cache.truncate(5);
      const controller = new AbortController();
      const running = program.submit(step([{ cache, tokens: tokens(long) }]), controller.signal).result;
      setTimeout(() => controller.abort(reason), 1);
      const [outcome] = await Promise.allSettled([running]);
      if (outcome.status === "rejected") must(outcome.reason === reason, "it rejects with the signal's reason");
      const left = outcome.status === "rejected" ? 5 : 5 + long;
      must(cache.length === left, "an aborted step leaves its cache as it was");
      cache.truncate(5);
      mustEqual(await logits(program, cache, tokens(7)), expected, "the cache of an aborted step is usable");
    },
  },
  {
    name: "a signal that is aborted already refuses everything at once",
    async run(device) {
      await using subject = await load(device);
      const { program, parameters } = subject;
      const signal = AbortSignal.abort(reason);
      const { graph, weights } = model();
      const refused = async (action: () => unknown, what: string): Promise<void> => {
        const [outcome] = await Promise.allSettled([(async () => action())()]);
        must(outcome.status === "rejected" && outcome.reason === reason, what);
      };
      await refused(() => program.submit(step([{ tokens: tokens(3) }]), signal), "submit");
      await refused(() => device.loadParameters([graph], weights, { signal }), "loadParameters");
      await refused(() => device.compile(graph, parameters, { signal }), "compile");
    },
  },
];
