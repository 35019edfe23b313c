// Tensors that a file has and Llama's graph has not. Some change nothing: tables that are computed, biases and adapters
// of zeros; they are passed over with a notice. Others belong to a model that would be computed wrongly without them,
// and are refused, unless the caller says by name that they are to be left out.

import { CheckpointError, type FormatName, printable, quoted } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import type { ByteSource } from "./sources/byte-source.ts";

/** A tensor that has no place in the graph. */
export interface Leftover {
  /** Name within the file. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Undefined for a format whose values are not read here. */
  readonly format: FormatName | undefined;
  readonly source: ByteSource;
  /** Its first byte. */
  readonly offset: number;
}

export interface Leftovers {
  /** Whether the caller wants a tensor of this name to be left out, whatever it is. */
  ignores(name: string): boolean;
  /** @throws {CheckpointError} for a tensor that would change what the model computes. */
  passOver(tensor: Leftover, signal?: AbortSignal): Promise<void>;
  /** One sentence for each kind that was passed over, and one for patterns that met no tensor. */
  notices(): readonly string[];
}

interface Kind {
  /** What such a name is, in the plural. */
  readonly what: string;
  readonly pattern: RegExp;
  /** Harmless only where every value is this one. */
  readonly only?: 0 | 1;
  /** What it is, and what to do, where its values are others. */
  readonly otherwise?: readonly [problem: string, remedy: string];
}

const kinds: readonly Kind[] = [
  {
    what: "rotary frequencies and tables, which are computed from the configuration",
    pattern:
      /(?:^|\.)(?:(?:rotary_emb|rotary_pos_emb|rotary_embedding|rope)\.(?:inv_freq|freqs|(?:cos|sin)_cached)|freqs_cis|attn_rot_embd(?:\.weight)?)$/,
  },
  {
    what: "masks and positions, which are computed",
    pattern:
      /(?:^|\.)(?:masked_bias|causal_mask|position_ids|(?:self_attn|attn|attention)\.(?:bias|mask)|cache_[kv]|[kv]_cache)$/,
  },
  { what: "states of a training run", pattern: /(?:^|\.)(?:_extra_state|num_batches_tracked|__num_tensors)$/ },
  {
    what: "rotary factors of one, which change nothing",
    pattern: /^rope_freqs\.weight$/,
    only: 1,
    otherwise: [
      "its factors change the rotary frequencies",
      "Llama 2 has none, and they are not computed here; use a model without them",
    ],
  },
  {
    what: "biases of zero, which change nothing",
    pattern:
      /(?:^|\.)(?:(?:self_attn\.[qkvo]|mlp\.(?:gate|up|down))_proj|attn_(?:q|k|v|output)|ffn_(?:gate|up|down)|w[qkvo123]|lm_head|\w*norm)\.bias$/,
    only: 0,
    otherwise: [
      "this bias is not zero (attention_bias or mlp_bias)",
      "Llama 2 has no biases, and they are not computed here; use a model without them",
    ],
  },
  { what: "first halves of LoRA adapters, which do nothing alone", pattern: /\.lora_(?:A|embedding_A)\b/ },
  {
    what: "LoRA adapters of zero, which change nothing",
    pattern: /\.lora_(?:B|embedding_B)\b/,
    only: 0,
    otherwise: [
      "this half of a LoRA adapter is not zero, and whether it was merged into the matrix beside it cannot be seen",
      "Merge it (merge_and_unload() of peft) and save the model again; if it was merged before",
    ],
  },
];

/** @param ignore Names, or patterns in which `*` stands for any characters. */
export function leftovers(ignore: readonly string[] = []): Leftovers {
  const patterns = ignore.map((pattern) => ({ pattern, matches: wildcard(pattern), met: false }));
  const met = new Map<string, string[]>();
  const note = (what: string, name: string): void => {
    const names = met.get(what);
    if (names === undefined) met.set(what, [name]);
    else names.push(name);
  };
  return {
    ignores(name) {
      const matching = patterns.filter(({ matches }) => matches.test(name));
      for (const pattern of matching) pattern.met = true;
      if (matching.length > 0) note("tensors that were to be ignored", name);
      return matching.length > 0;
    },
    async passOver(tensor, signal) {
      const kind = kinds.find(({ pattern }) => pattern.test(tensor.name));
      if (kind === undefined) {
        throw refused(
          tensor,
          "Llama 2 has no such tensor",
          "The model has another architecture, an adapter or another quantization; merge or convert it first. If the model is right without it",
        );
      }
      const { what, only, otherwise } = kind;
      if (only !== undefined && otherwise !== undefined && !(await holdsOnly(only, tensor, signal))) {
        throw refused(tensor, ...otherwise);
      }
      note(what, tensor.name);
    },
    notices() {
      const unmet = patterns.filter((pattern) => !pattern.met).map(({ pattern }) => quoted(pattern));
      return [
        ...Array.from(met, ([what, names]) => {
          const more = names.length > 1 ? ` and ${names.length - 1} more` : "";
          return printable(`Passed over ${what}: ${names[0]}${more}.`);
        }),
        ...(unmet.length > 0 ? [`Of the tensors to be ignored, none is called ${unmet.join(" or ")}.`] : []),
      ];
    },
  };
}

function refused({ source, name }: Leftover, problem: string, remedy: string): CheckpointError {
  const pattern = name.replace(/\d+/g, "*");
  return new CheckpointError(
    { file: source.name, tensor: name },
    problem,
    `${remedy}, leave it out with ignoreTensors: [${JSON.stringify(pattern)}] (on the command line --ignore-tensors '${pattern}').`,
  );
}

/** Wider than any layer's bias or adapter. */
const mostElements = 2 ** 22;

async function holdsOnly(
  value: number,
  { name, shape, format, source, offset }: Leftover,
  signal?: AbortSignal,
): Promise<boolean> {
  const elements = shape.reduce((product, size) => product * size, 1);
  if (elements > mostElements) return false;
  if (format === undefined) {
    throw new CheckpointError(
      { file: source.name, tensor: name },
      "its values are in a format that is not read here",
      "Convert the checkpoint to F32, F16 or BF16.",
    );
  }
  const { blockSize, blockBytes, dequantize } = formats[format];
  const values = new Float32Array(elements);
  dequantize(await source.read(offset, (elements / blockSize) * blockBytes, signal), values);
  return values.every((found) => found === value);
}

function wildcard(pattern: string): RegExp {
  return new RegExp(
    `^${pattern
      .split("*")
      .map((part) => part.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&"))
      .join(".*")}$`,
    "su",
  );
}
