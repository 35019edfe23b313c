// node-llama-cpp's raw logits for a given text: `llama-cpp-logits.ts MODEL 1,2,3` prints one JSON array [N, V], as
// base64 of little-endian f32. Left out of the type check, since whoever starts it installs what it imports.

import { getLlama, LlamaLogLevel, type Token } from "node-llama-cpp";

const [, , modelPath = "", list = ""] = process.argv;
const tokens = list.split(",").map(Number) as Token[];
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 2, logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: Math.max(64, tokens.length),
  threads: { ideal: 2, min: 2 },
  flashAttention: false,
  // Otherwise keys and values are rounded to f16.
  experimentalKvCacheKeyType: "F32",
  experimentalKvCacheValueType: "F32",
});
const steps = tokens.map((token) => [token, { generateNext: { logits: true } }] as const);
const results = await context.getSequence().controlledEvaluate(steps as never);
const width = results[0]!.next.logits!.size;
const logits = new Float32Array(tokens.length * width);
for (const [n, result] of results.entries()) {
  for (const [token, logit] of result!.next.logits!) logits[n * width + token] = logit;
}
process.stdout.write(Buffer.from(logits.buffer).toString("base64"), () => process.exit(0));
