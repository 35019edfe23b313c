// Which chat format a conversation is written in: the one that is asked for, else the checkpoint's own. A base model's
// checkpoint has none, and then most formats would be a wrong guess; only Llama 2's vocabulary as it is says that Llama
// 2's format is meant.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Checkpoint } from "@polyllama/checkpoints";
import {
  type ChatTemplateName as CodeFormatName,
  type NamedChatTemplate,
  OptionError,
  PolyllamaError,
  type Tokenizer,
} from "@polyllama/core";
import { longestTemplate } from "./jinja/render.ts";
import {
  type ChatTemplate,
  type ChatTemplateName,
  chatTemplateNames,
  isCodeFormat,
  isKnownFormat,
  jinjaOf,
} from "./named.ts";

/** A chat format that a conversation is written in, and who says so. */
export interface ChatFormat {
  /** A name, of those known or of the checkpoint's own, or "jinja". */
  readonly name: string;
  /** Who says so: the option, or where in the checkpoint it stands. */
  readonly from: string;
  /** For people, where the format is a guess, or a name means two. */
  readonly notice?: string;
}

/** A format that runs in code, or the Jinja of one that does not. */
export interface ChosenFormat extends ChatFormat {
  readonly code: CodeFormatName | undefined;
  readonly jinja: string;
  /** Whether the template is the checkpoint's own, which then says itself where BOS stands. */
  readonly own: boolean;
}

/**
 * The format that conversations with a checkpoint are written in, and who says so, without loading it: `llama-2` where
 * its template is known to be Llama 2's, or its vocabulary is; `jinja` for a template that is rendered.
 *
 * @throws {PolyllamaError} `ERR_CHAT` where no template is given and the checkpoint has none, `ERR_TOKENIZER` where it
 * came without a tokenizer; {@link OptionError} for a name that there is not.
 */
export function chatFormatOf(checkpoint: Checkpoint, template?: ChatTemplate): ChatFormat {
  const { tokenizer } = checkpoint;
  if (tokenizer === undefined) {
    throw new PolyllamaError(
      "ERR_TOKENIZER",
      `${checkpoint.name} has no tokenizer; open it with the option \`tokenizer: "path"\`.`,
    );
  }
  const { name, from, notice } = chooseFormat(checkpoint, tokenizer, template);
  return { name, from, ...(notice !== undefined && { notice }) };
}

/**
 * @param hasTools Whether the conversation comes with tools, for which a checkpoint may have a template of its own: as
 * in transformers and llama.cpp the one named `tool_use`.
 * @throws {PolyllamaError} `ERR_CHAT` where no format is given and the checkpoint has none; {@link OptionError} for a
 * name that there is not.
 */
export function chooseFormat(
  { name: checkpoint, text }: Checkpoint,
  tokenizer: Tokenizer,
  template: ChatTemplate | undefined,
  hasTools = false,
): ChosenFormat {
  const { namedTemplates } = text;
  if (typeof template === "string" && isKnownFormat(template)) return knownFormat(template, checkpoint, namedTemplates);
  const name =
    template ?? (hasTools && namedTemplates.some((own) => own.name === toolTemplate) ? toolTemplate : undefined);
  if (typeof name === "string" && !(name === "default" && text.chatTemplate !== undefined)) {
    const own = namedTemplates.find((each) => each.name === name);
    if (own === undefined) throw unknownFormat(name, checkpoint, text);
    return { name, from: own.from, code: knownTemplate(own.jinja), jinja: own.jinja, own: true };
  }
  const given = typeof template === "object" ? template : text.chatTemplate;
  if (given !== undefined) {
    const code = knownTemplate(given.jinja);
    const from = typeof template === "object" ? "the option template" : (text.chatTemplate?.from ?? "");
    return { name: code ?? "jinja", from, code, jinja: given.jinja, own: true };
  }
  if (isPlainLlama2(tokenizer)) {
    const notice = `${checkpoint} has no chat template; as its vocabulary is Llama 2's, Llama 2's chat format is used. Another one is chosen with \`template\`.`;
    return {
      name: "llama-2",
      from: "the vocabulary, which is Llama 2's",
      notice,
      code: "llama-2",
      jinja: "",
      own: false,
    };
  }
  const others = ownNames(text);
  const has =
    others.length === 0
      ? "has no chat template, so that its chat format is not known"
      : `has several chat templates and none that is used by itself: ${others.join(", ")}`;
  const give = others.length === 0 ? "the one it was trained on" : "one of them, or another,";
  throw new PolyllamaError(
    "ERR_CHAT",
    `${checkpoint} ${has}. Give ${give} as \`template\`: ${chatTemplateNames.join(", ")}, or { jinja } with a template.`,
  );
}

/** What transformers and llama.cpp take for conversations with tools. */
const toolTemplate = "tool_use";

/** A known name means the same for every checkpoint; one that has another template of that name is told of. */
function knownFormat(
  name: ChatTemplateName,
  checkpoint: string,
  namedTemplates: readonly NamedChatTemplate[],
): ChosenFormat {
  const hidden = namedTemplates.find((own) => own.name === name);
  const notice = `${checkpoint} has a chat template named ${name} of its own, in ${hidden?.from}; the name means the known format. For its own give its text as \`template\`.`;
  return {
    name,
    from: "the option template",
    code: isCodeFormat(name) ? name : undefined,
    jinja: jinjaOf(name) ?? "",
    own: false,
    ...(hidden !== undefined && { notice }),
  };
}

function ownNames({ chatTemplate, namedTemplates }: Checkpoint["text"]): readonly string[] {
  return [...(chatTemplate === undefined ? [] : ["default"]), ...namedTemplates.map(({ name }) => name)];
}

function unknownFormat(given: string, checkpoint: string, text: Checkpoint["text"]): OptionError {
  const names = ownNames(text);
  const own = names.length === 0 ? "" : `; of ${checkpoint} itself: ${names.join(", ")}`;
  const shown = JSON.stringify(given.length > 60 ? `${given.slice(0, 60)}…` : given);
  return new OptionError(
    `There is no template ${shown}. Formats by name: ${chatTemplateNames.join(", ")}${own}; or { jinja } with a template.`,
    { option: "template", expected: "the name of a chat format", value: given },
  );
}

/**
 * SHA-256 of templates that are Llama 2's format, as checkpoints have them: the one of its makers, and transformers'
 * default before.
 */
const llama2Templates: ReadonlySet<string> = new Set([
  "e8d5b5a546d3f19df16a5320c614fab05bdc4edd50e850f1afd947b503ea41cf",
  "1623de5159d584da0b6c78f86ae57b2328746122f2c58446ab7f84bce8c7c57f",
  "7fcbb4353f3f484117a3dd8fcf597b435ab2d68cf856fd27acf69bb97c170793",
  "13a22363292651f1ef995147d6c742b8ea9bbe070e2ce4fff896cc769d6f081e",
  "7906d62f894eb2ed162254123a45282f2d2444bb45178faf5561b865fe61eec9", // the embedded model's
]);

function knownTemplate(jinja: string): CodeFormatName | undefined {
  if (jinja.length > longestTemplate) return undefined;
  return llama2Templates.has(bytesToHex(sha256(utf8ToBytes(jinja)))) ? "llama-2" : undefined;
}

/** SHA-256 of the pieces of Llama 1 and 2, each behind a line feed. */
const llama2Pieces = "5d443bfc5e0994026e2e20b81bc6bb4fa59c813203d3de23ed425f0427093aae";

const isPlain = new WeakMap<Tokenizer, boolean>();

/** Llama 2's vocabulary, and nothing added to it. */
function isPlainLlama2(tokenizer: Tokenizer): boolean {
  const known = isPlain.get(tokenizer);
  if (known !== undefined) return known;
  const hash = sha256.create();
  const is = tokenizer.vocabSize === 32_000;
  for (let id = 0; is && id < tokenizer.vocabSize; id++) hash.update(utf8ToBytes(`\n${tokenizer.piece(id)}`));
  const result = is && bytesToHex(hash.digest()) === llama2Pieces;
  isPlain.set(tokenizer, result);
  return result;
}
