// A sequence that a device continues by itself: each token is drawn where the logits are and is the next step's input
// before the host has seen it. For tests of devices below `Llama`, which does the same.

import type { Sampler } from "@polyllama/core";
import type {
  DeviceTensor,
  Draw,
  HostArray,
  LoadedGraph,
  OutputValue,
  SequenceCache,
  Submission,
} from "@polyllama/core/device";

/**
 * `count` tokens behind a prompt, with as many steps under way as the device wants. The graph leads from "tokens" to
 * "logits".
 */
export async function* drawTokens(
  { device, program }: Pick<LoadedGraph, "device" | "program">,
  cache: SequenceCache,
  prompt: Int32Array,
  draw: Draw,
  count: number,
): AsyncGenerator<number, void, undefined> {
  const flying: Submission[] = [];
  const submit = (tokens: HostArray | DeviceTensor, rows: number): DeviceTensor | undefined => {
    const output = { value: "logits", rows: "last", to: "token", draw: [draw] } as const;
    const submission = program.submit({ inputs: { tokens }, sequences: [{ rows, cache }], outputs: [output] });
    flying.push(submission);
    return submission.tokens;
  };
  let last: DeviceTensor | undefined;
  let submitted = 0;
  try {
    for (let taken = 0; taken < count; taken++) {
      for (; submitted < count && flying.length < device.features.stepsAhead; submitted++) {
        const given = last;
        last = given === undefined ? submit(prompt, prompt.length) : submit(given, 1);
        given?.[Symbol.dispose]();
      }
      const [value] = await flying.shift()!.result; // at least one is under way
      yield* tokensOf(value);
    }
  } finally {
    last?.[Symbol.dispose]();
  }
}

/** The same tokens chosen on the host, where row t of a table [V, V] holds the logits behind token t. */
export function choose(
  table: Float32Array,
  vocabSize: number,
  sampler: Sampler,
  prompt: Int32Array,
  count: number,
): readonly number[] {
  const tokens = [...prompt];
  while (tokens.length < prompt.length + count) {
    const row = table.subarray(tokens.at(-1)! * vocabSize, (tokens.at(-1)! + 1) * vocabSize); // a prompt is not empty
    tokens.push(sampler.sample(row, tokens, prompt.length));
  }
  return tokens.slice(prompt.length);
}

/** Tokens that a step has drawn. */
export function tokensOf(value: OutputValue | undefined): readonly number[] {
  if (value?.to !== "token") throw new Error("no tokens came");
  return [...value.tokens];
}
