// Caches, programs and backends that are disposed while something runs, waits or loads: what is under way ends, nothing
// hangs, and what comes after is refused.

import { must, mustEqual, mustThrow } from "../../must.ts";
import { compile, lastLogits, logits, step } from "../subject.ts";
import type { LifecycleCase } from "./case.ts";

const long = 700;

export const disposeCases: readonly LifecycleCase[] = [
  {
    name: "a cache that is disposed in a run is freed after it, and refuses the next",
    async run(backend) {
      await using program = await compile(backend);
      const cache = program.createCache(64);
      const running = logits(program, step(9, cache));
      cache[Symbol.dispose]();
      must((await running).length > 0, "the run ends");
      await mustThrow("ERR_DISPOSED", () => program.run(step(1, cache), lastLogits), "run with a disposed cache");
      cache[Symbol.dispose]();
    },
  },
  {
    name: "disposing a program waits for its runs, and ends what comes after",
    async run(backend) {
      const program = await compile(backend);
      const cache = program.createCache(long);
      const order: string[] = [];
      const running = program.run(step(long, cache), lastLogits).then(
        () => order.push("run"),
        () => order.push("run"),
      );
      const disposals = [1, 2].map(() =>
        Promise.resolve(program[Symbol.asyncDispose]()).then(() => order.push("dispose")),
      );
      await mustThrow("ERR_DISPOSED", () => program.run(step(1), lastLogits), "run of a disposed program");
      await mustThrow("ERR_DISPOSED", () => program.createCache(4), "createCache of a disposed program");
      await Promise.all([running, ...disposals]);
      mustEqual(order, ["run", "dispose", "dispose"], "every disposal ends after the run");
      await mustThrow(
        "ERR_DISPOSED",
        () => program.run(step(1, cache), lastLogits),
        "run with a cache of a disposed program",
      );
      await program[Symbol.asyncDispose]();
    },
  },
  {
    name: "runs that wait when a program is disposed end, one way or the other",
    async run(backend) {
      const program = await compile(backend);
      const runs = [1, 2, 3].map((rows) => program.run(step(rows * 100), lastLogits));
      const [outcomes] = await Promise.all([Promise.allSettled(runs), program[Symbol.asyncDispose]()]);
      for (const outcome of outcomes) {
        const code =
          outcome.status === "rejected" ? (outcome.reason as { readonly code?: string }).code : "ERR_DISPOSED"; // read only
        must(code === "ERR_DISPOSED", `a waiting run ends, or says that the program was disposed: ${code}`);
      }
    },
  },
  {
    name: "disposing a backend disposes its programs; it refuses to compile, and a second disposal waits for the first",
    async run(backend) {
      const program = await compile(backend);
      const order: string[] = [];
      const running = logits(program, step(300)).then(
        () => order.push("run"),
        () => order.push("run"),
      );
      const disposals = [1, 2].map(() =>
        Promise.resolve(backend[Symbol.asyncDispose]()).then(() => order.push("dispose")),
      );
      await Promise.all([running, ...disposals]);
      mustEqual(order, ["run", "dispose", "dispose"], "every disposal ends after the run");
      await mustThrow("ERR_DISPOSED", () => program.run(step(1), ["logits"]), "run of a disposed backend's program");
      await mustThrow("ERR_DISPOSED", () => compile(backend), "compile of a disposed backend");
    },
  },
  {
    name: "disposing a backend while it loads ends the load",
    async run(backend) {
      const outcome = compile(backend).then((program) => program.run(step(1), ["logits"]));
      outcome.catch(() => undefined);
      await backend[Symbol.asyncDispose]();
      await mustThrow("ERR_DISPOSED", () => outcome, "a load under way, or the run after it");
    },
  },
];
