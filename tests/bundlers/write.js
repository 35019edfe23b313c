// What each page does: eight tokens from the model in the page itself, quantized while it is loaded, and eight from a
// model in a worker. The result is left in the page's title, where the test reads it.

import { reference } from "@polyllama/backend-reference";
import { Llama } from "polyllama";
import { WorkerLlama } from "polyllama/worker";

const options = { temperature: 0, maxTokens: 8 };

/** @param {Worker} worker */
export async function write(worker) {
  const llama = await Llama.load("/poet/", { backend: reference(), quantize: "q8_0" });
  const { ids: page } = await llama.complete("春夜\n李白\n", options);
  await llama.dispose();
  const remote = await WorkerLlama.load(worker, "/poet/");
  const ids = [];
  for await (const { id } of remote.generate("春夜\n李白\n", options)) ids.push(id);
  await remote.dispose();
  worker.terminate();
  return { page, worker: ids };
}
