// A model in a thread of Node, and what becomes of its calls when the thread ends.

import { Worker } from "node:worker_threads";
import { reference } from "@polyllama/backend-reference";
import { poet } from "@polyllama/model-poet";
import { afterEach, expect, test } from "vitest";
import { Llama, MemoryError, OptionError } from "../src/index.ts";
import { putTogether, takeApart } from "../src/worker/protocol.ts";
import { WorkerLlama } from "../src/worker.ts";

const workers: Worker[] = [];
function startWorker(): Worker {
  const entry = new URL("./worker-entry.ts", import.meta.url).href;
  const start = `import("tsx/esm/api").then(({ register }) => (register(), import(${JSON.stringify(entry)})));`;
  const worker = new Worker(start, { eval: true }); // sources run without a build
  workers.push(worker);
  return worker;
}
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.terminate();
});

const greedy = { temperature: 0, maxTokens: 6, ignoreEos: true };

test("a path is loaded, streams, and refuses as a model here does", async () => {
  await using here = await Llama.load(poet, { backend: reference() });
  const expected = await here.complete("a", greedy);
  await using llama = await WorkerLlama.load(startWorker(), poet);
  let text = "";
  for await (const piece of llama.generate("a", greedy)) text += piece.text;
  expect(text).toBe(expected.text);
  const wrong = llama.generate("a", { stop: 3 } as object).next();
  await expect(wrong).rejects.toBeInstanceOf(OptionError);
  await expect(wrong).rejects.toMatchObject({ code: "ERR_OPTION", option: "stop", received: "number" });
});

test("when the thread ends, calls under way and later ones are rejected", async () => {
  const worker = startWorker();
  const llama = await WorkerLlama.load(worker, poet);
  const running = llama.generate("a", { ignoreEos: true });
  await running.next();
  await worker.terminate();
  const failed = { code: "ERR_BACKEND", message: expect.stringMatching(/The worker failed/) };
  await expect(
    (async () => {
      for await (const _ of running);
    })(),
  ).rejects.toMatchObject(failed);
  await expect(llama.generate("a").next()).rejects.toMatchObject(failed);
  await expect(llama.dispose()).rejects.toMatchObject(failed);
});

test("of two loads at once the later one stays", async () => {
  const worker = startWorker();
  const loads = [WorkerLlama.load(worker, poet), WorkerLlama.load(worker, poet, { contextLength: 32 })];
  const [first, second] = await Promise.all(loads);
  expect([first!.info.contextLength, second!.info.contextLength]).toEqual([256, 32]);
  for await (const _ of second!.generate("a", greedy));
  await second!.dispose();
});

test("what is no worker is refused", async () => {
  await expect(WorkerLlama.load({} as Worker, poet)).rejects.toMatchObject({ code: "ERR_OPTION", option: "worker" });
});

test("errors keep class, code and fields on their way", () => {
  const sent = putTogether(structuredClone(takeApart(new MemoryError("A model", 3, 2, 1))));
  expect(sent).toBeInstanceOf(MemoryError);
  expect(sent).toMatchObject({ code: "ERR_MEMORY", needed: 3, available: 2, fittingContext: 1 });
});
