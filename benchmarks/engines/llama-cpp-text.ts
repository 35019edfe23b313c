// What node-llama-cpp takes from GGUF files about text. Standard input is a JSON list of questions, `{ model, texts }`;
// for each comes one answer: ids of each text without and with special tokens, BOS, EOS, whether they are put around a
// text, every token that ends generation, and the chat template. Left out of the type check, since whoever starts it
// installs what it imports.

import { text } from "node:stream/consumers";
import { getLlama, LlamaLogLevel, type Token } from "node-llama-cpp";

const questions = JSON.parse(await text(process.stdin)) as readonly { model: string; texts: readonly string[] }[];
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: LlamaLogLevel.error });
const answers = [];
for (const { model: modelPath, texts } of questions) {
  const model = await llama.loadModel({ modelPath, vocabOnly: true });
  const { tokenizer } = model.fileInfo.metadata;
  const { tokens } = model;
  const ids = Array.from(tokenizer.ggml.tokens, (_, id) => id as Token);
  answers.push({
    bos: tokens.bos,
    eos: tokens.eos,
    addBos: tokens.shouldPrependBosToken,
    addEos: tokens.shouldAppendEosToken,
    ends: ids.filter((id) => model.isEogToken(id)),
    chatTemplate: tokenizer.chat_template ?? null,
    plain: texts.map((one) => Array.from(model.tokenize(one))),
    special: texts.map((one) => Array.from(model.tokenize(one, true))),
  });
  await model.dispose();
}
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
