// `polyllama train`, from text files to a model that other commands read.

import { existsSync, readFileSync } from "node:fs";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type LogEntry, readLog } from "@polyllama/training/node";
import { afterAll, describe, expect, test } from "vitest";
import { run } from "./captured.ts";
import { start } from "./program.ts";
import { trainArguments, trainingFolder } from "./training-folder.ts";

const folder = await trainingFolder();
afterAll(() => rm(folder, { recursive: true }));
const at = (...names: readonly string[]): string => join(folder, ...names);

const steps = async (name: string): Promise<readonly object[]> => {
  return (await readLog(at(name))).flatMap((entry: LogEntry) => {
    if (entry.kind !== "step") return [];
    const { step, loss, norm, rate, tokens } = entry;
    return [{ step, loss, norm, rate, tokens }];
  });
};

describe("a run", () => {
  test("prints its recipe and where the model is, which generate reads", async () => {
    const more = ["--validation", at("held.txt"), "--sample", "the", "--sample-tokens", "3", "--save-every", "5"];
    const { code, stdout, stderr } = await run(trainArguments(folder, "run", ...more));
    expect([code, stderr]).toEqual([0, expect.stringContaining("40 examples, ")]);
    expect(stdout).toMatch(
      /^optimizer {6}AdamW, beta 0\.9 and 0\.95, .*\npeak rate {6}0\.01 \(the paper: 0\.0003\)\nwarm-up {8}linear, 2 steps \(.*2,000 steps\)\n/s,
    );
    expect(stdout).toMatch(/\nbatch {10}4 sequences \(.*\)\ndata {11}512 tokens \(.*\)\nloss {11}every token\n/);
    expect(stdout.endsWith(`\n${at("run", "checkpoints", "step-00000008")}\n`)).toBe(true);
    expect(stderr).toMatch(/step 5: validation loss \d+\.\d{4}\nstep 5: the.*\nstep 5: saved .*step-00000005\n/s);
    expect(stderr).toMatch(/step 8 of 8 \| loss \d+\.\d{4} \| .* tokens\/s\n/);
    expect(await steps("run")).toHaveLength(8);
    expect((await stat(at("run", "report.html"))).size).toBeGreaterThan(1000);
    const model = at("run", "checkpoints", "latest");
    const written = await run(["generate", "-m", model, "-p", "the", "-n", "3", "--backend", "reference", "--json"]);
    expect([written.code, JSON.parse(written.stdout)]).toMatchObject([0, { promptIds: { length: 2 } }]);
  });

  test("is not begun twice in a folder, and with --json prints one object", async () => {
    const again = await run(trainArguments(folder, "run"));
    expect([again.code, again.stderr]).toEqual([2, expect.stringMatching(/has a run already, .*\(--resume\)/)]);
    const { code, stdout, stderr } = await run(trainArguments(folder, "json", "--json", "--no-report", "--keep", "1"));
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toEqual({
      ended: "done",
      step: 8,
      steps: 8,
      loss: expect.any(Number),
      checkpoint: at("json", "checkpoints", "step-00000008"),
      log: at("json", "log.jsonl"),
    });
    expect(await steps("json")).toEqual(await steps("run")); // the same seed
  });

  test("goes on with a checkpoint, and with JSONL gives the same steps as with lines", async () => {
    const [command, , , , ...rest] = trainArguments(folder, "jsonl");
    const jsonl = await run([command!, at("text.jsonl"), ...rest]); // there is one
    expect(jsonl.code).toBe(0);
    expect(await steps("jsonl")).toEqual(await steps("run"));
    const model = ["--model", at("run", "checkpoints", "latest"), "--backend", "reference", "--length", "16"];
    const on = ["--batch", "8", "--epochs", "1", "--warmup", "0", "--out", at("on"), "--json"];
    const { code, stdout } = await run(["train", at("text.txt"), ...model, ...on]);
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { ended: "done" }]);
    const losses = async (name: string): Promise<readonly number[]> => {
      return (await readLog(at(name))).flatMap((entry) => (entry.kind === "step" ? [entry.loss] : []));
    };
    expect((await losses("on"))[0]).toBeLessThan((await losses("run"))[0] ?? 0);
  });
});

describe("Ctrl-C", () => {
  test("saves, says how to go on, and the run ends as one that was left alone", async () => {
    const stopped = run(trainArguments(folder, "stopped"));
    const isTime = (): boolean => existsSync(at("stopped", "log.jsonl")) && logged("stopped") >= 3;
    while (!isTime()) await new Promise((resolve) => setImmediate(resolve)); // between two of its steps
    process.emit("SIGINT");
    const { code, stderr } = await stopped;
    expect(code).toBe(130);
    const told =
      /stopping: .*\nstep \d: saved .*\nStopped after step (\d), saved as .*\. To go on: the same command with --resume\.\n$/;
    expect(stderr).toMatch(told);
    const [, step] = told.exec(stderr) ?? [];
    expect(Number(step)).toBeLessThan(8);
    const went = await run(trainArguments(folder, "stopped", "--resume"));
    expect([went.code, went.stderr]).toEqual([0, expect.stringContaining(`going on after step ${step}`)]);
    expect(await steps("stopped")).toEqual(await steps("run"));
  });

  test("twice ends at once, and what was saved goes on", async () => {
    // Far more steps than there is time for.
    const more = ["--validation", at("held.txt"), "--validate-every", "1", "--save-every", "2", "--steps", "100000"];
    const running = start(trainArguments(folder, "twice", ...more));
    await running.until("stderr", /step 3: validation/);
    running.child.kill("SIGINT");
    await running.until("stderr", /stopping/);
    running.child.kill("SIGINT");
    expect((await running.finished).code).toBe(130);
    const again = start(trainArguments(folder, "twice", ...more, "--resume"));
    await again.until("stderr", /going on after step \d+\n(?:.*\n)*step \d+: validation/);
    again.child.kill("SIGTERM");
    expect((await again.finished).code).toBe(143);
    const done = await steps("twice");
    expect(done).toEqual(done.map((_, index) => expect.objectContaining({ step: index + 1 })));
  });
});

function logged(name: string): number {
  return readFileSync(at(name, "log.jsonl"), "utf8").match(/"kind":"step"/g)?.length ?? 0;
}

describe("refused is", () => {
  const model = ["--config", at("config.json"), "--tokenizer", at("tok.model")];
  test.each<readonly [readonly string[], number, RegExp]>([
    [["train", at("text.txt"), "--out", at("x")], 2, /give --config .* or --model/],
    [["train", at("text.txt"), "--out", at("x"), "--config", at("config.json")], 2, /needs --tokenizer/],
    [["train", at("text.txt"), "--out", at("x"), ...model, "--model", "m"], 2, /cannot be used with/],
    [["train", at("text.txt"), ...model], 2, /required option '-o, --out <folder>'/],
    [["train", at("none.txt"), "--out", at("x"), ...model], 2, /none\.txt cannot be read: there is no such file/],
    [
      ["train", at("text.txt"), "--out", at("x"), ...model, "--backend", "onnxruntime"],
      1,
      /onnxruntime backend cannot train/,
    ],
    [trainArguments(folder, "x", "--length", "500"), 2, /--length 500 is more than the model's context of 128/],
    [trainArguments(folder, "x", "--lora-alpha", "8"), 2, /--lora-alpha needs --lora with the adapter's rank/],
    [trainArguments(folder, "x", "--lora", "8", "--trained", "norm"), 2, /--trained and --lora exclude each other/],
    [trainArguments(folder, "x", "--trained", "norm,wq"), 2, /There is no "wq"\. Expected are all, or .*attention\.wq/],
    [trainArguments(folder, "x", "--warmup", "8"), 2, /--warmup must be fewer than the 8 steps of the run/],
    [trainArguments(folder, "x", "--epochs", "2"), 2, /--steps and --epochs exclude each other/],
    [trainArguments(folder, "x", "--peak", "-1"), 2, /--peak must be/],
    [trainArguments(folder, "x", "--floor", "2"), 2, /--floor must be/],
    [trainArguments(folder, "x", "--batch", "0"), 2, /--batch.*integer/],
    [["train", at("dialogues.jsonl"), "--out", at("x"), ...model], 1, /dialogues\.jsonl, line 1, text: is missing\./],
  ])("%j", async (args, code, message) => {
    const found = await run(args);
    expect([found.stderr, found.code]).toEqual([expect.stringMatching(message), code]);
    expect(await stat(at("x", "checkpoints")).catch(() => undefined)).toBeUndefined();
  });

  test("a configuration for another vocabulary", async () => {
    const path = at("other.json");
    const sizes = JSON.parse(await readFile(at("config.json"), "utf8"));
    await writeFile(path, JSON.stringify({ ...sizes, vocab_size: 5 }));
    const found = await run([
      "train",
      at("text.txt"),
      "--out",
      at("x"),
      "--config",
      path,
      "--tokenizer",
      at("tok.model"),
    ]);
    expect(found.stderr).toMatch(/declares a vocab_size of 5, and .*tok\.model has 300 tokens; leave vocab_size out/);
    expect(found.code).toBe(2);
  });
});
