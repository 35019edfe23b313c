// `polyllama gradients` beside PyTorch's figures.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTensorFile } from "@polyllama/checkpoints";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { afterAll, describe, expect, test } from "vitest";
import { run } from "./captured.ts";

const folder = await mkdtemp(join(tmpdir(), "gradients-"));
afterAll(() => rm(folder, { recursive: true }));
const output = join(folder, "G.safetensors");
const small = "synthetic://llama-2-7b?dim=16&heads=2&kv_heads=1&hidden=24&layers=1&vocab=40&format=f32";

const gradients = (model: string, batch: string, ...more: readonly string[]): ReturnType<typeof run> => {
  return run(["gradients", "--model", model, "--backend", "reference", "--batch", batch, "-o", output, ...more]);
};

async function values(path: string): Promise<ReadonlyMap<string, Float32Array>> {
  await using file = await openTensorFile(path);
  const read = [...file.tensors.keys()].map(
    async (name) => [name, new Float32Array((await file.read(name)).buffer)] as const,
  );
  return new Map(await Promise.all(read));
}

const norm = (numbers: Float32Array): number => Math.hypot(...numbers);

describeWithShared("stories260K", () => {
  test("has PyTorch's loss and gradients, within 1e-6 of each one's norm", async () => {
    const batch = shared("reference/training/stories260K.json");
    const { code, stdout, stderr } = await gradients(shared("weights/stories260K.bin"), batch, "--json", "--overwrite");
    expect([code, stderr]).toEqual([0, ""]);
    const golden = JSON.parse(await readFile(batch, "utf8"));
    expect(Object.keys(JSON.parse(stdout))).toEqual(["loss"]);
    expect(JSON.parse(stdout).loss).toBeCloseTo(golden.loss, 12);
    const [found, expected] = [
      await values(output),
      await values(shared("reference/training/stories260K-gradients.safetensors")),
    ];
    expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, gradient] of expected) {
      const own = found.get(name) ?? new Float32Array();
      expect([name, own.length]).toEqual([name, gradient.length]);
      expect(norm(own.map((value, i) => value - (gradient[i] ?? 0)))).toBeLessThanOrEqual(1e-6 * norm(gradient));
    }
  });
});

describe("gradients of a batch", () => {
  const batch = join(folder, "batch.json");
  const write = (json: unknown): Promise<void> => writeFile(batch, JSON.stringify(json));

  test("are written once, unless they may be replaced, and told in a line", async () => {
    await write([{ ids: [1, 5, 9], counts: [0, 1, 0.5] }]);
    const { code, stdout, stderr } = await gradients(small, batch, "--overwrite");
    expect([code, stdout, stderr]).toEqual([
      0,
      expect.stringMatching(/^loss \d\.\d+\n$/),
      `12 gradients in ${output}\n`,
    ]);
    expect((await values(output)).get("layers.0.attention.wq.weight")).toHaveLength(256);
    const again = await gradients(small, batch);
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining("exists already")]);
  });

  test.each([
    ["{}", {}, /a list of examples is expected/],
    ["nothing", [], /a list of examples is expected/],
    ["one token", [{ ids: [1], counts: [1] }], /example 0 must have ids, two tokens or more/],
    ["fewer counts", [{ ids: [1, 2], counts: [1] }], /example 0 must have/],
    [
      "a negative id",
      [
        { ids: [1, 2], counts: [1, 1] },
        { ids: [1, -2], counts: [1, 1] },
      ],
      /example 1 must have/,
    ],
    ["an unknown token", [{ ids: [1, 40], counts: [1, 1] }], /example 0 has token 40, and the model 40 tokens/],
  ])("%s is refused", async (_, json, message) => {
    await write(json);
    const { code, stderr } = await gradients(small, batch, "--overwrite");
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});
