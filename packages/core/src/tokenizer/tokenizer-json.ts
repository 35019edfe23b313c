// Hugging Face's tokenizer.json: a pipeline of components, each named by its type. Added tokens are cut out of the text,
// the rest is normalized, cut into words and merged by rank; decoding is a chain of its own. The folder json/ holds one
// file for each kind of component; what is not known there is refused by name, never passed over.
//
// `truncation` and `padding` are left aside: they are settings of a training run, which Hugging Face's own callers reset.

import { assemble, refuse, shown } from "./assemble.ts";
import { type AddedToken, addedTokenFinder, readAddedToken } from "./json/added-tokens.ts";
import { readDecoder, type Sink } from "./json/decoders.ts";
import { type JsonObject, jsonObject, optionalObject } from "./json/fields.ts";
import { readModel } from "./json/model.ts";
import { readNormalizer } from "./json/normalizers.ts";
import { readPreTokenizer } from "./json/pre-tokenizers.ts";
import { readTemplate } from "./json/template.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Tokenizer from a `tokenizer.json` with a BPE model.
 *
 * @param json The parsed file.
 * @param source Name used in errors, usually the file's path.
 * @param tokenizerConfig The parsed `tokenizer_config.json`, which knows names of BOS and EOS and the chat template. Without
 * it BOS and EOS are what the post-processor puts around a text, and else `<s>` and `</s>` where these are special.
 * @throws {PolyllamaError} `ERR_TOKENIZER` when the files are damaged, contradict each other or name an unknown component.
 */
export function tokenizerFromJson(json: unknown, source: string, tokenizerConfig?: unknown): Tokenizer {
  const file = jsonObject(json, "tokenizer.json", source);
  const config =
    tokenizerConfig === undefined ? undefined : jsonObject(tokenizerConfig, "tokenizer_config.json", source);
  const model = readModel(file.object("model"));
  const normalize = readNormalizer(optionalObject(file, "normalizer"));
  const preTokenize = readPreTokenizer(optionalObject(file, "pre_tokenizer"));
  const template = readTemplate(optionalObject(file, "post_processor"));
  const steps = readDecoder(optionalObject(file, "decoder"));
  const added = file.get("added_tokens") === undefined ? [] : file.objects("added_tokens").map(readAddedToken);

  const pieces = joinVocabulary(model.vocabulary, added, source);
  const controls = new Set(added.filter((token) => token.special).map((token) => token.id));
  const names = new Set(added.map((token) => token.id));
  const nothing: ReadonlySet<number> = new Set();
  const all = addedTokenFinder(added, normalize);
  const ordinary = addedTokenFinder(
    added.filter((token) => !token.special),
    normalize,
  );

  const named = (key: string, inTemplate: number | undefined, convention: string): number | undefined => {
    const name = config && tokenName(config, key);
    const id = name === undefined ? undefined : pieces.indexOf(name);
    if (id !== undefined && id < 0) refuse(source, `${key} is ${shown(name)}, which is not in the vocabulary`);
    if (id !== undefined && inTemplate !== undefined && id !== inTemplate) {
      refuse(source, `${key} is token ${id}, but the post_processor puts token ${inTemplate} in its place`);
    }
    if (inTemplate !== undefined && !(inTemplate in pieces))
      refuse(source, `post_processor puts token ${inTemplate}, which does not exist`);
    return id ?? inTemplate ?? added.find((token) => token.special && token.content === convention)?.id;
  };

  return assemble({
    source,
    pieces,
    bos: named("bos_token", template.before, "<s>"),
    eos: named("eos_token", template.after, "</s>"),
    addBos: config?.boolean("add_bos_token", template.before !== undefined) ?? template.before !== undefined,
    addEos: config?.boolean("add_eos_token", template.after !== undefined) ?? template.after !== undefined,
    chatTemplate: config && chatTemplate(config),
    kind(id) {
      if (controls.has(id)) return "control";
      if (names.has(id)) return "user-defined";
      return id === model.unknown ? "unknown" : model.bytes.has(id) ? "byte" : "normal";
    },
    segment(text, special) {
      const finder = special ? all : ordinary;
      const excluded = special ? nothing : controls;
      const ids: number[] = [];
      for (const outer of finder.raw(text)) {
        if (outer.id !== undefined) {
          ids.push(outer.id);
          continue;
        }
        for (const inner of finder.normalized(normalize(outer.text))) {
          if (inner.id !== undefined) {
            ids.push(inner.id);
            continue;
          }
          for (const word of preTokenize(inner.text, outer.start === 0 && inner.start === 0)) {
            for (const id of model.segment(word, excluded)) ids.push(id);
          }
        }
      }
      return ids;
    },
    decoder(special, continuing) {
      let text = "";
      const out: Sink = {
        push(part) {
          text += part;
        },
        end() {},
      };
      const chain = steps.reduceRight((next, step) => step(next, continuing), out);
      const take = (): string => {
        const taken = text;
        text = "";
        return taken;
      };
      return {
        push(id) {
          if (special || !controls.has(id)) chain.push(pieces[id]!);
          return take();
        },
        end() {
          chain.end();
          return take();
        },
      };
    },
  });
}

/** All pieces by id. */
function joinVocabulary(
  vocabulary: ReadonlyMap<string, number>,
  added: readonly AddedToken[],
  source: string,
): string[] {
  const byId = new Map<number, string>();
  const put = (piece: string, id: number): void => {
    const other = byId.get(id);
    if (other !== undefined && other !== piece) {
      refuse(source, `the id ${id} belongs to both ${shown(other)} and ${shown(piece)}`);
    }
    byId.set(id, piece);
  };
  for (const [piece, id] of vocabulary) put(piece, id);
  for (const { content, id } of added) {
    const other = vocabulary.get(content) ?? id;
    if (other !== id) refuse(source, `the added token ${shown(content)} has the ids ${id} and ${other}`);
    put(content, id);
  }
  if (byId.size === 0) refuse(source, "the vocabulary is empty");
  return Array.from({ length: byId.size }, (_, id) => {
    return byId.get(id) ?? refuse(source, `there are ${byId.size} tokens, but none has the id ${id}`);
  });
}

/** A token's name: text, or an object with `content`. */
function tokenName(config: JsonObject, key: string): string | undefined {
  const value = config.get(key);
  if (value === undefined || typeof value === "string") return value;
  return config.object(key).string("content");
}

/** The chat template; of several the one named "default". */
function chatTemplate(config: JsonObject): string | undefined {
  const value = config.get("chat_template");
  if (value === undefined || typeof value === "string") return value;
  const templates = config.objects("chat_template");
  return templates.find((template) => template.string("name") === "default")?.string("template");
}
