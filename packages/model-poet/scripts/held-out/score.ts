// How well a model predicts texts: the negative log-probabilities of all their tokens, added up.

import { llamaGraph, PolyllamaError, withLogProbabilities } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { type PackedSequence, packedStep } from "@polyllama/training";
import type { Checkpoint } from "polyllama";
import { windowsOf } from "./windows.ts";

export interface Score {
  readonly documents: number;
  readonly characters: number;
  readonly tokens: number;
  /** Sum of -log p over all tokens, in nats. */
  readonly loss: number;
}

/**
 * Scores texts by a model, each alone, behind BOS; the end of a text is not predicted.
 *
 * @param onText Called after each.
 * @throws {PolyllamaError} `ERR_TOKENIZER` for a model without a tokenizer, or one that changes a text, whose loss would
 * be another text's; what the device throws.
 */
export async function scoreTexts(
  device: Device,
  model: Checkpoint,
  texts: readonly string[],
  onText: (done: number) => void = () => undefined,
): Promise<Score> {
  const { tokenizer, config, name } = model;
  if (tokenizer === undefined) throw new PolyllamaError("ERR_TOKENIZER", `${name} has no tokenizer.`);
  const graph = withLogProbabilities(llamaGraph(config));
  using parameters = await device.loadParameters([graph], model);
  await using program = await device.compile(graph, parameters);
  const lossOf = async (window: PackedSequence): Promise<number> => {
    const outputs = [{ value: "logProbability", rows: "all", to: "host" }] as const;
    const [found] = await program.submit({ sequences: [], ...packedStep([window]), outputs }).result;
    if (found?.to !== "host") throw new TypeError("The device kept what was asked for on the host.");
    return -window.weights.reduce((sum, weight, row) => sum + weight * (found.tensor.data[row] ?? Number.NaN), 0);
  };
  let [tokens, loss, characters] = [0, 0, 0];
  for (const [index, text] of texts.entries()) {
    const ids = tokenizer.encode(text, { bos: true, eos: false, special: false });
    if (tokenizer.decode(ids) !== text)
      throw new PolyllamaError("ERR_TOKENIZER", `${name}'s tokenizer does not give back document ${index} as it was.`);
    for (const window of windowsOf(ids, config.contextLength)) loss += await lossOf(window);
    tokens += ids.length - 1;
    characters += Array.from(text).length;
    onText(index + 1);
  }
  return { documents: texts.length, characters, tokens, loss };
}
