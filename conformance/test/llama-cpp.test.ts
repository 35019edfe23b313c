// The same GGUF files in llama.cpp, an implementation that shares no line with this one: its raw logits over a text
// must lie within the estimated tolerance of the reference's, and its most probable tokens be the same wherever that
// tolerance decides. Optional: `npm run conformance:llama-cpp` installs node-llama-cpp and runs it.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Checkpoint, openCheckpoint, quantized, writeGguf } from "@polyllama/checkpoints";
import { llamaGraph, type RoundingProfile, type Tensor } from "@polyllama/core";
import { formats, type QuantizedFormat, quantizedFormats } from "@polyllama/formats";
import { poet } from "@polyllama/model-poet";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { afterAll, describe, expect, test } from "vitest";
import { compareChoices, estimateTolerance, tooFewDecided, worstShare } from "../src/index.ts";

const benchmarks = fileURLToPath(new URL("../../benchmarks/", import.meta.url));
const installed = existsSync(join(benchmarks, "node_modules/node-llama-cpp"));
const folder = mkdtempSync(join(tmpdir(), "polyllama-llama-cpp-"));
afterAll(() => rmSync(folder, { recursive: true }));

/**
 * What llama.cpp is taken to round: it computes in f32, and multiplies quantized weights with inputs in blocks of int8,
 * as wide as the weights' own blocks (ggml-cpu.c, `vec_dot_type`).
 */
function roundingsOf({ weights }: Checkpoint): Pick<RoundingProfile, "unit" | "flushesSubnormals" | "exp"> {
  const used = [...new Set([...weights.values()].map(({ format }) => formats[format]))];
  const blocks = used.filter(({ blockSize }) => blockSize > 1);
  const block = Math.max(...blocks.map(({ blockSize }) => blockSize));
  const exact = { unit: 2 ** -24, flushesSubnormals: false, exp: 2 };
  return blocks.length === 0
    ? exact
    : { ...exact, ...{ int8Activations: { block, formats: blocks.map(({ name }) => name) } } };
}

async function logitsOfLlamaCpp(model: string, tokens: readonly number[], width: number): Promise<Tensor> {
  const script = join(benchmarks, "engines/llama-cpp-logits.ts");
  const options = { maxBuffer: 2 ** 28, timeout: 60_000, cwd: benchmarks };
  const rest = [...process.execArgv, "--import", "tsx", script, model, tokens.join(",")];
  const { stdout } = await promisify(execFile)(process.execPath, rest, options);
  return {
    shape: [tokens.length, width],
    data: new Float32Array(Uint8Array.from(Buffer.from(stdout, "base64")).buffer),
  };
}

async function compare(file: string, text: string, format: keyof typeof formats, noise = false): Promise<void> {
  await using checkpoint = await openCheckpoint(file);
  const graph = llamaGraph(checkpoint.config);
  const tokens = checkpoint.tokenizer!.encode(text, { bos: true });
  const step = { inputs: { tokens: Int32Array.from(tokens) } };
  const tolerance = await estimateTolerance(graph, checkpoint, step, "logits", roundingsOf(checkpoint));
  const theirs = await logitsOfLlamaCpp(file, tokens, checkpoint.config.vocabSize);
  const share = worstShare(theirs, tolerance);
  expect(share).toBeGreaterThan(0);
  expect(share).toBeLessThanOrEqual(1);
  const choices = compareChoices(theirs, tolerance);
  expect(choices.wrong, "first decided position with another token").toBeUndefined();
  if (format === "f32") expect(tooFewDecided(choices)).toBeUndefined();
  else if (!noise) expect(choices.decided).toBeGreaterThan(0);
}

const poem = "春夜\n李白\n誰家玉笛暗飛聲，散入春風滿洛城。\n";
const tale = "Once upon a time there was a little girl who lived in a small house near the forest.";
const hint = "install with `npm run conformance:llama-cpp`";

(installed ? describe : describe.skip)(`llama.cpp${installed ? "" : ` (${hint})`}`, () => {
  /** Poet written in each format that its rows are whole blocks of. */
  async function written(format: QuantizedFormat | "f32"): Promise<string> {
    await using source = await openCheckpoint(poet);
    const path = join(folder, `poet-${format}.gguf`);
    await writeGguf(path, format === "f32" ? widened(source) : quantized(source, format));
    return path;
  }

  for (const format of ["f32", ...quantizedFormats] as const) {
    // Tolerances take sixteen runs of the reference, so the formats share a shorter text.
    const text = format === "f32" ? poem : poem.slice(0, 10);
    test(`poet in ${format}`, async () => compare(await written(format), text, format), 300_000);
  }

  // Formats that nothing here quantizes to too. Noise decides no tokens, so the logits alone count. llama.cpp does not
  // multiply Q8_K.
  const blocks = Object.values(formats).filter(({ name, blockSize }) => blockSize > 1 && name !== "q8_k");
  test.each(blocks.map(({ name }) => name))("random blocks of %s", { timeout: 300_000 }, async (format) => {
    const path = join(folder, `random-${format}.gguf`);
    const size = "dim=256&heads=4&kv_heads=2&hidden=512&layers=2&vocab=320&context=64";
    await using source = await openCheckpoint(`synthetic://llama-2-7b?format=${format}&${size}`);
    await writeGguf(path, source);
    await compare(path, "A few words.", format, true);
  });

  describeWithShared("trained by others", () => {
    test("stories260K", () => compare(shared("weights/stories260K.gguf"), tale, "f32"), 300_000);
  });
});

/** All weights as f32. */
function widened(source: Checkpoint): Checkpoint {
  const weights = new Map([...source.weights].map(([name, info]) => [name, { ...info, format: "f32" as const }]));
  return {
    ...source,
    weights,
    tokenizer: source.tokenizer,
    metadata: source.metadata,
    async read(name, ranges, signal) {
      const bytes = await source.read(name, ranges, signal);
      const { format } = source.weights.get(name)!; // listed above
      const values = new Float32Array((bytes.length / formats[format].blockBytes) * formats[format].blockSize);
      formats[format].dequantize(bytes, values);
      return new Uint8Array(values.buffer);
    },
  };
}
