// Loading a model by its address on the hub.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reference } from "@polyllama/backend-reference";
import { poet } from "@polyllama/model-poet";
import { serveHub } from "@polyllama/test-support/hub-server";
import { expect, test } from "vitest";
import { Llama } from "../src/index.ts";

test("Llama.load fetches a model from the hub, reports progress, and writes what the same files on disk write", async () => {
  const cacheFolder = await mkdtemp(join(tmpdir(), "polyllama-load-"));
  try {
    const names = ["config.json", "model.safetensors", "tokenizer.model"];
    const files = await Promise.all(names.map(async (name) => [name, await readFile(join(poet, name))] as const));
    await using hub = await serveHub(Object.fromEntries(files));
    const phases = new Set<string>();
    const onProgress = ({ phase }: { readonly phase: string }): void => void phases.add(phase);
    const { endpoint } = hub;
    await using llama = await Llama.load("hf:owner/poet", {
      backend: reference(),
      hub: { endpoint, cacheFolder },
      onProgress,
    });
    expect(phases).toContain("fetching owner/poet");
    await using local = await Llama.load(poet, { backend: reference() });
    const options = { maxTokens: 3, seed: 1 };
    expect(await llama.complete("春", options)).toEqual(await local.complete("春", options));

    const aborted = AbortSignal.abort(new Error("no more"));
    const load = Llama.load("hf:owner/poet", { backend: reference(), hub: { endpoint, cacheFolder }, signal: aborted });
    await expect(load).rejects.toThrow("no more");
  } finally {
    await rm(cacheFolder, { recursive: true, force: true });
  }
});
