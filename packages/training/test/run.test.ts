// What a run leaves in its folder, how it goes on, and what it refuses.

import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reference } from "@polyllama/backend-reference";
import { mergeAdapter, openAdapter, openSynthetic } from "@polyllama/checkpoints";
import { matrixParts } from "@polyllama/core";
import { Llama, openCheckpoint } from "polyllama";
import { afterAll, describe, expect, test } from "vitest";
import { encodeDocument, packExamples, recipes, shuffledExamples } from "../src/index.ts";
import { type LogEntry, logPath, type RunEvent, readLog, reportPath, type StepEntry } from "../src/node.ts";
import { reportPage } from "../src/run/report.ts";
import { smallModel, smallOptions, smallRun } from "./small-run.ts";

const root = await mkdtemp(join(tmpdir(), "runs-"));
afterAll(() => rm(root, { recursive: true }));
let folders = 0;
const newFolder = (): string => join(root, `${folders++}`);

const stepsOf = async (folder: string): Promise<readonly object[]> => {
  const steps = (await readLog(folder)).filter((entry): entry is StepEntry => entry.kind === "step");
  return steps.map(({ step, loss, norm, rate, tokens }) => ({ step, loss, norm, rate, tokens }));
};

const whole = newFolder();
const events: RunEvent[] = [];
const validation = {
  every: 5,
  batches: [[[...packExamples([{ ids: [1, 5, 9, 2], counts: [1, 1, 1, 1] }], { length: 8 })]]],
};
const samples = {
  every: 10,
  make: async () => [{ prompt: "a & b", text: "<i>" }],
};
const result = await smallRun(whole, { validation, samples, onEvent: (event) => events.push(event) });

describe("a run to its end", () => {
  test("tells and logs each step once, in order, and validation and samples where they were asked for", async () => {
    expect(result).toEqual({ ended: "done", step: 20, checkpoint: join(whole, "checkpoints", "step-00000020") });
    const log = await readLog(whole);
    expect(log).toEqual(events.filter(({ kind }) => kind !== "checkpoint"));
    const of = (kind: LogEntry["kind"]): readonly number[] =>
      log.filter((entry) => entry.kind === kind).map(({ step }) => step);
    expect(of("start")).toEqual([0]);
    expect(of("step")).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(of("validation")).toEqual([5, 10, 15, 20]);
    expect(of("samples")).toEqual([10, 20]);
    for (const entry of log) {
      if (entry.kind !== "step") continue;
      expect(entry.loss).toBeGreaterThan(0);
      expect(entry.tokensPerSecond).toBeGreaterThan(0);
      expect(new Date(entry.time).toISOString()).toBe(entry.time);
    }
  });

  test("keeps the last checkpoints, and no other files", async () => {
    expect((await readdir(whole)).sort()).toEqual(["checkpoints", "log.jsonl", "report.html"]);
    expect((await readdir(join(whole, "checkpoints"))).sort()).toEqual(["latest", "step-00000018", "step-00000020"]);
    expect(await readFile(join(whole, "checkpoints/latest/config.json"))).toEqual(
      await readFile(join(whole, "checkpoints/step-00000020/config.json")),
    );
  });

  test("a checkpoint is one like any other, with its tokenizer", async () => {
    await using device = reference();
    await using llama = await Llama.load(join(whole, "checkpoints/latest"), { backend: device });
    expect(llama.config).toEqual(smallModel.config);
    expect(llama.tokenizer.encode("a b")).toEqual(smallModel.tokenizer!.encode("a b")); // which it has
    const { ids } = await llama.complete("a", { maxTokens: 4, temperature: 0, ignoreEos: true });
    expect(ids).toHaveLength(4);
  });

  test("the report has curves, samples as text, and nothing from elsewhere", async () => {
    const page = await readFile(reportPath(whole), "utf8");
    expect(page).toBe(reportPage(await readLog(whole)));
    expect(page.match(/<svg/g)).toHaveLength(4);
    expect(page).toContain("<b>a &amp; b</b>&lt;i&gt;");
    expect(page).toContain("step</dt><dd>20 of 20");
    expect(page).toContain("AdamW, beta 0.9 and 0.95");
    expect(page).not.toMatch(/https?:|<script|<link|NaN|Infinity|undefined/);
    const [loss = ""] = page.match(/aria-label="Loss".*?<\/svg>/) ?? [];
    expect(loss.match(/<polyline class="a" points="([^"]*)"/)?.[1]?.split(" ")).toHaveLength(20);
    expect(loss.match(/<circle class="b"/g)).toHaveLength(4);
  });
});

describe("a run of an adapter", () => {
  const sizes = "layers=1&dim=32&heads=2&kv_heads=1&hidden=64&vocab=280&context=64&format=q4_0";
  const model = openSynthetic(`synthetic://tinyllama-1.1b?seed=3&${sizes}`);
  const adapter = { rank: 3, alpha: 6, targets: matrixParts, trainable: ["tok_embeddings"] } as const;

  test("leaves one in PEFT's layout, and goes on with the same steps", async () => {
    const [alone, stopped] = [newFolder(), newFolder()];
    const texts: string[] = [];
    const make = async (trained: typeof model) => {
      await using device = reference();
      await using llama = await Llama.load(trained, { backend: device });
      texts.push((await llama.complete("a", { maxTokens: 6, temperature: 0, ignoreEos: true })).text);
      return [];
    };
    await smallRun(alone, { model, adapter, samples: { every: 20, make } });
    const latest = join(alone, "checkpoints/latest");
    expect((await readdir(latest)).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors", "training"]);
    const config: unknown = JSON.parse(await readFile(join(latest, "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({ r: 3, lora_alpha: 6, base_model_name_or_path: model.name });
    await using opened = await openAdapter(latest, model.config);
    expect([...opened.adapters.values()]).toEqual(Array(7).fill({ rank: 3, scale: 2 }));
    await using device = reference();
    await using llama = await Llama.load(mergeAdapter(model, opened), { backend: device });
    const { text } = await llama.complete("a", { maxTokens: 6, temperature: 0, ignoreEos: true });
    expect([text]).toEqual(texts);
    await using base = await Llama.load(model, { backend: device });
    expect((await base.complete("a", { maxTokens: 6, temperature: 0, ignoreEos: true })).text).not.toBe(text);

    const stop = new AbortController();
    const onEvent = ({ kind, step }: RunEvent): void => {
      if (kind === "step" && step === 7) stop.abort(new Error("stopped"));
    };
    await smallRun(stopped, { model, adapter, onEvent, signal: stop.signal });
    await smallRun(stopped, { model, adapter, resume: true });
    expect(await stepsOf(stopped)).toEqual(await stepsOf(alone));
    expect(await readFile(join(stopped, "checkpoints/latest/adapter_model.safetensors"))).toEqual(
      await readFile(join(latest, "adapter_model.safetensors")),
    );
  });

  test("is not gone on with beside another model, as another adapter, or as none", async () => {
    const folder = newFolder();
    await smallRun(folder, { model, adapter, steps: 3 });
    const on = (changes: object) => smallRun(folder, { model, adapter, steps: 4, resume: true, ...changes });
    const other = openSynthetic(`synthetic://tinyllama-1.1b?seed=4&${sizes}`);
    await expect(on({ model: other })).rejects.toThrow("the model beside the adapter changed");
    await expect(on({ adapter: { ...adapter, rank: 4 } })).rejects.toThrow("what of the model trains changed");
    await expect(on({ adapter: undefined })).rejects.toThrow(/what of the model trains and the model .* changed/);
    expect(await on({})).toMatchObject({ step: 4 });
  });

  test("excludes weights that train without one", async () => {
    await expect(smallRun(newFolder(), { adapter, trained: ["norm"] })).rejects.toThrow(/adapter\.trainable/);
  });
});

test("a run of some weights changes those alone, and is none of a quantized model", async () => {
  const folder = newFolder();
  await smallRun(folder, { trained: ["tok_embeddings"], steps: 4 });
  await using saved = await openCheckpoint(join(folder, "checkpoints/latest"));
  const changed: string[] = [];
  for (const name of saved.weights.keys()) {
    const [now, before] = [await saved.read(name), await smallModel.read(name)];
    if (!Buffer.from(now).equals(before)) changed.push(name);
  }
  expect(changed).toEqual(["tok_embeddings.weight"]);
  const stopped = smallRun(folder, { steps: 5, resume: true });
  await expect(stopped).rejects.toThrow("what of the model trains changed");
  const model = openSynthetic("synthetic://tinyllama-1.1b?layers=1&dim=32&heads=2&vocab=280&hidden=64&format=q4_0");
  await expect(smallRun(newFolder(), { model, trained: ["norm"] })).rejects.toThrow(/in q4_0; .*adapter\.trainable/);
});

describe("a run that was stopped", () => {
  test("saves, says where it stands, and goes on with the same steps", async () => {
    const folder = newFolder();
    const stop = new AbortController();
    const onEvent = ({ kind, step }: RunEvent): void => {
      if (kind === "step" && step === 7) stop.abort(new Error("stopped"));
    };
    const stopped = await smallRun(folder, { onEvent, signal: stop.signal });
    expect(stopped).toEqual({ ended: "stopped", step: 7, checkpoint: join(folder, "checkpoints", "step-00000007") });
    expect(await smallRun(folder, { resume: true })).toMatchObject({ ended: "done", step: 20 });
    expect(await stepsOf(folder)).toEqual(await stepsOf(whole));
    expect(await smallRun(folder, { resume: true })).toMatchObject({ ended: "done", step: 20 });
    expect(await stepsOf(folder)).toEqual(await stepsOf(whole));
  });

  test("within a step goes back to the one before", async () => {
    const folder = newFolder();
    const stop = new AbortController();
    const { data } = smallOptions;
    const batches = function* (position: Parameters<typeof data.batches>[0]) {
      let count = 0;
      for (const each of data.batches(position) as Iterable<{ batch: []; position: null }>) {
        if (++count === 4) setImmediate(() => stop.abort(new Error("stopped")));
        yield each;
      }
    };
    const stopped = await smallRun(folder, { data: { ...data, batches }, signal: stop.signal });
    expect(stopped.ended).toBe("stopped");
    expect([3, 4]).toContain(stopped.step);
    expect(await smallRun(folder, { resume: true })).toMatchObject({ ended: "done", step: 20 });
    expect(await stepsOf(folder)).toEqual(await stepsOf(whole));
  });

  test("ends with the data, where that ends first", async () => {
    const data = shuffledExamples([encodeDocument(smallModel.tokenizer!, "abc")], {
      length: 8,
      sequences: 1,
      seed: 1,
      epochs: 3,
    });
    const folder = newFolder();
    expect(await smallRun(folder, { data, validation })).toMatchObject({ ended: "done", step: 3 });
    expect((await readLog(folder)).at(-1)).toMatchObject({ kind: "step", step: 3 });
  });

  test("says what of the recipe is otherwise when it goes on", async () => {
    const folder = newFolder();
    const { recipe } = smallOptions;
    await smallRun(folder, { steps: 3 });
    const told: RunEvent[] = [];
    const onEvent = (event: RunEvent): void => void told.push(event);
    const changed = { ...recipe, optimizer: { ...recipe.optimizer, maxNorm: Number.POSITIVE_INFINITY } };
    await smallRun(folder, { steps: 4, recipe: changed, resume: true, onEvent });
    const changes = ["steps 3 -> 4", "optimizer.maxNorm 1 -> null"];
    expect(told.find(({ kind }) => kind === "changed")).toEqual({ kind: "changed", step: 3, changes });
    await smallRun(folder, { steps: 4, recipe: changed, resume: true, onEvent });
    expect(told.filter(({ kind }) => kind === "changed")).toHaveLength(1);
  });

  test("takes back what the log says of steps that are not saved, and half a line", async () => {
    const folder = newFolder();
    const stop = new AbortController();
    await smallRun(folder, { onEvent: ({ step }) => step === 4 && stop.abort(new Error()), signal: stop.signal });
    const before = await readFile(logPath(folder), "utf8");
    const later = JSON.stringify({
      kind: "step",
      step: 5,
      loss: 1,
      rate: 1,
      norm: 1,
      tokens: 1,
      tokensPerSecond: 1,
      time: "",
    });
    await writeFile(logPath(folder), `${before}${later}\n{"kind":"st`);
    await smallRun(folder, { resume: true });
    expect(await stepsOf(folder)).toEqual(await stepsOf(whole));
    expect((await readLog(folder)).filter(({ kind }) => kind === "start").map(({ step }) => step)).toEqual([0, 4]);
  });
});

describe("refused is", () => {
  test("a folder with a run, unless it shall go on", async () => {
    await expect(smallRun(whole)).rejects.toMatchObject({
      code: "ERR_OPTION",
      message: expect.stringMatching(/has a run already, whose last checkpoint is .*step-00000020.*--resume/),
    });
  });

  test("going on with other data, or another model", async () => {
    const data = { ...smallOptions.data, fingerprint: "other" };
    await expect(smallRun(whole, { resume: true, data })).rejects.toThrow(
      "the data or how it is cut into batches changed",
    );
    const model = { ...smallModel, config: { ...smallModel.config, ropeTheta: 5 } };
    await expect(smallRun(whole, { resume: true, model })).rejects.toThrow("the model's configuration changed");
  });

  test("a second run in the folder at the same time", async () => {
    const folder = newFolder();
    const first = smallRun(folder, { steps: 2, recipe: { ...smallOptions.recipe, warmup: 0 } });
    await expect(smallRun(folder)).rejects.toMatchObject({ code: "ERR_BUSY" });
    expect(await first).toMatchObject({ ended: "done" });
    await writeFile(join(folder, "run.lock"), String(process.ppid));
    await expect(smallRun(folder, { resume: true })).rejects.toMatchObject({ code: "ERR_BUSY" });
  });

  test("a schedule that is none, and options that there are not", async () => {
    const recipe = { ...recipes.sft, warmup: 30 };
    await expect(smallRun(newFolder(), { recipe })).rejects.toMatchObject({ code: "ERR_OPTION", option: "warmup" });
    await expect(smallRun(newFolder(), { keep: 0 })).rejects.toMatchObject({ code: "ERR_OPTION", option: "keep" });
  });
});

test("a damaged state of a checkpoint is said with its file", async () => {
  const folder = newFolder();
  await smallRun(folder, { steps: 3 });
  const path = join(folder, "checkpoints/latest/training/state.json");
  expect((await stat(path)).size).toBeGreaterThan(0);
  await writeFile(path, "{}");
  await expect(smallRun(folder, { resume: true })).rejects.toMatchObject({
    code: "ERR_CHECKPOINT",
    message: expect.stringContaining("state.json: this is no state of a run"),
  });
  await using checkpoint = await openCheckpoint(join(folder, "checkpoints/latest"));
  expect(checkpoint.weights.size).toBe(smallModel.weights.size);
});
