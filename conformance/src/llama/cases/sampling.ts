// Every option of sampling, on vocabularies small and real, on logits that are flat or tied exactly, held to the
// definition on the backend's own logits. Where the device chooses tokens it is seen that it does, and what it cannot
// do is not left out.

import type { SamplingOptions } from "@polyllama/core";
import { must, mustEqual, mustThrow } from "../../must.ts";
import type { ModelName } from "../models.ts";
import { judge, mustHaveGivenBack } from "../subject.ts";
import { token } from "../vocabulary.ts";
import type { LlamaCase } from "./case.ts";

/** What logits and position alone decide, so that a device may. */
const draws: readonly SamplingOptions[] = [
  { temperature: 0 },
  {},
  { temperature: 1, topP: 1 },
  { temperature: 1, topP: 0.3 },
  { temperature: 1.7, topK: 40, topP: 1 },
  { temperature: 1, topK: 1, topP: 1 },
  { temperature: 1, topK: 3, topP: 0.5 },
  { temperature: 0.5, topK: 17, topP: 0.9, minP: 0.02 },
  { temperature: 2, topP: 1, minP: 0.3 },
  { temperature: 1, topP: 1, minP: 1 },
  { temperature: 1e-30, topP: 0.999999 },
  { temperature: 1000, topP: 0 },
  { temperature: 1, topK: 100_000, topP: 1 - 2 ** -53 },
];

/** What needs the tokens before, or more than options of a draw; the first ones also on large vocabularies. */
const adjustments: readonly SamplingOptions[] = [
  { topK: 9, minP: 0.1, repetitionPenalty: 1.2, presencePenalty: 0.4, frequencyPenalty: 0.3, logitBias: { 262: 2 } },
  { temperature: 1, topP: 0.8, presencePenalty: -1, frequencyPenalty: 1.5 },
  { temperature: 0, repetitionPenalty: 1.5 },
  { temperature: 1, topP: 1, repetitionPenalty: 0.6 },
  { temperature: 0, presencePenalty: 2.5 },
  { temperature: 0, frequencyPenalty: 0.7 },
  { temperature: 0, logitBias: { 10: 50, 263: 49.5 }, frequencyPenalty: 0.2 },
  { temperature: 1, topP: 1, logitBias: new Map([[263, -Infinity]]) },
];

/** Seeds, and how many tokens follow with each. */
const runs: Readonly<Record<"small" | "large" | "flat", readonly (readonly [number, number])[]>> = {
  small: [
    [7, 8],
    [2 ** 40 + 77, 4],
  ],
  large: [
    [7, 3],
    [2 ** 40 + 77, 1],
  ],
  flat: [
    [7, 2],
    [2 ** 40 + 77, 1],
  ],
};
const models = Object.keys(runs) as (keyof typeof runs)[]; // its own keys

const title: Partial<Record<ModelName, string>> = {
  small: "280 tokens",
  large: "32,000 tokens with ties",
  flat: "32,000 equal tokens",
};

const shown = (options: SamplingOptions): string =>
  JSON.stringify(options, (_, value) =>
    value instanceof Map ? Object.fromEntries(value) : value === -Infinity ? "-Infinity" : value,
  );

function samplingCase(name: keyof typeof runs, options: SamplingOptions, byDevice: boolean): LlamaCase {
  return {
    name: `of ${title[name]}, ${shown(options)} chooses what its definition does`,
    async run(subject) {
      const model = await subject.model(name, 16);
      const prompt = [token.bos, 263, 264, 263];
      const draws = subject.device.features.outputs.includes("token");
      for (const [seed, maxTokens] of runs[name]) {
        const before = model.work.sampled;
        const settings = { ...options, seed, maxTokens, ignoreEos: true };
        const { pieces } = await judge(model, prompt, settings);
        const sampled = model.work.sampled - before;
        mustEqual(sampled, byDevice && draws ? pieces.length : 0, "tokens that the device chose");
        await mustHaveGivenBack(model.work);
      }
    },
  };
}

export const samplingCases: readonly LlamaCase[] = [
  ...models.flatMap((name) => draws.map((options) => samplingCase(name, options, true))),
  ...models.flatMap((name) =>
    adjustments.slice(0, name === "small" ? undefined : 2).map((options) => samplingCase(name, options, false)),
  ),
  {
    name: "each penalty and bias changes what is chosen",
    async run(subject) {
      const model = await subject.model("small", 16);
      const prompt = [token.bos, 263, 264, 263];
      const text = async (options: SamplingOptions) => {
        const { pieces } = await judge(model, prompt, {
          temperature: 0,
          ...options,
          seed: 1,
          maxTokens: 16,
          ignoreEos: true,
        });
        return pieces.map(({ id }) => id);
      };
      const plain = await text({});
      const changes: readonly SamplingOptions[] = [
        { repetitionPenalty: 3 },
        { presencePenalty: 10 },
        { frequencyPenalty: 10 },
        { logitBias: { [plain[0]!]: -Infinity } }, // there are 16
        { logitBias: { 40: 60 } },
      ];
      for (const options of changes) {
        must(String(await text(options)) !== String(plain), `${shown(options)} changes nothing`);
      }
      must(
        !(await text({ logitBias: { [plain[0]!]: -Infinity } })).includes(plain[0]!),
        "a token that is forbidden comes",
      ); // likewise
    },
  },
  {
    name: "a bias that forbids every token is an error, and one that is left is chosen",
    async run(subject) {
      const { llama, vocabulary } = await subject.model("small", 16);
      const forbidden = new Map(vocabulary.map((_, id) => [id, -Infinity]));
      for (const temperature of [0, 1]) {
        const options = { temperature, logitBias: forbidden, maxTokens: 2, ignoreEos: true };
        await mustThrow("ERR_OPTION", () => llama.complete("a", options), "every token is forbidden");
        const logitBias = new Map([...forbidden].filter(([id]) => id !== 264));
        const { ids } = await llama.complete("a", { ...options, logitBias });
        mustEqual(ids, [264, 264], "the one that is left");
      }
      const beyond = { [vocabulary.length]: 1 };
      await mustThrow("ERR_OPTION", () => llama.complete("a", { logitBias: beyond }), "a token that there is not");
    },
  },
];
