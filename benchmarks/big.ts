// `npm run bench:big`: a 7B model in Q4_0 at its full context of 4,096, or with `--model` another one: speed, peak
// memory against the estimate, and how long the event loop is ever held up while text is generated.

import { monitorEventLoopDelay } from "node:perf_hooks";
import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { Llama, llamaGraph, openCheckpoint } from "polyllama";
import { readArguments } from "../scripts/arguments.mjs";
import { peakMemory, prompt } from "./engines/protocol.ts";

const options = readArguments(
  "npm run bench:big",
  "A whole 7B: load, prefill, decode, memory, pauses of the event loop.",
  {
    model: { type: "string", default: "synthetic://llama-2-7b?seed=1&format=q4_0", about: "model" },
    threads: { type: "string", default: "2", about: "threads" },
    "prompt-tokens": { type: "string", default: "64", about: "length of the prompt" },
    "generate-tokens": { type: "string", default: "24", about: "tokens to generate" },
  },
);
const backend = onnxruntime({ threads: Number(options.threads) });
await using checkpoint = await openCheckpoint(options.model);
const { contextLength } = checkpoint.config;
const estimate = backend.estimateMemory(llamaGraph(checkpoint.config), checkpoint.weights, contextLength);
const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);

const baseline = peakMemory();
const loading = performance.now();
await using llama = await Llama.load(checkpoint, { backend });
console.log(
  `loaded in ${((performance.now() - loading) / 1000).toFixed(1)} s; peak ${peakMemory().toFixed(0)} MiB (process before: ${baseline.toFixed(0)} MiB)`,
);

const sequence = llama.createSequence();
const tokens = Number(options["prompt-tokens"]);
const reading = performance.now();
await sequence.continueTo(prompt(tokens));
console.log(`prefill ${((tokens / (performance.now() - reading)) * 1000).toFixed(1)} tok/s (${tokens} tokens)`);

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const count = Number(options["generate-tokens"]);
const started = performance.now();
for await (const _ of llama.generate([...sequence.tokens, 1], {
  sequence,
  temperature: 0,
  maxTokens: count,
  ignoreEos: true,
}));
delay.disable();
console.log(`decode ${((count / (performance.now() - started)) * 1000).toFixed(2)} tok/s (${count} tokens)`);
console.log(
  `event loop delay while generating: p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms, maximum ${(delay.max / 1e6).toFixed(1)} ms`,
);
const peak = peakMemory();
const bound = (estimate.weights + estimate.cache) / 2 ** 20 + 600;
console.log(
  `peak ${peak.toFixed(0)} MiB; packed weights ${mib(estimate.weights)} + cache ${mib(estimate.cache)} + 600 = ${bound.toFixed(0)} MiB: ${peak <= bound ? "within" : "ABOVE"}`,
);
process.exitCode = peak <= bound ? 0 : 1;
