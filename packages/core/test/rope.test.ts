// Frequencies under every kind of scaling, against values worked out separately, in Python, from the formulas that the
// papers and Hugging Face's transformers print; and how configurations declare the scaling.

import { describe, expect, test } from "vitest";
import {
  configForContext,
  configFromGguf,
  configFromHuggingFace,
  longestContext,
  type RopeScaling,
  ropeFrequencies,
  ropeMagnitude,
  ropeScalingToGguf,
} from "../src/index.ts";

const yarn = (factor: number, originalContextLength: number): RopeScaling => ({
  type: "yarn",
  factor,
  originalContextLength,
  betaFast: 32,
  betaSlow: 1,
  magnitude: 0.1 * Math.log(factor) + 1,
});

/** Pair -> frequency. */
type Expected = Readonly<Record<number, number>>;

const golden: readonly [string, Parameters<typeof ropeFrequencies>[0], Expected][] = [
  [
    "dynamic, 3 times the original length",
    {
      headDim: 16,
      theta: 10000,
      scaling: { type: "dynamic", factor: 2, originalContextLength: 2048, contextLength: 6144 },
    },
    [
      1, 0.25127376217164404, 0.06313850355589193, 0.01586504932637669, 0.003986470631277377, 0.0010016954733078351,
      0.0002516997901283654, 6.324555320336759e-5,
    ],
  ],
  [
    "dynamic at 7B's size",
    {
      headDim: 128,
      theta: 10000,
      scaling: { type: "dynamic", factor: 4, originalContextLength: 4096, contextLength: 16384 },
    },
    { 0: 1, 1: 0.831415964685271, 31: 0.0032686554517163784, 63: 8.882938343765066e-6 },
  ],
  [
    "dynamic within the original length",
    {
      headDim: 8,
      theta: 10000,
      scaling: { type: "dynamic", factor: 4, originalContextLength: 4096, contextLength: 100 },
    },
    [1, 0.1, 0.01, 0.001],
  ],
  [
    "yarn",
    { headDim: 16, theta: 10000, scaling: yarn(8, 2048) },
    [1, 0.31622776601683794, 0.1, 0.02470529422006546, 0.005625, 0.0010870329456828802, 0.000125, 3.952847075210474e-5],
  ],
  [
    "yarn at 7B's size",
    { headDim: 128, theta: 10000, scaling: yarn(16, 4096) },
    {
      1: 0.8659643233600653,
      20: 0.056234132519034905,
      21: 0.046940859997959404,
      32: 0.005673076923076923,
      45: 0.00015177160473182487,
      46: 8.334508951020775e-5,
      63: 7.217387404309114e-6,
    },
  ],
  [
    "llama3",
    {
      headDim: 128,
      theta: 500000,
      scaling: {
        type: "llama3",
        factor: 8,
        originalContextLength: 8192,
        lowFrequencyFactor: 1,
        highFrequencyFactor: 4,
      },
    },
    {
      10: 0.12868737343265052,
      28: 0.0032114459947525913,
      29: 0.002166570763503359,
      30: 0.0013718935677611381,
      33: 0.00031269375038406517,
      35: 9.556212353964683e-5,
      63: 3.068925988914511e-7,
    },
  ],
  ["linear", { headDim: 4, theta: 100, scaling: { type: "linear", factor: 2 } }, [0.5, 0.05]],
];

describe("frequencies", () => {
  test.each(golden)("%s", (_, rotation, expected) => {
    const frequencies = ropeFrequencies(rotation);
    expect(frequencies).toHaveLength(rotation.headDim / 2);
    for (const [pair, value] of Object.entries(expected)) {
      expect(frequencies[Number(pair)]! / value, `pair ${pair}`).toBeCloseTo(1, 12);
    }
  });

  test("heads of one pair turn by the position alone", () => {
    const scaling: RopeScaling = { type: "dynamic", factor: 2, originalContextLength: 16, contextLength: 64 };
    expect([...ropeFrequencies({ headDim: 2, theta: 10000, scaling })]).toEqual([1]);
  });

  test("only YaRN has a magnitude", () => {
    expect(ropeMagnitude({ scaling: yarn(16, 4096) })).toBeCloseTo(1.2772588722239782, 14);
    expect(ropeMagnitude({ scaling: { type: "linear", factor: 4 } })).toBe(1);
  });
});

const huggingFace = (fields: object) =>
  configFromHuggingFace(
    {
      architectures: ["LlamaForCausalLM"],
      hidden_size: 64,
      num_attention_heads: 4,
      num_hidden_layers: 2,
      intermediate_size: 96,
      vocab_size: 100,
      max_position_embeddings: 4096,
      ...fields,
    },
    "config.json",
  );

const gguf = (fields: object) =>
  configFromGguf(
    new Map<string, unknown>(
      Object.entries({
        "general.architecture": "llama",
        "llama.embedding_length": 64,
        "llama.block_count": 2,
        "llama.attention.head_count": 4,
        "llama.feed_forward_length": 96,
        "llama.context_length": 4096,
        ...fields,
      }),
    ),
    "model.gguf",
    { vocabSize: 100, tiedEmbeddings: false },
  );

describe("Hugging Face's declarations", () => {
  test("both spellings, and rope_parameters with its own base", () => {
    const linear = { type: "linear", factor: 4 };
    expect(huggingFace({ rope_scaling: { type: "linear", factor: 4 } }).ropeScaling).toEqual(linear);
    expect(huggingFace({ rope_scaling: { rope_type: "linear", factor: 4 } }).ropeScaling).toEqual(linear);
    const config = huggingFace({ rope_parameters: { rope_type: "linear", factor: 4, rope_theta: 500000 } });
    expect(config).toMatchObject({ ropeScaling: linear, ropeTheta: 500000 });
    const usual = huggingFace({ rope_parameters: { rope_type: "default", rope_theta: 10000 }, rope_scaling: null });
    expect(usual).toMatchObject({ ropeScaling: { type: "none" }, ropeTheta: 10000 });
  });

  test("dynamic: unscaled until a longer context is chosen", () => {
    const config = huggingFace({ rope_scaling: { type: "dynamic", factor: 2 } });
    expect(config.ropeScaling).toEqual({
      type: "dynamic",
      factor: 2,
      originalContextLength: 4096,
      contextLength: 4096,
    });
    expect(longestContext(config)).toBe(8192);
    expect(configForContext(config, 6000).ropeScaling).toMatchObject({ contextLength: 6000 });
  });

  test("yarn: the factor reaches from the original length; the magnitude follows or is given", () => {
    const scaling = { type: "yarn", factor: 16, original_max_position_embeddings: 4096, finetuned: true };
    const config = huggingFace({ max_position_embeddings: 65536, rope_scaling: scaling });
    expect(config.ropeScaling).toEqual(yarn(16, 4096));
    expect(longestContext(config)).toBe(65536);
    const given = { ...scaling, attention_factor: 1.5, beta_fast: 16, beta_slow: 2 };
    expect(huggingFace({ rope_scaling: given }).ropeScaling).toMatchObject({
      magnitude: 1.5,
      betaFast: 16,
      betaSlow: 2,
    });
    const multiplied = huggingFace({ rope_scaling: { ...scaling, mscale: 0.5, mscale_all_dim: 2 } });
    expect(ropeMagnitude({ scaling: multiplied.ropeScaling })).toBeCloseTo(
      (1 + 0.05 * Math.log(16)) / (1 + 0.2 * Math.log(16)),
      14,
    );
  });

  test("llama3: as Llama 3.1 declares it, from the original length", () => {
    const config = huggingFace({
      max_position_embeddings: 131072,
      rope_scaling: {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
        rope_type: "llama3",
      },
    });
    expect(config.ropeScaling).toEqual({
      type: "llama3",
      factor: 8,
      originalContextLength: 8192,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
    });
    expect(longestContext(config)).toBe(131072);
  });

  test.each<[object, RegExp]>([
    [{ rope_scaling: { type: "longrope", factor: 4 } }, /rope_scaling\.type is longrope; computed here are/],
    [{ rope_scaling: { factor: 4 } }, /rope_scaling\.rope_type is undefined/],
    [{ rope_scaling: { type: "linear" } }, /rope_scaling\.factor is undefined; a number/],
    [{ rope_scaling: { type: "linear", factor: 0 } }, /factor is 0; it must be positive/],
    [{ rope_scaling: [4] }, /rope_scaling is 4; a JSON object/],
    [{ rope_parameters: { full_attention: { rope_type: "default" } } }, /rope_parameters\.rope_type is undefined/],
    [{ rope_scaling: { type: "yarn", factor: 4, truncate: false } }, /rope_scaling\.truncate is false/],
    [{ rope_scaling: { type: "yarn", factor: 4, beta_fast: 1 } }, /beta_fast is 1; it must be above beta_slow, 1/],
    [
      { rope_scaling: { type: "dynamic", factor: 4, original_max_position_embeddings: 2048 } },
      /original_max_position_embeddings is 2048; dynamic scaling starts/,
    ],
  ])("refused: %j", (fields, message) => {
    expect(() => huggingFace(fields)).toThrow(message);
  });
});

describe("GGUF's declarations", () => {
  test("linear in both spellings", () => {
    const linear = { type: "linear", factor: 4 };
    expect(gguf({ "llama.rope.scale_linear": 4 }).ropeScaling).toEqual(linear);
    const now = { "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4 };
    expect(gguf(now).ropeScaling).toEqual(linear);
    expect(longestContext(gguf(now))).toBe(16384);
  });

  test("a factor without a type is linear, of 1 or 0 is none, and goes before the older key, as in llama.cpp", () => {
    const factor = (value: number) => ({ "llama.rope.scaling.factor": value });
    expect(gguf(factor(4)).ropeScaling).toEqual({ type: "linear", factor: 4 });
    expect(gguf({ ...factor(4), "llama.rope.scale_linear": 2 }).ropeScaling).toEqual({ type: "linear", factor: 4 });
    for (const value of [0, 1]) expect(gguf(factor(value)).ropeScaling).toEqual({ type: "none" });
    expect(gguf({ "llama.rope.scale_linear": 0 }).ropeScaling).toEqual({ type: "none" });
    expect(gguf({ ...factor(4), "llama.rope.scaling.type": "none" }).ropeScaling).toEqual({ type: "none" });
    expect(() => gguf(factor(-4))).toThrow(/factor is -4; it must be positive/);
  });

  test("yarn, where attn_factor multiplies what follows from the factor", () => {
    const scaling = {
      "llama.rope.scaling.type": "yarn",
      "llama.rope.scaling.factor": 16,
      "llama.rope.scaling.original_context_length": 4096,
    };
    expect(gguf(scaling).ropeScaling).toEqual(yarn(16, 4096));
    const multiplied = gguf({ ...scaling, "llama.rope.scaling.attn_factor": 2 }).ropeScaling;
    expect(ropeMagnitude({ scaling: multiplied })).toBeCloseTo(2 * 1.2772588722239782, 14);
  });

  test("what is written is what is read", () => {
    for (const scaling of [{ type: "none" }, { type: "linear", factor: 4 }, yarn(16, 2048)] as const) {
      const keys = [...ropeScalingToGguf(scaling)].map(([key, value]) => [`llama.rope.scaling.${key}`, value]);
      expect(gguf(Object.fromEntries(keys)).ropeScaling).toEqual(scaling);
    }
    const dynamic: RopeScaling = { type: "dynamic", factor: 2, originalContextLength: 16, contextLength: 16 };
    expect(() => ropeScalingToGguf(dynamic)).toThrow(/GGUF cannot declare RoPE scaling of type "dynamic"/);
  });

  test.each<[object, RegExp]>([
    [{ "llama.rope.scaling.type": "longrope" }, /llama\.rope\.scaling\.type is longrope/],
    [{ "llama.rope.scaling.attn_factor": 1.2 }, /llama\.rope\.scaling\.attn_factor is 1\.2/],
    [
      { "llama.rope.scaling.type": "yarn", "llama.rope.scaling.yarn_log_multiplier": 0.1 },
      /yarn_log_multiplier is 0\.1; only 0 is computed/,
    ],
  ])("refused: %j", (fields, message) => {
    expect(() => gguf(fields)).toThrow(message);
  });
});
