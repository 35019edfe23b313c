// Pipelines of tokenizer.json that make much of little: chains that double, prefixes on every word, steps within steps,
// and what else may be asked of normalizers, pre-tokenizers and decoders.

import type { Random } from "@polyllama/test-support/fuzz/random";

type Step = Readonly<Record<string, unknown>>;

/** A tokenizer.json with one to three of its pipelines replaced. */
export function withPipelines(original: string, random: Random): string {
  const file = JSON.parse(original) as Record<string, unknown>; // an object in each sample
  const kinds = Object.keys(makers) as (keyof typeof makers)[];
  for (let count = 1 + random.below(3); count > 0; count--) {
    const kind = random.pick(kinds);
    file[kind] = random.chance(0.05) ? null : pipeline(kind, random, 0);
  }
  return JSON.stringify(file);
}

const sequences = { normalizer: "normalizers", pre_tokenizer: "pretokenizers", decoder: "decoders" } as const;

function pipeline(kind: keyof typeof makers, random: Random, depth: number): Step {
  const one = (): Step => (depth < 3 && random.chance(0.15) ? pipeline(kind, random, depth + 1) : makers[kind](random));
  if (random.chance(0.2)) return one();
  const count = random.pick(depth === 0 ? [0, 1, 2, 2, 3, 4, 8, 8, 30, 100, 256, 300] : [0, 1, 3, 8]);
  const repeated = one();
  const steps = random.chance(0.5) ? Array.from({ length: count }, () => repeated) : Array.from({ length: count }, one);
  const fused = kind === "decoder" && random.chance(0.5) ? [{ type: "Fuse" }] : [];
  return { type: "Sequence", [sequences[kind]]: random.chance(0.5) ? [...steps, ...fused] : [...fused, ...steps] };
}

const texts = ["", "a", "aa", "b", " ", "▁", "▁▁", "\n", "🦙", "ab", "<0x61>", "\ufdfa", "e\u0301"] as const;

function replace(random: Random): Step {
  const pattern = random.pick(texts);
  const longer = pattern + random.pick([pattern, pattern, "b", " "]);
  const content = random.pick([
    longer,
    longer,
    random.pick(texts),
    pattern.repeat(random.pick([16, 50, 100, 200, 256, 5000])),
  ]);
  return { type: "Replace", pattern: random.chance(0.05) ? { Regex: pattern } : { String: pattern }, content };
}

function metaspace(random: Random): Step {
  return {
    type: "Metaspace",
    replacement: random.pick(["▁", "▁", "▁", "a", "b", " ", "🦙", "(", "\\", "^"]),
    prepend_scheme: random.pick(["always", "first", "never", "always"]),
    split: random.chance(0.7),
  };
}

const makers = {
  normalizer: (random: Random): Step =>
    random.pick<() => Step>([
      () => replace(random),
      () => ({ type: "Prepend", prepend: random.pick(texts).repeat(random.pick([1, 1, 1, 16, 128, 5000])) }),
      () => ({ type: random.pick(["NFC", "NFD", "NFKC", "NFKD"]) }),
    ])(),
  pre_tokenizer: metaspace,
  decoder: (random: Random): Step =>
    random.pick<() => Step>([
      () => replace(random),
      () => metaspace(random),
      () => ({ type: random.pick(["Fuse", "ByteFallback"]) }),
      () => ({
        type: "Strip",
        content: random.pick(texts),
        start: random.pick([0, 1, 255, 256, 257, 2 ** 31, 2 ** 53, -1]),
        stop: random.pick([0, 1, 255, 256, 257, 2 ** 31, 0.5]),
      }),
    ])(),
};
