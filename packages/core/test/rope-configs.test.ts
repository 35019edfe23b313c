// Frequencies of models as they were published, from their config.json, against the formulas of each scaling written
// out here; and the same with numbers at random. Sources of the formulas: Meta's llama-models (apply_scaling), arXiv
// 2306.15595 (linear), 2309.00071 (dynamic NTK in section 3.1, YaRN in 3.2 to 3.4).

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  configForContext,
  configFromHuggingFace,
  longestContext,
  ropeFrequencies,
  ropeMagnitude,
} from "../src/index.ts";

type Scaling = Readonly<Record<string, unknown>>;
type Formula = (pair: number, d: number, theta: number, scaling: Readonly<Record<string, number>>) => number;

const plain = (pair: number, d: number, theta: number): number => theta ** (-(2 * pair) / d);

const formulas: Readonly<Record<string, Formula>> = {
  linear: (pair, d, theta, { factor }) => plain(pair, d, theta) / factor!,
  dynamic: (pair, d, theta, { factor, original, context }) => {
    const s = Math.max(1, (factor! * context!) / original! - (factor! - 1));
    return plain(pair, d, theta * s ** (d / (d - 2)));
  },
  yarn: (pair, d, theta, { factor, original, beta_fast = 32, beta_slow = 1 }) => {
    const at = (turns: number): number => (d / 2) * (Math.log(original! / (2 * Math.PI * turns)) / Math.log(theta));
    const [low, high] = [Math.max(0, Math.floor(at(beta_fast))), Math.min(d - 1, Math.ceil(at(beta_slow)))];
    const ramp = Math.min(1, Math.max(0, (pair - low) / Math.max(high - low, 0.001)));
    const frequency = plain(pair, d, theta);
    return (1 - ramp) * frequency + (ramp * frequency) / factor!;
  },
  llama3: (pair, d, theta, { factor, original, low_freq_factor: low, high_freq_factor: high }) => {
    const frequency = plain(pair, d, theta);
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < original! / high!) return frequency;
    if (wavelength > original! / low!) return frequency / factor!;
    const smooth = (original! / wavelength - low!) / (high! - low!);
    return (1 - smooth) * (frequency / factor!) + smooth * frequency;
  },
};

const llama2 = {
  architectures: ["LlamaForCausalLM"],
  hidden_size: 4096,
  intermediate_size: 11008,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 32,
  vocab_size: 32000,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
};
const llama3 = {
  ...llama2,
  intermediate_size: 14336,
  num_key_value_heads: 8,
  vocab_size: 128256,
  max_position_embeddings: 131072,
  rope_theta: 500000,
};
const llama31 = {
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
  rope_type: "llama3",
};

/** config.json's fields, the scaling's original length, and the longest context. */
const published: readonly (readonly [string, Scaling & { readonly rope_scaling: Scaling }, number, number])[] = [
  ["Llama 3.1 8B", { ...llama3, rope_scaling: { factor: 8, ...llama31 } }, 8192, 131072],
  [
    "Llama 3.1 70B and 3.3 70B",
    {
      ...llama3,
      hidden_size: 8192,
      intermediate_size: 28672,
      num_attention_heads: 64,
      num_hidden_layers: 80,
      head_dim: 128,
      rope_scaling: { factor: 8, ...llama31 },
    },
    8192,
    131072,
  ],
  [
    "Llama 3.2 1B",
    {
      ...llama3,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      head_dim: 64,
      tie_word_embeddings: true,
      rope_scaling: { factor: 32, ...llama31 },
    },
    8192,
    262144,
  ],
  [
    "Llama 3.2 3B",
    {
      ...llama3,
      hidden_size: 3072,
      intermediate_size: 8192,
      num_attention_heads: 24,
      num_hidden_layers: 28,
      head_dim: 128,
      tie_word_embeddings: true,
      rope_scaling: { factor: 32, ...llama31 },
    },
    8192,
    262144,
  ],
  [
    "Vicuna 7B v1.5 16K",
    { ...llama2, max_sequence_length: 16384, rope_scaling: { factor: 4, type: "linear" } },
    4096,
    16384,
  ],
  [
    "Yarn-Llama-2 7B 128K",
    {
      ...llama2,
      max_position_embeddings: 131072,
      rope_scaling: { factor: 32, original_max_position_embeddings: 4096, type: "yarn", finetuned: true },
    },
    4096,
    131072,
  ],
  ["Llama 2 7B with dynamic scaling", { ...llama2, rope_scaling: { factor: 2, type: "dynamic" } }, 4096, 8192],
];

function check(fields: Scaling & { readonly rope_scaling: Scaling }, original: number, context?: number): void {
  const read = configFromHuggingFace(fields, "config.json");
  const config = configForContext(read, context ?? longestContext(read));
  const { headDim, ropeTheta: theta, ropeScaling: scaling } = config;
  const numbers = Object.entries(fields.rope_scaling).filter(([, value]) => typeof value === "number");
  const given = {
    ...Object.fromEntries(numbers as [string, number][]),
    original,
    context: context ?? longestContext(read),
  };
  const formula = formulas[scaling.type]!; // one for each kind
  const frequencies = ropeFrequencies({ headDim, theta, scaling });
  expect(frequencies).toHaveLength(headDim / 2);
  // Each formula is a few roundings; Llama 3's share is a difference that is divided by another one, and counts times
  // the factor.
  const {
    factor = 1,
    low_freq_factor: low = 0,
    high_freq_factor: high = 1,
  } = given as Readonly<Record<string, number>>;
  const slack = 16 * 2 ** -53 * (1 + (factor * high) / (high - low));
  for (const [pair, frequency] of frequencies.entries()) {
    const off = Math.abs(frequency / formula(pair, headDim, theta, given) - 1);
    expect(off, `pair ${pair}`).toBeLessThanOrEqual(slack);
  }
}

test.each(published)(
  "%s: frequencies are those of its formula, and the context reaches as far as it says",
  (_, fields, original, longest) => {
    const config = configFromHuggingFace(fields, "config.json");
    expect(longestContext(config)).toBe(longest);
    const factor = Number(fields.rope_scaling["factor"]);
    const isYarn = fields.rope_scaling["type"] === "yarn";
    expect(ropeMagnitude({ scaling: config.ropeScaling })).toBeCloseTo(isYarn ? 0.1 * Math.log(factor) + 1 : 1, 14);
    check(fields, original);
  },
);

test("numbers at random give the frequencies of the formulas, whichever length is declared beside them", () => {
  const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });
  const common = fc.record({
    type: fc.constantFrom("linear", "dynamic", "yarn", "llama3"),
    spelling: fc.constantFrom("type", "rope_type"),
    factor: real(1, 64),
    original: fc.integer({ min: 64, max: 16384 }),
    times: fc.integer({ min: 1, max: 32 }),
    theta: real(100, 1e6),
    headDim: fc.integer({ min: 2, max: 64 }).map((half) => 2 * half),
    low: real(0.5, 2),
    more: real(0.1, 40),
    context: fc.integer({ min: 1, max: 100_000 }),
  });
  fc.assert(
    fc.property(common, ({ type, spelling, factor, original, times, theta, headDim, low, more, context }) => {
      const isOwn = type === "yarn" || type === "llama3"; // with an original length of its own
      const scaling = {
        [spelling]: type,
        factor,
        ...(isOwn && { original_max_position_embeddings: original }),
        ...(type === "yarn" && { beta_slow: low, beta_fast: low + more }),
        ...(type === "llama3" && { low_freq_factor: low, high_freq_factor: low + more }),
      };
      const length = isOwn ? original * times : original;
      const fields = {
        ...llama2,
        head_dim: headDim,
        rope_theta: theta,
        max_position_embeddings: length,
        rope_scaling: scaling,
      };
      check(fields, original, context);
    }),
    { numRuns: 500 },
  );
});
