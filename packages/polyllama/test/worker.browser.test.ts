// A model in a worker of a page, and the same model in the page itself.

import { reference } from "@polyllama/backend-reference";
import { developmentData, needDevelopmentData } from "@polyllama/test-support/shared-page";
import { CheckpointError, Llama, PolyllamaError } from "polyllama";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WorkerLlama } from "../src/worker.ts";

const gguf = "/shared/weights/stories260K.gguf";
const greedy = { temperature: 0, maxTokens: 24 };

const workers: Worker[] = [];
function startWorker(): Worker {
  const worker = new Worker(new URL("./worker-entry.ts", import.meta.url), { type: "module" });
  workers.push(worker);
  return worker;
}
afterEach(() => {
  for (const worker of workers.splice(1)) worker.terminate();
});

needDevelopmentData();
let llama: WorkerLlama;
let expected: string;
beforeAll(async () => {
  if (!developmentData) return;
  await using backend = reference();
  await using here = await Llama.load(gguf, { backend });
  expected = (await here.complete("Once upon a time", greedy)).text;
  llama = await WorkerLlama.load(startWorker(), gguf);
});
afterAll(() => workers[0]?.terminate());

test("says what was loaded", () => {
  expect(llama.info).toMatchObject({ contextLength: 2048, config: { dim: 64 }, device: { backend: "reference" } });
  expect(Object.keys(llama.info.formats)).not.toHaveLength(0);
});

test("streams the text that the page itself would make", async () => {
  let text = "";
  let count = 0;
  for await (const piece of llama.generate("Once upon a time", greedy)) {
    text += piece.text;
    count++;
  }
  expect(text).toBe(expected);
  expect(count).toBe(24);
});

test("two calls at once do not mix", async () => {
  const run = async (prompt: string): Promise<string> => {
    let text = "";
    for await (const piece of llama.generate(prompt, greedy)) text += piece.text;
    return text;
  };
  const both = await Promise.all([run("Once upon a time"), run("Tom had a dog")]);
  expect(both[0]).toBe(expected);
  expect(both[1]).toBe(await run("Tom had a dog"));
});

test("progress of loading and of reading arrives", async () => {
  const phases = new Set<string>();
  const onProgress = ({ phase }: { phase: string }): void => void phases.add(phase);
  await using other = await WorkerLlama.load(startWorker(), new File([await (await fetch(gguf)).blob()], "x.gguf"), {
    onProgress,
  });
  for await (const _ of other.generate("Once upon", { ...greedy, onProgress }));
  expect(phases).toContain("reading the prompt");
  expect(phases.size).toBeGreaterThan(1);
});

describe("ends", () => {
  test("an abort, with its reason, and the model goes on", async () => {
    const controller = new AbortController();
    const run = async (): Promise<void> => {
      for await (const _ of llama.generate("Once", { ignoreEos: true, signal: controller.signal }))
        controller.abort("enough");
    };
    await expect(run()).rejects.toBe("enough");
    for await (const piece of llama.generate("Once", greedy)) {
      expect(piece.id).toBeGreaterThanOrEqual(0);
      break; // which ends the work as well
    }
  });

  test("disposing; then it is refused, and the worker loads again", async () => {
    const worker = startWorker();
    const first = await WorkerLlama.load(worker, gguf);
    await first.dispose();
    await expect(first.generate("x").next()).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    await using second = await WorkerLlama.load(worker, gguf);
    expect((await second.generate("Once", greedy).next()).done).toBe(false);
  });
});

describe("errors keep class, code and what they carry", () => {
  test("a file that is not there", async () => {
    const error = await WorkerLlama.load(startWorker(), "/shared/none.gguf").catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error).toMatchObject({
      name: "CheckpointError",
      code: "ERR_CHECKPOINT",
      file: `${location.origin}/shared/none.gguf`,
    });
  });

  test("a wrong option, and a context that is full", async () => {
    const wrong = await llama
      .generate("x", { temperature: -1 })
      .next()
      .catch((reason: unknown) => reason);
    expect(wrong).toBeInstanceOf(PolyllamaError);
    expect(wrong).toMatchObject({ code: "ERR_OPTION" });
    const ids = new Array<number>(2049).fill(1);
    await expect(llama.generate(ids).next()).rejects.toMatchObject({ code: "ERR_CONTEXT", available: 2048 });
  });

  test("a worker that cannot start", async () => {
    const worker = new Worker(new URL("/shared/none.js", location.href), { type: "module" });
    workers.push(worker);
    const error = await WorkerLlama.load(worker, gguf).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "ERR_BACKEND",
      message: expect.stringMatching(/file was not found.*entry point/),
    });
  });
});
