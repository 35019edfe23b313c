// The parsers that are fuzzed, each with sound files to start from: the development data where it is there, and what
// this repository makes or contains in any case.

import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  configFromHuggingFace,
  configFromMeta,
  parseJson,
  tokenizerFromJson,
  tokenizerFromLlama2c,
  tokenizerFromSentencePiece,
} from "@polyllama/core";
import { poet } from "@polyllama/model-poet";
import { fixture } from "@polyllama/test-support/fixtures";
import { mutated, mutatedJson, type Sample } from "@polyllama/test-support/fuzz/mutate";
import { flatten, type Pieces } from "@polyllama/test-support/fuzz/pieces";
import type { Random } from "@polyllama/test-support/fuzz/random";
import type { Target } from "@polyllama/test-support/fuzz/target";
import { huggingFaceConfig, huggingFaceTensors, safetensors, small } from "@polyllama/test-support/hugging-face";
import {
  type ByteSource,
  type Checkpoint,
  openGguf,
  openLlama2c,
  openMeta,
  openPytorch,
  openSafetensors,
  openSynthetic,
  readLlama2cHeader,
  writeGguf,
} from "../src/index.ts";
import { mostJsonValues } from "../src/json.ts";
import { recognize } from "../src/read/recognize.ts";
import { readPickle } from "../src/read/torch/pickle.ts";
import { stateDictOf } from "../src/read/torch/state-dict.ts";
import { readTorchFile } from "../src/read/torch/torch-file.ts";
import { metaShards, pickleOf, torchFile } from "../test/torch-writer.ts";
import { adapterTargets } from "./adapters.ts";
import { ggufFields, integerFields, pickleFields, protobufFields, zipFields } from "./fields.ts";
import { withPipelines } from "./pipelines.ts";
import { sourceOf } from "./source.ts";
import { textFilesTarget } from "./text-files.ts";
import { use } from "./use.ts";
import { withDirectory } from "./zip-directory.ts";

export async function fuzzTargets(): Promise<readonly Target[]> {
  const shared = fileURLToPath(new URL("../../../../shared/data/", import.meta.url));
  const optional = async (path: string): Promise<Uint8Array[]> =>
    existsSync(shared + path) ? [new Uint8Array(await readFile(shared + path))] : [];
  const read = async (path: string): Promise<Uint8Array> => new Uint8Array(await readFile(path));

  const tensors = huggingFaceTensors(small);
  const safetensorsFiles = [
    { bytes: safetensors(tensors), config: huggingFaceConfig(small) },
    {
      bytes: await read(join(poet, "model.safetensors")),
      config: json(await read(join(poet, "config.json"))),
    },
  ];
  const ggufs = [
    await syntheticGguf("dim=32&heads=2&hidden=64&layers=2&vocab=280&context=8&format=q8_0"),
    await syntheticGguf("dim=256&heads=4&hidden=256&layers=1&vocab=8&context=8&format=q4_k"),
    ...(await optional("weights/stories260K.gguf")),
  ];
  const shards = await metaShards(
    openSynthetic("synthetic://llama-2-7b?dim=32&heads=4&kv_heads=2&hidden=40&layers=1&vocab=16&format=f16"),
    2,
  );
  const torchFiles = [
    await torchFile(shards[0]!),
    await torchFile(shards[1]!, { protocol: 4, zip64: true }),
    await torchFile(tensors),
  ];
  const params = { dim: 32, n_layers: 1, n_heads: 4, n_kv_heads: 2, vocab_size: -1, norm_eps: 1e-5 };
  const llama2cFiles = [llama2cFile(), ...(await optional("weights/stories260K.bin"))];
  const models = [
    await read(fixture("rules.model")),
    await read(fixture("unused.model")),
    await read(join(poet, "tokenizer.model")),
  ];
  const tokenizers = [
    ...tokenizerJsons(json(await read(fixture("tokenizer-json.json")))),
    ...(await optional("weights/TinyStories-656K/tokenizer.json")).map((bytes) => new TextDecoder().decode(bytes)),
  ];
  const tokenizerBins = await optional("weights/tok512.bin");
  const configs = [
    {
      ...huggingFaceConfig(small),
      rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 8 },
    },
    { ...huggingFaceConfig(small), rope_parameters: { rope_type: "dynamic", factor: 4, rope_theta: 10000 } },
    params,
  ].map((config) => JSON.stringify(config));

  return [
    {
      name: "safetensors",
      sound: [[safetensorsFiles[0]!.bytes]],
      make: (random) => {
        const { bytes } = oftenSmall(safetensorsFiles, random);
        const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
        const sample = { bytes, fields: integerFields(0, 2), to: length + 8 };
        if (random.chance(0.4)) return mutated(sample, [sample], random);
        const text = mutatedJson(new TextDecoder().decode(bytes.subarray(8, 8 + length)), random);
        const header = new TextEncoder().encode(text);
        const size = new Uint8Array(8);
        new DataView(size.buffer).setBigUint64(0, BigInt(header.length + (random.chance(0.1) ? 1 : 0)), true);
        return [size, header, bytes.subarray(8 + length)];
      },
      run: async (input, meter) => {
        const sources = new Map([["model.safetensors", sourceOf("model.safetensors", input, meter)]]);
        const config = input.some(({ length }) => length > 1_000_000) ? safetensorsFiles[1]! : safetensorsFiles[0]!;
        await touch(await openSafetensors(sources, huggingFaceParts(config.config)));
      },
    },
    binary(
      "gguf",
      ggufs.map((bytes) => headed(bytes, ggufFields(bytes))),
      async (source) => {
        await touch(await openGguf(source), true);
      },
    ),
    binary(
      "pth",
      torchFiles.map((bytes) => ({ bytes, fields: zipFields(bytes) })),
      readTorch,
    ),
    {
      name: "pth, directory",
      sound: [[torchFiles[0]!]],
      make: (random) => withDirectory(random.pick([torchFiles[0]!, torchFiles[2]!]), random),
      run: (input, meter) => readTorch(sourceOf("m.pth", input, meter)),
    },
    binary(
      "pth, sliced",
      torchFiles.slice(0, 1).map((bytes) => ({ bytes, fields: zipFields(bytes) })),
      async (source) => {
        const second = sourceOf("consolidated.01.pth", [torchFiles[1]!], { bytes: 0 });
        const parts = { name: "m", params, paramsName: "params.json", tokenizer: async () => undefined };
        await touch(await openMeta([source, second], parts));
      },
    ),
    binary(
      "pytorch_model.bin",
      torchFiles.slice(2).map((bytes) => ({ bytes, fields: zipFields(bytes) })),
      async (source) => {
        const parts = huggingFaceParts(huggingFaceConfig(small));
        await touch(await openPytorch(new Map([["m", source]]), parts));
      },
    ),
    {
      ...binary(
        "pickle",
        ([2, 4, 5] as const).map((protocol) => {
          const bytes = pickleOf(tensors.slice(0, 4), protocol);
          return { bytes, fields: pickleFields(bytes) };
        }),
        async () => {},
      ),
      run: async (input) => void stateDictOf(readPickle(flatten(input), "data.pkl"), "data.pkl"),
    },
    binary(
      "llama2.c",
      llama2cFiles.map((bytes) => ({ bytes, fields: integerFields(0, 11), to: 64 })),
      async (source) => {
        recognize(await source.read(0, Math.min(64, source.size)), source);
        await touch(await openLlama2c(source, await readLlama2cHeader(source), undefined));
      },
    ),
    {
      ...binary(
        "tokenizer.model",
        models.map((bytes) => ({ bytes, fields: protobufFields(bytes) })),
        async () => {},
      ),
      run: async (input) => use(tokenizerFromSentencePiece(flatten(input), "tokenizer.model")),
    },
    {
      name: "tokenizer.json",
      sound: tokenizers.map((text) => [new TextEncoder().encode(text)]),
      make: (random) => [new TextEncoder().encode(mutatedJson(oftenSmall(tokenizers, random), random))],
      run: async (input) => use(tokenizerFromJson(parse(input), "tokenizer.json")),
    },
    {
      name: "tokenizer.json, pipelines",
      sound: tokenizers.map((text) => [new TextEncoder().encode(text)]),
      make: (random) => {
        const changed = withPipelines(oftenSmall(tokenizers, random), random);
        return [new TextEncoder().encode(random.chance(0.3) ? mutatedJson(changed, random) : changed)];
      },
      run: async (input) => use(tokenizerFromJson(parse(input), "tokenizer.json")),
    },
    textFilesTarget,
    ...adapterTargets,
    ...(tokenizerBins.length === 0
      ? []
      : [
          {
            ...binary(
              "tokenizer.bin",
              tokenizerBins.map((bytes) => ({ bytes, fields: integerFields(0, 3) })),
              async () => {},
            ),
            run: async (input: Pieces) => use(tokenizerFromLlama2c(flatten(input), 512, "tokenizer.bin")),
          },
        ]),
    {
      name: "config.json, params.json",
      sound: configs.map((config) => [new TextEncoder().encode(config)]),
      make: (random) => [new TextEncoder().encode(mutatedJson(random.pick(configs), random))],
      run: async (input) => {
        const config = parse(input, mostJsonValues);
        const isMeta = typeof config === "object" && config !== null && "n_layers" in config;
        if (isMeta) configFromMeta(config, "params.json", { vocabSize: 16 });
        else configFromHuggingFace(config, "config.json");
      },
    },
  ];
}

/** A parser of binary files. */
function binary(name: string, samples: readonly Sample[], read: (source: ByteSource) => Promise<void>): Target {
  return {
    name,
    sound: samples.map(({ bytes }) => [bytes]),
    make: (random) => mutated(oftenSmall(samples, random), samples, random),
    run: (input, meter) => read(sourceOf(name, input, meter)),
  };
}

/**
 * Mostly one of the first half: files stand in the order of their size, and the small ones are read a hundred times as
 * fast.
 */
function oftenSmall<T>(files: readonly T[], random: Random): T {
  return random.pick(random.chance(0.1) ? files : files.slice(0, Math.ceil(files.length / 2)));
}

/** A file whose structure ends with its last field. */
function headed(bytes: Uint8Array, fields: Sample["fields"]): Sample {
  return { bytes, fields, to: Math.max(...fields.map(({ offset, size }) => offset + size)) };
}

/** Reads the first and the last row of every weight. */
async function touch(checkpoint: Checkpoint, withTokenizer = false): Promise<void> {
  for (const [name, { shape }] of checkpoint.weights) {
    const rows = shape.length === 1 ? 1 : shape[0]!;
    await checkpoint.read(name, { rows: { first: 0, count: 1 } });
    await checkpoint.read(name, { rows: { first: rows - 1, count: 1 } });
  }
  if (withTokenizer && checkpoint.tokenizer !== undefined) use(checkpoint.tokenizer);
}

async function readTorch(source: ByteSource): Promise<void> {
  const { tensors } = await readTorchFile(source);
  for (const { offset, bytes } of tensors) await source.read(offset, bytes);
}

function huggingFaceParts(config: unknown) {
  return { name: "m", config, configName: "config.json", tokenizer: async () => undefined };
}

function json(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

function parse(input: Pieces, mostValues?: number): unknown {
  return parseJson(new TextDecoder().decode(flatten(input)), "file.json", mostValues);
}

/** The files that the fixture of core's tests describes: parts that all share, and those of each pipeline. */
function tokenizerJsons(fixture: unknown): string[] {
  const { file, model, vocab, merges, pipelines } = fixture as {
    readonly file: object;
    readonly model: object;
    readonly vocab: readonly string[];
    readonly merges: readonly string[];
    readonly pipelines: Readonly<Record<string, { readonly cases: unknown; readonly model: object }>>;
  }; // as that test reads it
  return Object.values(pipelines).map(({ cases: _, ...components }) => {
    const ids = Object.fromEntries(vocab.map((piece, id) => [piece, id]));
    return JSON.stringify({ ...file, ...components, model: { ...model, vocab: ids, merges, ...components.model } });
  });
}

async function syntheticGguf(query: string): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-fuzz-"));
  try {
    await writeGguf(join(folder, "m.gguf"), openSynthetic(`synthetic://llama-2-7b?${query}`));
    return new Uint8Array(await readFile(join(folder, "m.gguf")));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Version 2, whose header has the most fields. */
function llama2cFile(): Uint8Array {
  const { dim, hiddenDim, layers, heads, kvHeads, vocabSize, contextLength } = small;
  const header = new DataView(new ArrayBuffer(256));
  const fields = [0x616b3432, 2, dim, hiddenDim, layers, heads, kvHeads, vocabSize, contextLength];
  for (const [index, value] of fields.entries()) header.setInt32(4 * index, value, true);
  header.setInt32(37, 32, true);
  const norms = dim * (2 * layers + 1);
  const matrices =
    2 * vocabSize * dim + layers * (2 * dim * dim + 2 * dim * kvHeads * (dim / heads) + 3 * dim * hiddenDim);
  const bytes = new Uint8Array(256 + 4 * norms + matrices + matrices / 8);
  bytes.set(new Uint8Array(header.buffer));
  return bytes;
}
