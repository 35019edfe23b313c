// Hugging Face's tokenizer.json: a pipeline of components, each named by its type. Added tokens are cut out of the
// text, the rest is normalized, cut into words and merged by rank; decoding is a chain of its own. The folder json/
// holds one file for each kind of component; what is not known there is refused by name, never passed over.
//
// `truncation` and `padding` are left aside: they are settings of a training run, which Hugging Face's own callers
// reset.

import { plainText } from "../printable.ts";
import { assemble, refuse, shown } from "./assemble.ts";
import { type AddedToken, addedTokenFinder, readAddedTokens } from "./json/added-tokens.ts";
import { chatTemplateOf } from "./json/chat-template.ts";
import { readDecoder, type Sink } from "./json/decoders.ts";
import { jsonObject, optionalObject } from "./json/fields.ts";
import { readModel } from "./json/model.ts";
import { readNormalizer } from "./json/normalizers.ts";
import { readPreTokenizer } from "./json/pre-tokenizers.ts";
import { readTemplate } from "./json/template.ts";
import { changedWithPlaces, placesWithin } from "./literal.ts";
import { ownInstead, withNames } from "./nameless.ts";
import type { SurroundOptions } from "./surround.ts";
import { readSurroundings, type TokenizerSurroundings, tokensBehind } from "./surroundings.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Tokenizer from a `tokenizer.json` with a BPE model.
 *
 * @param json The parsed file.
 * @param source Name used in errors, usually the file's path.
 * @param tokenizerConfig The parsed `tokenizer_config.json`, which knows names of BOS and EOS and the chat template.
 * Without it BOS and EOS are what the post-processor puts around a text, and else `<s>` and `</s>` where these are
 * special.
 * @param beside The older files that add tokens, the rows of the embedding table, and who hears what was odd.
 * @throws {PolyllamaError} `ERR_TOKENIZER` when the files are damaged, contradict each other or name an unknown
 * component.
 */
export function tokenizerFromJson(
  json: unknown,
  source: string,
  tokenizerConfig?: unknown,
  beside: Omit<TokenizerSurroundings, "tokenizerConfig"> & SurroundOptions = {},
): Tokenizer {
  const file = jsonObject(json, "tokenizer.json", source);
  const around = readSurroundings({ ...beside, tokenizerConfig }, source);
  const { config } = around;
  const model = readModel(file.object("model"));
  const normalize = readNormalizer(optionalObject(file, "normalizer"));
  const preTokenize = readPreTokenizer(optionalObject(file, "pre_tokenizer"));
  const template = readTemplate(optionalObject(file, "post_processor"));
  const steps = readDecoder(optionalObject(file, "decoder"));
  const { notice = () => {} } = beside;
  const own = withNames(readAddedTokens(file), model.vocabulary, notice);
  const within = joinVocabulary(model.vocabulary, own, source);
  const behind = tokensBehind(within, around, source, beside.rows, notice);
  const pieces = [...within, ...behind.map(({ content }) => content)];
  const known = new Set(own.map(({ id }) => id));
  const declared = around.added.filter(({ id }) => id < within.length && !known.has(id));
  const added = [...own, ...declared, ...behind].map((token) =>
    around.specials.has(token.content) ? { ...token, special: true } : token,
  );
  const controls = new Set(added.filter((token) => token.special).map((token) => token.id));
  const names = new Set(added.map((token) => token.id));
  const addedIds = new Set(added.filter((token) => token.content.length > 1).map((token) => token.id));
  const nothing: ReadonlySet<number> = new Set();
  const all = addedTokenFinder(added, normalize, source);
  const ordinary = addedTokenFinder(
    added.filter((token) => !token.special),
    normalize,
    source,
  );

  // LlamaTokenizer, which is also what a Llama without this field has, goes by its own flags, and by BOS without them.
  const className = config?.get("tokenizer_class");
  const isLlama =
    config !== undefined && (className === undefined || /^(Code)?LlamaTokenizer(Fast)?$/.test(plainText(className)));

  const frame = (
    key: "bos_token" | "eos_token",
    inTemplate: number | undefined,
    convention: string,
  ): number | undefined => {
    const name = around.special(key);
    const found = typeof name === "string" ? pieces.indexOf(name) : undefined;
    const id = found === -1 ? undefined : found;
    if (id !== undefined && inTemplate !== undefined && id !== inTemplate) {
      const contradiction = `${key} is token ${id}, but the post_processor puts token ${inTemplate} in its place`;
      // LlamaTokenizer makes itself a post-processor of its own tokens; others have two tokens for one purpose.
      if (!isLlama) refuse(source, `${contradiction}; name the same token in both files`);
      notice(`${contradiction}; as for any LlamaTokenizer, it is token ${id}`);
    }
    if (inTemplate !== undefined && !(inTemplate in pieces))
      refuse(source, `post_processor puts token ${inTemplate}, which does not exist`);
    const usual = added.find((token) => token.special && token.content === convention)?.id;
    const instead = inTemplate ?? (name === null ? undefined : usual);
    return found === -1 ? ownInstead(key, instead, pieces, notice) : (id ?? instead);
  };
  const bos = frame("bos_token", template.before, "<s>");
  const eos = frame("eos_token", template.after, "</s>");
  const usualBos = template.before !== undefined || (isLlama && bos !== undefined);
  const usualEos = template.after !== undefined && !(isLlama && className !== undefined);

  return assemble({
    source,
    pieces,
    bos,
    eos,
    addBos: config?.boolean("add_bos_token", usualBos) ?? usualBos,
    addEos: config?.boolean("add_eos_token", usualEos) ?? usualEos,
    chatTemplate: chatTemplateOf(config),
    kind(id) {
      if (controls.has(id)) return "control";
      if (names.has(id)) return "user-defined";
      return id === model.unknown ? "unknown" : model.bytes.has(id) ? "byte" : "normal";
    },
    segment(text, special, places) {
      const finder = special ? all : ordinary;
      const excluded = special ? nothing : controls;
      const ids: number[] = [];
      for (const outer of finder.raw(text, places)) {
        if (outer.id !== undefined) {
          ids.push(outer.id);
          continue;
        }
        const inside = placesWithin(places, outer.start, outer.start + outer.text.length);
        const stretch = changedWithPlaces(outer.text, inside, normalize);
        // What is literal becomes no added token by merging, either.
        const forbidden = inside.length > 0 ? addedIds : excluded;
        for (const inner of finder.normalized(stretch.text, stretch.places)) {
          if (inner.id !== undefined) {
            ids.push(inner.id);
            continue;
          }
          for (const word of preTokenize(inner.text, outer.start === 0 && inner.start === 0)) {
            for (const id of model.segment(word, forbidden)) ids.push(id);
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
