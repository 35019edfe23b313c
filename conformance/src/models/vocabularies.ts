// The ends of a model with the vocabularies of Chinese-LLaMA, 49,953 tokens, which is odd and no multiple of any tile,
// and Chinese-LLaMA-2, 55,296, at 7B's dimensions: the rows of the table, the logits, and the choice of a token, first
// and last ids included. The layers between do not know the vocabulary and are left out.

import { createSampler, llamaGraph, mostProbable, presets, type Tensor } from "@polyllama/core";
import type { LoadedGraph } from "@polyllama/core/device";
import { type ConformanceCase, makeCase } from "../case.ts";
import { combinations } from "../combine.ts";
import { both, wrong } from "../comparison/measure.ts";
import { compareNodes } from "../comparison/nodes.ts";
import { random } from "../random.ts";
import { support } from "../support.ts";
import { memoryWeights, randomWeights } from "../weights.ts";

const vocabularies = combinations
  .combine("model", ["chinese-llama-7b", "chinese-llama-2-7b"])
  .combine("format", ["q4_0"]);

export function vocabularyCases(): readonly ConformanceCase[] {
  return vocabularies.map(({ model, format }) =>
    makeCase(
      "model",
      "vocabulary",
      { model, format },
      async (device, seed) => {
        const config = { ...presets[model], layers: 0 };
        const { vocabSize: V } = config;
        const stream = random(`vocabulary ${model}`, seed);
        const graph = llamaGraph(config);
        const weights = memoryWeights(randomWeights(graph, format, stream));
        const tokens = Int32Array.from([0, V - 1, 31_999, 32_000, stream.integer(V)]);
        const wanted = graph.nodes.map(({ output }) => output);
        const supported = await support(device, { graph, weights, wanted });
        if (supported.status !== "supported") return supported;
        await using loaded = supported.loaded;
        const tensors = await loaded.run({ inputs: { tokens } }, wanted);
        const finding = await compareNodes(graph, weights, { tokens }, tensors, device.roundings, stream);
        const logits = Float32Array.from(tensors.at(-1)!.data); // the last node's
        const problem =
          finding.problem ?? wrongChoice(logits.subarray(-V), tokens, seed) ?? (await wrongDraw(loaded, tokens, seed));
        return problem === finding.problem || problem === undefined ? finding : both(finding, wrong(problem));
      },
      { ownBounds: true },
    ),
  );
}

/** Why the last token is not within reach, or not the most probable one chosen. */
function wrongChoice(logits: Float32Array, tokens: Int32Array, seed: number): string | undefined {
  const V = logits.length;
  const best = logits.reduce((best, value, id) => (value > logits[best]! ? id : best), 0);
  if (mostProbable(logits) !== best) return `token ${mostProbable(logits)} is chosen where ${best} is most probable`;
  const sampler = createSampler({ temperature: 0.8, seed, logitBias: { [V - 1]: 1000 } });
  const chosen = sampler.sample(logits, [...tokens], 0);
  return chosen === V - 1 ? undefined : `token ${chosen} is drawn where only ${V - 1} is probable`;
}

/** Whether a token that the device chooses is not the one that the host would. */
async function wrongDraw(loaded: LoadedGraph, tokens: Int32Array, seed: number): Promise<string | undefined> {
  const sampler = createSampler({ temperature: 0.8, topP: 1, seed });
  if (!loaded.device.features.outputs.includes("token") || sampler.draw === undefined) return undefined;
  const pool = loaded.pool(tokens.length + 1, { sequences: 2 });
  const step = () => ({ inputs: { tokens }, sequences: [{ rows: tokens.length, cache: pool.open() }] });
  const [last] = (await loaded.run(step(), [{ value: "logits", rows: "last" }])) as [Tensor];
  const expected = sampler.sample(Float32Array.from(last.data), [...tokens], tokens.length);
  const token = { value: "logits", rows: "last", to: "token", draw: [sampler.draw] } as const;
  const [drawn] = await loaded.submit(step(), [token]).result;
  const id = drawn?.to === "token" ? drawn.tokens[0] : undefined;
  return id === expected ? undefined : `the device draws token ${id} where the host draws ${expected}`;
}
