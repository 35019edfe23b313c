// `npm run bench:host`: what the host does for a token, and whether it grows with the text. The model is the embedded
// one without its layers: its logits come in a moment and do not depend on what was read, so that what is left is the
// host's own work on a token: submitting the step, choosing (on the device, or on the host with penalties), decoding,
// and looking for stop sequences. Its time is measured where the text is short and where it has thousands of tokens, in
// one run, and all ways of choosing in turn.

import { loadavg } from "node:os";
import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { webgpu } from "@polyllama/backend-webgpu";
import { openCheckpoint } from "@polyllama/checkpoints";
import { poet } from "@polyllama/model-poet";
import { type GenerateOptions, Llama } from "polyllama";
import { readArguments } from "../scripts/arguments.mjs";
import { median } from "./support.ts";

const options = readArguments("npm run bench:host", "What the host does for a token of short and of long texts.", {
  backends: { type: "string", default: "onnxruntime,webgpu", about: "backends, by commas" },
  tokens: { type: "string", default: "4000", about: "length of the text" },
  rounds: { type: "string", default: "5", about: "rounds, of which medians are taken" },
});
const length = Number(options.tokens);
const window = 500;
const makers = { onnxruntime, webgpu };

const ways: Readonly<Record<string, GenerateOptions>> = {
  greedy: { temperature: 0 },
  drawn: { temperature: 1, seed: 1, stop: ["a text that never comes"] },
  "with penalties": { temperature: 1, seed: 1, repetitionPenalty: 1.1, frequencyPenalty: 0.1 },
  "with log-probabilities": { temperature: 1, seed: 1, logprobs: 5 },
};

/** Microseconds a token at the beginning of a text and at its end. */
interface Figures {
  readonly short: number;
  readonly long: number;
}

async function measure(llama: Llama, way: GenerateOptions): Promise<Figures> {
  const times: number[] = [];
  let before = performance.now();
  for await (const _ of llama.generate([1], { ...way, maxTokens: length, ignoreEos: true })) {
    const now = performance.now();
    times.push((now - before) * 1000);
    before = now;
  }
  // The first tokens wait for kernels that are compiled.
  return { short: median(times.slice(window, 2 * window)), long: median(times.slice(-window)) };
}

console.log(`Text of ${length} tokens; microseconds a token, medians of ${options.rounds} rounds`);
console.log(
  `| backend | choosing | tokens ${window} to ${2 * window} | the last ${window} | ratio |\n|---|---|---|---|---|`,
);
for (const name of options.backends.split(",")) {
  const make = makers[name as keyof typeof makers]; // looked at in the next line
  if (make === undefined) throw new Error(`There is no backend "${name}" here; there are ${Object.keys(makers)}.`);
  await using backend = await make();
  await using checkpoint = await openCheckpoint(poet);
  const bare: typeof checkpoint = Object.create(checkpoint, {
    config: { value: { ...checkpoint.config, layers: 0, contextLength: length + 1 } },
  });
  await using llama = await Llama.load(bare, { backend, contextLength: length + 1 });
  const figures = new Map<string, Figures[]>(Object.keys(ways).map((way) => [way, []]));
  for (let round = -1; round < Number(options.rounds); round++) {
    for (const [way, list] of figures) {
      const found = await measure(llama, ways[way]!); // its own key
      if (round >= 0) list.push(found);
    }
  }
  for (const [way, list] of figures) {
    const [short, long] = [median(list.map(({ short }) => short)), median(list.map(({ long }) => long))];
    console.log(`| ${name} | ${way} | ${short.toFixed(0)} | ${long.toFixed(0)} | ${(long / short).toFixed(2)} |`);
  }
}
console.log(`\nload average ${loadavg()[0]!.toFixed(1)}`);
