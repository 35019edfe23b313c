// What node-llama-cpp takes from a GGUF file about text: `llama-cpp-text.ts MODEL`, with a JSON list of texts on standard input,
// prints one JSON object: ids of each text without and with special tokens, BOS, EOS, whether they are put around a text, every
// token that ends generation, and the chat template. Left out of the type check, since whoever starts it installs what it imports.

import { text } from "node:stream/consumers";
import { getLlama, LlamaLogLevel, type Token } from "node-llama-cpp";

const [, , modelPath = ""] = process.argv;
const texts = JSON.parse(await text(process.stdin)) as readonly string[];
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath, vocabOnly: true });
const { tokenizer } = model.fileInfo.metadata;
const { tokens } = model;
const ids = Array.from(tokenizer.ggml.tokens, (_, id) => id as Token);
const answer = {
  bos: tokens.bos,
  eos: tokens.eos,
  addBos: tokens.shouldPrependBosToken,
  addEos: tokens.shouldAppendEosToken,
  ends: ids.filter((id) => model.isEogToken(id)),
  chatTemplate: tokenizer.chat_template ?? null,
  plain: texts.map((one) => Array.from(model.tokenize(one))),
  special: texts.map((one) => Array.from(model.tokenize(one, true))),
};
process.stdout.write(JSON.stringify(answer), () => process.exit(0));
