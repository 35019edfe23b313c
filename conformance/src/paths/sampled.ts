// Tokens chosen where the logits are, several of them, under every option that leaves the choice there, with
// vocabularies of real size, flat logits and steep ones. They must be those that core's sampler chooses from the logits
// of `run`.

import { createSampler, llamaGraph, type SamplingOptions } from "@polyllama/core";
import type { LoadedGraph } from "@polyllama/core/device";
import type { ConformanceCase } from "../case.ts";
import { combinations } from "../combine.ts";
import { exact, wrong } from "../comparison/measure.ts";
import { random } from "../random.ts";
import { narrowConfig } from "../small-config.ts";
import { support } from "../support.ts";
import { memoryWeights, randomWeight } from "../weights.ts";
import { pathCase } from "./path-case.ts";

const settings: readonly SamplingOptions[] = [
  { temperature: 0 },
  { temperature: 0.8, topP: 0.95 },
  { temperature: 1, topP: 1 },
  { temperature: 1.7, topK: 40, topP: 1 },
  { temperature: 0.5, topK: 17, topP: 0.9, minP: 0.02 },
  { temperature: 1, topP: 1, minP: 0.3 },
  { temperature: 1000, topP: 0.5 },
];
/** A token, a few, and more than devices read at once; and with how many of the settings. */
const prompts = [
  [1, 2],
  [5, settings.length],
  [140, 2],
] as const;
const count = 4;

const vocabularies = combinations.with([
  { logits: "flat", spread: 2 ** -10, vocabSize: 32_000 },
  { logits: "steep", spread: 4, vocabSize: 49_953 },
]);

export function sampledCases(): readonly ConformanceCase[] {
  return vocabularies.map(({ logits, spread, vocabSize }) =>
    pathCase(
      "sampled",
      { logits, vocabSize },
      async (device, seed) => {
        const stream = random(`sampled ${logits}`, seed);
        const graph = llamaGraph({ ...narrowConfig, vocabSize, contextLength: 160 });
        const weights = graph.weights.map(({ name, shape }) => {
          if (name !== "norm.weight") return randomWeight(name, shape, shape.length === 1 ? "f32" : "f16", stream);
          const values = new Float32Array(shape[0]!).fill(spread); // decides how far logits are apart
          return { name, shape, format: "f32" as const, bytes: new Uint8Array(values.buffer) };
        });
        const supported = await support(device, { graph, weights: memoryWeights(weights), sampling: true });
        if (supported.status !== "supported") return supported;
        await using loaded = supported.loaded;
        for (const [length, tried] of prompts) {
          const prompt = Array.from({ length }, () => stream.integer(vocabSize));
          for (const setting of settings.slice(0, tried)) {
            const options = { ...setting, seed: stream.integer(2 ** 31) };
            const [own, expected] = [await chosen(loaded, prompt, options), await drawn(loaded, prompt, options)];
            if (String(own) === String(expected)) continue;
            const where = `${JSON.stringify(options)}, ${length} tokens before`;
            return wrong(`${where}: chosen [${own}] where the host draws [${expected}]`);
          }
        }
        return exact;
      },
      { ownBounds: true },
    ),
  );
}

/** By the device, each token being the next step's input before it is known. */
async function chosen(loaded: LoadedGraph, prompt: readonly number[], options: SamplingOptions): Promise<number[]> {
  using pool = loaded.pool(prompt.length + count);
  const cache = pool.open();
  const draw = createSampler(options).draw!; // there are no penalties
  const token = { value: "logits", rows: "last", to: "token", draw: [draw] } as const;
  const first = { inputs: { tokens: Int32Array.from(prompt) }, sequences: [{ rows: prompt.length, cache }] };
  const steps = [loaded.submit(first, [token])];
  while (steps.length < count) {
    using tokens = steps.at(-1)!.tokens!; // the step before draws some
    const next = { inputs: { tokens }, sequences: [{ rows: 1, cache }], outputs: [token] };
    steps.push(loaded.program.submit(next));
  }
  steps.at(-1)!.tokens?.[Symbol.dispose]();
  const values = await Promise.all(steps.map(({ result }) => result));
  return values.map(([value]) => (value?.to === "token" ? value.tokens[0]! : Number.NaN)); // one row is drawn from
}

/** By core's sampler, from the logits. */
async function drawn(loaded: LoadedGraph, prompt: readonly number[], options: SamplingOptions): Promise<number[]> {
  using pool = loaded.pool(prompt.length + count);
  const cache = pool.open();
  const sampler = createSampler(options);
  const tokens = [...prompt];
  let rows = prompt;
  while (tokens.length < prompt.length + count) {
    const step = { inputs: { tokens: Int32Array.from(rows) }, sequences: [{ rows: rows.length, cache }] };
    const [logits] = await loaded.run(step, [{ value: "logits", rows: "last" }]);
    rows = [sampler.sample(logits!.data, tokens, prompt.length)];
    tokens.push(...rows);
  }
  return tokens.slice(prompt.length);
}
