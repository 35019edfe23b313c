// Prompts longer than what a device computes at once: one that is cut several times, several that share the pieces,
// more short ones than a piece has room for, with the last row asked for and with all.

import type { Wanted } from "@polyllama/core/device";
import type { ConformanceCase } from "../case.ts";
import { narrowConfig } from "../small-config.ts";
import { pathCase, walk } from "./path-case.ts";
import type { Part } from "./play.ts";
import type { PathModel } from "./truth.ts";

const last: Wanted = { value: "logits", rows: "last" };
const hidden = "layers.0.h";
const model: PathModel = { config: narrowConfig, format: "f16" };

export function chunkedCases(): readonly ConformanceCase[] {
  const one = pathCase("chunked", { sequences: 1, rows: 545 }, (device, seed) =>
    walk(device, seed, {
      model,
      lengths: [545],
      values: ["logits", hidden],
      async steps(play, [text]) {
        const whole = play.open(text!);
        await play.step("a prompt, its last row", [{ sequence: whole, rows: 520 }]);
        await play.step("more of it", [{ sequence: whole, rows: 24 }], ["logits", { value: hidden, rows: "last" }]);
        await play.step("decode", [{ sequence: whole, rows: 1 }]);
        play.rewind(whole, 130);
        await play.step("more behind a rewind", [{ sequence: whole, rows: 300 }], [hidden, last]);
      },
    }),
  );
  const shared = pathCase("chunked", { sequences: 3, rows: 140 }, (device, seed) =>
    walk(device, seed, {
      model,
      lengths: [140, 150, 145],
      twins: true,
      sequences: 3,
      async steps(play, texts) {
        const [a, b, c] = texts.map((text) => play.open(text)) as [Sequence, Sequence, Sequence]; // three texts
        const parts = (...rows: readonly number[]): readonly Part[] =>
          [a, b, c].map((sequence, i) => ({ sequence, rows: rows[i]! }));
        await play.step("three prompts", parts(100, 1, 130));
        await play.step("more of them", parts(1, 135, 3), [last, "logits"]);
        await play.step("decode", parts(1, 1, 1));
        await play.step("unequal ends", parts(30, 2, 1));
      },
    }),
  );
  const many = pathCase("chunked", { sequences: 70, rows: 2 }, (device, seed) =>
    walk(device, seed, {
      model,
      lengths: [12, 11, 13],
      twins: true,
      sequences: 70,
      async steps(play, texts) {
        const sequences = Array.from({ length: 70 }, (_, i) => play.open(texts[i % 3]!));
        await play.step(
          "seventy prompts",
          sequences.map((sequence, i) => ({ sequence, rows: 2 + (i % 2) })),
        );
        await play.step(
          "some decode, others read on",
          sequences.map((sequence, i) => ({ sequence, rows: i % 3 === 1 ? 2 : 1 })),
          ["logits"],
        );
      },
    }),
  );
  return [one, shared, many];
}

type Sequence = Part["sequence"];
