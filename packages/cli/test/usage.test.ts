import { describe, expect, test } from "vitest";
import { run } from "./captured.ts";
import { run as runProcess } from "./program.ts";

describe("wrong usage ends with 2 and says what is wrong", () => {
  test("as a program", async () => {
    const { code, stdout, stderr } = await runProcess(["generate", "--foo"]);
    expect(stderr).toMatch(/unknown option '--foo'/);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });

  test.each([
    [["generate", "--foo"], /unknown option '--foo'/],
    [["genrate"], /unknown command 'genrate'\n\(Did you mean generate\?\)/],
    [[], /Usage: polyllama/],
    [["generate", "-p", "x", "--seed", "1.5"], /--seed.*integer/],
    [["generate", "-p", "x", "more"], /-p gives the prompt, and so does "more"; put a text of several words in quotes/],
    [["generate", "-f", "x", "two", "words"], /-f gives the prompt, and so does "two words"/],
    [["generate", "-f", "/no/such/file"], /\/no\/such\/file cannot be read: there is no such file/],
    [["generate", "-f", "/"], /\/ cannot be read: it is a folder/],
    [["generate", "-p", "x", "-f", "y"], /cannot be used with/],
    [["generate", "-p", "x", "--temperature", "-1"], /temperature must be a number from 0/],
    [["generate", "-p", "x", "--logit-bias", "a=1"], /TOKEN=NUMBER/],
    [["generate", "-p", "x", "--logprobs", "1"], /--logprobs needs --json/],
    [
      ["generate", "-p", "x", "--backend", "gpu"],
      /"gpu" is no backend; there are cpu, onnxruntime, webgpu, cuda, reference/,
    ],
    [["generate", "-p", "x", "--backend", "reference", "--threads", "2"], /no option --threads/],
    [["generate", "-p", "x", "--backend", "reference", "--activations", "f32"], /no option --activations/],
    [
      ["generate", "-p", "x", "--backend", "onnxruntime", "--activations", "f16"],
      /onnxruntime backend are int8 and f32/,
    ],
    [["generate", "-p", "x", "--activations", "f16"], /cpu backend are int8 and f32/],
    [["generate", "-p", "x", "--backend", "cuda", "--activations", "int8"], /cuda backend are f16 and f32/],
    [["generate", "-p", "x", "--backend", "reference", "--cache-folder", "x"], /no option --cache-folder/],
    [
      ["generate", "-p", "x", "--backend", "reference", "--no-cache"],
      /no option --no-cache; it belongs to --backend cpu and onnxruntime/,
    ],
    [
      ["generate", "-p", "x", "--backend", "onnxruntime", "--device", "1"],
      /onnxruntime backend has no option --device.*--backend cuda/,
    ],
    [
      ["generate", "-p", "x", "--backend", "cuda", "--threads", "1"],
      /cuda backend has no option --threads; it belongs to --backend cpu and onnxruntime/,
    ],
    [["generate", "-p", "x", "--no-cache", "--cache-folder", "x"], /exclude each other/],
    [["generate", "-p", "x", "--backend", "reference", "--context", "100000"], /from 1 to 2048/],
    [["generate", "-p", "x", "--backend", "reference", "-m", "owner/name"], /no such file.*write hf:owner\/name\n/],
    [["inspect", "owner/name:Q4_K_M"], /write hf:owner\/name:Q4_K_M\n/],
    [
      ["generate", "-p", "x", "--quantize", "Q3_K_M"],
      /Q3_K_M is a format or mixture of llama\.cpp that cannot be written/,
    ],
    [["inspect"], /missing required argument 'location'/],
    [["inspect", "synthetic://llama-2-8b"], /llama-2-8b/],
    [["bench", "--backend", "reference", "--prompt-tokens", "2040"], /do not fit the context of 2048/],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
});

test("failures end with 1 and a message; --verbose adds where they come from", async () => {
  const args = ["generate", "-p", "x", "--backend", "reference", "--model", "/no/such/model.gguf"];
  const short = await run(args);
  expect(short.code).toBe(1);
  expect(short.stderr).toMatch(/^error: \/no\/such\/model\.gguf: .*\n$/);
  const long = await run([...args, "--verbose"]);
  expect(long.code).toBe(1);
  expect(long.stderr).toMatch(/\n {4}at .*\.ts:\d+/);
});

test("help and version are answers, not failures", async () => {
  for (const args of [["--help"], ["help", "generate"], ["chat", "-h"], ["--version"]]) {
    const { code, stdout, stderr } = await run(args);
    expect(stdout).toMatch(args[0] === "--version" ? /^\d+\.\d+\.\d+\n$/ : /^Usage: polyllama/);
    expect([code, stderr]).toEqual([0, ""]);
    if (args[0] === "--help") expect(stdout).toMatch(/With --json .* on standard\nerror errors and notices alone\./);
  }
});
