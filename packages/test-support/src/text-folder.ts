// Small checkpoints in Hugging Face's layout as fine-tuning leaves them: the tokenizer.model of a base model, and
// beside it files that add tokens, change BOS and ends, bring a chat template, or none; tables longer than the
// vocabulary.

import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openCheckpoint, writeSafetensors } from "@polyllama/checkpoints";
import { poet } from "@polyllama/model-poet";

/** Pieces of the base model. */
export const basePieces = 6144;

export interface TextFolderParts {
  /** Tokens behind the base model's. */
  readonly added?: { readonly content: readonly string[]; readonly special: boolean };
  /** Rows of the tables that no token belongs to. */
  readonly paddingRows?: number;
  /** Fields of the files beside what they usually have; a file is left out where there is nothing to say. */
  readonly tokenizerConfig?: Readonly<Record<string, unknown>>;
  readonly generationConfig?: Readonly<Record<string, unknown>>;
  readonly config?: Readonly<Record<string, unknown>>;
  /** More files, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Writes the folder, which must not exist. */
export async function writeTextFolder(folder: string, parts: TextFolderParts = {}): Promise<void> {
  const { added = { content: [], special: true }, paddingRows = 0 } = parts;
  const rows = basePieces + added.content.length + paddingRows;
  const size = "dim=32&heads=2&kv_heads=2&hidden=32&layers=1&context=64&format=f16";
  await using source = await openCheckpoint(`synthetic://llama-2-7b?${size}&vocab=${rows}`);
  await writeSafetensors(folder, { ...source, tokenizer: undefined, metadata: new Map() });
  await copyFile(join(poet, "tokenizer.model"), join(folder, "tokenizer.model"));
  const tokens = added.content.map((content, i) => {
    const flags = { lstrip: false, normalized: false, rstrip: false, single_word: false, special: added.special };
    return [basePieces + i, { content, ...flags }] as const;
  });
  const special = ["<unk>", "<s>", "</s>"].map((content, id) => [id, { content, special: true }] as const);
  const tokenizerConfig = {
    tokenizer_class: "LlamaTokenizer",
    bos_token: "<s>",
    eos_token: "</s>",
    unk_token: "<unk>",
    ...(tokens.length > 0 && { added_tokens_decoder: Object.fromEntries([...special, ...tokens]) }),
    ...parts.tokenizerConfig,
  };
  const base = { architectures: ["LlamaForCausalLM"], model_type: "llama", vocab_size: rows };
  const sizes = {
    hidden_size: 32,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 64,
    rms_norm_eps: source.config.normEps,
  };
  const files: Record<string, string> = {
    "tokenizer_config.json": JSON.stringify(tokenizerConfig),
    "config.json": JSON.stringify({ ...base, ...sizes, bos_token_id: 1, eos_token_id: 2, ...parts.config }),
    ...(parts.generationConfig && { "generation_config.json": JSON.stringify(parts.generationConfig) }),
    ...parts.files,
  };
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}
