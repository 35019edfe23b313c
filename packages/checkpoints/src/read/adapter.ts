// A low-rank adapter as PEFT saves it: `adapter_config.json` beside `adapter_model.safetensors`, or the
// `adapter_model.bin` of earlier versions. Of wq and wk, whose rows Hugging Face stores half-split, the rows of B are, as
// they are the rows of the product.

import {
  type AdapterSource,
  adapterOf,
  CheckpointError,
  checkOptions,
  checkValue,
  type LlamaConfig,
  type LowRank,
  llamaGraph,
  OptionError,
  option,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";
import { environmentFetch } from "#read/platform";
import { findWeight } from "../checkpoint.ts";
import { hubScheme } from "../hub/address.ts";
import { checkpointLocation, type WebLocation } from "../location.ts";
import { canonicalName } from "../names.ts";
import { type AdapterConfig, readAdapterConfig } from "./adapter-config.ts";
import { type Files, openGenuine, readJson } from "./files.ts";
import { filesAt } from "./files-at.ts";
import { identify } from "./fingerprint.ts";
import { place } from "./hugging-face.ts";
import { type Leftovers, leftovers } from "./leftovers.ts";
import type { TensorPlace } from "./parts.ts";
import { readPlaced } from "./placed.ts";
import { formatOfDtype, readSafetensorsHeader, type SafetensorsTensor } from "./safetensors.ts";
import type { ByteSource } from "./sources/byte-source.ts";
import { readTorchFile } from "./torch/torch-file.ts";

/** An adapter in files. Disposing it closes them; reads that come later fail. */
export interface Adapter extends AdapterSource, AsyncDisposable {
  /** The model that it was trained on, as its author called it. */
  readonly base: string | undefined;
  /** What was passed over, each a sentence for people. */
  readonly notices: readonly string[];
}

/** Options of {@link openAdapter}. */
export interface OpenAdapterOptions {
  readonly signal?: AbortSignal;
}

const names = { safetensors: "adapter_model.safetensors", pytorch: "adapter_model.bin" } as const;

/**
 * Opens an adapter of PEFT: its folder, its `adapter_model` file beside `adapter_config.json`, a URL of either, or the
 * files as a page's user chose them. Ranks and factors are those of the configuration, with its patterns and rsLoRA.
 *
 * @param config Of the model that it is for.
 * @throws {CheckpointError} for what is no plain LoRA of this model, naming field or tensor; `OptionError`; the signal's
 * reason.
 */
export async function openAdapter(
  location: string | WebLocation,
  config: LlamaConfig,
  options: OpenAdapterOptions = {},
): Promise<Adapter> {
  checkValue(location, checkpointLocation, "adapter", "openAdapter()");
  checkOptions(options, { signal: option.signal }, "openAdapter()");
  if (typeof location === "string" && location.startsWith(hubScheme)) {
    const expected = "a folder with adapter_config.json and adapter_model.safetensors";
    const message = `adapter is ${location}; adapters are not fetched from the hub. Download it, and give ${expected}.`;
    throw new OptionError(message, { option: "adapter", expected, value: location });
  }
  const { signal } = options;
  const fetch = await environmentFetch();
  const files = await filesAt(location, "adapter", { fetch, ...(signal && { signal }) });
  const configName = files.pathOf("adapter_config.json");
  const json = await readJson(files, "adapter_config.json", signal);
  if (json === undefined) {
    throw new CheckpointError(
      { file: configName },
      "this file is missing; the tensors of an adapter do not say by what they are scaled",
      "Put it beside them, or give the folder that holds both.",
    );
  }
  const declared = readAdapterConfig(json, configName);
  const { kind, source } = await openTensors(files, signal);
  try {
    return await adapterOfFile(kind, source, declared, config, signal);
  } catch (error) {
    await source.close();
    throw error;
  }
}

type Kind = keyof typeof names;

async function openTensors(
  files: Files,
  signal: AbortSignal | undefined,
): Promise<{ readonly kind: Kind; readonly source: ByteSource }> {
  const { given } = files;
  const candidates: readonly (readonly [Kind, string])[] =
    given === undefined
      ? [
          ["safetensors", names.safetensors],
          ["pytorch", names.pytorch],
        ]
      : [[/\.(?:bin|pth?)$/i.test(given) ? "pytorch" : "safetensors", given]];
  for (const [kind, name] of candidates) {
    const source = await openGenuine(files, name, signal);
    if (source !== undefined) return { kind, source };
  }
  throw new CheckpointError(
    { file: files.pathOf(given ?? names.safetensors) },
    "this file is missing",
    `Give the folder of an adapter, which holds ${names.safetensors} or ${names.pytorch}.`,
  );
}

/** An adapter whose tensors are in an open file, which it closes. @throws {CheckpointError}; then the file stays open */
export async function adapterOfFile(
  kind: Kind,
  source: ByteSource,
  declared: AdapterConfig,
  config: LlamaConfig,
  signal?: AbortSignal,
): Promise<Adapter> {
  const readHeader = kind === "safetensors" ? readSafetensorsHeader : readTorchFile;
  const { tensors, headerBytes } = await readHeader(source, signal);
  const rest = leftovers();
  const places = await placesOf(tensors, source, rest, signal);
  const { weights, adapters } = checkPlaces(places, declared, config, source.name);
  let fingerprint: Promise<string> | undefined;
  return {
    name: source.name,
    base: declared.base,
    notices: rest.notices(),
    weights,
    adapters,
    async read(weight, ranges, signal) {
      const info = findWeight(weights, weight, source.name);
      return await readPlaced(info, places.get(weight)!, config.headDim, ranges, signal); // `weights` lists the places
    },
    async fingerprint() {
      fingerprint ??= identify({ kind, config, places, files: [{ source, headerBytes }] });
      return JSON.stringify([await fingerprint, [...adapters]]);
    },
    [Symbol.asyncDispose]: () => source.close(),
  };
}

/** Tensors by the names of weights. @throws {CheckpointError} for those that are no part of a plain adapter. */
async function placesOf(
  tensors: readonly SafetensorsTensor[],
  source: ByteSource,
  rest: Leftovers,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<WeightName, TensorPlace>> {
  const places = new Map<WeightName, TensorPlace>();
  for (const tensor of tensors) {
    const [, module = "", half] =
      /^(?:base_model\.model\.)?(.+?)(?:\.lora_([AB]))?(?:\.default)?\.weight$/.exec(
        tensor.name.replace(/\.modules_to_save(?=\.)/, ""),
      ) ?? [];
    const name = canonicalName(`${module}.weight`, "huggingFace");
    if (name === undefined) {
      if (/\.lora_/.test(tensor.name)) throw unfit(source, tensor.name, "Llama 2 has no matrix of that name to adapt");
      await rest.passOver({ ...tensor, format: formatOfDtype(tensor.dtype), source }, signal);
      continue;
    }
    const isRotated = /attention\.w[qk]\./.test(name);
    const [a, b] = adapterOf(name);
    const own = half === undefined ? name : half === "A" ? a : b;
    if (places.has(own)) throw unfit(source, tensor.name, "another tensor is the same one under another name");
    places.set(own, place(tensor, source, isRotated && half !== "A"));
  }
  return places;
}

/** Holds the tensors against the model. @throws {CheckpointError} */
function checkPlaces(
  places: ReadonlyMap<WeightName, TensorPlace>,
  declared: AdapterConfig,
  config: LlamaConfig,
  file: string,
): Pick<AdapterSource, "weights" | "adapters"> {
  const weights = new Map<WeightName, WeightInfo>();
  const adapters = new Map<WeightName, LowRank>();
  const rest = new Map(places);
  const take = (name: WeightName, shape: readonly number[]): void => {
    const found = rest.get(name);
    if (found === undefined) return;
    if (String(found.shape) !== String(shape)) throw misshapen(found, shape);
    weights.set(name, { name, shape, format: found.format });
    rest.delete(name);
  };
  for (const { name, shape } of llamaGraph(config).weights) {
    take(name, shape);
    const [a, b] = adapterOf(name);
    const [first, second] = [rest.get(a), rest.get(b)];
    if (first === undefined && second === undefined) continue;
    if (first === undefined || second === undefined) {
      const half = (first ?? second)!; // one of them is there
      throw unfit(half.source, half.name, `its other half, lora_${first === undefined ? "A" : "B"}, is missing`);
    }
    if (!/^layers\./.test(name) || shape.length !== 2) {
      throw unfit(first.source, first.name, "only matrices of layers have adapters here");
    }
    const module = first.name.replace(/^base_model\.model\./, "").replace(/\.lora_A\..*$/, "");
    const { rank, scale } = declared.lowRank(module);
    const [rows = 0, columns = 0] = shape;
    take(a, [rank, columns]);
    take(b, [rows, rank]);
    adapters.set(name, { rank, scale });
  }
  for (const { source, name } of rest.values()) {
    const tied = /lm_head/.test(name) && config.tiedEmbeddings;
    const problem = tied
      ? "the model's output matrix is its embedding table, and has no other"
      : `a Llama of ${config.layers} layers has no such matrix`;
    throw unfit(source, name, problem);
  }
  if (weights.size > 0) return { weights, adapters };
  throw new CheckpointError({ file }, "it has no tensors of an adapter", "Copy the adapter again.");
}

function unfit(source: ByteSource, tensor: string, problem: string): CheckpointError {
  return new CheckpointError(
    { file: source.name, tensor },
    problem,
    "Use an adapter that was trained for this model with plain LoRA.",
  );
}

function misshapen({ source, name, shape }: TensorPlace, expected: readonly number[]): CheckpointError {
  const isTable = /embed_tokens|lm_head/.test(name) && shape[1] === expected[1];
  return new CheckpointError(
    { file: source.name, tensor: name },
    `its shape is [${shape}], where model and configuration make it [${expected}]`,
    isTable
      ? "Its vocabulary is another one; extend the model's first (polyllama extend-vocab)."
      : "Use an adapter that was trained for this model.",
  );
}
