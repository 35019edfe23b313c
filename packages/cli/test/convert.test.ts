// `polyllama convert`, `quantize` and `verify` as programs.

import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poet } from "@polyllama/model-poet";
import { amount } from "@polyllama/test-support/full";
import { killConversions } from "@polyllama/test-support/kill-conversions";
import { openCheckpoint, targetFormats, writeGguf } from "polyllama";
import { beforeEach, describe, expect, test } from "vitest";
import { formatOption } from "../src/values.ts";
import { runHere } from "./captured.ts";
import { sourceArguments, start } from "./program.ts";

let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "polyllama-convert-"));
  return () => rm(scratch, { recursive: true, force: true });
});

const tiny = "synthetic://llama-2-7b?dim=64&heads=4&kv_heads=2&hidden=96&layers=2&vocab=320&context=64&format=f16";

describe("convert", () => {
  test("poet to GGUF and back is the same model, and verify says so", async () => {
    const [gguf, folder] = [join(scratch, "poet.gguf"), join(scratch, "poet")];
    expect(await runHere("convert", poet, gguf)).toMatchObject({ code: 0, stdout: `${gguf}\n` });
    expect((await runHere("convert", gguf, folder)).code).toBe(0);
    const verified = await runHere("verify", poet, folder);
    expect([verified.code, verified.stdout]).toEqual([
      0,
      "the same model | 56 tensors: 56 with equal bits, 56 with equal values\n",
    ]);
    expect((await runHere("verify", poet, gguf)).code).toBe(0);
  });

  test("the options are honoured: format, rules, size of shards", async () => {
    const folder = join(scratch, "shards");
    const args = ["--format", "f32", "--tensors", "model.embed_tokens=bf16", "--shard-size", "0.1MB", "--threads", "1"];
    const { code, stderr } = await runHere("convert", tiny, folder, ...args);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^21 tensors, .* in \d files \| .*\/s \| peak memory/m);
    for (const name of await readdir(folder)) {
      if (name.endsWith(".safetensors")) expect((await stat(join(folder, name))).size).toBeLessThan(103_000);
    }
    await using checkpoint = await openCheckpoint(folder);
    expect(checkpoint.weights.get("tok_embeddings.weight")?.format).toBe("bf16");
    expect(checkpoint.weights.get("norm.weight")?.format).toBe("f32");
  });

  test("nothing is replaced without --overwrite", async () => {
    const path = join(scratch, "m.gguf");
    await writeFile(path, "mine");
    const refused = await runHere("convert", tiny, path);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/m\.gguf exists already.*--overwrite/)]);
    expect(await readFile(path, "utf8")).toBe("mine");
    expect((await runHere("convert", tiny, path, "--overwrite")).code).toBe(0);
  });

  test("Ctrl-C ends it and leaves nothing", async () => {
    const path = join(scratch, "m.gguf");
    const source = "synthetic://llama-2-7b?dim=1024&heads=8&hidden=2048&layers=4&format=f16";
    const { child, finished } = start(["quantize", source, path, "--format", "q4_k"]);
    child.stdin.end();
    while ((await readdir(scratch)).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGINT");
    expect((await finished).code).toBe(130);
    expect(await readdir(scratch)).toEqual([]);
  });
});

test("verify tells templates that differ in text alone from those that render otherwise", async () => {
  await using source = await openCheckpoint(tiny);
  const plain = "{% for m in messages %}{{ m.content }}{% endfor %}";
  const paths = [];
  for (const [name, jinja] of Object.entries({ plain, alike: `{# #}${plain}`, other: `${plain}!` })) {
    const path = join(scratch, `${name}.gguf`);
    await writeGguf(path, { ...source, text: { ...source.text, chatTemplate: { jinja, from: "" } } });
    paths.push(path);
  }
  const [first = "", alike = "", other = ""] = paths;
  const { code, stdout } = await runHere("verify", first, alike);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/chatTemplate: the templates differ in text, not in what/)]);
  expect(JSON.parse((await runHere("verify", first, alike, "--json")).stdout).text).toEqual([
    { field: "chatTemplate", values: [plain, `{# #}${plain}`], rendersAlike: true },
  ]);
  const different = await runHere("verify", first, other);
  expect([different.code, different.stdout]).toEqual([
    1,
    expect.stringContaining(`chatTemplate: ${JSON.stringify(plain)}`),
  ]);
});

describe("quantize", () => {
  test("says which rows took another format; verify measures what was lost", async () => {
    const path = join(scratch, "m.gguf");
    const { code, stderr } = await runHere("quantize", poet, path, "--format", "q4_k_m", "--tensors", "blk.0.*=q8_0");
    expect(code).toBe(0);
    expect(stderr).toMatch(/tensors, such as blk\.1\.ffn_down\.weight: q5_0 instead of q4_k/);
    const different = await runHere("verify", poet, path);
    expect(different.code).toBe(1);
    expect(different.stdout).toMatch(
      /layers\.1\.feed_forward\.w2\.weight +f16 \/ q5_0 +max 0\.\d+ +rms 0\.0\d+ +differs\n/,
    );
    expect((await runHere("verify", poet, path, "--tolerance", "0.1")).code).toBe(0);
    const json = await runHere("verify", poet, path, "--json");
    const { agrees, tensors } = JSON.parse(json.stdout);
    expect(agrees).toBe(false);
    expect(tensors).toHaveLength(56);
    expect(tensors[0]).toMatchObject({ name: "tok_embeddings.weight", formats: ["f16", "q6_k"], equalBits: false });
  });
});

test("formats may be spelled as llama.cpp and the hub do", () => {
  const option = formatOption("--format <name>", "", ["keep", ...targetFormats]);
  const parse = (text: string): unknown => option.parseArg?.(text, undefined);
  expect(["Q8_0", "q4_k", "Q4_K_M", "q4-k-m", "FP16", "BF16", "Q6_K", "keep"].map(parse)).toEqual([
    "q8_0",
    "q4_k",
    "q4_k_m",
    "q4_k_m",
    "f16",
    "bf16",
    "q6_k",
    "keep",
  ]);
  for (const name of ["Q3_K_M", "IQ2_XXS", "Q2_K_S"]) {
    expect(() => parse(name)).toThrow(`${name} is a format or mixture of llama.cpp that cannot be written here`);
  }
});

test.each([
  [["convert", tiny, "x.gguf", "--format", "q9"], /Allowed choices are keep, f32/],
  [["convert", tiny, "x.gguf", "--tensors", "a"], /PATTERN=FORMAT is expected/],
  [["convert", tiny, "x.gguf", "--tensors", "a=q4_k_m"], /PATTERN=FORMAT is expected/],
  [["convert", tiny, "x.gguf", "--shard-size", "5 bytes"], /A size is expected/],
  [["convert", tiny, "x", "--format", "q8_0"], /Safetensors files do not hold q8_0/],
  [["quantize", tiny, "x.gguf"], /required option '--format/],
  [["quantize", tiny, "x", "--format", "q8_0"], /DEST must end in \.gguf/],
  [["verify", tiny, tiny, "--token", "t"], /--token belongs to models on the hub/],
  [["verify", tiny, tiny, "--tolerance", "-1"], /tolerance must be a number at least 0/],
])("wrong usage: %j", async (args, message) => {
  const { code, stderr } = await runHere(...args);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});

test("killed at random moments it leaves nothing that loads wrongly, and the next run cleans up", async () => {
  const times = amount(2, 10);
  const { problems, killed } = await killConversions({
    program: sourceArguments,
    source: "synthetic://llama-2-7b?dim=256&heads=4&hidden=512&layers=4&vocab=4000&format=f16",
    format: "q4_k",
    times,
    within: 200,
    folder: scratch,
  });
  expect(problems).toEqual([]);
  expect(killed).toBeGreaterThan(0.4 * times);
}, 300_000);
