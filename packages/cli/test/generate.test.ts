import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { Llama } from "polyllama";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { run, runHere } from "./captured.ts";
import { start } from "./program.ts";

interface Generated {
  readonly backend: string;
  readonly device: string;
  readonly model: string;
  readonly promptIds: readonly number[];
  readonly ids: readonly number[];
  readonly text: string;
  readonly finish: string;
  readonly seed: number;
  readonly timings: Readonly<Record<string, number | null>>;
  readonly logprobs?: readonly {
    id: number;
    piece: string;
    logprob: number;
    top: readonly { id: number; logprob: number }[];
  }[];
}

const reference = ["--backend", "reference"];
const cpu = ["--activations", "f32"]; // the default backend
const tale = ["-p", "Once upon a time", "--ignore-eos", "-n", "12"];

async function json(...args: string[]): Promise<Generated> {
  const { code, stdout, stderr } = await run(["generate", "--json", ...args]);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}

describe("generate --json", () => {
  test("prints one object, with the same greedy text on both backends", async () => {
    const [exact, fast] = await Promise.all([
      json(...reference, ...tale, "--temperature", "0"),
      json(...cpu, ...tale, "--temperature", "0"),
    ]);
    expect([exact.backend, fast.backend]).toEqual(["reference", "cpu"]);
    expect(exact.ids).toHaveLength(12);
    expect(exact.finish).toBe("length");
    expect(fast.ids).toEqual(exact.ids);
    expect(fast.text).toBe(exact.text);
    expect(exact.text).not.toContain("Once upon");
    expect(exact.promptIds[0]).toBe(1);
    expect(exact.timings).toMatchObject({ promptTokens: exact.promptIds.length, generatedTokens: 12 });
    expect(Object.keys(exact.timings)).toEqual([
      "loadSeconds",
      "promptTokens",
      "promptSeconds",
      "generatedTokens",
      "generateSeconds",
      "tokensPerSecond",
    ]);
  });

  test('-p "" starts from BOS alone', async () => {
    const { promptIds, ids } = await json(...reference, "-p", "", "-n", "2", "--ignore-eos");
    expect(promptIds).toEqual([1]);
    expect(ids).toHaveLength(2);
  });

  test("equal seeds give equal text, and the seed is told", async () => {
    const first = await json(...reference, ...tale, "--temperature", "1.2");
    const again = await json(...reference, ...tale, "--temperature", "1.2", "--seed", `${first.seed}`);
    expect(again.ids).toEqual(first.ids);
  });

  test("sampling options reach the sampler", async () => {
    const plain = await json(...reference, ...tale, "--temperature", "0", "--logprobs", "2");
    const [best, second] = plain.logprobs![0]!.top;
    expect(plain.logprobs).toHaveLength(12);
    expect(plain.ids[0]).toBe(best!.id);
    const forbidden = await json(...reference, ...tale, "--temperature", "0", "--logit-bias", `${best!.id}=-inf`);
    expect(forbidden.ids[0]).toBe(second!.id);
    const first = await json(...reference, ...tale, "--temperature", "2", "--top-k", "1");
    expect(first.ids).toEqual(plain.ids);
    const half = plain.text.slice(4, 8);
    const stopped = await json(...reference, ...tale, "--temperature", "0", "--stop", half, "--stop", "zzzz");
    expect(stopped.finish).toBe("stop");
    expect(stopped.text).toBe(plain.text.slice(0, plain.text.indexOf(half)));
    const token = plain.logprobs![3]!;
    const ids = plain.ids.slice(0, plain.ids.indexOf(token.id) + 1);
    for (const name of [`${token.id}`, token.piece]) {
      const ended = await json(...reference, ...tale, "--temperature", "0", "--stop-token", name);
      expect(ended).toMatchObject({ ids, finish: "stop" });
    }
  });
});

describe("generate", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "polyllama-cli-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("prints the prompt and the text, and how fast it was on standard error", async () => {
    const options = [...reference, ...tale, "--seed", "5"];
    const { text } = await json(...options);
    const { code, stdout, stderr } = await run(["generate", ...options]);
    expect(code).toBe(0);
    expect(stdout).toBe(`Once upon a time${text}${text.endsWith("\n") ? "" : "\n"}`);
    expect(stderr).toMatch(/^prompt \d+ tokens, [\d.]+ tokens\/s \| generated 12 tokens, [\d.]+ tokens\/s .*seed 5/);
  });

  test("reads the prompt from standard input or a file, without its last line break", async () => {
    const file = join(folder, "prompt.txt");
    await writeFile(file, "春夜\n李白\n\n");
    const args = ["generate", ...reference, "--json", "-n", "2", "--seed", "1"];
    const { stdout: expected } = await run([...args, "-p", "春夜\n李白\n"]);
    for (const [more, input] of [
      [["-f", file], ""],
      [["-p", "-"], "春夜\n李白\n\r\n"],
      [[], "\ufeff春夜\n李白\n\n"],
      [["春夜\n李白\n"], ""],
    ] as const) {
      const { stdout } = await run([...args, ...more], input);
      expect(JSON.parse(stdout).promptIds).toEqual(JSON.parse(expected).promptIds);
    }
  });

  test("words beside the command are joined by a space", async () => {
    const args = [...reference, "-n", "1", "--seed", "1"];
    const [joined, quoted] = await Promise.all([json(...args, "Once", "upon"), json(...args, "-p", "Once upon")]);
    expect(joined.promptIds).toEqual(quoted.promptIds);
  });

  test("ends quietly when its reader has seen enough", async () => {
    const { child, finished, until } = start(["generate", ...reference, "-p", "Once", "--ignore-eos"]);
    await until("stdout", /Once./);
    child.stdout.destroy();
    expect(await finished).toMatchObject({ code: 0, stderr: "" });
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s stops the text, and the exit code says so", async (signal, code) => {
    const { child, finished, until } = start(["generate", ...reference, "-p", "Once", "--ignore-eos"]);
    await until("stdout", /Once./);
    child.kill(signal);
    const result = await finished;
    expect(result.code).toBe(code);
    expect(result.stdout).toMatch(/^Once.+\n$/s);
    expect(result.stderr).toMatch(/generated \d+ tokens?.*interrupted/);
  });

  test("SIGINT while the prompt is read ends it too, with one object for --json", async () => {
    const { generate } = Llama.prototype;
    const spy = vi.spyOn(Llama.prototype, "generate").mockImplementation(function (this: Llama, prompt, options) {
      const onProgress = (): void => void process.emit("SIGINT"); // as soon as reading begins
      return generate.call(this, prompt, { ...options, onProgress });
    });
    const { code, stdout } = await runHere("generate", "--json", ...reference, "-p", "Once upon a time");
    spy.mockRestore();
    expect(code).toBe(130);
    expect(JSON.parse(stdout)).toMatchObject({ ids: [], text: "", finish: "interrupted" });
  });
});

describeWithShared("generate from other files", () => {
  test.each(["stories260K.gguf", "stories260K.bin", "TinyStories-656K"])("%s", async (name) => {
    const model = ["--model", shared(`weights/${name}`), "--temperature", "0", "-p", "Once upon a time", "-n", "8"];
    const tokenizer = name.endsWith(".bin") ? ["--tokenizer", shared("weights/tok512.bin")] : [];
    const both = [reference, cpu].map((backend) => json(...model, ...tokenizer, ...backend));
    const [exact, fast] = await Promise.all(both);
    expect(exact!.ids).toHaveLength(8);
    expect(fast!.ids).toEqual(exact!.ids);
  });
});
