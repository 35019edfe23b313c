// What every runtime has to do, as a user's program there: the embedded model on the backends for processors, and a
// checkpoint that the program writes itself as safetensors, with threads that quantize, and the embedded
// model in workers. It prints the tokens as JSON.

import { deepStrictEqual } from "node:assert";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as threads from "node:worker_threads";
import { cpu } from "@polyllama/backend-cpu";
import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { reference } from "@polyllama/backend-reference";
import { createQuantizerPool, openCheckpoint, writeSafetensors } from "@polyllama/checkpoints";
import { poet } from "@polyllama/model-poet";
import { Llama } from "polyllama";
import { WorkerLlama } from "polyllama/worker";

async function write(checkpoint, backend, prompt) {
  const llama = await Llama.load(checkpoint, { backend });
  const { ids } = await llama.complete(prompt, { temperature: 0, maxTokens: 8, ignoreEos: true });
  await llama.dispose();
  await backend[Symbol.asyncDispose]();
  return ids;
}

/** The same in a worker: one of `node:worker_threads`, and one as pages have them, where there is such a thing. */
async function writeInWorkers() {
  const file = new URL("./worker.mjs", import.meta.url);
  const written = [await writeInWorker(new threads.Worker(file))];
  if (globalThis.Worker !== undefined) written.push(await writeInWorker(new Worker(file, { type: "module" })));
  for (const ids of written) deepStrictEqual(ids, written[0]);
  return written[0];
}

async function writeInWorker(worker) {
  const llama = await WorkerLlama.load(worker, poet);
  const ids = [];
  for await (const { id } of llama.generate("春夜\n李白\n", { temperature: 0, maxTokens: 8, ignoreEos: true }))
    if (id !== undefined) ids.push(id);
  await llama.dispose();
  await worker.terminate();
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
    cpu: await write(poet, cpu(), "春夜\n李白\n"),
    onnxruntime: await write(poet, onnxruntime({ cacheFolder: join(folder, "cache") }), "春夜\n李白\n"),
    reference: await write(poet, reference(), "春夜\n李白\n"),
    safetensors: await write(path, reference(), [1, 5, 7]),
    worker: await writeInWorkers(),
    threads: blocks.reduce((sum, byte) => (sum * 31 + byte) % 1_000_003, 0),
  };
  console.log(JSON.stringify(result));
} finally {
  await rm(folder, { recursive: true, force: true });
}
