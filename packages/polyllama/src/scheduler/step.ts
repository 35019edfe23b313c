// One step for several requests: the rows that are computed, where tokens are chosen, and what came of it. Tokens are
// drawn on the device where nothing but their logits decide. Others are chosen here, each by its own request's sampler,
// so that what is wrong with one request is no matter of the others.

import { logprobs, PolyllamaError, TokenHistory } from "@polyllama/core";
import type { DeviceTensor, Output, OutputValue, Step } from "@polyllama/core/device";
import type { Choice } from "../generation/generate.ts";
import type { SequenceModel } from "../sequence-model.ts";
import { drawsOnDevice, type Request } from "./request.ts";
import type { Part } from "./requests.ts";

/** Parts whose tokens the device draws, and those whose tokens are chosen here; the rest only reads. */
interface Choosers {
  readonly device: readonly Part[];
  readonly host: readonly Part[];
}

function choosers(parts: readonly Part[], { device }: SequenceModel): Choosers {
  const choosing = parts.filter(({ chooses }) => chooses);
  const draws = device.features.outputs.includes("token");
  const isDrawn = ({ request }: Part): boolean => draws && drawsOnDevice(request);
  return { device: choosing.filter(isDrawn), host: choosing.filter((part) => !isDrawn(part)) };
}

/** Whether the device draws a token for each part, so that these can be the next step's input. */
export function drawsAll(parts: readonly Part[], model: SequenceModel): boolean {
  return choosers(parts, model).device.length === parts.length;
}

/** @param tokens Those that the last step drew for the same parts; without them the rows are of the requests' texts. */
export function stepOf(parts: readonly Part[], model: SequenceModel, tokens?: DeviceTensor): Step {
  const { device, host } = choosers(parts, model);
  const outputs: Output[] = [];
  if (device.length > 0) {
    const draw = device.map(({ request }) => request.sampler.draw!); // as was seen
    const all = device.length === parts.length;
    const rows = all ? "last" : { lastPerSequence: parts.map((part) => (device.includes(part) ? 1 : 0)) };
    outputs.push({ value: "logits", rows, to: "token", draw });
  }
  if (host.length > 0) outputs.push({ value: "logits", rows: "last", to: "host" });
  return {
    inputs: { tokens: tokens ?? Int32Array.from(parts.flatMap(newTokens)) },
    sequences: parts.map(({ request: { adapter }, place, rows }) => {
      return { rows, cache: place.cache, ...(adapter !== undefined && { adapter }) };
    }),
    outputs,
  };
}

function newTokens({ request, place, rows }: Part): readonly number[] {
  return request.tokens.slice(place.cache.length, place.cache.length + rows);
}

/** The token of each part that chooses one, as what gives it: what is wrong with one is thrown there. */
export function choicesOf(
  parts: readonly Part[],
  model: SequenceModel,
  values: readonly OutputValue[],
): ReadonlyMap<Part, () => Choice> {
  const { device, host } = choosers(parts, model);
  const choices = new Map<Part, () => Choice>();
  const drawn = values.find(({ to }) => to === "token");
  if (device.length > 0) {
    if (drawn?.to !== "token") throw new PolyllamaError("ERR_BACKEND", "The device drew no tokens.");
    for (const [i, part] of device.entries()) choices.set(part, () => ({ id: drawn.tokens[i]! })); // one for each
  }
  const logits = values.find(({ to }) => to === "host");
  if (host.length > 0) {
    if (logits?.to !== "host") throw new PolyllamaError("ERR_BACKEND", "The device gave no logits.");
    const { data, shape } = logits.tensor;
    const [, width] = shape; // [parts, V]
    for (const part of host) {
      const row = parts.indexOf(part);
      choices.set(part, () => choose(part.request, data.subarray(row * width, (row + 1) * width)));
    }
  }
  return choices;
}

/** @param row Logits [V]. */
function choose(request: Request, row: Float32Array | Float64Array): Choice {
  request.history ??= new TokenHistory(request.tokens);
  const id = request.sampler.sampleAfter(row, request.history);
  request.history.push(id);
  return { id, ...(request.logprobs === undefined ? {} : logprobs(row, id, request.logprobs)) };
}
