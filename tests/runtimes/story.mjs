// What every runtime has to do, as a user's program there: the embedded model on the cpu and the reference backend, and a checkpoint
// that the program writes itself as safetensors, with threads that quantize. It prints the tokens as JSON.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpu } from "@polyllama/backend-cpu";
import { reference } from "@polyllama/backend-reference";
import { createQuantizerPool, openCheckpoint, writeSafetensors } from "@polyllama/checkpoints";
import { poet } from "@polyllama/model-poet";
import { Llama } from "polyllama";

async function write(checkpoint, backend, prompt) {
  const llama = await Llama.load(checkpoint, { backend });
  const { ids } = await llama.complete(prompt, { temperature: 0, maxTokens: 8, ignoreEos: true });
  await llama.dispose();
  await backend[Symbol.asyncDispose]();
  return ids;
}

const folder = await mkdtemp(join(tmpdir(), "polyllama-runtime-"));
try {
  const size = "dim=64&heads=4&kv_heads=2&hidden=96&layers=2&vocab=320&context=64";
  const made = await openCheckpoint(`synthetic://llama-2-7b?seed=1&format=f16&${size}`);
  const path = join(folder, "model");
  await writeSafetensors(path, made);
  const pool = createQuantizerPool({ threads: 2 });
  const blocks = await pool.quantize(
    Float32Array.from({ length: 2 ** 19 }, (_, i) => Math.sin(i)),
    "q8_0",
  );
  await pool[Symbol.asyncDispose]();
  const result = {
    cpu: await write(poet, cpu({ cacheFolder: join(folder, "cache") }), "春夜\n李白\n"),
    reference: await write(poet, reference(), "春夜\n李白\n"),
    safetensors: await write(path, reference(), [1, 5, 7]),
    threads: blocks.reduce((sum, byte) => (sum * 31 + byte) % 1_000_003, 0),
  };
  console.log(JSON.stringify(result));
} finally {
  await rm(folder, { recursive: true, force: true });
}
