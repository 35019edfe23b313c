// A model in a thread of Node, and what becomes of its calls when the thread ends.

import { Worker } from "node:worker_threads";
import { reference } from "@polyllama/backend-reference";
import { poet } from "@polyllama/model-poet";
import { afterEach, expect, test, vi } from "vitest";
import { ChatTemplateError, Llama, MemoryError, OptionError } from "../src/index.ts";
import { putTogether, takeApart } from "../src/worker/protocol.ts";
import { WorkerLlama } from "../src/worker.ts";

const workers: Worker[] = [];
function startWorker(entry = new URL("./worker-entry.ts", import.meta.url), workerData?: unknown): Worker {
  const start = `import("tsx/esm/api").then(({ register }) => (register(), import(${JSON.stringify(entry.href)})));`;
  const worker = new Worker(start, { eval: true, workerData }); // sources run without a build
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

test("of two loads at once the later one stays, and every backend is disposed with its model", async () => {
  const counts = new Int32Array(new SharedArrayBuffer(8));
  const worker = startWorker(new URL("./worker-entry-counting.ts", import.meta.url), counts);
  const loads = [WorkerLlama.load(worker, poet), WorkerLlama.load(worker, poet, { contextLength: 32 })];
  const [first, second] = await Promise.all(loads);
  expect([first!.info.contextLength, second!.info.contextLength]).toEqual([2048, 32]);
  for await (const _ of second!.generate("a", greedy));
  expect([...counts]).toEqual([2, 1]);
  await second!.dispose();
  expect([...counts]).toEqual([2, 2]);
});

test("what is no worker is refused", async () => {
  await expect(WorkerLlama.load({} as Worker, poet)).rejects.toMatchObject({ code: "ERR_OPTION", option: "worker" });
});

test("options are checked before anything is sent, as Llama checks them", async () => {
  const worker = { postMessage: vi.fn(), on: () => undefined, off: () => undefined };
  const refused = async (option: string, options: unknown, location: unknown = poet): Promise<void> => {
    const loading = WorkerLlama.load(worker, location as string, options as object);
    await expect(loading).rejects.toBeInstanceOf(OptionError);
    await expect(loading).rejects.toMatchObject({ option });
  };
  await refused("contextLength", { contextLength: 0 });
  await refused("contxtLength", { contxtLength: 32 });
  await refused("quantize", { quantize: "q9" });
  await refused("signal", { signal: 3 });
  await refused("onProgress", { onProgress: "yes" });
  await refused("backend", { backend: reference() });
  await refused("options", null);
  await refused("checkpoint", {}, 3);
  await refused("checkpoint", {}, null);
  expect(worker.postMessage).not.toHaveBeenCalled();
});

test("what a loaded model is given is checked before it is sent", async () => {
  const worker = startWorker();
  await using llama = await WorkerLlama.load(worker, poet);
  const post = vi.spyOn(worker, "postMessage");
  const user = [{ role: "user", content: "Hello" }];
  const wrong: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["maxTokens", () => llama.generate("a", { maxTokens: () => 1 } as object).next()],
    ["temperature", () => llama.generate("a", { temperature: -1 }).next()],
    ["sequence", () => llama.generate("a", { sequence: {} } as object).next()],
    ["prompt", () => llama.generate([99_999]).next()],
    ["messages", () => llama.chat("Hello" as never).next()],
    ["tools", () => llama.chat(user, { tools: [() => 1] } as object).next()],
    ["template", () => llama.renderChat(user, { template: 3 } as object)],
    ["messages[0].content", () => llama.renderChat([{ role: "user" } as never])],
  ];
  for (const [option, call] of wrong) await expect(call()).rejects.toMatchObject({ code: "ERR_OPTION", option });
  expect(post).not.toHaveBeenCalled();
  post.mockRestore();
});

test("renderChat gives what Llama.renderChat does, in code and in Jinja, and ends as it does", async () => {
  const messages = [{ role: "user", content: "Hello </s>" }];
  await using here = await Llama.load(poet, { backend: reference() });
  await using llama = await WorkerLlama.load(startWorker(), poet);
  const template = { jinja: "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}" };
  for (const options of [{}, { template: "chatml" }, { template }, { template, allowMarkers: true }] as const) {
    expect(await llama.renderChat(messages, options)).toEqual(await here.renderChat(messages, options));
  }
  const raising = { jinja: "{{ raise_exception('Not like this') }}" };
  const refused = llama.renderChat(messages, { template: raising });
  await expect(refused).rejects.toBeInstanceOf(ChatTemplateError);
  await expect(refused).rejects.toMatchObject({ code: "ERR_CHAT", kind: "raised", message: /Not like this/ });
  const reason = new Error("enough");
  await expect(llama.renderChat(messages, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const controller = new AbortController();
  const loops = { jinja: "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}" };
  const rendering = llama.renderChat(messages, { template: loops, signal: controller.signal });
  controller.abort(reason);
  await expect(rendering).rejects.toBe(reason);
  expect((await llama.renderChat(messages)).ids).not.toHaveLength(0);
});

test("errors keep class, code and fields on their way", () => {
  const sent = putTogether(structuredClone(takeApart(new MemoryError("A model", 3, 2, 1))));
  expect(sent).toBeInstanceOf(MemoryError);
  expect(sent).toMatchObject({ code: "ERR_MEMORY", needed: 3, available: 2, fittingContext: 1 });
});
