// `polyllama sft` and `polyllama gatt`: from a base to models that chat, and Ghost Attention on top.

import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readLog } from "@polyllama/training/node";
import { afterAll, describe, expect, test } from "vitest";
import { run } from "./captured.ts";
import { trainArguments, trainingFolder } from "./training-folder.ts";

const folder = await trainingFolder();
afterAll(() => rm(folder, { recursive: true }));
const at = (...names: readonly string[]): string => join(folder, ...names);
const latest = (name: string): string => at(name, "checkpoints", "latest");
const base = await run(trainArguments(folder, "base", "--json"));

const tune = (command: string, out: string, ...more: readonly string[]): readonly string[] => {
  const recipe = ["--batch", "3", "--length", "64", "--peak", "0.03"];
  const data = more.some((each) => each.endsWith(".jsonl")) ? [] : [at("dialogues.jsonl")];
  return [
    command,
    ...data,
    "-m",
    latest(out === "chat" ? "base" : "chat"),
    "--backend",
    "reference",
    "--out",
    at(out),
    ...recipe,
    ...more,
  ];
};

const chat = await run(tune("sft", "chat", "--epochs", "60", "--sample", "two", "--sample-tokens", "4"));

describe("sft", () => {
  test("trains the base on answers, and the result chats with what it learned", async () => {
    expect(base.code).toBe(0);
    expect([chat.code, chat.stderr]).toEqual([0, expect.stringContaining("3 examples, ")]);
    expect(chat.stdout).toContain("data           60 epochs (the paper: 2 epochs)\nloss           tokens of answers\n");
    expect(chat.stderr).toMatch(/step 60: two -> birds\n/);
    expect(await readFile(join(latest("chat"), "chat_template.jinja"), "utf8")).toContain("[INST]");
    const asked = ["chat", "-m", latest("chat"), "--backend", "reference", "--temperature", "0", "-n", "8", "--json"];
    const { code, stdout } = await run(asked, "the cat");
    expect([code, JSON.parse(stdout).text.trim()]).toEqual([0, "sat on a mat"]);
  });

  test("trains an adapter, which chats beside the base and merged into it", async () => {
    const lora = ["--lora", "4", "--lora-alpha", "16", "--lora-targets", "all", "--epochs", "40", "--peak", "0.1"];
    const tuned = await run(
      tune("sft", "adapter", ...lora, "--json").map((each) => (each === latest("chat") ? latest("base") : each)),
    );
    expect([tuned.code, JSON.parse(tuned.stdout)]).toMatchObject([0, { ended: "done", step: 40 }]);
    const asked = ["--template", "llama-2", "--backend", "reference", "--temperature", "0", "-n", "8", "--json"];
    const answer = async (...model: readonly string[]): Promise<string> => {
      const { code, stdout } = await run(["chat", "-m", ...model, ...asked], "the cat");
      expect(code).toBe(0);
      return JSON.parse(stdout).text;
    };
    const losses = (await readLog(at("adapter"))).flatMap((entry) => (entry.kind === "step" ? [entry.loss] : []));
    expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
    const beside = await answer(latest("base"), "--adapter", latest("adapter"));
    expect(beside).not.toBe(await answer(latest("base")));
    const converted = await run(["convert", latest("base"), at("merged"), "--adapter", latest("adapter")]);
    expect([converted.code, await answer(at("merged"))]).toEqual([0, beside]);
  });

  test("refuses what does not fit, by its place, or leaves it out", async () => {
    const long = await run(tune("sft", "x", "--length", "12"));
    expect([long.code, long.stderr]).toEqual([
      2,
      expect.stringMatching(
        /dialogues\.jsonl, line 1: the dialogue has \d+ tokens, and a sequence has 12; give a larger --length, or leave such out with --skip-long/,
      ),
    ]);
    const short = await run(tune("sft", "short", "--length", "22", "--skip-long", "--epochs", "1"));
    expect([short.code, short.stderr]).toEqual([
      0,
      expect.stringMatching(/[12] dialogues? longer than 22 tokens left out/),
    ]);
    const none = await run(tune("sft", "x", "--length", "2", "--skip-long"));
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("There is nothing to train on")]);
    const format = await run(tune("sft", "x", "--format", "openai"));
    expect([format.code, format.stderr]).toEqual([
      1,
      expect.stringContaining("dialogues.jsonl, line 2, messages: is missing"),
    ]);
    const text = await run(["sft", at("text.txt"), "-m", latest("base"), "--out", at("x")]);
    expect([text.code, text.stderr]).toEqual([
      2,
      expect.stringContaining("text.txt: dialogues are read from files of JSONL"),
    ]);
    expect(await stat(at("x", "checkpoints")).catch(() => undefined)).toBeUndefined();
  });

  test("a base with another template needs one that training writes", async () => {
    const other = at("other");
    await run(["convert", latest("base"), other]);
    await writeFile(join(other, "chat_template.jinja"), "{{ messages[0].content }}");
    const args = [
      "sft",
      at("dialogues.jsonl"),
      "-m",
      other,
      "--backend",
      "reference",
      "--out",
      at("y"),
      "--batch",
      "3",
    ];
    const refused = await run(args);
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringMatching(/has a chat template of its own \(jinja\).*give --template/),
    ]);
    const asked = await run([...args, "--length", "64", "--epochs", "1", "--template", "llama-2"]);
    expect(asked.code).toBe(0);
    expect(await readFile(join(latest("y"), "chat_template.jinja"), "utf8")).toContain("[INST]");
  });
});

describe("gatt", () => {
  const instructions = ["--instruction", "red", "--instruction", "old"];
  const more = ["--epochs", "2", "--temperature", "0", "--answer-tokens", "6"];

  test("samples with the instruction in every turn, keeps that, and trains on the last answer", async () => {
    const { code, stderr } = await run(tune("gatt", "ghost", ...instructions, ...more));
    expect([code, stderr]).toEqual([0, expect.stringMatching(/\d examples?, /)]);
    const lines = (await readFile(at("ghost", "sampled.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ instruction }) => instruction)).toEqual(["red", "old", "red"]);
    for (const { messages } of lines.filter((line) => line.messages !== null)) {
      expect(messages).toMatchObject([{ role: "user" }, { role: "assistant", content: expect.stringMatching(/\S/) }]);
    }
    const before = await readLog(at("ghost"));
    const again = await run(tune("gatt", "ghost", ...instructions, ...more));
    expect([again.code, again.stderr]).toEqual([
      2,
      expect.stringMatching(/sampled\.jsonl exists already; go on with --resume/),
    ]);
    const went = await run(tune("gatt", "ghost", ...instructions, ...more, "--resume"));
    expect(went.code).toBe(0);
    expect((await readLog(at("ghost"))).filter(({ kind }) => kind === "step")).toEqual(
      before.filter(({ kind }) => kind === "step"),
    );
  });

  test("takes sampled answers and instructions of the file, and asks for one where there is none", async () => {
    const line = {
      instruction: "red",
      messages: [
        { role: "user", content: "a" },
        { role: "assistant", content: "mat" },
      ],
    };
    await writeFile(at("sampled.jsonl"), JSON.stringify(line));
    const { code } = await run(tune("gatt", "sampled", at("sampled.jsonl"), "--sampled", "--epochs", "1"));
    expect(code).toBe(0);
    expect(await stat(at("sampled", "sampled.jsonl")).catch(() => undefined)).toBeUndefined();
    const none = await run(tune("gatt", "z"));
    expect([none.code, none.stderr]).toEqual([
      2,
      expect.stringMatching(/dialogues\.jsonl, line 1: the dialogue has no instruction; give --instruction/),
    ]);
  });
});
